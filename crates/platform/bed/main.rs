//! The tests' own program: `shim --dir DIR` is the shim; everything else is an app with faults to order.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "an app under test prints, fails and leaves children behind as it is ordered to"
)]

mod app;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["shim", "--dir", dir] => switchover_platform::shim_main(dir.as_ref()),
        ["app", faults @ ..] => app::run(faults),
        _ => ExitCode::from(64),
    }
}
