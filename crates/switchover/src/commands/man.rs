use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use serde::Serialize;
use switchover_model::view::SCHEMA_VERSION;

use crate::cli::{Cli, Shared};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// What `--json` prints: the page, or where the pages were written.
#[derive(Debug, Serialize)]
struct ManView<'a> {
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<&'a Path>,
}

/// Print the manual page, or write the pages of all commands
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write one page a command into this directory instead; it is made where there is none
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, shared: &Shared) -> Done {
        let view = ManView { schema_version: SCHEMA_VERSION, page: None, directory: None };
        match self.dir {
            Some(dir) => {
                std::fs::create_dir_all(&dir)
                    .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir))
                    .map_err(|error| not_written(&dir, &error))?;
                if shared.json {
                    say::json(&ManView { directory: Some(&dir), ..view });
                }
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command())
                    .render(&mut page)
                    .map_err(|error| not_written(Path::new("-"), &error))?;
                let page = String::from_utf8_lossy(&page);
                if shared.json {
                    say::json(&ManView { page: Some(&page), ..view });
                } else {
                    say::line(page.trim_end());
                }
            }
        }
        Ok(Exit::Succeeded)
    }
}

fn not_written(dir: &Path, error: &std::io::Error) -> Failure {
    Failure::other(
        "FILE-NOT-WRITTEN",
        format!("The pages could not be written to {}: {error}.", dir.display()),
        "Name a directory that this user may write to.",
    )
}
