//! What the end of a command that was run means: its last lines, or the problem.

use std::time::Duration;

use switchover_model::Problem;

use crate::environment::Sealed;
use crate::group_run::Ran;
use crate::instance::Exit;
use crate::shell;

/// How a problem of a build or a hook names it.
pub(crate) struct Words {
    pub(crate) failed: &'static str,
    pub(crate) timed_out: &'static str,
    pub(crate) what: String,
    pub(crate) place: &'static str,
}

/// What the end of a command means: its last lines, or the problem.
pub(crate) fn verdict(
    ran: &Ran,
    command: &str,
    timeout: Duration,
    contents: &Sealed,
    words: &Words,
) -> Result<Vec<String>, Problem> {
    let lines = contents.blot_out(ran.last_lines.clone());
    let what = contents.blot_out(vec![words.what.clone()]).concat();
    let problem = match ran.exit.clone() {
        Some(Exit::Code(0)) => return Ok(lines),
        Some(Exit::Code(code)) if shell::is_not_found(code) => shell::not_found(words.place, command, code),
        Some(exit) => Problem::new(
            words.failed,
            format!("{what} ended with {exit}."),
            if lines.is_empty() {
                "Run it by hand in the app's directory to see why."
            } else {
                "Look at its last lines; run it by hand in the app's directory to see more."
            },
        ),
        None => Problem::new(
            words.timed_out,
            format!("{what} was not done within {timeout:?} and was killed with everything it had started."),
            "Make it faster, or give it a longer `timeout`.",
        ),
    };
    Err(problem.with_detail(lines))
}
