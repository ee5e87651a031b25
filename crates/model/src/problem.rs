//! What a user is told when something is not as it should be: a code, a cause, a next step.

use serde::{Deserialize, Serialize};

/// A failure or refusal as a person and a script see it.
///
/// `code` is stable, upper case with dashes (`HEALTH-NEVER-GREEN`), and has its section in `docs/troubleshooting.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the kind of problem.
    pub code: String,
    /// What happened, in one sentence, with the values that matter. Never a secret.
    pub cause: String,
    /// What to do next, in one sentence.
    pub next: String,
    /// Lines that help to see it: an app's last output, a diff. May be empty; at most [`Problem::DETAIL_LINES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

impl Problem {
    /// The most detail lines a problem carries.
    pub const DETAIL_LINES: usize = 40;

    /// A problem without detail lines.
    pub fn new(code: impl Into<String>, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code: code.into(), cause: cause.into(), next: next.into(), detail: Vec::new() }
    }

    /// The same with the last [`Problem::DETAIL_LINES`] of `lines` as detail.
    #[must_use]
    pub fn with_detail(mut self, mut lines: Vec<String>) -> Self {
        self.detail = lines.split_off(lines.len().saturating_sub(Self::DETAIL_LINES));
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.code, self.cause, self.next)
    }
}

impl std::error::Error for Problem {}
