use switchover_model::answer::HistoryView;

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::{self, moment};

/// Show the releases of an app, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct History {}

impl History {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let history: HistoryView = daemon.get(&format!("/v1/apps/{app}/history")).await?;
        if shared.json {
            say::json(&history);
        } else {
            let zone = jiff::tz::TimeZone::system();
            for line in show::history::table(&history.releases, moment::now(), &zone) {
                say::line(line);
            }
        }
        Ok(Exit::Succeeded)
    }
}
