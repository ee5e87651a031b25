use serde::Serialize;
use switchover_judge::LEAST_VALUES;
use switchover_model::config::{AppConfig, Bound, CheckSource, ProcessKind};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{AppName, Span};

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
        let mut warnings = missing(&file);
        warnings.extend(late(&file.config));
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

/// Checks whose verdicts come late, because their queries look back further than they are asked.
fn late(config: &AppConfig) -> impl Iterator<Item = String> {
    config.release.evidence.checks.iter().filter_map(|check| {
        let CheckSource::Number { from, interval, .. } = &check.source else { return None };
        let (reach, Bound::WorseBy { .. }) = (from.reach(), check.bound) else { return None };
        let first = Span::from_micros(reach.as_micros().saturating_mul(LEAST_VALUES));
        (reach > *interval).then(|| {
            format!(
                "[[release.check]] {}: each value describes the {} before it, so one in that time is compared, and {LEAST_VALUES} are \
                 needed: no verdict before {}. A shorter range, such as [{}], is as good a check and sooner",
                check.name,
                reach.rounded(),
                first.rounded(),
                interval,
            )
        })
    })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_comparing_check_whose_query_looks_back_further_than_it_is_asked_is_warned_of() {
        let late = |query: &str, bound: &str| {
            let text = format!(
                "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[[release.check]]\nname = \"load\"\n\
                 prometheus = \"http://127.0.0.1:9090\"\ninterval = \"10s\"\nquery = '{query}'\n{bound}\n"
            );
            let config =
                switchover_model::config::parse(&text, "switchover.toml", Path::new("/")).expect("a right file");
            super::late(&config).collect::<Vec<_>>()
        };
        let [warning] = &late(r#"rate(a{slot="$SLOT"}[1m])"#, "worse_by = \"30%\"")[..] else { panic!("one warning") };
        assert!(
            warning.contains("30 are needed: no verdict before 30m 0s. A shorter range, such as [10s]"),
            "{warning}"
        );
        assert!(late(r#"rate(a{slot="$SLOT"}[10s])"#, "worse_by = \"30%\"").is_empty());
        assert!(late(r#"rate(a{slot="$SLOT"}[1m])"#, "max = \"5\"").is_empty());
    }
}
