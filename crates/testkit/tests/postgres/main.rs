//! The bed of the database's tests, on each major version.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod catalog;
mod clients;
mod server;
