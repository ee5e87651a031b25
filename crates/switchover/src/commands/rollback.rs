use std::time::Duration;

use switchover_model::answer::{CommandAnswer, WaitAnswer};
use switchover_model::release::{Command, ReleaseKind};
use switchover_model::{AppName, RevisionId};

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
        let answer = daemon.command(&app, &Command::Rollback { to: self.to }).await?;
        let said = match (self.to, answer.release) {
            (Some(to), _) => format!("{app} returns to {to}"),
            (None, Some(release)) => format!("{app} goes back, by release {release}"),
            (None, None) => format!("{app} goes back"),
        };
        let Some(release) = answer.release.filter(|_| self.wait) else {
            steer::tell(shared, &answer, &said);
            return Ok(Exit::Succeeded);
        };
        if !shared.json {
            steer::tell(shared, &answer, &said);
        }
        let until = until(&daemon, &app, &answer).await?;
        let after = answer.sequence.saturating_sub(1);
        Wait { shared, daemon: &daemon, app: &app, release, after, until, timeout: self.timeout }.run().await
    }
}

/// What the release of an admitted rollback should come to: going back is undoing a release while its old slot is there,
/// and a release of its own otherwise.
pub(crate) async fn until(daemon: &Daemon, app: &AppName, answer: &CommandAnswer) -> Result<Until, Failure> {
    let Some(release) = answer.release else { return Ok(Until::Switched) };
    let path = format!("/v1/apps/{app}/wait/{release}?until=switched&timeout_ms=0");
    let view = daemon.get::<WaitAnswer>(&path).await?.release;
    Ok(match view.kind {
        ReleaseKind::Return { .. } if !view.undoing => Until::Switched,
        ReleaseKind::Return { .. } | ReleaseKind::Deploy => Until::Undone,
    })
}
