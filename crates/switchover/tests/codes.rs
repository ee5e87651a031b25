//! Every code that a user can be told has its section in `docs/troubleshooting.md`, and every section its code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Codes are upper-case words joined by dashes, in quotes of their own, or at the begin of an error's text.
fn codes(source: &str) -> BTreeSet<String> {
    source
        .split('"')
        .map(|text| text.split(':').next().unwrap_or(text))
        .filter(|text| {
            text.contains('-')
                && text.split('-').all(|word| {
                    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                })
                && text.starts_with(|first: char| first.is_ascii_uppercase())
        })
        .map(str::to_owned)
        .collect()
}

/// The sources of the product, without tests.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            let is_test = name.starts_with("tests") || name.ends_with("_tests.rs") || name == "testkit";
            if path.is_dir() && !is_test && !["fuzz", "bed", "target", "benches"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".rs") && !is_test {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_code_has_its_section_and_every_section_its_code() {
    let mut used = BTreeSet::new();
    for path in sources() {
        let source = std::fs::read_to_string(&path).unwrap();
        let product = source.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&source);
        used.extend(codes(product));
    }
    assert!(used.len() > 50, "the sources were not found: {used:?}");

    let page = include_str!("../../../docs/troubleshooting.md");
    let explained: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let sections: BTreeSet<String> = explained.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(explained.len(), sections.len(), "a code has two sections");
    let missing: Vec<_> = used.difference(&sections).collect();
    let unused: Vec<_> = sections.difference(&used).collect();
    assert!(missing.is_empty() && unused.is_empty(), "without a section: {missing:?}; without a use: {unused:?}");
}

/// Names of variables that begin with `SWITCHOVER_` and stand in quotes of their own.
fn variables(source: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        text.strip_prefix("SWITCHOVER_")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
    };
    source.split('"').filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_variable_that_an_app_is_given_is_documented() {
    let mut given = BTreeSet::new();
    for path in sources().iter().filter(|path| path.components().any(|part| part.as_os_str() == "platform")) {
        given.extend(variables(&std::fs::read_to_string(path).unwrap()));
    }
    assert!(given.len() > 10, "the sources were not found: {given:?}");
    let page = include_str!("../../../docs/configuration.md");
    let missing: Vec<_> = given.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/configuration.md: {missing:?}");
}
