//! The words of the accounting: who asked, and what can come of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A small request on a kept connection.
    Quick,
    /// A small request on a connection of its own.
    Single,
    /// A request that takes its time.
    Slow,
    /// A chunked answer of many parts.
    Stream,
    /// Server-sent events.
    Events,
    /// A request with a large body.
    Upload,
    /// The opening of a WebSocket.
    #[serde(rename = "websocket")]
    WebSocket,
    /// A request that its user leaves.
    Abort,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No connection; nothing was sent.
    Connect,
    /// The connection was reset before the head was whole.
    Reset,
    /// The connection was closed before the head was whole.
    EofBeforeHead,
    /// What came is no answer.
    BadHead,
    /// The connection ended within the body.
    TruncatedBody,
    /// The body is whole, but not the one that was asked for.
    BadBody,
    /// No whole answer within the time limit.
    Timeout,
    /// A whole answer that says no.
    Status,
}

/// A failure with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(cause: Cause, detail: impl fmt::Display) -> Self {
        Self { cause, detail: detail.to_string() }
    }

    pub(super) fn adding(mut self, more: &str) -> Self {
        self.detail.push_str(more);
        self
    }
}

/// A complete answer: what was seen of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) revision: Option<Arc<str>>,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) kind: Kind,
    /// The user, from 0.
    pub(super) user: u32,
    /// The user's request, from 1.
    pub(super) request: u64,
    /// The connection had answered a request before.
    pub(super) reused: bool,
}
