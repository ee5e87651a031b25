//! Stage contract: what only older revisions needed of the schema goes to the attic, when nothing old is left: no instance,
//! no request, and for the app's set time no session and no write of an older version.

use switchover_model::config::OnCrash;
use switchover_model::record::{Attempt, AttemptResult};
use switchover_model::release::Stage;
use switchover_model::schema::SchemaGoal;
use switchover_model::{Problem, ReleaseId, Span};

use crate::attempts::{self, Progress};
use crate::release::Release;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{framework, limits, schema, wait};

/// What becomes of a contract that is not carried out.
pub(crate) const PENDING: &str = "What is left to do stays pending: `switchover db status` shows it, the next release or `switchover db contract` does it.";

/// How a contract stands.
pub(crate) enum Contract {
    /// It goes on.
    Work,
    /// Nothing is left to do.
    Done,
    /// It ends without its goal: what is left to do stays pending, and a person should know why.
    Pending(Problem),
}

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) -> Contract {
    let Some(release) = turn.release(id).cloned() else { return Contract::Done };
    let Some(wanted) = schema::needs(&turn.app, release.revision).cloned() else { return Contract::Done };
    if turn.app.heading().is_none_or(|live| live.revision != release.revision) {
        // The release that took the traffic contracts for both.
        return Contract::Done;
    }
    let Some(seen) = turn.sight.schema else {
        if turn.waited_out(id, wait::SCHEMA, limits::SCHEMA_LOST) {
            let cause = format!("the database could not be asked for {}.", limits::SCHEMA_LOST);
            return pending("DATABASE-UNKNOWN", cause);
        }
        return Contract::Work;
    };
    if schema::is_left(turn, &release, seen, &wanted) {
        return match attempts::run_hooks(turn, id, Stage::Contract) {
            Progress::Passed => Contract::Done,
            Progress::Running => Contract::Work,
            Progress::Failed(problem) => Contract::Pending(problem),
        };
    }
    if let Some(problem) = schema::failure(seen, &leave(&release)) {
        return Contract::Pending(problem);
    }
    if turn.is_held(id) {
        return Contract::Work;
    }
    if newer_goes_on(turn, id) {
        // Bounded by the bounds of the other release's own waits.
        turn.waited_out(id, wait::NEWER, limits::PAUSE);
        return Contract::Work;
    }
    // Who was killed before it was carried out finds it written as begun, and somebody there who was not.
    let is_under_way = turn.app.has_framework(release.revision) || schema::is_being_contracted(seen);
    if !(has_begun(&release) && is_under_way) {
        if let Some(who) = still_used(turn, &release) {
            return wait_for_quiet(turn, id, &who);
        }
        if !has_backup(turn, id) {
            return wait_for_backup(turn, id);
        }
    }
    let limit = schema::rules(&turn.app).map_or(limits::EXPAND, |rules| limits::expand(rules.backfill_timeout));
    if turn.waited_out(id, wait::CONTRACT, limit) {
        let cause = format!("the contract was not done within {limit}.");
        return pending("CONTRACT-TIMED-OUT", cause);
    }
    if turn.app.has_framework(release.revision) {
        return framework::contract(turn, id);
    }
    Contract::Work
}

/// What the schema shall serve for a release in this stage; nothing while it waits for something else.
pub(crate) fn goal(turn: &Turn<'_>, release: &Release) -> Option<SchemaGoal> {
    let wanted = schema::needs(&turn.app, release.revision)?;
    let ours = !turn.app.has_framework(release.revision);
    let works = ours && has_begun(release) && !schema::is_left_to(turn.sight.schema?, wanted);
    let live = turn.app.heading().is_some_and(|live| live.revision == release.revision);
    let here = release.stage() == Some(Stage::Contract) && release.settled_at.is_none() && release.paused.is_none();
    (works && live && here && !newer_goes_on(turn, release.id)).then(|| leave(release))
}

fn leave(release: &Release) -> SchemaGoal {
    SchemaGoal::Leave { release: release.id, revision: release.revision }
}

fn pending(code: &str, cause: String) -> Contract {
    Contract::Pending(Problem::new(code, cause, PENDING))
}

/// A newer release is on its way and does not wait for this contract: it may still come back, so nothing is taken away.
fn newer_goes_on(turn: &Turn<'_>, id: ReleaseId) -> bool {
    turn.app.releases.iter().any(|other| {
        let begun = match other.stage() {
            None | Some(Stage::Build) => false,
            Some(Stage::Expand) => !schema::contract_comes_first(turn, other.id),
            Some(Stage::Provision | Stage::Verify | Stage::Approve | Stage::Shift | Stage::Bake) => true,
            Some(Stage::Retire | Stage::Contract) => false,
        };
        other.id > id && other.is_open() && begun
    })
}

/// It was told to go on, so some of it may be done: there is no way back to before it but the attic.
fn has_begun(release: &Release) -> bool {
    release.waiting.as_ref().is_some_and(|waiting| waiting.reason == wait::CONTRACT)
}

