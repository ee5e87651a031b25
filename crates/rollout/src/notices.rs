//! What people are told of: derived from the records alone, so that a crash between what happened and its telling loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use switchover_model::config::{AppConfig, Happening, Notify};
use switchover_model::record::{Event, Record};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Timestamp};

use crate::{checks, wait};

/// Releases without an end that are remembered at most; an app has a handful.
const RELEASES: usize = 64;

/// What happened to a release, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What.
    pub what: Happening,
    /// The record that says so.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The release.
    pub release: ReleaseId,
    /// The revision it brings.
    pub revision: RevisionId,
    /// The revision it moves from.
    pub from: Option<RevisionId>,
    /// The slot it goes to.
    pub slot: Option<Slot>,
    /// The stage it is in.
    pub stage: Option<Stage>,
    /// Why; nothing where it went as it should, or an operator asked. Without the lines of any output.
    pub cause: Option<Problem>,
}

/// Reads records in order and says what is to be told; as large as what goes on, whatever came before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Teller {
    /// The last record it has read.
    pub sequence: u64,
    /// Who is told, as of that record.
    pub targets: Vec<Notify>,
    /// Where the app's secrets are, as of that record.
    pub secrets_file: Option<PathBuf>,
    /// What the file of a deploy says whose release is not opened yet and will wait.
    #[serde(default)]
    deployed: Option<Told>,
    releases: BTreeMap<ReleaseId, Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    revision: RevisionId,
    from: Option<RevisionId>,
    slot: Option<Slot>,
    stage: Option<Stage>,
    /// The gates that people were told of in this stage, or step of it: a release may turn to them more than once.
    #[serde(default)]
    gates: BTreeSet<String>,
    #[serde(default)]
    is_undone: bool,
    #[serde(default)]
    is_over: bool,
    /// What its file says of who is told, until it begins.
    #[serde(default)]
    brings: Option<Told>,
}

/// Who is told, by a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    targets: Vec<Notify>,
    secrets_file: Option<PathBuf>,
}

impl Told {
    fn of(config: &AppConfig) -> Self {
        Self { targets: config.notify.clone(), secrets_file: config.secrets_file.clone() }
    }
}

impl Known {
    /// A newer release waits for it, with its file.
    fn keeps_others_waiting(&self) -> bool {
        !self.is_over && (self.is_undone || self.stage == Some(Stage::Shift))
    }
}

