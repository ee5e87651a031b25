use std::path::PathBuf;

use switchover_model::experiment::ExperimentReport;

use super::steer;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;
use crate::show::{self, moment};

/// Show the report of an experiment: who came, who reached its goals, and what is proven
///
/// Works while the experiment runs and after it. `--html` writes the same as one page that needs nothing else, with the interval of
/// each goal over time.
#[derive(Debug, clap::Args)]
pub(crate) struct Experiment {
    /// The release that is the experiment [default: the newest one]
    #[arg(value_name = "RELEASE", value_parser = steer::release)]
    release: Option<u32>,
    /// Write the report to this file as a page of its own
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Experiment {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let which = self.release.map_or_else(|| "latest".to_owned(), |release| release.to_string());
        let report: ExperimentReport = daemon.get(&format!("/v1/apps/{app}/experiment/{which}")).await?;
        let zone = jiff::tz::TimeZone::system();
        if let Some(file) = &self.html {
            let page = show::experiment_page::page(&report, moment::now(), &zone);
            std::fs::write(file, page).map_err(|error| {
                Failure::other(
                    "FILE-NOT-WRITTEN",
                    format!("The report can not be written to {}: {error}.", file.display()),
                    "Name a file in a directory that you may write to.",
                )
            })?;
        }
        if shared.json {
            say::json(&report);
        } else {
            for line in show::experiment::lines(&report, say::width(), moment::now(), &zone) {
                say::sentence(line);
            }
            if let Some(file) = &self.html {
                say::line(format_args!("written to {}", file.display()));
            }
        }
        Ok(Exit::Succeeded)
    }
}