/// Who still uses what would be taken away; nothing when nobody was seen to for long enough.
fn still_used(turn: &mut Turn<'_>, release: &Release) -> Option<String> {
    if planted!(turn, ContractInUse) {
        return None;
    }
    let Some(platform) = turn.sight.platform else { return Some("the platform could not be asked".to_owned()) };
    if let Some(old) = platform.instances.iter().find(|instance| instance.revision != release.revision) {
        return Some(format!("instance {} of {} is there", old.id, old.revision));
    }
    let Some(traffic) = turn.sight.traffic else { return Some("the router could not be asked".to_owned()) };
    let busy = traffic.in_flight.iter().chain(&traffic.upgrades);
    if let Some((revision, _)) = busy.into_iter().find(|(id, count)| **id != release.revision && **count > 0) {
        return Some(format!("{revision} still has requests"));
    }
    let quiet = schema::rules(&turn.app).map_or(Span::ZERO, |rules| rules.quiet);
    let Some(seen) = turn.sight.schema else { return Some("the database could not be asked".to_owned()) };
    let Some(watched_since) = seen.watched_since else {
        return Some("the database's role does not see the sessions of others (pg_read_all_stats)".to_owned());
    };
    let own = schema::needs(&turn.app, release.revision).map(|wanted| wanted.version.clone()).unwrap_or_default();
    let versions = seen.used.iter().filter(|(version, _)| **version != own);
    let revisions = seen.used_by.iter().filter(|(revision, _)| **revision != release.revision);
    let versions = versions.map(|(version, at)| (*at, format!("version {version}")));
    let revisions = revisions.map(|(revision, at)| (*at, format!("a session of {revision}")));
    let last = versions.chain(revisions).max().filter(|(at, _)| *at > watched_since);
    let (since, what) = last.unwrap_or((watched_since, "an older version".to_owned()));
    (!turn.over(since, quiet)).then(|| format!("{what} may have been in use less than {quiet} ago"))
}

fn wait_for_quiet(turn: &mut Turn<'_>, id: ReleaseId, who: &str) -> Contract {
    let quiet = schema::rules(&turn.app).map_or(Span::ZERO, |rules| rules.quiet);
    let hurried = turn.app.releases.iter().any(|other| schema::contract_comes_first(turn, other.id));
    let patience = if hurried { limits::STILL_USED_HURRIED } else { limits::STILL_USED };
    if turn.waited_out(id, wait::QUIET, longer(quiet, patience)) {
        return pending("OLD-STILL-USED", format!("what only the old revision needed is still used: {who}."));
    }
    Contract::Work
}

/// Whether the backup that the app asks for was made for this contract, or none is asked for. Begins it. One of before the
/// contract was held up is none: it does not have what was written meanwhile.
fn has_backup(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(backup) = schema::rules(&turn.app).and_then(|rules| rules.backup.clone()) else { return true };
    let Some(release) = turn.release(id) else { return false };
    let rounds = release.attempts.iter().filter(|attempt| matches!(attempt.what, Attempt::Backup { .. }));
    let last = rounds.clone().next_back().cloned();
    let tried = u32::try_from(rounds.count()).unwrap_or(u32::MAX);
    let round = match last.as_ref().map(|last| (last.result.as_ref(), last.ended_at, &last.what)) {
        None => 0,
        Some((Some(AttemptResult::Passed { .. }), Some(ended_at), _)) => {
            if release.is_undisturbed_since(ended_at) || planted!(turn, BackupOfBefore) {
                return true;
            }
            tried
        }
        Some((Some(_), Some(ended_at), _)) if turn.over(ended_at, limits::BACKUP_AGAIN) => tried,
        Some((_, _, Attempt::Backup { round })) => *round,
        Some((_, _, Attempt::Build { .. } | Attempt::Hook { .. } | Attempt::Migrate { .. })) => 0,
    };
    let what = Attempt::Backup { round };
    matches!(attempts::attempt(turn, id, &what, backup.timeout, OnCrash::Fail), Progress::Passed)
}

fn wait_for_backup(turn: &mut Turn<'_>, id: ReleaseId) -> Contract {
    if turn.waited_out(id, wait::BACKUP, limits::STILL_USED) {
        let why = turn.release(id).and_then(|release| {
            release.attempts.iter().rev().find_map(|attempt| match &attempt.result {
                Some(AttemptResult::Failed { cause }) => Some(cause.cause.clone()),
                Some(
                    AttemptResult::Passed { .. }
                    | AttemptResult::NotYet { .. }
                    | AttemptResult::Cancelled
                    | AttemptResult::Lost,
                )
                | None => None,
            })
        });
        let why = why.unwrap_or_else(|| "it did not end well in time".to_owned());
        return pending("NO-FRESH-BACKUP", format!("contract waited for a fresh backup: {why}."));
    }
    Contract::Work
}
