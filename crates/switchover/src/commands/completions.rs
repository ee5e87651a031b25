use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

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
    pub(crate) fn run(self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "switchover", &mut script);
        say::line(String::from_utf8_lossy(&script).trim_end());
        Ok(Exit::Succeeded)
    }
}
