//! The status of an app as a picture.

use console::style;
use jiff::tz::TimeZone;
use switchover_model::release::{Outcome, Stage};
use switchover_model::view::{ReleaseView, SlotView, StatusView, WayBack};
use switchover_model::{Share, Slot, Span, Timestamp};

use super::boxes::boxes;
use super::moment::clock;
use super::release::{self, Pace};

/// What the picture is drawn with besides the status itself.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) now: Timestamp,
    pub(crate) zone: &'a TimeZone,
    pub(crate) width: usize,
    /// How long the last switch took from decision to flip, where it is known.
    pub(crate) last_switch: Option<Span>,
    /// The newest release, where it is known.
    pub(crate) newest: Option<&'a ReleaseView>,
}

/// The picture.
pub(crate) fn picture(status: &StatusView, frame: &Frame<'_>) -> Vec<String> {
    let mut lines = vec![headline(status), String::new()];
    let slots: Vec<(String, Vec<String>)> = Slot::BOTH
        .into_iter()
        .map(|slot| {
            let view = status.slots.get(&slot);
            (title(status, slot, view), view.map_or_else(|| vec!["empty".to_owned()], slot_lines))
        })
        .collect();
    lines.extend(boxes(&slots, frame.width));
    lines.push(String::new());
    for release in &status.releases {
        lines.extend(release::tree(release, status.schema.is_some(), frame.now, Pace::Still));
        lines.extend(release::evidence(release).iter().map(|line| format!("  {line}")));
        lines.extend(super::hooks::lines(&release.hooks).iter().map(|line| format!("  {line}")));
        lines.extend(release::gate(status, release).iter().map(|line| format!("  {line}")));
        lines.push(String::new());
    }
    if let Some(schema) = &status.schema {
        lines.extend(super::schema::lines(schema));
        lines.push(String::new());
    }
    let ended = newest_that_did_not_stay(status, frame);
    if !ended.is_empty() {
        lines.extend(ended);
        lines.push(String::new());
    }
    lines.push(way_back(status, frame));
    if let Some(preview) = &status.preview {
        // The token is shown where it opens something.
        lines.push(match preview.slot {
            Some(slot) => {
                format!("preview of {slot}: host {}, header X-Switchover-Preview: {}", preview.host, preview.token)
            }
            None => format!("preview of nothing now: host {}", preview.host),
        });
    }
    for note in &status.notes {
        lines.push(format!("{} {}: {} {}", style("note:").yellow(), note.code, note.cause, note.next));
        lines.extend(note.detail.iter().map(|line| format!("    | {}", crate::say::printable(line))));
    }
    for unknown in &status.unknown {
        lines.push(format!("{} {unknown}", style("unknown:").yellow()));
    }
    for problem in &status.problems {
        lines.push(format!("{} {}: {}", style("!").red().bold(), problem.code, problem.cause));
        lines.extend(problem.detail.iter().map(|line| format!("    | {}", crate::say::printable(line))));
        lines.push(format!("    next: {}", problem.next));
    }
    lines
}

fn headline(status: &StatusView) -> String {
    let hosts: Vec<&str> = status.hosts.iter().map(switchover_model::Host::as_str).collect();
    let hosts = if hosts.is_empty() { "every host".to_owned() } else { hosts.join(", ") };
    let url = status.url.as_deref().map_or_else(|| "nowhere yet".to_owned(), str::to_owned);
    format!("{}  at {url}, for {hosts}", style(&status.app).bold())
}

