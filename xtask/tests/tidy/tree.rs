//! Walks the repository's tracked files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // Where cargo says it is now, not where this was compiled: a build cache may be shared between checkouts.
    let own = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&own).parent().expect("xtask lies in the root").to_owned()
}

/// The name of every file that git tracks or would track, relative to the root.
pub(crate) fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    // One that is removed and not committed yet is still listed.
    let names: Vec<_> =
        names.split_terminator('\0').filter(|name| root().join(name).is_file()).map(ToOwned::to_owned).collect();
    assert!(names.len() > 20, "only {} files found: the walk is broken", names.len());
    names
}

/// The same with each file's text; files that are not text are left out.
pub(crate) fn files() -> Vec<(String, String)> {
    let read = |name: String| std::fs::read_to_string(root().join(&name)).ok().map(|text| (name, text));
    tracked().into_iter().filter_map(read).collect()
}

/// The rooms, by name.
pub(crate) fn rooms() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("crates")).expect("the rooms");
    let mut rooms: Vec<String> = entries
        .map(|entry| entry.expect("a room").file_name().into_string().expect("a room's name is UTF-8"))
        .collect();
    rooms.sort();
    rooms
}

/// The manifest of one room.
pub(crate) fn manifest(room: &str) -> toml::Table {
    let path = root().join(format!("crates/{room}/Cargo.toml"));
    std::fs::read_to_string(path).expect("a manifest").parse().expect("a manifest is TOML")
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
