//! `cargo xtask prove`: the runs that take too long for every day. Run before something is called done; its report is kept in
//! `docs/proof.md`, each run in a part of its own, so that a run of some leaves the report of the others.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bench::{BenchError, Tried, machine, root};
use crate::{fuzz, record};

/// The page that keeps the report.
const PAGE: &str = "docs/proof.md";

/// One long run.
struct Proof {
    /// Its part of the page.
    name: &'static str,
    /// What it shows.
    shows: &'static str,
    /// How it is made.
    way: Way,
}

enum Way {
    /// A test, as: the arguments of `cargo`, and the variables that make it long.
    Test(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// A fuzz target, and for how many seconds.
    Fuzz(&'static str, u32),
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "worlds",
        shows: "200,000 simulated worlds keep the four promises",
        way: Way::Test(
            &["test", "--package", "switchover-rollout", "--test", "simulated_world", "--", "--nocapture"],
            &[("WORLD_RUNS", "200000")],
        ),
    },
    Proof {
        name: "switches",
        shows: "200 switches through the command line under load, 50 of them full deploys: nothing fails, the receipts agree with the client",
        way: Way::Test(
            &["test", "--package", "switchover", "--test", "switches", "--", "--nocapture"],
            &[("SWITCHES", "200")],
        ),
    },
    Proof {
        name: "kills",
        shows: "kill -9 of the controller in each stage, the router, an instance, a shim, each five times over",
        way: Way::Test(
            &["test", "--package", "switchover", "--test", "kills", "--", "--nocapture"],
            &[("KILL_ROUNDS", "5")],
        ),
    },
    Proof {
        name: "migrations",
        shows: "kill -9 of the tool, and of PostgreSQL, after each statement of each declared operation that changes something, in expand, undo, contract and its undo: what was begun is gone on with or taken back, and the catalog and the rows are those of a run that nobody killed",
        way: Way::Test(
            &["test", "--package", "switchover", "--test", "migration_kills", "--", "--nocapture"],
            &[("MIGRATION_KILLS", "1")],
        ),
    },
    Proof {
        name: "healthy",
        shows: "50 releases in a row that behave like the live one, under load and the checks at their default rate: none is undone",
        way: Way::Test(
            &["test", "--package", "switchover", "--test", "checks", "releases_that_behave", "--", "--nocapture"],
            &[("HEALTHY_RUNS", "50")],
        ),
    },
    Proof {
        name: "soak",
        shows: "ten minutes of deploys and rollbacks under load: memory, open files, threads and processes do not grow",
        way: Way::Test(
            &["test", "--package", "switchover", "--test", "soak", "--", "--nocapture"],
            &[("SOAK_SECONDS", "600")],
        ),
    },
    Proof {
        name: "fuzz-http1",
        shows: "ten minutes of whatever bytes libFuzzer finds, with the address sanitizer: the codec keeps its promises",
        way: Way::Fuzz("http1", 600),
    },
];

/// Lines of a run's output that are kept in the report.
const KEPT_LINES: usize = 12;

/// How a run went.
pub(crate) struct Ran {
    /// What was run, as one would type it.
    pub(crate) command: String,
    /// What it said at its end.
    pub(crate) told: Vec<String>,
    /// Whether it ended well.
    pub(crate) is_held: bool,
}

/// Runs every proof whose name or text contains `only` (all when it is nothing) and writes its part of the report; fails when one
/// of them does, or when there is none.
pub(crate) fn run(only: Option<&str>) -> Result<(), BenchError> {
    let asked = |proof: &&Proof| only.is_none_or(|only| proof.name.contains(only) || proof.shows.contains(only));
    let asked: Vec<&Proof> = PROOFS.iter().filter(asked).collect();
    if asked.is_empty() {
        let known: Vec<_> = PROOFS.iter().map(|proof| proof.name).collect();
        return Err(BenchError::Unexpected(format!("no such proof; there are {}", known.join(", "))));
    }
    let mut failed = Vec::new();
    for proof in asked {
        println!("\n+ {}", proof.shows);
        let machine = machine();
        let begun = Instant::now();
        let ran = match proof.way {
            Way::Test(arguments, variables) => test(arguments, variables)?,
            Way::Fuzz(target, seconds) => fuzz::run(target, seconds)?,
        };
        let kept = ran.told[ran.told.len().saturating_sub(KEPT_LINES)..].join("\n");
        println!("{kept}");
        if !ran.is_held {
            failed.push(proof.name);
        }
        let verdict = if ran.is_held { "held" } else { "FAILED" };
        let seconds = begun.elapsed().as_secs_f64();
        record::keep(
            PAGE,
            proof.name,
            &format!(
                "## {}\n\n{verdict} in {seconds:.0} s: `{}`\n\n```\n{kept}\n```\n\n{machine}",
                proof.shows, ran.command
            ),
        )?;
    }
    if failed.is_empty() { Ok(()) } else { Err(BenchError::Unexpected(format!("did not hold: {}", failed.join(", ")))) }
}

fn test(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Ran, BenchError> {
    let output = Command::new("cargo")
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .tried("cargo")?;
    let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(Ran {
        command: format!("{} cargo {}", variables.join(" "), arguments.join(" ")),
        told: said_lines(&output.stdout),
        is_held: output.status.success(),
    })
}

/// The lines of an output that say something.
pub(crate) fn said_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_has_its_part_of_the_page() {
        let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
        for proof in PROOFS {
            assert!(
                page.contains(&format!("<!-- {}: begin -->", proof.name)),
                "{}: run `cargo xtask prove`",
                proof.name
            );
        }
    }
}
