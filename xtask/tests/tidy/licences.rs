//! What may be in the dependency tree: known licences, one registry. Known advisories are checked by `cargo deny` where its
//! database, a git repository, can be reached; a build that reaches package registries alone cannot.

use std::process::Command;

use crate::tree::{none, root};

const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "Zlib",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
    "0BSD",
];

/// Whether one side of each `OR` can be used, taking `AND` and `WITH` as "all of these".
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let every = |part: &str| {
        part.split(" AND ").all(|term| term.split(" WITH ").next().is_some_and(|name| ALLOWED.contains(&name.trim())))
    };
    if expression.contains('(') {
        // "(A OR B) AND C": each conjunct must be usable.
        return expression.split(" AND ").all(|part| {
            part.replace(['(', ')'], " ")
                .split(" OR ")
                .any(|term| ALLOWED.contains(&term.trim().split(" WITH ").next().unwrap_or("")))
        });
    }
    flat.split(" OR ").any(every)
}

#[test]
fn every_dependency_may_be_used_and_comes_from_the_registry() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo tells its metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "only {} packages: the list is broken", packages.len());
    let mut faults = Vec::new();
    for package in packages {
        let name = format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        match package["source"].as_str() {
            None => {}
            Some(source) if source.starts_with("registry+") => {}
            Some(source) => faults.push(format!("{name}: from {source}")),
        }
        let licence = package["license"].as_str().unwrap_or("none stated");
        if !is_allowed(licence) {
            faults.push(format!("{name}: {licence}"));
        }
    }
    none("a dependency that may not be used", &faults);
}

#[test]
fn a_licence_expression_is_read_as_it_is_meant() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "MIT/Apache-2.0",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "none stated"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}
