//! How a command line becomes an app's main process.
//!
//! `/bin/sh -c COMMAND` runs it. Where the command is one simple command, `exec` goes before it, so that the app takes
//! the shell's place and is the main process itself, in every shell. Otherwise (`a && b`, pipes, loops) the shell stays,
//! and a stop signal goes to it and to its direct children: a shell does not pass signals on.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use switchover_model::Problem;

/// The shell that runs commands.
pub(crate) const SHELL: &str = "/bin/sh";

/// First words after which `exec` would not do: the shell's own words and commands.
const SHELL_WORDS: &[&str] = &[
    "!", "{", "[", "[[", ".", ":", "alias", "bg", "break", "builtin", "case", "cd", "command", "continue", "do",
    "done", "elif", "else", "esac", "eval", "exec", "exit", "export", "false", "fi", "fg", "for", "function",
    "getopts", "hash", "if", "jobs", "local", "printf", "pwd", "read", "readonly", "return", "select", "set", "shift",
    "source", "test", "then", "time", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until",
    "wait", "while", "echo", "kill",
];

/// The line for the shell: `exec` before a simple command, anything else as it is.
pub(crate) fn line(command: &str) -> String {
    let command = command.trim();
    if is_simple(command) { format!("exec {command}") } else { command.to_owned() }
}

/// The command that runs `line` in `directory`; its environment is empty.
pub(crate) fn command(line: &str, directory: &Path) -> Command {
    let mut command = Command::new(SHELL);
    command.arg("-c").arg(line).current_dir(directory).env_clear();
    command
}

/// Whether `pid` is still the shell that was started with `line`.
pub(crate) fn is_shell_of(pid: i32, line: &str) -> bool {
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut arguments = arguments.split(|byte| *byte == 0);
    arguments.next() == Some(SHELL.as_bytes())
        && arguments.next() == Some(b"-c")
        && arguments.next() == Some(line.as_bytes())
}

/// The name of the program that a simple command starts.
fn program(command: &str) -> &str {
    command.split_ascii_whitespace().next().unwrap_or(command)
}

/// Whether this is one command without operators outside quotes, and the command is a program.
fn is_simple(command: &str) -> bool {
    let Some(first) = command.split_ascii_whitespace().next() else { return false };
    if is_assignment(first) || SHELL_WORDS.contains(&first) || first.contains(['$', '"', '\'', '*', '?', '(']) {
        return false;
    }
    let mut quote = None;
    let mut before = ' ';
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None | Some('"'), '\\') => {
                letters.next();
            }
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            // `2>&1` redirects.
            (None, '&') if before == '>' => {}
            (None, ';' | '&' | '|' | '\n' | '(' | ')' | '#') => {
                // `$(...)` and a `#` inside a word are harmless, but telling them apart is the shell's work: it stays,
                // and the stop signal goes to its children too.
                return false;
            }
            (None | Some(_), _) => {}
        }
        before = letter;
    }
    quote.is_none()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Whether an exit code is the shell's way to say that there is no such command, or that it may not be run.
pub(crate) fn is_not_found(code: i32) -> bool {
    matches!(code, 126 | 127)
}

/// What [`is_not_found`] means for a person; `place` says where the command is written.
pub(crate) fn not_found(place: &str, command: &str, code: i32) -> Problem {
    let named = if is_simple(command) { program(command) } else { command };
    let named = crate::output::presentable(named.as_bytes());
    let subject = if is_simple(command) {
        format!("\"{named}\" of {place}")
    } else {
        format!("a program in {place} (\"{named}\")")
    };
    let what = if code == 126 { "cannot be executed" } else { "was not found" };
    Problem::new(
        "COMMAND-NOT-FOUND",
        format!("{subject} {what} (exit status {code})."),
        "Write a path inside the revision's directory (such as bin/app), make the file executable, or install the program where PATH leads.",
    )
}

/// Why the shell itself could not be started in `directory`.
pub(crate) fn cannot_start(error: &io::Error, directory: &Path) -> String {
    if directory.is_dir() { format!("{SHELL}: {error}") } else { format!("{}: {error}", directory.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_command_takes_the_place_of_its_shell() {
        for simple in [
            "bin/shop --port $PORT",
            "python3 -m http.server \"$PORT\"",
            "app 'a; b' \"c && d\"",
            "app a\\;b",
            "app >log 2>&1",
        ] {
            assert_eq!(line(simple), format!("exec {simple}"));
        }
        for compound in [
            "cd app && bin/shop",
            "A=1 bin/shop",
            "bin/shop | tee log",
            "exec bin/shop",
            "bin/shop & wait",
            "while true; do sleep 1; done",
            "a\nb",
            "\"$RUNNER\" serve",
            "app 'unfinished",
        ] {
            assert_eq!(line(compound), compound);
        }
    }

    #[test]
    fn the_program_of_a_command_is_named() {
        let problem = |command| not_found("process.web.command", command, 127).cause;
        assert_eq!(
            problem("bin/shop --port 1"),
            "\"bin/shop\" of process.web.command was not found (exit status 127)."
        );
        assert!(problem("cd app && bin/shop").starts_with("a program in process.web.command (\"cd app && bin/shop\")"));
    }
}
