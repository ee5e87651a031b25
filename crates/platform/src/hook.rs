//! Hooks that are commands: run in the revision's directory, with its environment and where to look at it.

use switchover_model::Problem;
use switchover_model::config::{AppConfig, Asks, Hook};
use switchover_model::revision::Revision;
use switchover_model::seam::{HookAnswer, HookCall};

use crate::builder::{HOOK_VARIABLE, hooks_of};
use crate::environment::Sealed;
use crate::group_run::{self, Run};
use crate::headroom;
use crate::instance::Exit;
use crate::process_platform::ProcessPlatform;
use crate::schema;
use crate::seal;
use crate::verdict::{Words, verdict};

impl ProcessPlatform {
    /// Runs a hook that is a command, as [`switchover_model::seam::Builder::hook`] says.
    pub(crate) async fn run_hook(
        &self,
        config: &AppConfig,
        revision: &Revision,
        call: &HookCall,
    ) -> Result<HookAnswer, Problem> {
        let missing = || {
            let cause = format!("the app has no hook number {} that is a command.", call.hook);
            Problem::new("HOOK-MISSING", cause, "Look at `[[release.hook]]`, then deploy again.")
        };
        let Some(hook) = config.release.hooks.get(call.hook) else { return Err(missing()) };
        let Asks::Command { command } = &hook.asks else { return Err(missing()) };
        let dir = self.shared.layout.revision(&config.name, revision.id);
        let mut contents = Sealed::read(&dir).map_err(|_| seal::missing(revision.id))?;
        let mut variables = contents.variables();
        let own = [
            ("SWITCHOVER_APP", config.name.to_string()),
            ("SWITCHOVER_URL", call.url.clone()),
            ("SWITCHOVER_SLOT", call.slot.to_string()),
            ("SWITCHOVER_REVISION", revision.id.to_string()),
            ("SWITCHOVER_RELEASE", call.release.to_string()),
            ("SWITCHOVER_PREVIEW_TOKEN", call.preview_token.clone()),
            ("SWITCHOVER_PREVIEW_HOST", call.preview_host.as_ref().map(ToString::to_string).unwrap_or_default()),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        if let Some(schema) = &revision.schema {
            schema::variables(&config.name, revision.id, schema, &mut variables);
        }
        // The token is as little for the journal as the app's own secrets.
        contents.secrets.insert("SWITCHOVER_PREVIEW_TOKEN".to_owned(), call.preview_token.clone());
        let timeout = call.limit.to_std();
        let mark =
            format!("{}/release-{}/hook-{}", hooks_of(&self.shared.layout, &config.name), call.release, call.hook);
        let run = Run {
            command,
            directory: &dir.tree(),
            variables,
            mark: (HOOK_VARIABLE, mark),
            timeout,
            log: None,
            answers: None,
            input: None,
        };
        let ran = group_run::run(run)
            .await
            .map_err(|error| headroom::state_problem(&format!("running the {} hook", hook.stage), &error))?;
        let words = Words {
            failed: "HOOK-FAILED",
            timed_out: "HOOK-TIMED-OUT",
            what: format!("the {} hook `{command}`", hook.stage),
            place: "release.hook.command",
        };
        if ran.exit == Some(Exit::Code(Hook::NOT_YET)) {
            return Ok(HookAnswer::NotYet(contents.blot_out(ran.last_lines)));
        }
        verdict(&ran, command, timeout, &contents, &words).map(HookAnswer::Passed)
    }
}
