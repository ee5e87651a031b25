use switchover_model::answer::ReceiptView;

use super::steer;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::{self, moment};

/// Show the evidence of a release: what was accepted, who answered, what was cut, how fast the switch was
#[derive(Debug, clap::Args)]
pub(crate) struct Receipt {
    /// The release [default: the newest one]
    #[arg(value_name = "RELEASE", value_parser = steer::release)]
    release: Option<u32>,
}

impl Receipt {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let which = self.release.map_or_else(|| "latest".to_owned(), |release| release.to_string());
        let view: ReceiptView = daemon.get(&format!("/v1/apps/{app}/receipt/{which}")).await?;
        if shared.json {
            say::json(&view);
        } else {
            let zone = jiff::tz::TimeZone::system();
            for line in show::receipt::tables(&view.app, &view.receipt, moment::now(), &zone) {
                say::line(line);
            }
        }
        Ok(Exit::Succeeded)
    }
}
