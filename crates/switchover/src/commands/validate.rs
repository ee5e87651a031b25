use serde::Serialize;
use switchover_model::AppName;
use switchover_model::config::{AppConfig, ProcessKind};
use switchover_model::view::SCHEMA_VERSION;

use crate::app_file::AppFile;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Check switchover.toml and show every mistake at once
///
/// Each mistake comes with its line, what is wrong and how to write it. Nothing is changed, and no daemon is needed. A file
/// that is named and not there yet is a warning: it may come before the deploy.
#[derive(Debug, clap::Args)]
pub(crate) struct Validate {}

#[derive(Debug, Serialize)]
struct ValidView<'a> {
    schema_version: u32,
    app: &'a AppName,
    valid: bool,
    config: &'a AppConfig,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Validate {
    #[expect(clippy::unused_self, reason = "every command runs by its value")]
    pub(crate) fn run(self, shared: &Shared) -> Done {
        let file = shared.file()?;
        let warnings = missing(&file);
        if shared.json {
            // Values of environment variables are nobody's business but the revision's.
            let mut config = file.config.clone();
            config.env.values_mut().for_each(|value| "(not shown)".clone_into(value));
            say::json(&ValidView {
                schema_version: SCHEMA_VERSION,
                app: &file.config.name,
                valid: true,
                config: &config,
                warnings,
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
        for warning in warnings {
            say::sentence(format_args!("warning: {warning}"));
        }
        Ok(Exit::Succeeded)
    }
}

/// What the file names and is not there now.
fn missing(file: &AppFile) -> Vec<String> {
    let config = &file.config;
    let source =
        config.build.as_ref().and_then(|build| build.source.as_ref()).map(|source| file.directory.join(source));
    let named = [("[secrets] file", config.secrets_file.clone()), ("[build] source", source)];
    let missing = named.into_iter().filter_map(|(key, path)| Some((key, path.filter(|path| !path.exists())?)));
    missing
        .map(|(key, path)| format!("{key}: there is no {}; a deploy is refused or undone without it", path.display()))
        .collect()
}