/// The newest release when it ended otherwise than it should and nothing of it is left to show, with why.
fn newest_that_did_not_stay(status: &StatusView, frame: &Frame<'_>) -> Vec<String> {
    let Some((newest, outcome)) =
        frame.newest.and_then(|newest| newest.outcome.as_ref().map(|outcome| (newest, outcome)))
    else {
        return Vec::new();
    };
    match outcome {
        Outcome::Succeeded { .. } => return Vec::new(),
        Outcome::RolledBack { .. } | Outcome::Aborted { .. } | Outcome::Superseded { .. } | Outcome::Failed { .. } => {}
    }
    if status.releases.iter().any(|release| release.release >= newest.release) {
        return Vec::new();
    }
    let cause = release::outcome_cause(outcome);
    let code = cause.map(|cause| format!(": {}", cause.code)).unwrap_or_default();
    let at = newest.settled_at.map(|at| format!(" at {}", clock(at, frame.now, frame.zone))).unwrap_or_default();
    let mut lines = vec![format!("{}{code}{at}", release::head(newest))];
    // What failed is told below, as long as it is so.
    if let Some(cause) = cause.filter(|cause| !status.problems.contains(cause)) {
        lines.push(format!("  {}", crate::say::printable(&cause.cause)));
        lines.push(format!("  next: {} Its numbers: `switchover receipt {}`.", cause.next, newest.release));
    }
    lines
}

fn title(status: &StatusView, slot: Slot, view: Option<&SlotView>) -> String {
    let state = match (status.live == Some(slot), view.and_then(|view| view.revision)) {
        (true, _) => "live",
        (false, Some(_)) if view.and_then(|view| view.share).is_some_and(|share| share > Share::NONE) => {
            "with a part of the traffic"
        }
        (false, Some(_)) => "idle",
        (false, None) => "empty",
    };
    let name = match slot {
        Slot::Blue => style(slot.as_str()).blue().bold(),
        Slot::Green => style(slot.as_str()).green().bold(),
    };
    format!("{name}: {state}")
}

fn slot_lines(view: &SlotView) -> Vec<String> {
    let Some(revision) = view.revision else { return vec!["empty".to_owned()] };
    let artifact = view.artifact.as_ref().map(|digest| format!("  {}", digest.short())).unwrap_or_default();
    let share = match view.share {
        Some(share) => format!("{} of the requests", percent(share.basis_points())),
        None => "no requests".to_owned(),
    };
    let mut lines = vec![format!("{revision}{artifact}"), share];
    lines.extend(release::processes(view));
    lines.push(format!("{} in flight, {} upgrades", view.in_flight, view.upgrades));
    lines
}

fn percent(basis_points: u16) -> String {
    match basis_points % 100 {
        0 => format!("{} %", basis_points / 100),
        rest => format!("{}.{rest:02} %", basis_points / 100),
    }
}

/// Its traffic moves: it does not bake yet.
fn is_shifting(release: &ReleaseView) -> bool {
    release.outcome.is_none() && release.stages.last().is_some_and(|stage| stage.stage == Stage::Shift)
}

fn way_back(status: &StatusView, frame: &Frame<'_>) -> String {
    match &status.way_back {
        WayBack::Instant { to, until, ailing } => {
            let about = frame.last_switch.map(|span| format!(", about {}", span.rounded())).unwrap_or_default();
            let until = match until {
                Some(until) => format!("warm until {}", clock(*until, frame.now, frame.zone)),
                None if status.releases.iter().any(is_shifting) => "warm while its traffic moves".to_owned(),
                None => "warm while the release bakes".to_owned(),
            };
            let ailing = ailing.as_ref().map(|why| format!("; some of its instances ail: {why}")).unwrap_or_default();
            format!("a rollback now: one switch to {to}{about}; {until}{ailing}")
        }
        WayBack::Start { to, estimate, why, batches } => {
            let takes = match estimate {
                Some(estimate) => format!("its last start took {}", estimate.rounded()),
                None => "how long its start takes was never measured".to_owned(),
            };
            match batches {
                Some(1) => format!("a rollback now: {to} is started again in one batch; {takes} ({why})"),
                Some(batches) => format!("a rollback now: {to} is started again in {batches} batches; {takes} ({why})"),
                None => format!("a rollback now: {to} is started first, then one switch; {takes} ({why})"),
            }
        }
        WayBack::Abort { release } => {
            format!("a rollback now: takes release {release} back; no traffic has moved")
        }
        WayBack::None { why } => format!("a rollback now: none; {why}"),
    }
}
