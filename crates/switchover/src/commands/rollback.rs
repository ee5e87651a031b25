use std::time::Duration;

use switchover_model::answer::{CommandAnswer, WaitAnswer};
use switchover_model::release::{Command, Outcome, ReleaseKind, Stage};
use switchover_model::view::ReleaseView;
use switchover_model::{AppName, ReleaseId, RevisionId};

use super::deploy::length;
use super::steer;
use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::waiting::{Until, Wait};

/// Go back to the revision before, or to an older one
///
/// While the old slot is warm this is one switch. `switchover status` says how long it would take right now, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// Return to this revision, as a new release
    #[arg(long, value_name = "rN")]
    to: Option<RevisionId>,
    /// Only if this is still the newest release: refused when another one was opened meanwhile
    #[arg(long, value_name = "NUMBER", value_parser = steer::release)]
    release: Option<u32>,
    /// Errors of the database are the reason: what keeps the schema's versions in step is detached first
    #[arg(long)]
    detach: bool,
    /// Wait until the traffic is back
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as 90s or 10m
    #[arg(long, value_name = "D", value_parser = length, requires = "wait")]
    timeout: Option<Duration>,
}

impl Rollback {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let answer = daemon
            .command(
                &app,
                &Command::Rollback { to: self.to, release: self.release.map(ReleaseId), detach: self.detach },
            )
            .await?;
        let view = view(&daemon, &app, &answer).await?;
        let said = match (self.to, &view) {
            (Some(to), _) => format!("{app} returns to {to}"),
            (None, Some(view)) => described(&app, view),
            (None, None) => format!("{app} goes back"),
        };
        let Some(release) = answer.release.filter(|_| self.wait) else {
            steer::tell(shared, &answer, &said);
            return Ok(Exit::Succeeded);
        };
        if !shared.json {
            steer::tell(shared, &answer, &said);
        }
        let until = view.as_ref().map_or(Until::Switched, meant_by);
        let after = answer.sequence.saturating_sub(1);
        Wait { shared, daemon: &daemon, app: &app, release, after, until, timeout: self.timeout }.run().await
    }
}

/// What the release of an admitted rollback should come to: going back is undoing a release while its old slot is there,
/// and a release of its own otherwise.
pub(crate) async fn until(daemon: &Daemon, app: &AppName, answer: &CommandAnswer) -> Result<Until, Failure> {
    Ok(view(daemon, app, answer).await?.as_ref().map_or(Until::Switched, meant_by))
}

/// The release that a rollback opened or undoes, as it is now.
async fn view(daemon: &Daemon, app: &AppName, answer: &CommandAnswer) -> Result<Option<ReleaseView>, Failure> {
    let Some(release) = answer.release else { return Ok(None) };
    let path = format!("/v1/apps/{app}/wait/{release}?until=switched&timeout_ms=0");
    Ok(Some(daemon.get::<WaitAnswer>(&path).await?.release))
}

/// What a plain rollback does, in a line.
fn described(app: &AppName, view: &ReleaseView) -> String {
    let release = view.release;
    let has_shifted = view.stages.iter().any(|stage| stage.stage == Stage::Shift);
    match (&view.kind, meant_by(view)) {
        (ReleaseKind::Return { to, .. }, Until::Switched) => format!("{app} goes back to {to}, by release {release}"),
        (ReleaseKind::Return { .. } | ReleaseKind::Deploy, Until::Undone | Until::Switched | Until::Settled)
            if has_shifted =>
        {
            format!("{app} goes back: release {release} is undone")
        }
        (ReleaseKind::Return { .. } | ReleaseKind::Deploy, Until::Undone | Until::Switched | Until::Settled) => {
            format!("release {release} of {app} is taken back; it moved no traffic")
        }
    }
}

/// A return that is under way is what was asked for, unless it is the one that is being undone. A quick undoing is over
/// before it is looked at: then the release was undone without another cause than the operator's wish.
fn meant_by(release: &ReleaseView) -> Until {
    let is_undone =
        matches!(release.outcome, Some(Outcome::RolledBack { cause: None } | Outcome::Aborted { cause: None }));
    match release.kind {
        ReleaseKind::Return { .. } if !release.undoing && !is_undone => Until::Switched,
        ReleaseKind::Return { .. } | ReleaseKind::Deploy => Until::Undone,
    }
}

#[cfg(test)]
mod tests {
    use switchover_model::{Problem, Timestamp};

    use super::*;

    #[test]
    fn a_return_that_was_undone_before_it_was_looked_at_is_no_failure() {
        let release = |outcome| ReleaseView {
            release: ReleaseId(3),
            kind: ReleaseKind::Return { to: RevisionId(1), plain: true },
            revision: RevisionId(1),
            from: Some(RevisionId(2)),
            slot: None,
            by: "ann".into(),
            opened_at: Timestamp::from_micros(1),
            stages: Vec::new(),
            steps: Vec::new(),
            waiting: None,
            at_gate: false,
            waits_for_window: false,
            opens_at: None,
            paused: false,
            undoing: false,
            switched_at: None,
            outcome,
            settled_at: None,
            hooks: Vec::new(),
            checks: None,
            judged: Vec::new(),
            shadow: None,
        };
        assert_eq!(meant_by(&release(None)), Until::Switched);
        assert_eq!(meant_by(&release(Some(Outcome::RolledBack { cause: None }))), Until::Undone);
        let cause = Some(Problem::new("X", "x", "y"));
        assert_eq!(meant_by(&release(Some(Outcome::RolledBack { cause }))), Until::Switched);
    }
}
