//! A release as a tree that is drawn anew in place.

use std::collections::VecDeque;

use console::{Term, style, truncate_str};
use switchover_model::Timestamp;
use switchover_model::record::{Actor, AttemptResult, Event, Record};
use switchover_model::view::{ReleaseView, StatusView};

use crate::say;
use crate::show::release::Pace;
use crate::show::{moment, release};

/// How many lines of hooks' output are shown below the tree.
const OUTPUT_LINES: usize = 6;
/// The width that is used where the terminal does not say its own.
const WIDTH: usize = 100;

/// Whether standard output is a terminal whose lines can be drawn over.
pub(crate) fn can_draw() -> bool {
    let term = Term::stdout();
    term.is_term() && term.features().is_attended() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// The tree on the terminal.
#[derive(Debug)]
pub(crate) struct Live {
    term: Term,
    last: Option<(StatusView, ReleaseView)>,
    output: VecDeque<String>,
    drawn: usize,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { term: Term::buffered_stdout(), last: None, output: VecDeque::new(), drawn: 0 }
    }

    pub(crate) fn show(&mut self, status: &StatusView, release: &ReleaseView) {
        self.last = Some((status.clone(), release.clone()));
        self.draw(moment::now(), Pace::Moving);
    }

    /// Keeps what a hook said.
    pub(crate) fn record(&mut self, record: &Record) {
        let lines = match &record.event {
            Event::AttemptEnded {
                result: AttemptResult::Passed { output } | AttemptResult::NotYet { output }, ..
            } => output.clone(),
            Event::Noted { problem, .. } if record.actor == Actor::Controller => {
                vec![format!("note {}: {}", problem.code, problem.cause)]
            }
            Event::AttemptEnded {
                result: AttemptResult::Failed { .. } | AttemptResult::Cancelled | AttemptResult::Lost,
                ..
            }
            | Event::Noted { .. }
            | Event::Commanded { .. }
            | Event::Opened { .. }
            | Event::Entered { .. }
            | Event::Waiting { .. }
            | Event::AttemptStarted { .. }
            | Event::Sealed { .. }
            | Event::Routed { .. }
            | Event::Stepped { .. }
            | Event::Sized { .. }
            | Event::InForce { .. }
            | Event::Marked { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::Decided { .. }
            | Event::Migrated { .. }
            | Event::HandedOver { .. }
            | Event::Switched { .. }
            | Event::Undoing { .. }
            | Event::Drained { .. }
            | Event::Stopped { .. }
            | Event::Emptied { .. }
            | Event::Renewed { .. }
            | Event::Concluded { .. }
            | Event::Settled { .. }
            | Event::Drifted { .. }
            | Event::RouterRestarted { .. } => Vec::new(),
        };
        for line in &lines {
            if self.output.len() == OUTPUT_LINES {
                self.output.pop_front();
            }
            self.output.push_back(say::printable(line));
        }
    }

    /// One line that stays, above the tree.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        let _ = self.term.flush();
        say::line(text);
    }

    /// The next frame.
    pub(crate) fn tick(&mut self) {
        self.draw(moment::now(), Pace::Moving);
    }

    /// Draws the tree as of `now` over the one before.
    fn draw(&mut self, now: Timestamp, pace: Pace) {
        let Some((status, release)) = &self.last else { return };
        let lines = picture(status, release, &self.output, now, pace);
        let (height, width) =
            self.term.size_checked().map_or((usize::MAX, WIDTH), |(rows, columns)| (rows.into(), columns.into()));
        self.clear();
        // What does not fit cannot be drawn over again.
        for line in lines.iter().take(height.saturating_sub(1)) {
            // A terminal that is gone is noticed by the next thing that is said.
            let _ = self.term.write_line(&truncate_str(line, width.max(1), "…"));
            self.drawn += 1;
        }
        // One write a frame: a half-drawn tree is never seen.
        let _ = self.term.flush();
    }

    /// The last tree, which stays.
    pub(crate) fn end(&mut self, release: &ReleaseView) {
        if let Some((_, last)) = &mut self.last {
            last.clone_from(release);
        }
        self.output.clear();
        self.draw(moment::now(), Pace::Still);
        self.drawn = 0;
    }

    fn clear(&mut self) {
        let _ = self.term.clear_last_lines(self.drawn);
        self.drawn = 0;
    }
}

fn picture(
    status: &StatusView,
    release: &ReleaseView,
    output: &VecDeque<String>,
    now: Timestamp,
    pace: Pace,
) -> Vec<String> {
    let mut lines = release::tree(release, status.schema.is_some(), now, pace);
    lines.extend(release::evidence(release).iter().map(|line| format!("  {line}")));
    lines.extend(release::gate(status, release).iter().map(|line| format!("  {line}")));
    for (slot, view) in &status.slots {
        if Some(*slot) != release.slot || view.revision != Some(release.revision) {
            continue;
        }
        for line in release::processes(view) {
            lines.push(format!("    {slot}  {line}"));
        }
    }
    lines.extend(output.iter().map(|line| format!("    {} {line}", style("|").dim())));
    lines
}
