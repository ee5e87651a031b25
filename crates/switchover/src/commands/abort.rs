use std::time::Duration;

use switchover_model::release::Command;

use super::deploy::length;
use super::steer;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::waiting::{Until, Wait};

/// Undo a release that is under way
#[derive(Debug, clap::Args)]
pub(crate) struct Abort {
    /// The release that is meant [default: the newest one without an outcome]
    #[arg(long, value_name = "NUMBER", value_parser = steer::release)]
    release: Option<u32>,
    /// Wait until it is undone
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as 90s or 10m
    #[arg(long, value_name = "D", value_parser = length, requires = "wait")]
    timeout: Option<Duration>,
}

impl Abort {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let release = steer::meant(&daemon, &app, self.release).await?.release;
        let said = format!("release {release} of {app} is being undone");
        let answer = daemon.command(&app, &Command::Abort { release }).await?;
        if !(self.wait && shared.json) {
            steer::tell(shared, &answer, &said);
        }
        if !self.wait {
            return Ok(Exit::Succeeded);
        }
        let after = answer.sequence.saturating_sub(1);
        Wait { shared, daemon: &daemon, app: &app, release, after, until: Until::Undone, timeout: self.timeout }
            .run()
            .await
    }
}
