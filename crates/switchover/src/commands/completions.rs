use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;
use switchover_model::view::SCHEMA_VERSION;

use crate::cli::{Cli, Shared};
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct CompletionsView {
    schema_version: u32,
    shell: String,
    script: String,
}

/// Print the completions of a shell
///
/// For bash: `switchover completions bash > /etc/bash_completion.d/switchover`
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    #[expect(clippy::unnecessary_wraps, reason = "every command answers the same")]
    pub(crate) fn run(self, shared: &Shared) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "switchover", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        if shared.json {
            let shell = self.shell.to_string();
            say::json(&CompletionsView { schema_version: SCHEMA_VERSION, shell, script });
        } else {
            say::line(script.trim_end());
        }
        Ok(Exit::Succeeded)
    }
}
