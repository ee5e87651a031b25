use switchover_model::release::Command;

use super::steer;
use crate::cli::Shared;
use crate::failure::Done;

/// Let a held release go on
#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    /// The release that is meant [default: the newest one without an outcome]
    #[arg(long, value_name = "NUMBER", value_parser = steer::release)]
    release: Option<u32>,
}

impl Resume {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let release = steer::meant(&daemon, &app, self.release).await?.release;
        let said = format!("release {release} of {app} goes on");
        steer::give(shared, &daemon, &app, &Command::Resume { release }, &said).await
    }
}
