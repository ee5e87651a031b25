//! What was asked of the world: so that the same is not asked at every turn, and a failure is retried with patience.

use std::collections::BTreeMap;

use switchover_model::release::ReleaseKind;
use switchover_model::seam::{Action, InstanceSeen, Phase, PlatformSeen, SeamError, SlotSpec};
use switchover_model::{Problem, Slot, Timestamp};
use switchover_rollout::App;
use tokio::time::Instant;

use crate::bounds::{FAILURES_UNTIL_NOTED, NOTE_QUIET, REAFFIRM, RETRY_FIRST, RETRY_LONGEST};
use crate::clock;

/// What an action is about: one is asked for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// The traffic.
    Routes,
    /// A slot's instances.
    Slot(Slot),
    /// The revisions on disk.
    Revisions,
    /// The database's schema.
    Schema,
    /// A release's restore point.
    RestorePoint,
}

/// The last time something was asked for.
#[derive(Debug)]
struct Asked {
    action: Action,
    at: Instant,
    instances: Vec<InstanceSeen>,
    failures: u32,
    problem: Option<Problem>,
    /// Since when it is refused.
    refused_since: Option<Timestamp>,
}

/// Everything that was asked for, by what it is about.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    asked: BTreeMap<About, Asked>,
    noted: BTreeMap<String, Instant>,
}

impl Acts {
    /// Whether `action` is to be asked for now: it is new, or the world looks different, or it is time to say it again.
    pub(crate) fn is_due(&self, about: About, action: &Action, instances: &[InstanceSeen]) -> bool {
        let Some(last) = self.asked.get(&about) else { return true };
        if last.action != *action {
            return true;
        }
        let age = last.at.elapsed();
        if last.failures > 0 {
            let pause = RETRY_FIRST.saturating_mul(1 << last.failures.min(8).saturating_sub(1)).min(RETRY_LONGEST);
            return age >= pause;
        }
        age >= REAFFIRM || last.instances != instances
    }

    /// Whether the last try failed.
    pub(crate) fn fails(&self, about: About) -> bool {
        self.asked.get(&about).is_some_and(|last| last.failures > 0)
    }

    /// What became of it. Returns a problem that a person should know, when it is time to say it.
    pub(crate) fn done(
        &mut self,
        about: About,
        action: Action,
        instances: &[InstanceSeen],
        outcome: Result<(), SeamError>,
    ) -> Option<Problem> {
        let last = self.asked.remove(&about).filter(|last| last.action == action);
        let before = last.as_ref().map_or(0, |last| last.failures);
        let (failures, problem, is_refused) = match outcome {
            Ok(()) => (0, None, false),
            Err(SeamError::Refused(problem)) => (before + 1, Some(problem), true),
            Err(error @ (SeamError::Unreachable(_) | SeamError::NotYet)) => {
                (before + 1, Some(unreachable(about, &error.to_string())), false)
            }
        };
        let refused_before = last.and_then(|last| last.refused_since);
        let refused_since = is_refused.then(|| refused_before.unwrap_or_else(clock::now));
        let worth_noting = problem.clone().filter(|_| is_refused || failures >= FAILURES_UNTIL_NOTED);
        let asked =
            Asked { action, at: Instant::now(), instances: instances.to_vec(), failures, problem, refused_since };
        self.asked.insert(about, asked);
        self.noted.retain(|_, at| at.elapsed() < NOTE_QUIET);
        let problem = worth_noting.filter(|problem| !self.noted.contains_key(&problem.code))?;
        self.noted.insert(problem.code.clone(), Instant::now());
        Some(problem)
    }

    /// Forgets what is no longer asked for.
    pub(crate) fn keep_only(&mut self, wanted: &[About]) {
        self.asked.retain(|about, _| wanted.contains(about));
    }

    /// Puts an instance that the platform refuses to start in its place, with the cause: whoever waits for it sees why
    /// it does not come, and when its deadline is over.
    pub(crate) fn show_refused(&self, platform: &mut PlatformSeen) {
        for asked in self.asked.values() {
            if let (Action::Ensure(spec), Some(cause), Some(since)) =
                (&asked.action, &asked.problem, asked.refused_since)
            {
                platform.instances.extend(not_started(spec, cause, since, &platform.instances));
            }
        }
    }

    /// What fails now.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.asked.values().filter_map(|asked| asked.problem.as_ref())
    }
}

/// One instance for each process that takes requests and lacks some. Workers are left out: what is seen of them says who
/// works.
fn not_started(spec: &SlotSpec, cause: &Problem, since: Timestamp, seen: &[InstanceSeen]) -> Vec<InstanceSeen> {
    let lacking = spec.processes.iter().filter(|(name, goal)| {
        let is_routed = spec.revision.processes.get(*name).is_some_and(|process| process.health.is_some());
        let of_it = |seen: &&InstanceSeen| {
            seen.slot == spec.slot && seen.revision == spec.revision.id && seen.process == **name
        };
        is_routed && seen.iter().filter(of_it).count() < goal.count as usize
    });
    let missing = lacking.filter_map(|(name, goal)| {
        Some(InstanceSeen {
            id: format!("{}-{}-{name}.refused", spec.app, spec.slot).parse().ok()?,
            slot: spec.slot,
            revision: spec.revision.id,
            process: name.clone(),
            role: goal.role,
            address: None,
            phase: Phase::Unhealthy { since, cause: cause.clone() },
            restarts: 0,
            unanswered_since: None,
            answered_since: None,
        })
    });
    missing.collect()
}

fn unreachable(about: About, why: &str) -> Problem {
    let (code, what) = match about {
        About::Routes => ("ROUTER-UNREACHABLE", "The routes could not be put in force".to_owned()),
        About::Slot(slot) => ("PLATFORM-UNREACHABLE", format!("The instances of {slot} could not be seen to")),
        About::Schema | About::RestorePoint => {
            ("DATABASE-UNREACHABLE", "What is asked of the database could not be begun".to_owned())
        }
        About::Revisions => ("REVISIONS-NOT-CLEARED", "Old revisions could not be removed from the disk".to_owned()),
    };
    Problem::new(code, format!("{what}: {why}."), "It is tried again by itself; look at the daemon's log if it stays.")
}

/// Whether there was no space for an action.
pub(crate) fn is_full(outcome: &Result<(), SeamError>) -> bool {
    matches!(outcome, Err(SeamError::Refused(problem)) if problem.code == "DISK-FULL")
}

/// Whether an action is a step of a deploy that goes forward: it never draws on the reserve. What stops, goes back, or keeps
/// up what is live may.
pub(crate) fn begins_something(app: &App, action: &Action) -> bool {
    match action {
        Action::Ensure(spec) => app.moving().is_some_and(|release| {
            let goes_forward = match release.kind {
                ReleaseKind::Deploy => !release.is_undoing(),
                ReleaseKind::Return { .. } => false,
            };
            goes_forward && release.revision == spec.revision.id
        }),
        Action::Stop { .. } => false,
        Action::Route(_)
        | Action::KeepRevisions { .. }
        | Action::Build { .. }
        | Action::Hook { .. }
        | Action::Backup { .. }
        | Action::Migrate { .. }
        | Action::Schema(_)
        | Action::MarkSchema { .. }
        | Action::CancelAttempt { .. } => true,
    }
}
