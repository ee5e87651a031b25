//! `cargo xtask test` and `cargo xtask tidy`.

use std::time::Instant;

use crate::step::{StepError, run, run_with, works};
use crate::{beds, fuzz, supply};

/// What the tests need besides Rust, as: how to see that it is there, and the Debian packages that bring it.
const NEEDED: &[(&str, &[&str], &[&str])] = &[
    ("cc", &["--version"], &["gcc", "libc6-dev"]),
    ("git", &["--version"], &["git"]),
    ("python3", &["-c", "import venv, ensurepip"], &["python3", "python3-venv"]),
    ("pgbouncer", &["--version"], &["pgbouncer"]),
];

/// Sets up what the tests need, then format, clippy, docs, tidy and all tests.
pub(crate) fn all() -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    set_up()?;
    beds::ensure_there()?;
    run_cargo(&["fmt", "--all", "--check"])?;
    run_cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    let planted =
        ["clippy", "--package", "switchover-rollout", "--all-targets", "--features", "planted-bugs", "--locked"];
    run_cargo(&[&planted, &["--", "-D", "warnings"][..]].concat())?;
    fuzz::check()?;
    supply::check()?;
    run_with("cargo", &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    tidy()?;
    run_cargo(&["test", "--workspace", "--locked", "--exclude", "xtask", "--no-fail-fast"])?;
    run_cargo(&["test", "--package", "switchover-rollout", "--features", "planted-bugs", "--locked", "planted"])?;
    println!("\nall of it held; it took {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// The invariants of the house, as tests.
pub(crate) fn tidy() -> Result<(), StepError> {
    run_cargo(&["test", "--package", "xtask", "--locked"])
}

fn run_cargo(arguments: &[&str]) -> Result<(), StepError> {
    run("cargo", arguments)
}

fn set_up() -> Result<(), StepError> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, arguments, _)| !works(program, arguments))
        .flat_map(|(_, _, packages)| packages.iter().copied())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing here: {}", missing.join(" "));
    run("apt-get", &["update", "-qq"])?;
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat();
    run_with("apt-get", &install, &[("DEBIAN_FRONTEND", "noninteractive")])
}
