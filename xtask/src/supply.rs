//! `cargo deny`, where it is installed: licences, sources and bans of both trees, and known advisories where their database can
//! be had.

use crate::step::{StepError, run, works};

/// The trees that are looked at.
const MANIFESTS: &[&str] = &["Cargo.toml", "fuzz/Cargo.toml"];

/// What is looked at beside the advisories; needs nothing but the package registry.
const CHECKS: &[&str] = &["licenses", "bans", "sources"];

/// Runs what can be run here, and says what is left out and why.
pub(crate) fn check() -> Result<(), StepError> {
    if !works("cargo", &["deny", "--version"]) {
        println!(
            "\nleft out: advisories. `cargo deny` is not installed (cargo install cargo-deny --locked). Licences and sources are checked by tidy all the same."
        );
        return Ok(());
    }
    for manifest in MANIFESTS {
        run("cargo", &[&["deny", "--manifest-path", manifest, "check", "--config", "deny.toml"], CHECKS].concat())?;
    }
    // Its database is a git repository (github.com/rustsec/advisory-db): no package registry carries it.
    if !works("cargo", &["deny", "fetch", "db"]) {
        println!(
            "\nleft out: advisories. Their database, the git repository of RustSec, cannot be reached from here, and no package registry carries it."
        );
        return Ok(());
    }
    for manifest in MANIFESTS {
        let check =
            ["deny", "--manifest-path", manifest, "check", "--config", "deny.toml", "--disable-fetch", "advisories"];
        run("cargo", &check)?;
    }
    Ok(())
}
