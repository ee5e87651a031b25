//! `strategy = "ab"`: an experiment on the users, and the goals that it is judged by.

use serde::{Deserialize, Serialize};

use super::NumberFrom;
use crate::decimal::Decimal;
use crate::name::Share;
use crate::seam::{Ability, Condition, GoalRequest};
use crate::time::Span;
use crate::url::without_query;

/// So many answers of a goal's number in a row, never less than the one before, and the last of them is taken for what there was before:
/// a source that is not ready yet says too little, and what it adds when it is would look like clients of the experiment.
pub const ANSWERS_BEFORE: u32 = 3;

/// `[release.experiment]`, with the `[[release.goal]]`s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// The share of the clients that get the new revision by chance; nothing where rules alone say who does.
    pub share: Share,
    /// `match`: who gets it whatever the share, by the first of these that a request meets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Condition>,
    /// `for`: when it ends at the latest, counted from when it is seen in force.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// `at_least`: until then nothing is made of its evidence.
    pub at_least: Span,
    /// What follows when it ends and nothing is proven.
    pub undecided: Undecided,
    /// What its clients shall do: at least one, one of them primary.
    pub goals: Vec<Goal>,
}

/// `[[release.goal]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// What people call it; no other goal of the app has it.
    pub name: String,
    /// What tells how many clients reached it.
    #[serde(flatten)]
    pub source: GoalSource,
    /// Whether the experiment is decided by it; the others are told.
    pub primary: bool,
    /// Whether more clients that reach it are better, or fewer.
    pub better: Better,
    /// The smallest difference that matters, as a part of all clients: 0.01 is 6 % against 5 %. Nothing: any.
    pub effect: Decimal,
}

/// What tells how many clients of each side reached a goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalSource {
    /// The router, by the request that reaches it.
    Request(GoalRequest),
    /// Somebody else, who is asked again and again.
    Number(GoalNumber),
}

/// A number of clients that somebody else knows: of those who reached the goal on one side, each once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalNumber {
    /// Whom to ask.
    pub from: NumberFrom,
    /// How often.
    pub interval: Span,
    /// How long an answer may take.
    pub timeout: Span,
    /// How long after a client came it may be counted. What is counted earlier in an experiment may be of clients from before
    /// it, who were all of one side.
    pub lag: Span,
}

impl std::fmt::Display for GoalSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(request) => write!(f, "{request}"),
            Self::Number(GoalNumber { from: NumberFrom::Prometheus { url, query, .. }, .. }) => {
                write!(f, "{query} of {}", without_query(url))
            }
            Self::Number(GoalNumber { from: NumberFrom::Command { command }, .. }) => write!(f, "{command}"),
            Self::Number(GoalNumber { from: NumberFrom::Url { url, .. }, .. }) => {
                write!(f, "GET {}", without_query(url))
            }
        }
    }
}

/// Which way a goal is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More clients that reach it.
    Higher,
    /// Fewer.
    Lower,
}

/// `undecided`: what follows at the end of an experiment that proved nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    /// All clients return to the old revision.
    Drop,
    /// All go to the new one.
    Promote,
    /// It waits for a person, as long as `approve_timeout` says; then all return.
    Ask,
}

impl Experiment {
    /// The place of the goal that it is decided by.
    #[must_use]
    pub fn primary(&self) -> usize {
        self.goals.iter().position(|goal| goal.primary).unwrap_or_default()
    }

    /// The requests that the router counts, in the order of the goals.
    pub fn requests(&self) -> impl Iterator<Item = &GoalRequest> {
        self.goals.iter().filter_map(|goal| match &goal.source {
            GoalSource::Request(request) => Some(request),
            GoalSource::Number(_) => None,
        })
    }

    /// Whether chance says who gets which revision, so that its split can be held against its share.
    #[must_use]
    pub fn is_by_chance(&self) -> bool {
        self.share != Share::NONE
    }

    /// What it needs of the traffic, beside weights and a client that stays on its side.
    pub fn needs(&self) -> impl Iterator<Item = Ability> {
        let matches = (!self.matches.is_empty()).then_some(Ability::Matches);
        std::iter::once(Ability::Goals).chain(matches)
    }
}
