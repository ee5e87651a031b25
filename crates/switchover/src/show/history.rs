//! The releases of an app as a table.

use jiff::tz::TimeZone;
use switchover_model::release::ReleaseKind;
use switchover_model::view::ReleaseView;
use switchover_model::{Share, Timestamp};

use super::moment::clock;
use super::release::{outcome_cause, outcome_word};
use super::table::Table;

/// One line a release, newest first.
pub(crate) fn table(releases: &[ReleaseView], width: Option<usize>, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut table = Table::new(&["release", "revision", "what", "by", "asked", "switched after", "outcome"], &[0]);
    for release in releases.iter().rev() {
        let kind = match release.kind {
            ReleaseKind::Deploy => "deploy".to_owned(),
            ReleaseKind::Return { to, .. } => format!("return to {to}"),
        };
        let from = release.from.map(|from| format!("{from} -> ")).unwrap_or_default();
        let outcome = match &release.outcome {
            Some(outcome) => match outcome_cause(outcome) {
                Some(cause) => format!("{}: {}", outcome_word(outcome), cause.code),
                None => outcome_word(outcome),
            },
            None if release.undoing => "being undone".to_owned(),
            None => match (release.stages.last(), release.steps.iter().rfind(|step| step.decided_at.is_some())) {
                (Some(stage), Some(step)) if step.left_at.is_none() => {
                    let at = if step.share == Share::NONE { "" } else { "at " };
                    let share = super::steps::share(step.share);
                    format!("in {}, step {} of {} {at}{share}", stage.stage, step.step, release.steps.len())
                }
                (Some(stage), _) if super::shadow::is_on(release) => format!("in {}, answers compared", stage.stage),
                (Some(stage), _) => format!("in {}", stage.stage),
                (None, _) => "waiting".to_owned(),
            },
        };
        table.row([
            release.release.to_string(),
            format!("{from}{}", release.revision),
            kind,
            release.by.clone(),
            clock(release.opened_at, now, zone),
            release.switched_at.map(|at| at.since(release.opened_at).rounded()).unwrap_or_default(),
            outcome,
        ]);
    }
    table.lines_within(width)
}
