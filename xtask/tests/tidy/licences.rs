//! What may be in the dependency trees, the product's and the fuzz target's: the licences of `deny.toml`, one registry.
//!
//! This needs the package registry alone, so it runs everywhere. What it does not know are advisories: their database is a
//! git repository that no package registry carries, and `cargo deny check advisories` reads it where it can be had.

use std::process::Command;

use crate::tree::{none, root};

/// The manifests whose trees are looked at, and the fewest packages that a tree has when it was read rightly.
const TREES: &[(&str, usize)] = &[("Cargo.toml", 50), ("fuzz/Cargo.toml", 3)];

/// `deny.toml`: licences for all, and those for one package.
struct Rules {
    allowed: Vec<String>,
    exceptions: Vec<(String, Vec<String>)>,
}

impl Rules {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
        let file: toml::Table = text.parse().expect("deny.toml is TOML");
        let names = |value: &toml::Value| -> Vec<String> {
            let all = value.as_array().expect("a list of licences").iter();
            all.map(|one| one.as_str().expect("a licence is a text").to_owned()).collect()
        };
        let licences = &file["licenses"];
        let exceptions = licences["exceptions"].as_array().expect("a list of exceptions").iter();
        Self {
            allowed: names(&licences["allow"]),
            exceptions: exceptions
                .map(|one| (one["crate"].as_str().expect("a crate").to_owned(), names(&one["allow"])))
                .collect(),
        }
    }

    /// Whether `package` may be used under `expression`: one side of each `OR`, and all of each `AND`.
    fn allow(&self, package: &str, expression: &str) -> bool {
        let own = self.exceptions.iter().find(|(name, _)| name == package).map(|(_, licences)| licences.as_slice());
        let is_known = |term: &str| {
            let term = term.trim();
            self.allowed.iter().chain(own.unwrap_or_default()).any(|licence| licence == term)
        };
        if expression.contains('(') {
            // "(A OR B) AND C": each conjunct must be usable.
            return expression.split(" AND ").all(|part| part.replace(['(', ')'], " ").split(" OR ").any(&is_known));
        }
        expression.replace('/', " OR ").split(" OR ").any(|side| side.split(" AND ").all(&is_known))
    }
}

#[test]
fn every_dependency_may_be_used_and_comes_from_the_registry() {
    let rules = Rules::read();
    let mut faults = Vec::new();
    for (manifest, fewest) in TREES {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--manifest-path", manifest])
            .current_dir(root())
            .output()
            .expect("cargo tells its metadata");
        assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        assert!(packages.len() > *fewest, "{manifest}: only {} packages: the list is broken", packages.len());
        for package in packages {
            let name = package["name"].as_str().unwrap();
            let version = package["version"].as_str().unwrap();
            match package["source"].as_str() {
                None => {}
                Some(source) if source.starts_with("registry+") => {}
                Some(source) => faults.push(format!("{manifest}: {name} {version}: from {source}")),
            }
            let licence = package["license"].as_str().unwrap_or("none stated");
            if !rules.allow(name, licence) {
                faults.push(format!("{manifest}: {name} {version}: {licence}"));
            }
        }
    }
    none("a dependency that may not be used", &faults);
}

#[test]
fn a_licence_expression_is_read_as_it_is_meant() {
    let rules = Rules {
        allowed: ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(str::to_owned).to_vec(),
        exceptions: vec![("odd".to_owned(), vec!["NCSA".to_owned()])],
    };
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "MIT/Apache-2.0",
    ] {
        assert!(rules.allow("any", good), "{good}");
    }
    for bad in
        ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "none stated", "MIT AND NCSA", "MIT WITH X"]
    {
        assert!(!rules.allow("any", bad), "{bad}");
    }
    assert!(rules.allow("odd", "(MIT OR Apache-2.0) AND NCSA"));
}
