//! Everything that is printed goes through here.

use std::fmt::Display;
use std::io::{self, Write};

use console::Term;
use serde::Serialize;
use switchover_model::Problem;

use crate::show::wrap::wrapped;

/// One line of a command's answer. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn line(text: impl Display) {
    end_when_nobody_reads(writeln!(io::stdout(), "{text}"));
}

/// One line that is a sentence: on a terminal it is broken between words where it does not fit.
pub(crate) fn sentence(text: impl Display) {
    for part in fitted(&text.to_string(), &Term::stdout()) {
        line(part);
    }
}

/// How wide the terminal is that reads the answer; nothing where none does.
pub(crate) fn width() -> Option<usize> {
    let term = Term::stdout();
    term.size_checked().filter(|_| term.is_term()).map(|(_, columns)| columns.into())
}

/// `text` in lines that fit `term`; as it is where that is no terminal, or where it is laid out in lines already.
fn fitted(text: &str, term: &Term) -> Vec<String> {
    match term.size_checked() {
        Some((_, columns)) if term.is_term() && !text.contains('\n') => wrapped(text, columns.into()),
        Some(_) | None => vec![text.to_owned()],
    }
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
    for part in fitted(&text.to_string(), &Term::stderr()) {
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(io::stderr(), "{part}");
    }
}

/// Begins a line anew where a terminal's own echo, such as `^C`, stands in it.
pub(crate) fn fresh_line() {
    let term = Term::stdout();
    if term.is_term() {
        // A terminal that is gone is noticed by the next thing that is said.
        let _ = term.clear_line();
    }
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

/// Something that is good to know about what was asked for.
pub(crate) fn note(note: &Problem) {
    sentence(noted(note));
}

/// A note as it is read.
pub(crate) fn noted(note: &Problem) -> String {
    format!("note: {}: {} {}", note.code, note.cause, note.next).trim_end().to_owned()
}

/// `text` without what a terminal would obey: an app's lines shall not move the cursor, change colours, or turn round what
/// stands beside them.
pub(crate) fn printable(text: &str) -> String {
    let obeys = |letter: char| letter.is_control() && letter != '\t' || turns(letter);
    console::strip_ansi_codes(text).chars().map(|letter| if obeys(letter) { ' ' } else { letter }).collect()
}

/// Whether it changes the direction of what follows (Unicode Standard Annex #9, 2).
const fn turns(letter: char) -> bool {
    matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
}

fn end_when_nobody_reads(written: io::Result<()>) {
    let Err(why) = written else { return };
    if why.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    problem(&Problem::new(
        "OUTPUT-NOT-WRITTEN",
        format!("The answer could not be written: {why}."),
        "Make room where standard output leads to, then look again: what was asked for may be done.",
    ));
    std::process::exit(1);
}
