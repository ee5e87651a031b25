use std::time::Duration;

use switchover_model::Span;
use switchover_model::answer::{HistoryView, ReceiptView};
use switchover_model::view::{ReleaseView, StatusView};
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::Done;
use crate::follow::{Follow, News};
use crate::say;
use crate::show::moment;
use crate::show::status::{Frame, picture};
use crate::show::wrap::wrapped;

/// The width that is used where the terminal does not say its own.
const WIDTH: usize = 100;
/// How often the picture is drawn anew while the time of a stage grows.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

/// Show both slots, the releases under way, and the way back
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Draw it anew whenever something changes, and each second while a release goes on, until Ctrl-C, which ends it with 0
    #[arg(short, long)]
    watch: bool,
}

impl Status {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let status: StatusView = daemon.get(&format!("/v1/apps/{app}/status")).await?;
        if !self.watch {
            tell(shared, &Look::at(&daemon, status).await);
            return Ok(Exit::Succeeded);
        }
        let term = console::Term::stdout();
        let is_drawn = term.is_term() && !shared.json;
        let mut follow = Follow::new(daemon.clone(), app, status.sequence);
        let mut shown: Option<Look> = None;
        let mut ticks = interval(REDRAWN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let grows = is_drawn && shown.as_ref().is_some_and(Look::has_running_clocks);
            let news = tokio::select! {
                news = follow.next() => Some(news?),
                _ = ticks.tick(), if grows => None,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Succeeded),
            };
            match news {
                Some(News::Status(status)) => shown = Some(Look::at(&daemon, *status).await),
                None => {}
                Some(News::Away) => {
                    say::error("the daemon is away");
                    // What it last said is not drawn over that, and no clock of it is known to go on.
                    shown = None;
                    continue;
                }
                Some(News::Back) => {
                    say::error("the daemon is back");
                    continue;
                }
                Some(News::Record(_)) => continue,
            }
            if let Some(look) = &shown {
                if is_drawn {
                    // A terminal that is gone is noticed by the next line.
                    let _ = term.clear_screen();
                    cut(&lines(look), &term).iter().for_each(say::line);
                } else {
                    tell(shared, look);
                }
            }
        }
    }
}

/// A status, and what is drawn with it.
#[derive(Debug)]
struct Look {
    status: StatusView,
    last_switch: Option<Span>,
    newest: Option<ReleaseView>,
}

impl Look {
    async fn at(daemon: &Daemon, status: StatusView) -> Self {
        let history = daemon.try_get::<HistoryView>(&format!("/v1/apps/{}/history", status.app)).await;
        Self {
            last_switch: last_switch(daemon, &status).await,
            newest: history.ok().and_then(|mut history| history.releases.pop()),
            status,
        }
    }

    /// A stage goes on whose time is shown.
    fn has_running_clocks(&self) -> bool {
        let mut stages = self.status.releases.iter().flat_map(|release| &release.stages);
        stages.any(|stage| stage.left_at.is_none())
    }
}

fn tell(shared: &Shared, look: &Look) {
    if shared.json {
        say::json(&look.status);
        return;
    }
    lines(look).into_iter().for_each(say::sentence);
}

fn lines(look: &Look) -> Vec<String> {
    let width = console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| columns.into());
    let zone = jiff::tz::TimeZone::system();
    let newest = look.newest.as_ref();
    let frame = Frame { now: moment::now(), zone: &zone, width, last_switch: look.last_switch, newest };
    picture(&look.status, &frame)
}

/// As many rows as the terminal has: the last ones, in which the stages and the way back are, below a row that says how many
/// there are not.
fn cut(lines: &[String], term: &console::Term) -> Vec<String> {
    let (rows, columns) = term.size();
    let mut fitted: Vec<String> = lines.iter().flat_map(|line| wrapped(line, columns.into())).collect();
    // The cursor stands in a row of its own.
    let room = usize::from(rows).saturating_sub(1).max(2);
    if fitted.len() > room {
        let left = fitted.len() - (room - 1);
        fitted.drain(..left);
        let told = format!("… {left} more lines: `switchover status` shows them");
        fitted.insert(0, console::truncate_str(&told, columns.into(), "").into_owned());
    }
    fitted
}

/// How long the last switch took, by the newest receipt; nothing when it cannot be had.
async fn last_switch(daemon: &Daemon, status: &StatusView) -> Option<Span> {
    let view: ReceiptView = daemon.try_get(&format!("/v1/apps/{}/receipt/latest", status.app)).await.ok()?;
    view.receipt.switches.iter().rev().find_map(|switch| switch.decision_to_flip)
}
