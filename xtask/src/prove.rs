//! `cargo xtask prove`: the runs that take too long for every day. Run before something is called done; its report is kept in
//! `docs/proof.md`.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bench::{BenchError, Tried, root};

/// One long run.
struct Proof {
    /// What it shows.
    shows: &'static str,
    /// Its command, after `cargo`.
    arguments: &'static [&'static str],
    /// What makes it long.
    variables: &'static [(&'static str, &'static str)],
}

const PROOFS: &[Proof] = &[
    Proof {
        shows: "200,000 simulated worlds keep the four promises",
        arguments: &["test", "--package", "switchover-rollout", "--test", "simulated_world", "--", "--nocapture"],
        variables: &[("WORLD_RUNS", "200000")],
    },
    Proof {
        shows: "200 switches through the command line under load, 50 of them full deploys: nothing fails, the receipts agree with the client",
        arguments: &["test", "--package", "switchover", "--test", "switches", "--", "--nocapture"],
        variables: &[("SWITCHES", "200")],
    },
    Proof {
        shows: "kill -9 of the controller in each stage, the router, an instance, a shim, five times over",
        arguments: &["test", "--package", "switchover", "--test", "kills", "--", "--nocapture"],
        variables: &[("KILL_ROUNDS", "5")],
    },
];

/// Lines of a run's output that are kept in the report.
const KEPT_LINES: usize = 12;

/// Runs every proof whose text contains `only` (all when it is nothing) and writes the report; fails when one of them does.
pub(crate) fn run(only: Option<&str>) -> Result<(), BenchError> {
    let mut report = String::from("# Proof\n\nThe long runs, made by `cargo xtask prove`.\n");
    report.push('\n');
    report.push_str(&crate::bench::machine());
    let mut failed = Vec::new();
    for proof in PROOFS.iter().filter(|proof| only.is_none_or(|only| proof.shows.contains(only))) {
        println!("\n+ {}: cargo {}", proof.shows, proof.arguments.join(" "));
        let begun = Instant::now();
        let output = Command::new("cargo")
            .args(proof.arguments)
            .envs(proof.variables.iter().copied())
            .current_dir(root())
            .stderr(Stdio::inherit())
            .output()
            .tried("cargo")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let kept = lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n");
        println!("{kept}");
        let verdict = if output.status.success() { "held" } else { "FAILED" };
        if !output.status.success() {
            failed.push(proof.shows);
        }
        let variables: Vec<String> = proof.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(
            report,
            "## {}\n\n{verdict} in {:.0} s: `{} cargo {}`\n\n```\n{kept}\n```\n\n",
            proof.shows,
            begun.elapsed().as_secs_f64(),
            variables.join(" "),
            proof.arguments.join(" ")
        );
    }
    let file = root().join("docs/proof.md");
    std::fs::write(&file, report.trim_end().to_owned() + "\n").tried(file.display().to_string())?;
    if failed.is_empty() { Ok(()) } else { Err(BenchError::Unexpected(format!("did not hold: {}", failed.join("; ")))) }
}
