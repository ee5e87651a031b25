//! The platform of processes keeps the seam's promises.

mod process_bed;

use process_bed::bed;

switchover_testkit::platform_conformance!(bed);
