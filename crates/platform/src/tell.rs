//! What the app's own secrets file says now, and commands that are told of what happens to the app.

use std::path::Path;

use switchover_model::{AppName, Problem, Span};

use crate::environment::{self, Variables};
use crate::group_run::{self, Run};
use crate::headroom;
use crate::instance::Exit;
use crate::layout::Layout;

/// A variable of a secrets file, as it is there now.
///
/// # Errors
/// There is no such file, it can not be read, or it has no such variable.
pub(crate) fn secret(file: Option<&Path>, name: &str) -> Result<String, Problem> {
    let missing = |why: &str| {
        let next = "Write it into the secrets file of the app, as NAME=value; it is read when it is needed.";
        Problem::new("SECRET-MISSING", format!("the secret {name} can not be given: {why}."), next)
    };
    let file = file.ok_or_else(|| missing("the app has no secrets file"))?;
    let (mut secrets, _) = environment::read_secrets(file)?;
    secrets.remove(name).ok_or_else(|| missing("the secrets file has no such variable"))
}

/// Runs `command` in the state directory with `message` on its standard input. It is given nothing of any revision.
///
/// # Errors
/// It did not end with status 0 within `limit`; the problem says its last line.
pub(crate) async fn tell(
    layout: &Layout,
    (mark, app): (&'static str, &AppName),
    command: &str,
    message: &str,
    limit: Span,
) -> Result<(), Problem> {
    let mut variables: Variables = environment::inherited();
    variables.insert("SWITCHOVER_APP".to_owned(), app.to_string());
    let run = Run {
        command,
        directory: layout.state(),
        variables,
        mark: (mark, format!("{app}:{}/notify", layout.state().display())),
        timeout: limit.to_std(),
        log: None,
        answers: None,
        input: Some(message.as_bytes()),
    };
    let ran = group_run::run(run).await.map_err(|error| headroom::state_problem("telling what happened", &error))?;
    let last = ran.last_lines.last().map(|line| format!(", and said: {line}")).unwrap_or_default();
    let how = match ran.exit {
        Some(Exit::Code(0)) => return Ok(()),
        Some(exit) => format!("it ended with {exit}{last}"),
        None => format!("it was not done within {limit} and was killed{last}"),
    };
    Err(Problem::new("NOTIFY-FAILING", how, "Run the command by hand to see why."))
}
