//! The tests' own program: `shim --dir DIR` is the shim, `app` an app with faults to order,
//! `controller` a controller to be killed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "an app under test prints, fails and leaves children behind as it is ordered to"
)]

mod app;
mod controller;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["shim", "--dir", dir] => switchover_platform::shim_main(dir.as_ref()),
        ["app", faults @ ..] => app::run(faults),
        ["controller", state, app, spec] => controller::run(state, app, spec),
        _ => ExitCode::from(64),
    }
}
