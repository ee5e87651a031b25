mod detect;
mod propose;

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use switchover_model::Problem;
use switchover_model::view::SCHEMA_VERSION;

use crate::app_file::DEFAULT_FILE;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// Propose a switchover.toml for the app in this directory
///
/// Looks for a Procfile, package.json, go.mod, Cargo.toml or manage.py. A file that is there is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Make what runs at this address now the first revision (not carried out yet)
    #[arg(long, value_name = "ADDR")]
    adopt: Option<String>,
    /// Print the proposal instead of writing it
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Serialize)]
struct ProposalView<'a> {
    schema_version: u32,
    file: String,
    written: bool,
    found: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    remarks: &'a [String],
    content: &'a str,
}

impl Init {
    pub(crate) fn run(self, shared: &Shared) -> Done {
        if self.adopt.is_some() {
            return Err(Failure::wrong(
                "NOT-CARRIED-OUT-YET",
                "--adopt is not carried out yet.",
                "Deploy the app beside what runs now, and lead the traffic over when it is live.",
            ));
        }
        let file = shared.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let absolute = std::path::absolute(file).map_err(|error| not_written(file, &error))?;
        let directory = absolute.parent().unwrap_or(Path::new("/"));
        let signs = detect::signs(directory).map_err(|error| not_written(file, &error))?;
        let content = propose::proposal(&signs);
        let remarks = propose::remarks(&signs);
        if !self.print {
            write_new(&absolute, &content).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Failure::Problem(
                    Exit::Wrong,
                    Problem::new(
                        "CONFIG-EXISTS",
                        format!("{} is there already; it was left as it is.", file.display()),
                        "Look at the proposal with `switchover init --print`.",
                    ),
                ),
                _ => not_written(file, &error),
            })?;
        }
        if shared.json {
            let file = file.display().to_string();
            say::json(&ProposalView {
                schema_version: SCHEMA_VERSION,
                file,
                written: !self.print,
                found: &signs.found,
                remarks: &remarks,
                content: &content,
            });
        } else if self.print {
            say::line(content.trim_end());
        } else {
            let found = if signs.found.is_empty() {
                "nothing that tells how it runs".to_owned()
            } else {
                signs.found.join(", ")
            };
            say::line(format_args!("wrote {}, from {found}", file.display()));
            remarks.iter().for_each(say::sentence);
            let first = if signs.found.is_empty() { "write how it is run into `command`" } else { "look it over" };
            say::line(format_args!("{first}; then: switchover validate, switchover serve, switchover deploy --wait"));
        }
        Ok(Exit::Succeeded)
    }
}

fn write_new(file: &Path, content: &str) -> std::io::Result<()> {
    let mut new = std::fs::File::options().write(true).create_new(true).open(file)?;
    new.write_all(content.as_bytes())
}

fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    Failure::other(
        "FILE-NOT-WRITTEN",
        format!("{} cannot be written: {error}.", file.display()),
        "Go to a directory that this user may write to.",
    )
}
