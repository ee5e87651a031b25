use switchover_model::answer::{HistoryView, JournalView};
use switchover_model::{AppName, Problem};

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;
use crate::show::{self, moment};

/// Show the releases of an app, newest first; with --json oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// Check instead that the journal is as it was written: every record's hash follows from the one before
    #[arg(long)]
    verify: bool,
}

impl History {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        if self.verify {
            return verify(shared, &daemon, &app).await;
        }
        let history: HistoryView = daemon.get(&format!("/v1/apps/{app}/history")).await?;
        if shared.json {
            say::json(&history);
        } else {
            let zone = jiff::tz::TimeZone::system();
            for line in show::history::table(&history.releases, say::width(), moment::now(), &zone) {
                say::line(line);
            }
        }
        Ok(Exit::Succeeded)
    }
}

async fn verify(shared: &Shared, daemon: &Daemon, app: &AppName) -> Done {
    let journal: JournalView = daemon.get(&format!("/v1/apps/{app}/history/verify")).await?;
    if let Some(broken) = &journal.broken {
        return Err(Failure::Problem(
            Exit::Other,
            Problem::new(
                "JOURNAL-BROKEN",
                format!("The journal of {app} is not as it was written: {broken}."),
                "Keep a copy of the state folder, then restore it from a backup; what happened since is in the daemon's log.",
            ),
        ));
    }
    if shared.json {
        say::json(&journal);
    } else {
        let head = journal.head.unwrap_or_default();
        say::line(format_args!("the journal of {app} is whole: {} records, the last hash is {head}", journal.records));
    }
    Ok(Exit::Succeeded)
}