impl Teller {
    /// Reads the next record.
    ///
    /// Guarantees: the same records give the same notices, whether read at once or one by one.
    /// Assumes: `record` follows the one before.
    pub fn read(&mut self, record: &Record) -> Option<Notice> {
        self.sequence = record.sequence;
        match &record.event {
            Event::Commanded { command, .. } => self.command(record, command),
            Event::Opened { release, revision, from, .. } => {
                self.opened(*release, *revision, *from);
                None
            }
            Event::Entered { release, stage, slot } => {
                self.entered(*release, *stage, *slot);
                None
            }
            Event::Stepped { release, .. } => {
                if let Some(known) = self.releases.get_mut(release) {
                    known.gates.clear();
                }
                None
            }
            Event::Waiting { release, reason } => {
                let problem = gate(*release, reason)?;
                if !self.releases.get_mut(release)?.gates.insert(reason.clone()) {
                    return None;
                }
                self.notice(record, *release, Happening::Paused, Some(problem))
            }
            Event::Noted { release: Some(release), problem } if problem.code == checks::SPLIT_OFF => {
                self.notice(record, *release, Happening::Paused, Some(problem.clone()))
            }
            Event::Switched { release, .. } => self.notice(record, *release, Happening::Switched, None),
            Event::Undoing { release, .. } => {
                if let Some(known) = self.releases.get_mut(release) {
                    (known.is_undone, known.is_over) = (true, false);
                }
                None
            }
            Event::Concluded { release, outcome } => {
                self.releases.get_mut(release).into_iter().for_each(|known| known.is_over = true);
                self.outcome(record, *release, outcome)
            }
            Event::Settled { release, .. } => {
                self.releases.remove(release);
                None
            }
            // Bad, and nothing to go back to: somebody has to look.
            Event::Noted { release: Some(release), problem } if problem.code == "CHECK-FAILED" => {
                self.notice(record, *release, Happening::Failed, Some(problem.clone()))
            }
            Event::Noted { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::Sealed { .. }
            | Event::Migrated { .. }
            | Event::Routed { .. }
            | Event::Sized { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::Decided { .. }
            | Event::InForce { .. }
            | Event::HandedOver { .. }
            | Event::Marked { .. }
            | Event::Drained { .. }
            | Event::Stopped { .. }
            | Event::Renewed { .. }
            | Event::Emptied { .. }
            | Event::Drifted { .. }
            | Event::RouterRestarted { .. } => None,
        }
    }

    fn opened(&mut self, release: ReleaseId, revision: RevisionId, from: Option<RevisionId>) {
        let known = Known {
            revision,
            from,
            slot: None,
            stage: None,
            is_undone: false,
            is_over: false,
            brings: self.deployed.take(),
            gates: BTreeSet::new(),
        };
        self.releases.insert(release, known);
        while self.releases.len() > RELEASES {
            self.releases.pop_first();
        }
    }

    fn entered(&mut self, release: ReleaseId, stage: Stage, slot: Option<Slot>) {
        let known = self.releases.get_mut(&release);
        let brings = known.and_then(|known| {
            known.stage = Some(stage);
            known.slot = slot.or(known.slot);
            known.gates.clear();
            known.brings.take()
        });
        brings.into_iter().for_each(|told| self.follow(told));
    }

    fn command(&mut self, record: &Record, command: &Command) -> Option<Notice> {
        match command {
            Command::Apply { config } => {
                self.releases.values_mut().for_each(|known| known.brings = None);
                self.follow(Told::of(config));
                None
            }
            Command::Deploy { config, .. } => {
                self.deployed = None;
                if self.releases.values().any(Known::keeps_others_waiting) {
                    self.deployed = Some(Told::of(config));
                } else {
                    self.follow(Told::of(config));
                }
                None
            }
            Command::Pause { release } => {
                let cause = format!("somebody holds release {release}.");
                let problem = Problem::new("RELEASE-HELD", cause, "`switchover resume` lets it go on.");
                self.notice(record, *release, Happening::Paused, Some(problem))
            }
            Command::Promote { .. } | Command::Resume { .. } | Command::Abort { .. } | Command::Rollback { .. } => None,
        }
    }

    fn follow(&mut self, told: Told) {
        self.targets = told.targets;
        self.secrets_file = told.secrets_file;
    }

    fn outcome(&self, record: &Record, release: ReleaseId, outcome: &Outcome) -> Option<Notice> {
        let (what, cause) = match outcome {
            Outcome::Succeeded { proven: true } => (Happening::Succeeded, None),
            Outcome::Succeeded { proven: false } => (Happening::Unproven, None),
            Outcome::RolledBack { cause } => (Happening::RolledBack, cause.clone()),
            Outcome::Aborted { cause: Some(cause) } => (Happening::Aborted, Some(cause.clone())),
            Outcome::Failed { cause } => (Happening::Failed, Some(cause.clone())),
            // Who did it knows it.
            Outcome::Aborted { cause: None } | Outcome::Superseded { .. } => return None,
        };
        self.notice(record, release, what, cause)
    }

    fn notice(&self, record: &Record, release: ReleaseId, what: Happening, cause: Option<Problem>) -> Option<Notice> {
        let known = self.releases.get(&release)?;
        let cause = cause.map(|cause| Problem { detail: Vec::new(), ..cause });
        Some(Notice {
            what,
            sequence: record.sequence,
            at: record.at,
            release,
            revision: known.revision,
            from: known.from,
            slot: known.slot,
            stage: known.stage,
            cause,
        })
    }
}

/// What is told of a wait for a person; nothing of any other wait.
fn gate(release: ReleaseId, reason: &str) -> Option<Problem> {
    let (cause, next) = match reason {
        wait::PROMOTE | wait::PROMOTE_STEP | wait::UNPROVEN | wait::EXPERIMENT_ENDED => (
            format!("release {release} waits for a person to promote it."),
            "Look at it, then `switchover promote` or `abort`.",
        ),
        wait::RETIRE_GATE => (
            format!("a hook before the retire of release {release} failed: its old slot runs on."),
            "Look at it, then `switchover promote` to stop the slot; the next release takes it in any case.",
        ),
        _ => return None,
    };
    Some(Problem::new("WAITS-AT-GATE", cause, next))
}
