use switchover_model::answer::PlanView;
use switchover_model::release::Command;

use super::steer;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// Put the policy of switchover.toml in force: scale, hosts, gates, times
///
/// Settings that belong to the revision (command, environment, secrets) wait for the next deploy.
#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    /// Show the changes alone
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let file = shared.file()?;
        let app = file.config.name.clone();
        let daemon = shared.daemon()?;
        let command = Command::Apply { config: Box::new(file.config) };
        let plan: PlanView = daemon.question(&format!("/v1/apps/{app}/plan"), &command).await?;
        if let Some(refused) = plan.refused {
            return Err(Failure::Problem(Exit::Refused, refused));
        }
        if self.dry_run && shared.json {
            say::json(&plan);
            return Ok(Exit::Succeeded);
        }
        if !shared.json {
            if plan.changes.is_empty() {
                say::line("no change");
            }
            plan.changes.iter().for_each(say::line);
        }
        if self.dry_run {
            if !plan.changes.is_empty() {
                say::line("nothing was changed; without --dry-run these settings are put in force");
            }
            if !plan.notes.is_empty() {
                say::line("and this is noted then:");
                plan.notes.iter().for_each(say::note);
            }
            return Ok(Exit::Succeeded);
        }
        // The notes come with the answer to the command.
        steer::give(shared, &daemon, &app, &command, &format!("{app}: the policy is in force")).await
    }
}
