//! Walks the repository's tracked files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // Where cargo says it is now, not where this was compiled: a build cache may be shared between checkouts.
    let own = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&own).parent().expect("xtask lies in the root").to_owned()
}

/// Every file that git tracks or would track, relative to the root, with its text; files that are not text are left out.
pub(crate) fn files() -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let files: Vec<_> = names
        .split_terminator('\0')
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?)))
        .collect();
    assert!(files.len() > 20, "only {} files found: the walk is broken", files.len());
    files
}

/// The Rust sources of one room, tests included.
pub(crate) fn room(name: &str) -> Vec<(String, String)> {
    let prefix = format!("crates/{name}/");
    let found: Vec<_> =
        files().into_iter().filter(|(path, _)| path.starts_with(&prefix) && path.ends_with(".rs")).collect();
    assert!(!found.is_empty(), "no sources in {prefix}");
    found
}

/// Fails with all of `faults`, one a line.
#[track_caller]
pub(crate) fn none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}
