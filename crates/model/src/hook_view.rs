//! What is shown of a release's hooks.

use serde::{Deserialize, Serialize};

use crate::config::When;
use crate::release::Stage;

/// What a hook of a release answered last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookView {
    /// Its number among the hooks of the file, from 1.
    pub hook: usize,
    /// The stage it belongs to.
    pub stage: Stage,
    /// Whether it comes before or after the stage.
    pub when: When,
    /// Its command, or its method and URL, shortened.
    pub asks: String,
    /// How often it was asked.
    pub questions: u32,
    /// What it answered last.
    pub answer: HookWord,
    /// The last lines that it answered or printed; at most [`HookView::LINES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

/// What a hook answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookWord {
    /// Nothing yet: it is being asked.
    Asked,
    /// It passed.
    Passed,
    /// Not yet.
    NotYet,
    /// It failed.
    Failed,
    /// Nobody needed its answer any more.
    Cancelled,
    /// Nobody heard its answer.
    Lost,
}

impl HookView {
    /// The most lines that are shown; the journal has more.
    pub const LINES: usize = 10;
    /// The longest of them, in characters.
    pub const LINE: usize = 200;
}

impl std::fmt::Display for HookWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Asked => "being asked",
            Self::Passed => "passed",
            Self::NotYet => "not yet",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        })
    }
}
