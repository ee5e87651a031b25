//! The router as a process of its own: real sockets, real upstreams, real kills.

#![expect(clippy::unwrap_used, reason = "a test bed fails loudly")]

mod bed;
mod came;
mod conformance;
mod crossing;
mod ending;
mod goals;
mod killed;
mod measured;
mod open_files;
mod preview;
mod shadow;
mod shadow_bed;
mod splits;
mod switching;
