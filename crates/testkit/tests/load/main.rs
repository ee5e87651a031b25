//! The load driver against servers that are honest, and against servers that are not.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod honest;
mod lies;
mod program;
mod receipts;
mod server;
mod sessions;
