//! One release as a tree of its stages.

use console::style;
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::seam::{InstanceSeen, Phase};
use switchover_model::view::{ReleaseView, SlotView, StageState, StageView, StatusView};
use switchover_model::{Problem, Span, Timestamp};

use super::{checks, experiment, shadow, steps};

/// The frames of the sign before a running stage.
const SPIN: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// Microseconds that one frame stays.
const FRAME_MICROS: u64 = 100_000;

/// Whether a picture will be drawn over again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Running stages have a sign that turns.
    Moving,
    /// It stays as it is: a sign that stood still would look like a program that hangs.
    Still,
}

/// The release's head line and its stages, those to come included: those of the schema where `has_schema` is set, or one of
/// them was gone through already. `now` makes running stages grow.
pub(crate) fn tree(release: &ReleaseView, has_schema: bool, now: Timestamp, pace: Pace) -> Vec<String> {
    let has_schema = has_schema || release.stages.iter().any(|stage| stage.stage.is_of_the_schema());
    let mut lines = vec![head(release)];
    for stage in &release.stages {
        lines.push(stage_line(stage, now, pace));
    }
    if release.outcome.is_none() && !release.undoing {
        let to_come = Stage::ALL.iter().filter(|stage| **stage != Stage::Approve);
        let last = release.stages.last().map(|stage| stage.stage);
        let to_come = to_come.filter(|stage| last.is_none_or(|last| **stage > last));
        let to_come = to_come.filter(|stage| **stage != Stage::Build || release.kind == ReleaseKind::Deploy);
        let to_come = to_come.filter(|stage| has_schema || !stage.is_of_the_schema());
        lines.extend(to_come.map(|stage| format!("  {} {stage}", style("·").dim())));
    }
    let comparison = shadow::line(release, now);
    lines.extend(comparison.into_iter().chain(steps::line(release, now)).map(|line| format!("  {line}")));
    if let Some(waiting) = &release.waiting
        && release.settled_at.is_none()
    {
        let opens = release.opens_at.map(|at| format!(", in {}", at.since(now).rounded())).unwrap_or_default();
        lines.push(format!("  {} {waiting}{opens}", style("waits:").yellow()));
    }
    if release.paused {
        lines.push(format!("  {}", style("paused: `switchover resume` lets it go on").yellow()));
    }
    lines
}

/// What its checks, its comparison or its experiment say now.
pub(crate) fn evidence(release: &ReleaseView) -> Vec<String> {
    let checks = release.checks.iter().flat_map(|seen| checks::lines(&seen.verdicts));
    let tried = release.checks.iter().filter_map(|seen| seen.experiment.as_deref());
    checks.chain(tried.flat_map(experiment::said_lines)).collect()
}

/// What opens the gate that `release` waits at, and where its slot can be looked at meanwhile; nothing when it waits at
/// none.
pub(crate) fn gate(status: &StatusView, release: &ReleaseView) -> Vec<String> {
    if !release.at_gate {
        return Vec::new();
    }
    if release.outcome.is_some() {
        // Its switch is long over: what waits is the end of the old slot.
        return vec!["`switchover promote` stops the old slot, `switchover rollback` goes back to it".to_owned()];
    }
    let mut lines = vec!["`switchover promote` lets it through, `switchover abort` takes it back".to_owned()];
    if let (Some(preview), Some(url)) = (&status.preview, &status.url)
        && preview.slot.is_some()
        && preview.slot == release.slot
    {
        lines.push(format!(
            "look at it first: curl -H 'Host: {}' -H 'X-Switchover-Preview: {}' {url}/",
            preview.host, preview.token
        ));
    }
    lines
}

/// `release 7: r6 -> r7 to green, deploy by alice`.
pub(crate) fn head(release: &ReleaseView) -> String {
    let from = release.from.map(|from| format!("{from} -> ")).unwrap_or_default();
    let to = release.slot.map(|slot| format!(" to {slot}")).unwrap_or_default();
    let kind = match release.kind {
        ReleaseKind::Deploy => "deploy".to_owned(),
        ReleaseKind::Return { to, .. } => format!("return to {to}"),
    };
    let undoing = match (&release.outcome, release.undoing) {
        (Some(outcome), _) => format!(", {}", outcome_word(outcome)),
        (None, true) => ", being undone".to_owned(),
        (None, false) => String::new(),
    };
    format!("release {}: {from}{}{to}, {kind} by {}{undoing}", release.release, release.revision, release.by)
}

