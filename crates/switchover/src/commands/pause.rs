use switchover_model::release::Command;

use super::steer;
use crate::cli::Shared;
use crate::failure::Done;

/// Hold a release before its next step; a bake goes on watching
#[derive(Debug, clap::Args)]
pub(crate) struct Pause {
    /// The release that is meant [default: the newest one without an outcome]
    #[arg(long, value_name = "NUMBER", value_parser = steer::release)]
    release: Option<u32>,
}

impl Pause {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let release = steer::meant(&daemon, &app, self.release).await?.release;
        let said = format!("release {release} of {app} is held; `{}` lets it go on", shared.again("resume"));
        steer::give(shared, &daemon, &app, &Command::Pause { release }, &said).await
    }
}
