//! Why a command is refused: code, cause, next step.

use switchover_model::config::AppConfig;
use switchover_model::release::{Command, ReleaseKind};
use switchover_model::{Problem, ReleaseId, RevisionId};

use crate::app::{App, KnownKey};
use crate::release::Release;

pub(crate) fn key_reused(known: &KnownKey, command: &Command) -> Problem {
    let cause = if known.command == command.as_str() {
        format!("the idempotency key of this {} was used for another one with other content.", known.command)
    } else {
        format!("the idempotency key of this {} was used for another command, a {}.", command.as_str(), known.command)
    };
    Problem::new("KEY-REUSED", cause, "Send each command with a key of its own.")
}

pub(crate) fn if_of_another_app(app: &App, config: &AppConfig) -> Result<(), Problem> {
    if config.name == app.name {
        return Ok(());
    }
    let cause = format!("the file is of app {}, the command is for {}.", config.name, app.name);
    Err(Problem::new("APP-MISMATCH", cause, "Use the file of this app, or name the other app."))
}

/// Names the release that goes on, so that a script sees what it missed.
pub(crate) fn stale(app: &App, id: ReleaseId, why: &str) -> Problem {
    let current = app.moving().or_else(|| app.releases.last());
    let current = current.map_or_else(
        || "no release is going on".to_owned(),
        |release| match release.stage() {
            Some(stage) => format!("the current one is release {} in stage {stage}", release.id),
            None => format!("the current one is release {}, which has not begun", release.id),
        },
    );
    Problem::new(
        "STALE-COMMAND",
        format!("release {id} {why}; {current}."),
        "Look with `switchover status`, then name the current one.",
    )
}

/// A gate opens once: what the release waits for after that is no person.
pub(crate) fn open_already(release: &Release) -> Problem {
    let waits =
        release.waiting.as_ref().map(|waiting| format!("; it waits for {}", waiting.reason)).unwrap_or_default();
    let cause = format!("the gate of release {} is open already{waits}.", release.id);
    let next = "Nothing is left to do: `switchover status` shows what it waits for, and what its hooks have answered.";
    Problem::new("NOT-AT-A-GATE", cause, next)
}

/// Refuses a promotion of a step that the release is not at any more, or was promoted from already.
pub(crate) fn if_at_another_step(app: &App, release: &Release, named: Option<u32>, full: bool) -> Result<(), Problem> {
    unless_at_step(app, release, named)?;
    let Some(current) = release.at_step() else { return Err(stale(app, release.id, "is at no step")) };
    if release.full.is_some() {
        return Err(stale(app, release.id, "was promoted to all traffic already"));
    }
    if current.promoted.is_some() && !full {
        return Err(stale(app, release.id, &format!("was promoted from step {} already", current.step)));
    }
    Ok(())
}

/// Refuses what names another step than the release is at.
pub(crate) fn unless_at_step(app: &App, release: &Release, named: Option<u32>) -> Result<(), Problem> {
    let Some(named) = named else { return Ok(()) };
    match release.at_step() {
        Some(current) if current.step == named => Ok(()),
        Some(current) => {
            let why = format!("is at step {} of {}, not at step {named}", current.step, current.of);
            Err(stale(app, release.id, &why))
        }
        None => Err(stale(app, release.id, &format!("is not at step {named}"))),
    }
}

pub(crate) fn nothing_to_roll_back(app: &App) -> Problem {
    let live = app.heading();
    let others = others_on_disk(app);
    let cause = match live {
        Some(live) => match app.before_live() {
            Some(from) => format!("{from}, which was live before {}, is no longer on disk.", live.revision),
            None => format!("{} is live, and no revision before it is known.", live.revision),
        },
        None => "nothing was released yet.".to_owned(),
    };
    let next = if others.is_empty() {
        "Deploy a revision first; from the second on there is a way back.".to_owned()
    } else {
        format!("Name one that is on disk: `switchover rollback --to {others}`.")
    };
    Problem::new("NOTHING-TO-ROLL-BACK", cause, next)
}

/// A plain rollback goes back once: asked for twice, it is refused and not carried on to a still older revision.
pub(crate) fn gone_back_already(last: &Release, live: RevisionId, app: &App) -> Problem {
    let how = match last.kind {
        ReleaseKind::Return { to, plain: true } => format!("was the rollback to {to}"),
        ReleaseKind::Return { .. } | ReleaseKind::Deploy => "was rolled back".to_owned(),
    };
    let others = others_on_disk(app);
    let next = if others.is_empty() {
        "Nothing is left to do.".to_owned()
    } else {
        format!("Nothing is left to do, or name where to: `switchover rollback --to {others}`.")
    };
    Problem::new("ROLLED-BACK-ALREADY", format!("release {} {how}, and {live} is live.", last.id), next)
}

/// A rollback that came just after the end of a release may have meant that one: the live revision is not touched.
pub(crate) fn ended_before_its_switch(ended: &Release, live: RevisionId, app: &App) -> Problem {
    let cause =
        format!("release {} was taken back a moment ago, before its switch, and {live} is live as before.", ended.id);
    let others = others_on_disk(app);
    let next =
        format!("Nothing is left to do. To go back from {live}, name where to: `switchover rollback --to {others}`.");
    Problem::new("ROLLED-BACK-ALREADY", cause, next)
}

/// The notice for who asks for a rollback while one is on its way.
pub(crate) fn goes_back_already(moving: &Release) -> Problem {
    let cause = format!("release {} goes back to {} already.", moving.id, moving.revision);
    let next =
        format!("Wait for it: `switchover status --watch`; `switchover abort --release {}` takes it back.", moving.id);
    Problem::new("ROLLED-BACK-ALREADY", cause, next)
}

/// The revisions that are not live, as `--to` takes one: those that served well, where there are any.
fn others_on_disk(app: &App) -> String {
    let live = app.heading();
    let others = app.revisions.iter().filter(|(id, _)| live.is_none_or(|live| live.revision != **id));
    let served = others.filter(|(_, state)| state.served);
    served.map(|(id, _)| id.to_string()).collect::<Vec<_>>().join("`, `switchover rollback --to ")
}

pub(crate) fn unknown_revision(app: &App, id: RevisionId) -> Problem {
    let known: Vec<String> = app.revisions.keys().map(RevisionId::to_string).collect();
    let cause = format!("{id} is not on disk (any more): revisions kept are {}.", known.join(", "));
    Problem::new("REVISION-UNKNOWN", cause, "Name one of these; `keep_revisions` says how many are kept.")
}

pub(crate) fn already_live(id: RevisionId) -> Problem {
    let cause = format!("{id} is live already, or about to be.");
    Problem::new("ALREADY-LIVE", cause, "Nothing was changed; see `switchover status`.")
}
