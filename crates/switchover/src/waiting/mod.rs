//! `--wait`: shows a release until it is where it should be, or ended otherwise.

mod live;
mod plain;
mod verdict;

use std::time::Duration;

use serde::Serialize;
use switchover_model::answer::WaitAnswer;
use switchover_model::record::Record;
use switchover_model::view::{ReleaseView, SCHEMA_VERSION, StatusView};
use switchover_model::{AppName, Problem, ReleaseId};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::follow::{Follow, News};
use crate::say;

pub(crate) use live::can_draw;
pub(crate) use verdict::Until;
use verdict::{Verdict, verdict};

/// How often the live tree is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// A deadline for waits that have none.
const NO_DEADLINE: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) daemon: &'a Daemon,
    pub(crate) app: &'a AppName,
    pub(crate) release: ReleaseId,
    /// The journal's sequence before the command: news begin after it.
    pub(crate) after: u64,
    pub(crate) until: Until,
    pub(crate) timeout: Option<Duration>,
}

/// Where news are shown.
enum Screen {
    Live(Box<live::Live>),
    Plain(plain::Plain),
    /// Under `--json`: the end alone is printed.
    Silent,
}

impl Screen {
    fn show(&mut self, status: &StatusView, release: &ReleaseView) {
        match self {
            Self::Live(live) => live.show(status, release),
            Self::Plain(plain) => plain.show(status, release),
            Self::Silent => {}
        }
    }

    fn record(&mut self, record: &Record) {
        match self {
            Self::Live(live) => live.record(record),
            Self::Plain(plain) => plain.record(record),
            Self::Silent => {}
        }
    }

    fn say(&mut self, text: &str) {
        match self {
            Self::Live(live) => live.say(text),
            Self::Plain(_) => say::line(text),
            Self::Silent => {}
        }
    }

    fn tick(&mut self) {
        match self {
            Self::Live(live) => live.tick(),
            Self::Plain(_) | Self::Silent => {}
        }
    }

    fn end(&mut self, release: &ReleaseView) {
        match self {
            Self::Live(live) => live.end(release),
            Self::Plain(plain) => plain.end(release),
            Self::Silent => {}
        }
    }
}

impl Wait<'_> {
    /// Waits, showing the release as a live tree on a terminal and as plain lines elsewhere.
    pub(crate) async fn run(&self) -> Done {
        let mut screen = if self.shared.json {
            Screen::Silent
        } else if can_draw() {
            Screen::Live(Box::new(live::Live::new()))
        } else {
            Screen::Plain(plain::Plain::new(self.app, self.release))
        };
        let mut follow = Follow::new(self.daemon.clone(), self.app.clone(), self.after);
        let mut ticks = interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let deadline = Instant::now() + self.timeout.unwrap_or(NO_DEADLINE).min(NO_DEADLINE);
        loop {
            let news = tokio::select! {
                news = follow.next() => news?,
                _ = ticks.tick() => {
                    screen.tick();
                    continue;
                }
                () = sleep_until(deadline) => return Err(self.timed_out()),
                _ = tokio::signal::ctrl_c() => return Ok(self.left(&mut screen)),
            };
            match news {
                News::Away => screen.say("the daemon is away; the release goes on when it is back"),
                News::Back => screen.say("the daemon is back"),
                News::Record(record) => screen.record(&record),
                News::Status(status) => {
                    // A settled release is no longer in the status.
                    let release = match status.releases.iter().find(|release| release.release == self.release) {
                        Some(release) => release.clone(),
                        None => match self.ended().await {
                            Some(release) => release,
                            None => continue,
                        },
                    };
                    screen.show(&status, &release);
                    if let Some(verdict) = verdict(&release, self.until) {
                        screen.end(&release);
                        return self.tell(&release, &status.notes, verdict);
                    }
                }
            }
        }
    }

    /// The release as the daemon remembers it; nothing while it is away.
    async fn ended(&self) -> Option<ReleaseView> {
        let path = format!("/v1/apps/{}/wait/{}?until=settled&timeout_ms=0", self.app, self.release);
        self.daemon.try_get::<WaitAnswer>(&path).await.ok().map(|answer| answer.release)
    }

    fn tell(&self, release: &ReleaseView, notes: &[Problem], verdict: Verdict) -> Done {
        let Verdict { exit, word, problem } = verdict;
        if self.shared.json {
            say::json(&WaitedView {
                schema_version: SCHEMA_VERSION,
                app: self.app,
                result: word,
                problem: problem.as_ref(),
                notes,
                release,
            });
            return Ok(exit);
        }
        match (exit, problem) {
            (Exit::Succeeded, _) => {
                say::line(format_args!("release {} of {} {word}", self.release, self.app));
                Ok(exit)
            }
            (exit, Some(problem)) => Err(Failure::Problem(exit, problem)),
            (exit, None) => {
                say::error(format_args!("release {} of {} was {word}", self.release, self.app));
                Ok(exit)
            }
        }
    }

    fn left(&self, screen: &mut Screen) -> Exit {
        say::fresh_line();
        screen.say("");
        say::error(format_args!("Left. Release {} of {} goes on. {}", self.release, self.app, self.how_to_go_on()));
        Exit::Left
    }

    fn timed_out(&self) -> Failure {
        let limit = self.timeout.map(|limit| format!("{} s", limit.as_secs_f64())).unwrap_or_default();
        Failure::Problem(
            Exit::TimedOut,
            Problem::new(
                "WAIT-TIMED-OUT",
                format!(
                    "Release {} of {} was not where it should be after {limit}; it goes on.",
                    self.release, self.app
                ),
                self.how_to_go_on(),
            ),
        )
    }

    fn how_to_go_on(&self) -> String {
        let look = self.shared.again("status --watch");
        match self.until {
            Until::Undone => format!("It is being undone; look again with `{look}`."),
            Until::Switched | Until::Settled => {
                format!("Look again with `{look}`; undo it with `{}`.", self.shared.again("abort"))
            }
        }
    }
}

/// What `--wait --json` prints at the end.
#[derive(Debug, Serialize)]
struct WaitedView<'a> {
    schema_version: u32,
    app: &'a AppName,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
    /// What the status tells a person besides.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [Problem],
    release: &'a ReleaseView,
}
