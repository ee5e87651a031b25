//! What was seen of an experiment, and how it ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Better, Undecided};
use crate::decimal::Decimal;
use crate::evidence::{Side, Verdict};
use crate::name::{AppName, ReleaseId, RevisionId, Share};
use crate::release::Outcome;
use crate::time::{Span, Timestamp};

/// What an experiment says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentSaid {
    /// Different clients of the new revision that are compared: by chance where there is a share, else by a match.
    pub new: u64,
    /// Those of the old one.
    pub old: u64,
    /// Each goal, in the order of the file.
    pub goals: Vec<GoalSaid>,
    /// Whether the split is as it was set; nothing where it is not by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSaid>,
    /// How often the traffic began to count from nothing. What it had counted before is left out then, as a client would count
    /// twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub anew: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What one goal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalSaid {
    /// Its name.
    pub name: String,
    /// What is proven.
    pub verdict: GoalVerdict,
    /// Clients of the new revision that reached it, and by how many requests.
    pub new: Conversions,
    /// The same of the old one.
    pub old: Conversions,
    /// How many more of the new revision's clients reached it than of the old one's, as a part of all; nothing without clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Decimal>,
    /// Where that lies, at every look at once, but for a chance of one in twenty.
    pub low: Decimal,
    /// Its other end.
    pub high: Decimal,
    /// On which numbers, in a line; or why nothing is known.
    pub why: String,
    /// Nothing is known of it now, or can be: what was asked for its numbers did not answer with ones that can be judged. An
    /// experiment is never decided by such a goal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_blind: bool,
    /// What was answered last on each side, where its numbers are asked for. Only where it is recorded or reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<GoalAnswer>,
    /// The judge's verdicts whole, whether more reach it and whether fewer do: with their interval over time. Only where it is
    /// recorded or reported.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

/// What was answered last when the number of a goal was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalAnswer {
    /// Of whom.
    pub side: Side,
    /// When it was asked for.
    pub at: Timestamp,
    /// What was asked, with everything filled in.
    pub asked: String,
    /// The beginning of the answer as it came, or why none came.
    pub answer: String,
    /// What it was when it began to count: of before the experiment, and left out. Nothing until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// How often a goal was reached on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conversions {
    /// By so many different clients.
    pub clients: u64,
    /// By so many requests; none where its number is asked for.
    pub requests: u64,
}

/// What a goal can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalVerdict {
    /// The new revision is proven to be better, by what matters.
    Won,
    /// It is proven to be worse, by what matters.
    Lost,
    /// Neither is proven.
    Undecided,
}

impl GoalVerdict {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Undecided => "undecided",
        }
    }
}

/// Whether a split is as it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSaid {
    /// A fail: it is proven to be another one, so what is compared is not alike.
    pub verdict: Verdict,
    /// On which numbers, in a line.
    pub why: String,
}

/// How an experiment ended by what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// How.
    pub ending: Ending,
    /// When.
    pub at: Timestamp,
    /// What it said then.
    pub said: ExperimentSaid,
}

/// How an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Its primary goal was won.
    Won,
    /// Its primary goal was lost.
    Lost,
    /// Its time was over.
    TimeOver,
    /// A person promoted it.
    Promoted,
}

impl Ending {
    /// It, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Won => "won: all clients go to the new revision",
            Self::Lost => "lost: all clients return to the old revision",
            Self::TimeOver => "its time was over, and nothing was proven",
            Self::Promoted => "a person promoted it",
        }
    }
}

/// The report of an experiment, while it runs and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentReport {
    /// Version of this object's shape.
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// The release that is the experiment.
    pub release: ReleaseId,
    /// The revision that it tries.
    pub revision: RevisionId,
    /// The one that it is compared with.
    pub from: Option<RevisionId>,
    /// The share of the new revision; none where matches alone say who gets it.
    pub share: Share,
    /// When it was seen in force; nothing before.
    pub began_at: Option<Timestamp>,
    /// Until when its numbers are.
    pub until: Option<Timestamp>,
    /// When it ended: all clients were on one side again, or were to be.
    pub ended_at: Option<Timestamp>,
    /// How long it may run at most.
    pub lasts: Span,
    /// What follows when its time is over and nothing is proven.
    pub undecided: Undecided,
    /// How it ended by what was seen of it; nothing while it runs, or where it was undone otherwise.
    pub ending: Option<Ending>,
    /// Who promoted it, where its evidence did not decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_by: Option<String>,
    /// How its release ended.
    pub outcome: Option<Outcome>,
    /// How many looks its numbers rest on.
    pub looks: usize,
    /// The goals as they stand in the file.
    pub rules: Vec<GoalRule>,
    /// What it says.
    pub said: ExperimentSaid,
}

/// A goal as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalRule {
    /// `name`.
    pub name: String,
    /// `request`, as it is written; nothing where its number is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What is asked for its number, and whom; nothing where requests are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Whether the experiment is decided by it.
    pub primary: bool,
    /// Which way is better.
    pub better: Better,
    /// The smallest difference that matters, as a part of all clients; 0 for any.
    pub effect: Decimal,
}
