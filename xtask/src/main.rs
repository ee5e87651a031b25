//! The house's own chores: `cargo xtask test | tidy | bench | prove`.
//!
//! `test` is what the README names and what continuous integration runs: it sets up what the tests need on a fresh
//! Debian machine with Rust, then runs format, clippy, docs, tidy and tests. Begin reading at `test.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line chore talks to its terminal")]

mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Sets up what the tests need, then format, clippy, docs, tidy and all tests.
    Test,
    /// The invariants of the house, as tests.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Test => test::all(),
        Chore::Tidy => test::tidy(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
