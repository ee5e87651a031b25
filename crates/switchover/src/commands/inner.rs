//! The parts of this program that are not for people: each is a process of its own, started by the daemon or the demo.
//!
//! They are found before the command line is read, so that an instance's start pays for nothing else.

use std::process::ExitCode;

/// Runs the inner part that the first argument names; nothing when it names none.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    match first.to_str()? {
        #[cfg(feature = "demo")]
        "sample-app" => {
            let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
            Some(switchover_testkit::sample::command(arguments))
        }
        _ => None,
    }
}
