use switchover_model::RevisionId;
use switchover_model::answer::PlanView;
use switchover_model::release::Command;
use switchover_model::sizes::Batch;
use switchover_model::timeline::{Timeline, TimelinePoint};

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
        lines(&plan).into_iter().for_each(say::line);
        Ok(Exit::Succeeded)
    }
}

fn over_time(timeline: &Timeline) -> Vec<String> {
    let head = ["after", "what", "share of the new", "instances", "until", "a rollback then"];
    let mut table = Table::new(&head, &[2, 3]);
    for point in &timeline.points {
        table.row([
            point.after.to_string(),
            point.what.clone(),
            point.share.to_string(),
            instances(point),
            point.waits_for.join(", "),
            point.way_back.clone(),
        ]);
    }
    let mut lines = table.lines();
    lines.push(format!(
        "instance-minutes beside one slot's own: {}, all at once: {}",
        timeline.extra_instance_minutes, timeline.extra_at_once
    ));
    lines
}

/// Of both slots together, and in a rolling release of each.
fn instances(point: &TimelinePoint) -> String {
    match point.slots {
        Some(Batch { new, old }) => format!("{} ({new} new, {old} old)", point.instances),
        None => point.instances.to_string(),
    }
}

fn lines(plan: &PlanView) -> Vec<String> {
    let from = plan.from.map(|from| format!("{from} -> ")).unwrap_or_default();
    let to = plan.revision.map(|to| to.to_string()).unwrap_or_default();
    let slot = plan.slot.map(|slot| format!(" to {slot}")).unwrap_or_default();
    let mut lines = vec![format!("{} of {}: {from}{to}{slot}", plan.command, plan.app), String::new()];
    let mut table = Table::new(&["stage", "does", "a rollback then"], &[]);
    for stage in &plan.stages {
        table.row([stage.stage.to_string(), stage.does.clone(), stage.way_back.clone()]);
    }
    if !plan.stages.is_empty() {
        lines.extend(table.lines());
    }
    if let Some(timeline) = &plan.timeline {
        lines.push(String::new());
        lines.extend(over_time(timeline));
    }
    if !plan.changes.is_empty() {
        lines.push(String::new());
        lines.push("changes:".to_owned());
        lines.extend(plan.changes.iter().map(|change| format!("  {change}")));
    }
    lines.extend(plan.notes.iter().map(say::noted));
    lines
}
