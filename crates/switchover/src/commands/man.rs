use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// Print the manual page, or write the pages of all commands
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write one page a command into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Done {
        match self.dir {
            Some(dir) => clap_mangen::generate_to(Cli::command(), &dir).map_err(|error| not_written(&dir, &error))?,
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command())
                    .render(&mut page)
                    .map_err(|error| not_written(Path::new("-"), &error))?;
                say::line(String::from_utf8_lossy(&page).trim_end());
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
