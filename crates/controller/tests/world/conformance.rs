//! The traffic of the world in memory does what every traffic must, as far as one that carries no requests can.

use switchover_model::seam::{Arm, RoutedProcess, Routes, Traffic};
use switchover_model::{AppName, RevisionId, Share, Slot};
use switchover_testkit::conformance_traffic::{Request, TrafficBed};

use super::{Seams, World, shop};

struct Bed(Seams);

impl TrafficBed for Bed {
    fn app(&self) -> AppName {
        shop()
    }

    fn traffic(&self) -> &dyn Traffic {
        &self.0
    }

    fn routes(&self, version: u64, live: u32) -> Routes {
        let arm = |revision: u32, slot| Arm {
            slot,
            revision: RevisionId(revision),
            share: if revision == live { Share::ALL } else { Share::NONE },
            processes: vec![RoutedProcess {
                process: "web".parse().unwrap(),
                paths: vec!["/".to_owned()],
                endpoints: Vec::new(),
            }],
        };
        Routes {
            arms: vec![arm(1, Slot::Blue), arm(2, Slot::Green)],
            drain_ms: 1_000,
            ..Routes::nowhere(shop(), version)
        }
    }

    fn request_with(&self, _: &[(&str, &str)]) -> (Request, Option<String>) {
        (Request::NotCarried, None)
    }
}

fn with_bed(case: impl AsyncFnOnce(&dyn TrafficBed)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(case(&Bed(Seams(World::new()))));
}

switchover_testkit::traffic_conformance!(with_bed);
