//! A router process for the tests: what the product's binary does for `switchover router`, and nothing else.

#![expect(clippy::print_stderr, reason = "a program says why it ends")]

use std::process::ExitCode;

use switchover_router::{RouterOptions, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let value = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| arguments[at + 1].clone());
    let options = RouterOptions {
        directory: value("--state").expect("--state is given").into(),
        http: value("--http").expect("--http is given").parse().expect("an address"),
        lanes: value("--lanes").map(|lanes| lanes.parse().expect("a number")),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
