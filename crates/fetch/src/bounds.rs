//! How long a request may take and how much an answer may hold.

use std::time::Duration;

/// The longest head of an answer, in bytes.
pub const HEAD_BYTES: usize = 64 << 10;
/// The most fields in the head of an answer.
pub const HEAD_FIELDS: usize = 100;

/// The bounds of one request. Nothing is unbounded: who asks says how much is worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From the call to the last byte of the answer.
    pub whole: Duration,
    /// Finding the address, connecting and TLS, together.
    pub connect: Duration,
    /// The longest body of an answer, in bytes.
    pub answer_bytes: usize,
}
