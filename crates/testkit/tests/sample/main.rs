//! The sample app as a process, healthy and sick.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod process;
mod sick;
mod web;
mod worker;
