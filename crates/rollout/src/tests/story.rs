//! Records as a person reads them in these tests.

use switchover_model::record::{Attempt, Event};
use switchover_model::release::Outcome;
use switchover_model::{Problem, Share};

/// A record as a person reads it in these tests; waiting and attempts' ends left out.
pub(super) fn line(event: &Event) -> Option<String> {
    let text = match event {
        Event::Commanded { command, .. } => format!("{} asked for", command.as_str()),
        Event::Opened { release, revision, .. } => format!("{release}: opened with {revision}"),
        Event::Entered { release, stage, slot: Some(slot) } => format!("{release}: {stage} in {slot}"),
        Event::Entered { release, stage, slot: None } => format!("{release}: {stage}"),
        Event::AttemptStarted { release, what: Attempt::Hook { stage, hook }, .. } => {
            format!("{release}: {stage} hook {hook}")
        }
        Event::AttemptStarted { release, what: Attempt::Migrate { step }, .. } => {
            format!("{release}: framework asked to {step}")
        }
        Event::Migrated { release, migrated } => {
            format!("{release}: did {:?}, waiting {:?}", migrated.done, migrated.waiting)
        }
        Event::Routed { version, goal, .. } => {
            let arms = goal.arms.iter().filter(|arm| arm.share != Share::NONE);
            let part = |share: Share| if share == Share::ALL { String::new() } else { format!("{share} to ") };
            let to: Vec<String> =
                arms.map(|arm| format!("{}{} in {}", part(arm.share), arm.revision, arm.slot)).collect();
            let preview = if goal.preview.is_some() { ", preview" } else { "" };
            format!("routes {version}: [{}]{preview}", to.join(", "))
        }
        Event::Stepped { release, step, of, .. } => format!("{release}: step {step} of {of}"),
        Event::Sized { release, sizes } => {
            let grows = if sizes.grows { " and a batch" } else { "" };
            let alone = if sizes.alone { ", alone" } else { "" };
            let held = if sizes.held.is_all() { "all".to_owned() } else { sizes.held.to_string() };
            format!("{release}: {} has {held}{grows}{alone}", sizes.to)
        }
        Event::InForce { version, .. } => format!("routes {version} in force"),
        Event::HandedOver { release, to } => format!("{release}: workers to {to}"),
        Event::Switched { release, .. } => format!("{release}: switched"),
        Event::Marked { release, point } => format!("{release}: restore point {}", point.name),
        Event::Judged { watch, verdicts } => {
            let said: Vec<String> =
                verdicts.iter().map(|said| format!("{} {}", said.name, said.verdict.name())).collect();
            format!("{}: judged, {}", watch.release, said.join(", "))
        }
        Event::Decided { watch, decided } => format!("{}: experiment {}", watch.release, decided.ending.words()),
        Event::Undoing { release, cause, detach } => {
            let how = if *detach { ", detached" } else { "" };
            format!("{release}: undoing, {}{how}", cause.as_ref().map_or("asked for", |cause| &cause.code))
        }
        Event::Drained { slot, left, .. } => format!("{slot} drained, {left} left"),
        Event::Stopped { slot } => format!("{slot} told to stop"),
        Event::Renewed { release, slot, instances, .. } => {
            let of = release.map(|release| format!("{release}: ")).unwrap_or_default();
            format!("{of}{} ill in {slot} are replaced", instances.len())
        }
        Event::Emptied { slot } => format!("{slot} empty"),
        Event::Concluded { release, outcome } => format!("{release}: {}", outcome_text(outcome)),
        Event::Settled { release, .. } => format!("{release}: settled"),
        Event::Drifted { what, corrected } => format!("drift: {what} (put right: {corrected})"),
        Event::Noted { problem, .. } => format!("note {}", problem.code),
        Event::Waiting { .. }
        | Event::AttemptStarted { .. }
        | Event::AttemptEnded { .. }
        | Event::Sealed { .. }
        | Event::Looked { .. }
        | Event::RouterRestarted { .. } => return None,
    };
    Some(text)
}

fn outcome_text(outcome: &Outcome) -> String {
    let why = |cause: &Option<Problem>| cause.as_ref().map_or("asked for".to_owned(), |cause| cause.code.clone());
    match outcome {
        Outcome::Succeeded { proven } => format!("succeeded, proven: {proven}"),
        Outcome::RolledBack { cause } => format!("rolled back, {}", why(cause)),
        Outcome::Aborted { cause } => format!("aborted, {}", why(cause)),
        Outcome::Superseded { by } => format!("superseded by {by}"),
        Outcome::Failed { cause } => format!("failed, {}", cause.code),
    }
}
