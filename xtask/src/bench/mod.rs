//! `cargo xtask bench`: measures beside the peers in one run, as ratios of medians; what is worth keeping stands in
//! `docs/benchmarks.md`.
//!
//! Every number comes from a run of this program; the machine and the versions stand beside it. Timings never decide a test.

mod bar;
mod checks;
mod database;
mod house;
mod machine;
mod mirror;
mod peers;
mod processor_time;
mod proxy;
mod statistics;
mod switching;

use std::path::PathBuf;

pub(crate) use machine::machine;

use crate::{record, step};
use bar::Bar;

/// The page that keeps what was measured.
const PAGE: &str = "docs/benchmarks.md";

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
    /// Processor time per proxied request with a tenth of the requests copied or compared, beside none.
    Mirror,
    /// Processor time of 50 checks of 20 apps.
    Checks,
    /// Rows brought in step beside a plain `UPDATE`, and what clients feel of each change of a schema.
    Database,
}

/// What one bench measured.
pub(crate) struct Measured {
    /// Its tables, as Markdown.
    text: String,
    /// What it must show.
    bars: Vec<Bar>,
}

impl Measured {
    /// The tables with the machine before and the verdicts after them.
    fn report(&self, begun_on: &str) -> String {
        let verdicts: Vec<String> = self.bars.iter().map(|bar| format!("- {bar}\n")).collect();
        format!("{begun_on}\n\n{}\n\n{}", self.text.trim(), verdicts.concat())
    }
}

/// Runs the benches asked for (all when none is named), prints their tables and whether each bar holds; fails when one does not.
/// With `is_kept` the tables are written into `docs/benchmarks.md`, otherwise only to `target/bench.md`.
pub(crate) fn run(which: &[Which], is_kept: bool) -> Result<(), BenchError> {
    let asked = |one: Which| which.is_empty() || which.contains(&one);
    if std::env::var_os("SWITCHOVER_BINARY").is_none() {
        step::run("cargo", &["build", "--release", "--locked", "--package", "switchover"])?;
    }
    let mut missed = Vec::new();
    let mut whole = String::new();
    for one in [Which::Proxy, Which::Switching, Which::Mirror, Which::Checks, Which::Database]
        .into_iter()
        .filter(|one| asked(*one))
    {
        let machine = machine();
        let (part, begun_on, measured) = match one {
            Which::Proxy => {
                peers::install()?;
                ("proxy", format!("{machine} Beside it: {}.", machine::peers()), proxy::run()?)
            }
            Which::Switching => ("switching", machine, switching::run()?),
            Which::Mirror => {
                peers::install()?;
                ("mirror", machine, mirror::run()?)
            }
            Which::Checks => ("checks", machine, checks::run()?),
            Which::Database => ("database", machine, database::run()?),
        };
        let report = measured.report(&begun_on);
        println!("\n## {part}\n\n{report}");
        whole.push_str(&format!("## {part}\n\n{report}\n"));
        missed.extend(measured.bars.iter().filter(|bar| !bar.is_held()).map(ToString::to_string));
        if is_kept {
            record::keep(PAGE, part, &report)?;
        }
    }
    let file = root().join("target/bench.md");
    std::fs::create_dir_all(file.parent().unwrap_or(&file)).tried("target")?;
    std::fs::write(&file, whole).tried(file.display().to_string())?;
    println!("written to target/bench.md");
    if missed.is_empty() { Ok(()) } else { Err(BenchError::Unexpected(missed.join("\n  "))) }
}

/// The repository's root: where cargo says it is now, not where this was compiled, for a build cache may be shared.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    PathBuf::from(own).join("..")
}
