//! The steps of a shift as a line.

use console::style;
use switchover_model::sizes::Batch;
use switchover_model::view::{ReleaseView, StepView};
use switchover_model::{Share, Span, Timestamp};

/// `steps: 5% done, 20% for 2m 10s, 7m 50s to go, 50%, all`; nothing for a release without steps.
pub(crate) fn line(release: &ReleaseView, now: Timestamp) -> Option<String> {
    if release.steps.is_empty() {
        return None;
    }
    let goes_on = release.outcome.is_none() && !release.undoing;
    let mut told: Vec<String> = release.steps.iter().map(|step| one(release, step, now)).collect();
    if goes_on || release.switched_at.is_some() {
        let done = if release.switched_at.is_some() { " done" } else { "" };
        told.push(format!("all{done}"));
    }
    Some(format!("{} {}", style("steps:").dim(), told.join("; ")))
}

fn one(release: &ReleaseView, step: &StepView, now: Timestamp) -> String {
    let share = part(step);
    let person = if step.approve { ", then a person" } else { "" };
    match (step.decided_at, step.in_force_at, step.left_at) {
        (None, _, _) => format!("{share}{person}"),
        (Some(_), Some(since), Some(left)) => format!("{share} done in {}", left.since(since).rounded()),
        (Some(_), None, Some(_)) => format!("{share} never seen in force"),
        (Some(_), None, None) => format!("{share} not in force yet"),
        (Some(_), Some(since), None) => {
            let rest = match step.until {
                Some(until) if until > now => format!(", {} to go", until.since(now).rounded()),
                Some(_) => ", its time is over".to_owned(),
                None if release.paused => ", held".to_owned(),
                None => String::new(),
            };
            format!("{share} for {}{rest}{person}", now.since(since).rounded())
        }
    }
}

/// Its share, and in a rolling release the instances of both slots: those that it left, or leads to.
fn part(step: &StepView) -> String {
    let share = share(step.share);
    match step.batch {
        Some(Batch { new, old }) if step.left_at.is_some() => format!("{share} ({new} new, {old} old)"),
        Some(Batch { new, old }) => format!("{share} (until {new} new, {old} old)"),
        None => share,
    }
}

/// A share of the requests; none is one that a match alone leads to.
pub(crate) fn share(share: Share) -> String {
    if share == Share::NONE { "by match".to_owned() } else { share.to_string() }
}

/// What is added to what a release waits for: how long its step stays at least, and what comes then.
pub(crate) fn waited_for(release: &ReleaseView) -> Option<String> {
    let at = release.steps.iter().position(|step| step.decided_at.is_some() && step.left_at.is_none())?;
    let step = &release.steps[at];
    let stays =
        step.until.zip(step.in_force_at).map(|(until, since)| until.since(since)).filter(|stays| *stays > Span::ZERO);
    let stays = stays.map(Span::rounded);
    let next = release.steps.get(at + 1).map_or_else(|| "all traffic".to_owned(), |next| next.share.to_string());
    let waits = |what: &str| release.waiting.as_ref().is_some_and(|reason| reason.contains(what));
    // Of an experiment it is the latest end, and what comes then is the file's to say.
    if waits("the end of its experiment") {
        return stays.map(|stays| format!("{stays} at most"));
    }
    // Whatever else is waited for is waited for after that time, or on the way back.
    if release.undoing || !waits("the end of its time") {
        return None;
    }
    let person = if step.approve { "a person, then " } else { "" };
    stays.map(|stays| format!("{stays} at least, then {person}{next}"))
}
