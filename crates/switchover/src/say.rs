//! Everything that is printed goes through here.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use switchover_model::Problem;

/// One line of a command's answer. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn line(text: impl Display) {
    end_when_nobody_reads(writeln!(io::stdout(), "{text}"));
}

/// One JSON object: a command's whole answer under `--json`.
pub(crate) fn json<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => self::error(format_args!("an answer could not be written as JSON: {error}")),
    }
}

/// One JSON object in one line: a part of an answer that has no end.
pub(crate) fn json_line<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => self::error(format_args!("an answer could not be written as JSON: {error}")),
    }
}

/// One line for the person at the terminal, beside the answer.
pub(crate) fn error(text: impl Display) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A problem: code, cause, next step, lines that help to see it.
pub(crate) fn problem(problem: &Problem) {
    let bold = |text: &str| console::style(text.to_owned()).for_stderr().bold();
    error(format_args!("{}[{}]: {}", bold("error").red(), problem.code, problem.cause));
    for line in &problem.detail {
        error(format_args!("  {} {}", console::style("|").for_stderr().dim(), printable(line)));
    }
    if !problem.next.is_empty() {
        error(format_args!("  {}: {}", bold("next"), problem.next));
    }
}

/// `text` without what a terminal would obey: an app's lines shall not move the cursor or change colours.
pub(crate) fn printable(text: &str) -> String {
    console::strip_ansi_codes(text)
        .chars()
        .map(|letter| if letter.is_control() && letter != '\t' { ' ' } else { letter })
        .collect()
}

fn end_when_nobody_reads(written: io::Result<()>) {
    if let Err(error) = written {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        std::process::exit(if quiet { 0 } else { 1 });
    }
}
