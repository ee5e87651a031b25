//! What was seen of a release by its checks, and what was made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{During, MAX_CHECKS};
use crate::experiment::{Decided, ExperimentSaid};
use crate::name::ReleaseId;
use crate::seam::{ArmMeasured, GoalsMeasured, ShadowSeen, SplitSeen};
use crate::time::{Span, Timestamp};

/// The most of a provider's raw answer that is kept, in bytes: enough to see what is wrong with it.
pub const LONGEST_ANSWER: usize = 400;

/// The most lines that a verdict's detail has.
pub const DETAIL_LINES: usize = 24;

/// The place of the built-in check of a split: the ratio in which clients, or requests, came to the two sides of it.
pub const SPLIT_CHECK: usize = MAX_CHECKS;
/// The place of the built-in check of `[release.shadow]`.
pub const SHADOW_CHECK: usize = MAX_CHECKS + 1;
/// The place of an experiment's first goal among what is asked for numbers; the others follow in the order of the file.
pub const FIRST_GOAL: usize = MAX_CHECKS + 2;

/// One interval of what is measured of a release, with the numbers that came in it. Journaled before anything is made of
/// it, so that a verdict can be reached again from the journal alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Look {
    /// When the interval began: the end of the one before, or when its watch began.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// What the arms of both slots did in it; one that is not named did nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ArmMeasured>,
    /// Why nothing is known of the arms in it, though they are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<Blind>,
    /// Clients that came in it may be among those of an earlier one: they were counted anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recounted: bool,
    /// Who came to the split until its end, all in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSeen>,
    /// What came of the copies of requests until its end, since the traffic began to count: at most
    /// [`ShadowSeen::for_the_record`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Box<ShadowSeen>>,
    /// Nothing is left of the old slot's past to hold the new one against: it was used up, or never known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past_used_up: bool,
    /// The numbers that were asked for in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<NumberSeen>,
    /// What was counted of an experiment's goals, all in all since it was counted; nothing where none is watched, or nobody
    /// could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goals: Option<GoalsMeasured>,
    /// What its watch is judged by.
    #[serde(default, skip_serializing_if = "Rules::are_first")]
    pub rules: Rules,
}

/// What a watch is judged by, from its first look on: so what a journal holds is reached again as it was, though a later version of
/// the program judges by more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rules {
    /// Begun once; a past that is used up says nothing; every value of a query counts, from the first on; a look in which the baseline
    /// was silent takes all of the live slot.
    #[default]
    First,
    /// Begun anew each hour beside that; held against the interval of a past that is used up; errors are of several clients; values
    /// of a query describe no time twice, and none from before the watch; in steps the baseline alone is compared with.
    Second,
    /// As the second; what there was before a goal's number counts is what is answered the third time, not the first, as a source
    /// that is not ready yet says too little; errors pass by no single client's good requests.
    Third,
}

impl Rules {
    /// What is judged by now.
    pub const NEWEST: Self = Self::Third;

    fn are_first(&self) -> bool {
        *self == Self::First
    }
}

/// Why the traffic's measures say nothing of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blind {
    /// The traffic could not be asked, or measures nothing.
    NotMeasured,
    /// Its counts began anew.
    BeganAnew,
}

/// One number that somebody else was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberSeen {
    /// The check's place in `[[release.check]]`; from [`FIRST_GOAL`] on it is a goal's.
    pub check: usize,
    /// Of whom.
    pub side: Side,
    /// When it was asked for.
    pub at: Timestamp,
    /// What was asked, with everything filled in.
    pub asked: String,
    /// The beginning of the answer as it came, at most [`LONGEST_ANSWER`] bytes; or why none came.
    pub answer: String,
    /// The number; nothing where the answer was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// Which of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The one that the release goes to.
    New,
    /// The one that it moves from.
    Old,
}

/// What a release's checks are looked at for: a step of its shift, its bake, or the time that the old slot is kept warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The release.
    pub release: ReleaseId,
    /// In which part of it.
    pub during: During,
    /// The step, from 1 on, while the traffic moves in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// Since when: what was measured earlier counts for another one.
    pub since: Timestamp,
    /// How long it lasts by itself, when nothing is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
}

/// What the checks say now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksSeen {
    /// What they were looked at for.
    pub watch: Watch,
    /// The end of the newest look that they rest on.
    pub at: Timestamp,
    /// Each check that is looked at in it, by its place in `[[release.check]]`.
    pub verdicts: Vec<CheckVerdict>,
    /// When each was last answered with something that says something: a verdict that nothing is heard of any more says nothing
    /// of now.
    pub answered: BTreeMap<usize, Timestamp>,
    /// What the experiment says that is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Box<ExperimentSaid>>,
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckVerdict {
    /// Its place in `[[release.check]]`; [`SPLIT_CHECK`] or [`SHADOW_CHECK`] for a built-in one.
    pub check: usize,
    /// Its name.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// On which numbers, in a line.
    pub why: String,
    /// More of it, line by line: in which fields answers differ, with examples. Redacted, and at most [`DETAIL_LINES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// The judge's verdict whole: its numbers, its interval over time, the rule that decided. Only where it is recorded.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

/// What a check can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There is enough evidence that it is as it should be.
    Pass,
    /// There is enough evidence that it is not.
    Fail,
    /// There is not enough evidence. Never a pass.
    Inconclusive,
}

impl Verdict {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the checks of one watch said when something followed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What they were looked at for.
    pub watch: Watch,
    /// When something followed from it.
    pub at: Timestamp,
    /// What they said.
    pub verdicts: Vec<CheckVerdict>,
    /// How its experiment ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Box<Decided>>,
}

/// What was recorded of a release's checks at one moment, and what the same looks give now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// As recorded.
    pub recorded: Judged,
    /// How many looks it rests on.
    pub looks: usize,
    /// As reached again.
    pub again: Vec<CheckVerdict>,
    /// What its experiment says as reached again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Box<Decided>>,
    /// Whether both say the same, on the same numbers.
    pub agrees: bool,
}
