//! A release's stages, outcomes and the commands that steer it.

use serde::{Deserialize, Serialize};

use crate::config::AppConfig;
use crate::name::{ReleaseId, RevisionId};
use crate::problem::Problem;
use crate::revision::Source;

/// One step of a release, in the order in which they are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Source to artifact in the revision's own final directory, sealed and digested.
    Build,
    /// What the new revision needs of the schema is there, beside what the live one needs (only with a database).
    Expand,
    /// The idle slot runs the new revision at the live scale, healthy.
    Provision,
    /// Hooks and checks on the idle slot through the preview address.
    Verify,
    /// A person says yes (only when the app asks for it).
    Approve,
    /// Traffic and workers move.
    Shift,
    /// Full traffic on the new slot, watched.
    Bake,
    /// The old slot is kept warm, then stopped.
    Retire,
    /// What only older revisions needed of the schema goes to the attic (only with a database).
    Contract,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 9] = [
        Self::Build,
        Self::Expand,
        Self::Provision,
        Self::Verify,
        Self::Approve,
        Self::Shift,
        Self::Bake,
        Self::Retire,
        Self::Contract,
    ];

    /// Whether only releases of an app with a database go through it.
    #[must_use]
    pub const fn is_of_the_schema(self) -> bool {
        match self {
            Self::Expand | Self::Contract => true,
            Self::Build | Self::Provision | Self::Verify | Self::Approve | Self::Shift | Self::Bake | Self::Retire => {
                false
            }
        }
    }

    /// Its name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Expand => "expand",
            Self::Provision => "provision",
            Self::Verify => "verify",
            Self::Approve => "approve",
            Self::Shift => "shift",
            Self::Bake => "bake",
            Self::Retire => "retire",
            Self::Contract => "contract",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a release ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// All traffic on the new revision, seen through its bake. `proven` is false when the bake was cut short or had too
    /// little evidence.
    Succeeded {
        /// Whether the bake ended with enough evidence.
        proven: bool,
    },
    /// Traffic had moved and was taken back.
    RolledBack {
        /// Why; nothing when an operator asked for it.
        cause: Option<Problem>,
    },
    /// Undone before any traffic moved.
    Aborted {
        /// Why; nothing when an operator asked for it.
        cause: Option<Problem>,
    },
    /// A newer release took its place before its shift.
    Superseded {
        /// The release that did.
        by: ReleaseId,
    },
    /// Needs a person: what is known, what was tried, what to do.
    Failed {
        /// The story.
        cause: Problem,
    },
}

/// What started a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReleaseKind {
    /// A new revision.
    Deploy,
    /// An older revision released again: `rollback --to rN`, or a rollback after the old slot was retired.
    Return {
        /// The revision to return to.
        to: RevisionId,
        /// Whether it was asked for by a rollback that named no revision: such a return is not gone back from by
        /// another one, so two people who type the same do not undo each other's.
        #[serde(default)]
        plain: bool,
    },
}

/// What an operator (a person, a script, a hook of the outside) asks of an app. Each is journaled before it acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Change the policy: strategy, hosts, scale, gates.
    Apply {
        /// The whole file, parsed.
        config: Box<AppConfig>,
    },
    /// Start a release of a new revision.
    Deploy {
        /// The whole file, parsed: its revision part shapes the revision, its policy part is applied.
        config: Box<AppConfig>,
        /// Where the artifact comes from.
        source: Source,
        /// `--env K=V`: laid over `[env]`, part of the revision. Names only are ever shown.
        env: std::collections::BTreeMap<String, String>,
        /// During another release's shift: undo that one first instead of waiting for it.
        replace: bool,
    },
    /// Open the gate that the release waits at; in its shift, end the wait of the step that it is at.
    Promote {
        /// The release meant; a stale one is refused.
        release: ReleaseId,
        /// The stage whose gate is meant; a stale one is refused.
        stage: Stage,
        /// The step of the shift that is meant; a stale one is refused. Nothing: the one that it is at now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u32>,
        /// Whether all steps that are left are skipped.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        full: bool,
    },
    /// Hold the release before its next step; a bake goes on watching.
    Pause {
        /// The release meant.
        release: ReleaseId,
    },
    /// Let a paused release go on.
    Resume {
        /// The release meant.
        release: ReleaseId,
    },
    /// Undo a release that has not been switched yet; after that it is the same as a rollback.
    Abort {
        /// The release meant.
        release: ReleaseId,
    },
    /// Go back: to the revision before (`to` is nothing), or to an older one as a new release.
    Rollback {
        /// The revision to return to.
        to: Option<RevisionId>,
        /// The release that shall be undone, as it was seen by who asks; a stale one is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseId>,
        /// Whether errors of the database are the reason: then what keeps the schema's versions in step is detached first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detach: bool,
    },
}

impl Command {
    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "apply",
            Self::Deploy { .. } => "deploy",
            Self::Promote { .. } => "promote",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Abort { .. } => "abort",
            Self::Rollback { .. } => "rollback",
        }
    }
}
