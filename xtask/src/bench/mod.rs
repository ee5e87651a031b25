//! `cargo xtask bench`: measures beside the peers in one run, as ratios of medians; what is worth keeping stands in
//! `docs/benchmarks.md`.
//!
//! Every number comes from a run of this program; the machine and the versions stand beside it. Timings never decide a test.

mod house;
mod peers;
mod processor_time;
mod proxy;
mod statistics;
mod switching;

use std::path::PathBuf;

use crate::step;

/// Why a bench could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A step of the set-up failed.
    #[error(transparent)]
    Step(#[from] step::StepError),
    /// A file or process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something measured did not answer as it should.
    #[error("{0}")]
    Unexpected(String),
}

/// Says what was tried when an input or output operation fails.
pub(crate) trait Tried<T> {
    /// Turns the error into a [`BenchError`] that names `what`.
    fn tried(self, what: impl Into<String>) -> Result<T, BenchError>;
}

impl<T> Tried<T> for std::io::Result<T> {
    fn tried(self, what: impl Into<String>) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Io { what: what.into(), source })
    }
}

/// Which benches to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// Processor time per proxied request, beside nginx and haproxy.
    Proxy,
    /// Rollback to flip, the flip, latency around a switch, boot to live.
    Switching,
}

/// Runs the benches asked for (all when none is named) and prints their tables as Markdown.
pub(crate) fn run(which: &[Which]) -> Result<(), BenchError> {
    let asked = |one: Which| which.is_empty() || which.contains(&one);
    if std::env::var_os("SWITCHOVER_BINARY").is_none() {
        step::run("cargo", &["build", "--release", "--locked", "--package", "switchover"])?;
    }
    let mut report = machine();
    if asked(Which::Proxy) {
        peers::install()?;
        report.push_str(&proxy::run()?);
    }
    if asked(Which::Switching) {
        report.push_str(&switching::run()?);
    }
    println!("\n{report}");
    let file = root().join("target/bench.md");
    std::fs::create_dir_all(file.parent().unwrap_or(&file)).tried("target")?;
    std::fs::write(&file, report).tried(file.display().to_string())?;
    println!("written to target/bench.md");
    Ok(())
}

/// The repository's root: where cargo says it is now, not where this was compiled, for a build cache may be shared.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    PathBuf::from(own).join("..")
}

/// What it runs on, as a line of Markdown.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Machine: {model}, {cores} cores, Linux {}.\n\n", kernel.split('-').next().unwrap_or_default().trim())
}
