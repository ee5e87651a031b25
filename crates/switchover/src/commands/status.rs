use switchover_model::Span;
use switchover_model::answer::ReceiptView;
use switchover_model::view::StatusView;

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::Done;
use crate::follow::{Follow, News};
use crate::say;
use crate::show::moment;
use crate::show::status::{Frame, picture};

/// The width that is used where the terminal does not say its own.
const WIDTH: usize = 100;

/// Show both slots, the releases under way, and the way back
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Draw it anew whenever something changes, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

impl Status {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let status: StatusView = daemon.get(&format!("/v1/apps/{app}/status")).await?;
        if !self.watch {
            tell(shared, &daemon, &status).await;
            return Ok(Exit::Succeeded);
        }
        let term = console::Term::stdout();
        let mut follow = Follow::new(daemon.clone(), app, status.sequence);
        loop {
            let news = tokio::select! {
                news = follow.next() => news?,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Succeeded),
            };
            match news {
                News::Status(status) => {
                    if term.is_term() && !shared.json {
                        // A terminal that is gone is noticed by the next line.
                        let _ = term.clear_screen();
                    }
                    tell(shared, &daemon, &status).await;
                }
                News::Away => say::error("the daemon is away"),
                News::Back => say::error("the daemon is back"),
                News::Record(_) => {}
            }
        }
    }
}

async fn tell(shared: &Shared, daemon: &Daemon, status: &StatusView) {
    if shared.json {
        say::json(status);
        return;
    }
    let width = console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| columns.into());
    let zone = jiff::tz::TimeZone::system();
    let last_switch = last_switch(daemon, status).await;
    for line in picture(status, &Frame { now: moment::now(), zone: &zone, width, last_switch }) {
        say::line(line);
    }
}

/// How long the last switch took, by the newest receipt; nothing when it cannot be had.
async fn last_switch(daemon: &Daemon, status: &StatusView) -> Option<Span> {
    let view: ReceiptView = daemon.try_get(&format!("/v1/apps/{}/receipt/latest", status.app)).await.ok()?;
    view.receipt.switches.iter().rev().find_map(|switch| switch.decision_to_flip)
}
