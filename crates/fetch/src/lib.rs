//! Asks others over HTTP: hooks, webhooks, measurements. One request, one connection, one answer, all within bounds.
//!
//! Promises: a request ends within its bounds whatever the other side does; an answer that is given is whole; a redirect is
//! told and never followed; a certificate is verified; what may be secret (the user and password of a URL, its query, every
//! field of a request) is in no error and in no `Debug`.
//! Must never: carry users' requests (that is the router's), retry, keep a connection, follow where it was not sent.
//! Begin reading at [`Client::fetch`], then `connect.rs` and `exchange.rs`.

mod answer;
mod bounds;
mod client;
mod connect;
mod error;
mod exchange;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{Answer, without};
pub use bounds::{Bounds, HEAD_BYTES, HEAD_FIELDS};
pub use client::Client;
pub use error::FetchError;
pub use request::{BadField, Method, Request};
