//! The house's own chores: `cargo xtask test | tidy | bench | prove`.
//!
//! `test` is what the README names and what continuous integration runs: it sets up what the tests need on a fresh
//! Debian machine with Rust, then runs format, clippy, docs, tidy and tests. Begin reading at `test.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line chore talks to its terminal")]

mod beds;
mod bench;
mod fuzz;
mod prove;
mod record;
mod step;
mod supply;
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
    /// Measures beside the peers in one run; all benches when none is named. Fails when a bar is missed.
    Bench {
        /// Write what was measured into docs/benchmarks.md.
        #[arg(long)]
        keep: bool,
        /// Which benches.
        which: Vec<bench::Which>,
    },
    /// The runs that take too long for every day; their report is docs/proof.md.
    Prove {
        /// Only those whose name or text contains this; the report of the others stays.
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn std::error::Error>> = match Arguments::parse().chore {
        Chore::Test => test::all(),
        Chore::Tidy => test::tidy().map_err(Into::into),
        Chore::Bench { keep, which } => bench::run(&which, keep).map_err(Into::into),
        Chore::Prove { only } => prove::run(only.as_deref()).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
