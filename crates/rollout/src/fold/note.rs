//! What is noted of an attempt that ended, in a line.

use switchover_model::Span;
use switchover_model::config::{AppConfig, Hook, When};
use switchover_model::record::{Attempt, AttemptResult};

/// The most of a hook's command that a note shows, in characters.
const NOTED_COMMAND: usize = 40;

/// `hook `./smoke.sh` passed in 12 ms`; `config` is the file that the release is carried out by.
pub(super) fn attempt_note(what: &Attempt, config: Option<&AppConfig>, result: &AttemptResult, took: Span) -> String {
    let what = match what {
        Attempt::Build { revision } => format!("build of {revision}"),
        Attempt::Backup { .. } => "backup".to_owned(),
        Attempt::Migrate { .. } => "the framework's migrations".to_owned(),
        Attempt::Hook { stage, hook } => {
            // What keeps a stage from beginning is asked in the one before, and noted there.
            let told = |hook: &Hook| match hook.when {
                When::Before => format!("hook before {stage} `{}`", shortened(&hook.asks.to_string())),
                When::After => format!("hook `{}`", shortened(&hook.asks.to_string())),
            };
            let hook = config.and_then(|config| config.release.hooks.get(*hook));
            hook.map_or_else(|| format!("{stage} hook"), told)
        }
    };
    match result {
        AttemptResult::Passed { .. } => format!("{what} passed in {}", took.rounded()),
        AttemptResult::Failed { .. } => format!("{what} failed after {}", took.rounded()),
        AttemptResult::NotYet { .. } => format!("{what} says not yet"),
        AttemptResult::Cancelled => format!("{what} was cancelled"),
        AttemptResult::Lost => format!("{what} was lost with the controller"),
    }
}

pub(crate) fn shortened(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    if line.len() == command.trim().len() && line.chars().count() <= NOTED_COMMAND {
        return line.to_owned();
    }
    line.chars().take(NOTED_COMMAND).chain(['…']).collect()
}
