//! The fuzz targets of `fuzz/`: type-checked in every test run, run for long by `cargo xtask prove`.
//!
//! They are built by the pinned compiler: the flags are those of `cargo fuzz`, and `RUSTC_BOOTSTRAP` lets a stable compiler take
//! the one that is unstable, the sanitizer's. So neither a nightly compiler nor `cargo fuzz` is needed.

use std::process::Command;

use crate::bench::{BenchError, Tried, root};
use crate::prove::{Ran, said_lines};
use crate::step::{StepError, run as step, run_with, works};

/// The targets' own workspace.
const MANIFEST: &str = "fuzz/Cargo.toml";

/// What makes a program tell libFuzzer which of its edges were taken, and the address sanitizer watch it.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1 -Cdebug-assertions --cfg fuzzing";

/// The longest input (bytes): several heads' worth, yet quick.
const LONGEST_INPUT: &str = "4096";

/// Looks whether the fuzz targets still compile; without the fuzzer itself, which is C++.
pub(crate) fn check() -> Result<(), StepError> {
    step(
        "cargo",
        &["check", "--manifest-path", MANIFEST, "--no-default-features", "--locked", "--target-dir", "target/fuzz"],
    )
}

/// Builds `target` and runs it for `seconds`. What it finds is kept in `target/fuzz/corpus` for the next run.
pub(crate) fn run(target: &str, seconds: u32) -> Result<Ran, BenchError> {
    if !works("c++", &["--version"]) {
        step("apt-get", &["update", "-qq"])?;
        step("apt-get", &["install", "-y", "-qq", "--no-install-recommends", "g++"])?;
    }
    let triple = host()?;
    let build = [
        "build",
        "--release",
        "--manifest-path",
        MANIFEST,
        "--locked",
        "--target-dir",
        "target/fuzz",
        "--target",
        &triple,
        "--bin",
        target,
    ];
    run_with("cargo", &build, &[("RUSTFLAGS", FLAGS), ("RUSTC_BOOTSTRAP", "1")])?;
    let corpus = root().join("target/fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus).tried(corpus.display().to_string())?;
    let program = root().join("target/fuzz").join(&triple).join("release").join(target);
    let before = inputs(&corpus)?;
    let output = Command::new(&program)
        .arg(&corpus)
        .args([&format!("-max_total_time={seconds}"), &format!("-max_len={LONGEST_INPUT}"), "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/target/fuzz/", root().display()))
        .output()
        .tried(program.display().to_string())?;
    // libFuzzer talks on standard error: its last lines are the summary, or what it found.
    let mut told = said_lines(&output.stderr);
    told.push(format!("corpus: {before} inputs before, {} after", inputs(&corpus)?));
    Ok(Ran { command: format!("cargo xtask prove fuzz-{target}"), told, is_held: output.status.success() })
}

fn inputs(corpus: &std::path::Path) -> Result<usize, BenchError> {
    Ok(std::fs::read_dir(corpus).tried(corpus.display().to_string())?.count())
}

/// The machine that the compiler runs on, in its words.
fn host() -> Result<String, BenchError> {
    let output = Command::new("rustc").arg("-vV").current_dir(root()).output().tried("rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).map(ToOwned::to_owned);
    host.ok_or_else(|| BenchError::Unexpected("rustc does not say its host".to_owned()))
}
