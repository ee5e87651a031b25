use std::time::Duration;

use console::{Term, truncate_str};
use switchover_model::AppName;
use switchover_model::answer::TrafficView;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::Shared;
use crate::daemon::{Daemon, Trouble};
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::traffic::TrafficShown;
use crate::waiting::can_draw;

/// Between two readings: what a rate and a latency are of.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a daemon that went away is waited for.
const AWAY_LIMIT: Duration = Duration::from_secs(60);
/// The width that is used where the terminal does not say its own.
const WIDTH: usize = 120;

/// Show what each arm of an app's traffic does now: rate, errors, latency, clients
///
/// Rates, errors and latencies are of the last second, as the router measured every request; sums are since it began to, clients
/// since the present shares. On a terminal it is drawn anew each second until Ctrl-C, which ends it with 0; elsewhere it is told once.
#[derive(Debug, clap::Args)]
pub(crate) struct Traffic {
    /// Go on each second, where it would be told once
    #[arg(short, long, conflicts_with = "once")]
    watch: bool,
    /// Tell it once, on a terminal too
    #[arg(long)]
    once: bool,
}

impl Traffic {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let term = Term::buffered_stdout();
        let is_drawn = !shared.json && !self.once && can_draw();
        let goes_on = self.watch || is_drawn;
        let mut screen = Screen { term, is_drawn, drawn: 0 };
        let mut before: Option<TrafficView> = None;
        let mut away_since: Option<Instant> = None;
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Succeeded),
            }
            let now = match read(&daemon, &app).await {
                Ok(now) => now,
                Err(trouble) if before.is_some() && goes_on && is_away(&trouble) => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= AWAY_LIMIT {
                        return Err(daemon.failure(trouble));
                    }
                    screen.show(&["unknown: the daemon is away".to_owned()], shared.json);
                    continue;
                }
                Err(trouble) => return Err(daemon.failure(trouble)),
            };
            away_since = None;
            let Some(earlier) = before.replace(now.clone()) else {
                // The first reading alone has nothing to be compared with.
                continue;
            };
            let shown = TrafficShown::between(&earlier, now);
            if !goes_on {
                tell_once(shared, &shown, &screen);
                return Ok(Exit::Succeeded);
            }
            if shared.json {
                say::json_line(&shown);
            } else {
                let lines = shown.lines(screen.width());
                screen.show(&lines, false);
            }
        }
    }
}

fn tell_once(shared: &Shared, shown: &TrafficShown, screen: &Screen) {
    if shared.json {
        say::json(shown);
    } else {
        shown.lines(screen.width()).into_iter().for_each(say::line);
    }
}

async fn read(daemon: &Daemon, app: &AppName) -> Result<TrafficView, Trouble> {
    daemon.try_get(&format!("/v1/apps/{app}/traffic")).await
}

/// It may be started anew: that is waited for.
fn is_away(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Unreachable(_) | Trouble::Broken(_) => true,
        Trouble::Answered(..) => false,
    }
}

/// Where it is shown: drawn over what was there, or line after line.
struct Screen {
    term: Term,
    is_drawn: bool,
    drawn: usize,
}

impl Screen {
    fn width(&self) -> usize {
        if self.term.is_term() {
            self.term.size_checked().map_or(WIDTH, |(_, columns)| columns.into())
        } else {
            usize::MAX
        }
    }

    fn show(&mut self, lines: &[String], is_silent: bool) {
        if is_silent {
            return;
        }
        if !self.is_drawn {
            lines.iter().for_each(say::line);
            return;
        }
        let height = self.term.size_checked().map_or(usize::MAX, |(rows, _)| rows.into());
        let width = self.width();
        // A terminal that is gone is noticed by the next thing that is said.
        let _ = self.term.clear_last_lines(self.drawn);
        self.drawn = 0;
        // What does not fit cannot be drawn over again.
        for line in lines.iter().take(height.saturating_sub(1)) {
            let _ = self.term.write_line(&truncate_str(line, width.max(1), "…"));
            self.drawn += 1;
        }
        // One write a frame: a half-drawn one is never seen.
        let _ = self.term.flush();
    }
}
