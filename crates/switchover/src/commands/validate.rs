use serde::Serialize;
use switchover_model::AppName;
use switchover_model::config::{AppConfig, ProcessKind};
use switchover_model::view::SCHEMA_VERSION;

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Check switchover.toml and show every mistake at once
///
/// Each mistake comes with its line, what is wrong and how to write it. Nothing is changed, and no daemon is needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Validate {}

#[derive(Debug, Serialize)]
struct ValidView<'a> {
    schema_version: u32,
    app: &'a AppName,
    valid: bool,
    config: &'a AppConfig,
}

impl Validate {
    #[expect(clippy::unused_self, reason = "every command runs by its value")]
    pub(crate) fn run(self, shared: &Shared) -> Done {
        let file = shared.file()?;
        if shared.json {
            // Values of environment variables are nobody's business but the revision's.
            let mut config = file.config.clone();
            config.env.values_mut().for_each(|value| "(not shown)".clone_into(value));
            say::json(&ValidView {
                schema_version: SCHEMA_VERSION,
                app: &file.config.name,
                valid: true,
                config: &config,
            });
            return Ok(Exit::Succeeded);
        }
        say::line(format_args!("{} is right", file.config.name));
        for (name, process) in &file.config.processes {
            let does = match &process.kind {
                ProcessKind::Routed { paths, .. } => format!("takes {}", paths.join(", ")),
                ProcessKind::Worker { .. } => "works in the background".to_owned(),
            };
            let copies = if process.instances == 1 {
                "1 instance".to_owned()
            } else {
                format!("{} instances", process.instances)
            };
            say::line(format_args!("  {name}: {copies}, {does}: {}", process.command));
        }
        Ok(Exit::Succeeded)
    }
}
