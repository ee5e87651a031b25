use switchover_model::Problem;
use switchover_model::release::{Command, Stage};

use super::steer;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};

/// Open the gate that a release waits at, or end the wait of the step or the shadow comparison that it is at
#[derive(Debug, clap::Args)]
pub(crate) struct Promote {
    /// The release that is meant [default: the newest one without an outcome, else one that waits to stop its old slot]
    #[arg(long, value_name = "NUMBER", value_parser = steer::release)]
    release: Option<u32>,
    /// The stage whose gate is meant [default: the one the release is in]
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    stage: Option<Stage>,
    /// The step of the shift that is meant [default: the one the release is at]
    #[arg(long, value_name = "NUMBER")]
    step: Option<u32>,
    /// Skip all steps that are left: all traffic next
    #[arg(long)]
    full: bool,
}

fn stage(text: &str) -> Result<Stage, String> {
    Stage::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        format!("the stages are {}", known.join(", "))
    })
}

impl Promote {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let meant = steer::meant_at_gate(&daemon, &app, self.release).await?;
        let Some(stage) = self.stage.or(meant.stage) else {
            return Err(Failure::Problem(
                Exit::Refused,
                Problem::new(
                    "NOT-AT-A-GATE",
                    format!("Release {} of {app} is in no stage.", meant.release),
                    "Look where it is with `switchover status`.",
                ),
            ));
        };
        // What was seen is said: a step that was taken meanwhile is not promoted from by accident.
        let step = self.step.or(meant.step.filter(|_| stage == Stage::Shift));
        let command = Command::Promote { release: meant.release, stage, step, full: self.full };
        let said = match step {
            _ if meant.waits_for_window => {
                format!("release {} of {app} passes its closed time window once", meant.release)
            }
            _ if self.full => format!("release {} of {app} goes on to all traffic", meant.release),
            Some(step) => format!("release {} of {app} goes on from step {step}", meant.release),
            None if stage == Stage::Verify => {
                format!("release {} of {app} goes on without waiting for its comparison", meant.release)
            }
            None => format!("the gate of {stage} is open for release {} of {app}", meant.release),
        };
        let said = if meant.is_held { format!("{said}, once `switchover resume` lets it go on") } else { said };
        steer::give(shared, &daemon, &app, &command, &said).await
    }
}
