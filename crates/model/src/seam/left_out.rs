//! Why a copy says nothing.

use serde::{Deserialize, Serialize};

/// Why a request that was drawn was not copied, or its answers were not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// Too many copies were on their way or waiting.
    Busy,
    /// The slot had no instance for its path.
    NoInstance,
    /// Its body was larger than is kept.
    RequestTooLarge,
    /// An answer was larger than is kept.
    AnswerTooLarge,
    /// An answer was encoded in a way that is not read.
    Encoded,
    /// The user's own request was not answered whole.
    OriginalFailed,
    /// The second request to the live slot was not answered.
    LiveUnanswered,
    /// The copy was not answered; where answers are compared that is a difference instead.
    Unanswered,
    /// The user's answer took too long to wait for: a stream of events, a slow reader.
    Slow,
    /// The mirror was taken away before the copy was sent.
    Ended,
    /// Two answers of the live slot were not alike enough to say anything of a third: another status, or another in too many
    /// fields.
    Unsteady,
}

impl LeftOut {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Busy,
        Self::NoInstance,
        Self::RequestTooLarge,
        Self::AnswerTooLarge,
        Self::Encoded,
        Self::OriginalFailed,
        Self::LiveUnanswered,
        Self::Unanswered,
        Self::Slow,
        Self::Ended,
        Self::Unsteady,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoInstance => "no-instance",
            Self::RequestTooLarge => "request-too-large",
            Self::AnswerTooLarge => "answer-too-large",
            Self::Encoded => "encoded",
            Self::OriginalFailed => "original-failed",
            Self::LiveUnanswered => "live-unanswered",
            Self::Unanswered => "unanswered",
            Self::Slow => "slow",
            Self::Ended => "ended",
            Self::Unsteady => "unsteady",
        }
    }
}
