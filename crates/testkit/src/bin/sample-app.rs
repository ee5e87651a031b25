//! The sample app as a program of its own; see `switchover_testkit::sample`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchover_testkit::sample::command(std::env::args().skip(1))
}
