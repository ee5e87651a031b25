use switchover_model::answer::PlanView;
use switchover_model::release::Command;
use switchover_model::sizes::Batch;
use switchover_model::timeline::{Timeline, TimelinePoint};
use switchover_model::{RevisionId, Share};

use super::deploy::What;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;
use crate::show::table::Table;

/// Show what a deploy would do, stage by stage, and how a rollback would go at each
///
/// Nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    what: What,
    /// Plan a rollback instead
    #[arg(long, conflicts_with_all = ["artifact", "image", "git", "env", "replace"])]
    rollback: bool,
    /// Plan a rollback to this revision, with --rollback
    #[arg(long, value_name = "rN", requires = "rollback")]
    to: Option<RevisionId>,
}

impl Plan {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let (app, command) = if self.rollback {
            (shared.app(&daemon).await?, Command::Rollback { to: self.to, release: None, detach: false })
        } else {
            let file = shared.file()?;
            (file.config.name.clone(), self.what.command(file)?)
        };
        let plan: PlanView = daemon.question(&format!("/v1/apps/{app}/plan"), &command).await?;
        if shared.json {
            say::json(&plan);
            return Ok(if plan.refused.is_some() { Exit::Refused } else { Exit::Succeeded });
        }
        if let Some(refused) = plan.refused {
            return Err(Failure::Problem(Exit::Refused, refused));
        }
        lines(&plan, say::width()).into_iter().for_each(say::sentence);
        Ok(Exit::Succeeded)
    }
}

fn over_time(timeline: &Timeline, width: Option<usize>) -> Vec<String> {
    let head = ["after", "what", "share of the new", "instances", "until", "a rollback then"];
    let mut table = Table::new(&head, &[2, 3]);
    for point in &timeline.points {
        table.row([
            point.after.to_string(),
            point.what.clone(),
            share(point),
            instances(point),
            point.waits_for.join(", "),
            point.way_back.clone(),
        ]);
    }
    let mut lines = table.lines_within(width);
    lines.push(cost(timeline));
    lines
}

/// What the second slot costs, and where it differs, what it would cost if all traffic moved at once.
fn cost(timeline: &Timeline) -> String {
    let (extra, at_once) = (timeline.extra_instance_minutes, timeline.extra_at_once);
    let told = |minutes: u64| match minutes {
        0 => "less than an instance-minute".to_owned(),
        1 => "1 instance-minute".to_owned(),
        minutes => format!("{minutes} instance-minutes"),
    };
    let rolls = timeline.points.iter().any(|point| point.slots.is_some());
    let else_ = match (rolls, extra == at_once) {
        (true, _) => format!("; all at once, with the old slot kept warm for an hour, {}", told(at_once)),
        (false, false) => format!("; all at once, {}", told(at_once)),
        (false, true) => String::new(),
    };
    format!("beside one slot's own instances it takes {}{else_}", told(extra))
}

/// The share of the new slot. None is that of an experiment by match alone, or of copies of which users see nothing.
fn share(point: &TimelinePoint) -> String {
    if point.share == Share::NONE && point.what == TimelinePoint::EXPERIMENT {
        return "by match".to_owned();
    }
    point.share.to_string()
}

/// Of both slots together, and in a rolling release of each.
fn instances(point: &TimelinePoint) -> String {
    match point.slots {
        Some(Batch { new, old }) => format!("{} ({new} new, {old} old)", point.instances),
        None => point.instances.to_string(),
    }
}

fn lines(plan: &PlanView, width: Option<usize>) -> Vec<String> {
    let from = plan.from.map(|from| format!("{from} -> ")).unwrap_or_default();
    let to = plan.revision.map(|to| to.to_string()).unwrap_or_default();
    let slot = plan.slot.map(|slot| format!(" to {slot}")).unwrap_or_default();
    let mut lines = vec![format!("{} of {}: {from}{to}{slot}", plan.command, plan.app), String::new()];
    let mut table = Table::new(&["stage", "does", "a rollback then"], &[]);
    for stage in &plan.stages {
        table.row([stage.stage.to_string(), stage.does.clone(), stage.way_back.clone()]);
    }
    if !plan.stages.is_empty() {
        lines.extend(table.lines_within(width));
    }
    if let Some(timeline) = &plan.timeline {
        lines.push(String::new());
        lines.extend(over_time(timeline, width));
    }
    if !plan.changes.is_empty() {
        lines.push(String::new());
        lines.push("changes:".to_owned());
        lines.extend(plan.changes.iter().map(|change| format!("  {change}")));
    }
    lines.extend(plan.notes.iter().map(say::noted));
    lines
}

#[cfg(test)]
mod tests {
    use switchover_model::Span;

    use super::*;

    fn point(what: &str, share: Share, slots: Option<Batch>) -> TimelinePoint {
        let (after, waits_for, way_back) = (Span::ZERO, Vec::new(), String::new());
        TimelinePoint { what: what.to_owned(), after, share, instances: 2, slots, waits_for, way_back }
    }

    fn costs(extra: u64, at_once: u64, slots: Option<Batch>) -> String {
        let points = vec![point("all traffic", Share::ALL, slots)];
        cost(&Timeline { points, extra_instance_minutes: extra, extra_at_once: at_once })
    }

    #[test]
    fn what_the_second_slot_costs_is_compared_where_it_differs() {
        assert_eq!(costs(70, 70, None), "beside one slot's own instances it takes 70 instance-minutes");
        assert_eq!(costs(0, 0, None), "beside one slot's own instances it takes less than an instance-minute");
        assert_eq!(
            costs(160, 140, None),
            "beside one slot's own instances it takes 160 instance-minutes; all at once, 140 instance-minutes"
        );
        assert_eq!(
            costs(1, 241, Some(Batch { new: 1, old: 3 })),
            "beside one slot's own instances it takes 1 instance-minute; all at once, with the old slot kept warm for an \
             hour, 241 instance-minutes"
        );
    }

    #[test]
    fn a_share_of_nothing_is_that_of_a_match_or_of_copies() {
        assert_eq!(share(&point("experiment", Share::NONE, None)), "by match");
        assert_eq!(share(&point("experiment", "5%".parse().expect("a share"), None)), "5%");
        assert_eq!(share(&point("shadow", Share::NONE, None)), "0%");
    }
}
