//! Why a command is refused: code, cause, next step.

use switchover_model::config::AppConfig;
use switchover_model::release::Command;
use switchover_model::{Problem, ReleaseId, RevisionId};

use crate::app::{App, KnownKey};

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

pub(crate) fn nothing_to_roll_back(app: &App) -> Problem {
    let live = app.heading();
    let others: Vec<String> = app
        .revisions
        .keys()
        .filter(|id| live.is_none_or(|live| live.revision != **id))
        .map(RevisionId::to_string)
        .collect();
    let cause = match live {
        Some(live) => format!("{} is live, and no revision before it is known.", live.revision),
        None => "nothing was released yet.".to_owned(),
    };
    let next = if others.is_empty() {
        "Deploy a revision first; from the second on there is a way back.".to_owned()
    } else {
        format!("Name one that is on disk: `switchover rollback --to {}`.", others.join("|"))
    };
    Problem::new("NOTHING-TO-ROLL-BACK", cause, next)
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
