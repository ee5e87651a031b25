//! One step of a chore: a command that is shown, timed, and ends the chore when it fails.

use std::process::Command;
use std::time::Instant;

/// Why a chore ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The program could not be started.
    #[error("{command}: cannot be started: {source}")]
    Start {
        /// What was to run.
        command: String,
        /// Why it could not.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("{command}: {status}")]
    Failed {
        /// What ran.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
}

/// Runs `program` with `arguments` in the repository's root, and says how long it took.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), StepError> {
    run_with(program, arguments, &[])
}

/// The same with more environment variables.
pub(crate) fn run_with(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), StepError> {
    let command = [&[program], arguments].concat().join(" ");
    println!("\n+ {command}");
    let begun = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(crate::bench::root())
        .status()
        .map_err(|source| StepError::Start { command: command.clone(), source })?;
    println!("  {:.1} s", begun.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(StepError::Failed { command, status }) }
}

/// Whether `program` can be started with `arguments` and ends well; prints nothing.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