fn stage_line(stage: &StageView, now: Timestamp, pace: Pace) -> String {
    if is_empty(stage) {
        return format!("  {} {:<10}{:>8}  {}", style("✓").green(), stage.stage.as_str(), "", nothing_to(stage.stage));
    }
    let took = stage_time(stage, now).rounded();
    let sign = match stage.state {
        StageState::Running if pace == Pace::Still => style("▸").cyan(),
        StageState::Running => {
            let frame = now.as_micros() / FRAME_MICROS % SPIN.len() as u64;
            style(SPIN[usize::try_from(frame).unwrap_or(0)]).cyan()
        }
        StageState::Done => style("✓").green(),
        StageState::Failed => style("✗").red(),
        StageState::Undone => style("↩").yellow(),
    };
    let note = stage.note.as_deref().map(crate::say::printable).unwrap_or_default();
    format!("  {sign} {:<10}{took:>8}  {note}", stage.stage.as_str()).trim_end().to_owned()
}

/// A stage that had nothing to do, such as verify without a hook: it was passed in the same step that began it.
pub(crate) fn is_empty(stage: &StageView) -> bool {
    let took = stage.left_at.map(|left| left.since(stage.entered_at));
    (stage.stage == Stage::Verify || stage.stage.is_of_the_schema())
        && stage.state == StageState::Done
        && stage.note.is_none()
        && took.is_some_and(|took| took < Span::from_millis(1))
}

/// What is said of a stage that [`is_empty`].
pub(crate) fn nothing_to(stage: Stage) -> String {
    format!("nothing to {stage}")
}

/// How long a stage took or has been taking.
pub(crate) fn stage_time(stage: &StageView, now: Timestamp) -> Span {
    stage.left_at.unwrap_or(now).since(stage.entered_at)
}

/// How a release ended, in one word or two.
pub(crate) fn outcome_word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { proven: true } => "succeeded".to_owned(),
        Outcome::Succeeded { proven: false } => "succeeded, unproven".to_owned(),
        Outcome::RolledBack { .. } => "rolled-back".to_owned(),
        Outcome::Aborted { .. } => "aborted".to_owned(),
        Outcome::Superseded { by } => format!("superseded by release {by}"),
        Outcome::Failed { .. } => "failed".to_owned(),
    }
}

/// Why a release ended as it did, where there is a reason.
pub(crate) fn outcome_cause(outcome: &Outcome) -> Option<&Problem> {
    match outcome {
        Outcome::RolledBack { cause } | Outcome::Aborted { cause } => cause.as_ref(),
        Outcome::Failed { cause } => Some(cause),
        Outcome::Succeeded { .. } | Outcome::Superseded { .. } => None,
    }
}

/// The instances of a slot, one line a process type: `web 2/2 healthy`.
pub(crate) fn processes(slot: &SlotView) -> Vec<String> {
    let mut names: Vec<_> = slot.instances.iter().map(|instance| &instance.process).collect();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let of_name: Vec<&InstanceSeen> =
                slot.instances.iter().filter(|instance| instance.process == *name).collect();
            let healthy = of_name.iter().filter(|instance| matches!(instance.phase, Phase::Healthy { .. })).count();
            let mut line = format!("{name} {healthy}/{} healthy", of_name.len());
            if let Some(trouble) = of_name.iter().find_map(|instance| trouble(instance)) {
                line += &format!(", {trouble}");
            }
            line
        })
        .collect()
}

/// What keeps an instance from being healthy.
fn trouble(instance: &InstanceSeen) -> Option<String> {
    match &instance.phase {
        // Slow, or about to be ill.
        Phase::Healthy { .. } => {
            instance.unanswered_since.map(|_| "no answer to the last question for its health".to_owned())
        }
        Phase::Starting { last, .. } => Some(match last {
            Some(last) => format!("starting: {}", crate::say::printable(last)),
            None => "starting".to_owned(),
        }),
        Phase::Unhealthy { cause, .. } => Some(format!("unhealthy: {}", crate::say::printable(&cause.cause))),
        Phase::Stopping { .. } => Some("stopping".to_owned()),
        Phase::Crashed { cause, .. } => Some(format!("crashed: {}", crate::say::printable(&cause.cause))),
    }
}
