//! What `promote`, `pause`, `resume` and `abort` share: each means one release, and says which.

use switchover_model::answer::CommandAnswer;
use switchover_model::release::{Command, Stage};
use switchover_model::view::{ReleaseView, StatusView};
use switchover_model::{AppName, Problem, ReleaseId};

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// The release that is meant, the stage it is in, the step of its shift, whether somebody holds it, and whether a closed time
/// window does.
pub(crate) struct Meant {
    pub(crate) release: ReleaseId,
    pub(crate) stage: Option<Stage>,
    pub(crate) step: Option<u32>,
    pub(crate) is_held: bool,
    pub(crate) waits_for_window: bool,
}

/// A release of the command line.
pub(crate) fn release(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "a release is a number, such as 2: `switchover history` shows them (r2 is a revision)".to_owned())
}

/// The release that is said, or the newest one without an outcome.
pub(crate) async fn meant(daemon: &Daemon, app: &AppName, said: Option<u32>) -> Result<Meant, Failure> {
    let status: StatusView = daemon.get(&format!("/v1/apps/{app}/status")).await?;
    find(&status, app, said, |release| release.outcome.is_none())
}

/// The release that is said, or the newest one without an outcome, or else that waits at a gate with one.
pub(crate) async fn meant_at_gate(daemon: &Daemon, app: &AppName, said: Option<u32>) -> Result<Meant, Failure> {
    let status: StatusView = daemon.get(&format!("/v1/apps/{app}/status")).await?;
    let is_open = |release: &ReleaseView| release.outcome.is_none();
    let moves = status.releases.iter().any(is_open);
    find(&status, app, said, |release| is_open(release) || (!moves && release.at_gate))
}

fn find(
    status: &StatusView,
    app: &AppName,
    said: Option<u32>,
    is_meant: impl Fn(&ReleaseView) -> bool,
) -> Result<Meant, Failure> {
    let moving = status.releases.iter().rev().find(|release| match said {
        Some(said) => release.release == ReleaseId(said),
        None => is_meant(release),
    });
    match (moving, said) {
        (Some(release), _) => {
            let current = release.steps.iter().find(|step| step.decided_at.is_some() && step.left_at.is_none());
            let stage = release.stages.last().map(|stage| stage.stage);
            Ok(Meant {
                release: release.release,
                stage,
                step: current.map(|step| step.step),
                is_held: release.paused,
                waits_for_window: release.waits_for_window,
            })
        }
        (None, Some(said)) => {
            Ok(Meant { release: ReleaseId(said), stage: None, step: None, is_held: false, waits_for_window: false })
        }
        (None, None) => Err(Failure::Problem(
            Exit::Refused,
            Problem::new(
                "NOTHING-MOVES",
                format!("No release of {app} is under way."),
                "Begin one with `switchover deploy`, or look with `switchover history`.",
            ),
        )),
    }
}

/// Gives a command and tells what came of it.
pub(crate) async fn give(shared: &Shared, daemon: &Daemon, app: &AppName, command: &Command, said: &str) -> Done {
    let answer = daemon.command(app, command).await?;
    tell(shared, &answer, said);
    Ok(Exit::Succeeded)
}

/// Tells that a command was admitted, and what there is to know about it.
pub(crate) fn tell(shared: &Shared, answer: &CommandAnswer, said: &str) {
    if shared.json {
        say::json(answer);
        return;
    }
    say::line(said);
    answer.notes.iter().for_each(say::note);
}
