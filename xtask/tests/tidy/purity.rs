//! Pure rooms know no clock, no I/O, no async runtime, no randomness.

use crate::tree::{manifest, none, room};

const PURE: &[&str] = &["model", "http1", "rollout", "judge", "migration"];

/// What a pure room's sources must not name.
const FORBIDDEN: &[&str] = &[
    "SystemTime",
    "std::time::Instant",
    "Instant::now",
    "tokio",
    "rand::",
    "getrandom",
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::io::",
    // Of jiff only what is computed from a moment that came in, by the database that is compiled in.
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "TimeZone::try_system",
    "TimeZone::get(",
    "tz::get(",
    "tz::db(",
    "from_env",
    "from_dir",
    "TcpStream",
    "UnixStream",
];

#[test]
fn pure_rooms_touch_nothing() {
    let mut faults = Vec::new();
    for name in PURE {
        for (path, text) in room(name) {
            if !path.contains("/src/") || path.ends_with("/tests.rs") {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (number, line) in code.lines().enumerate() {
                let statement = line.split("//").next().unwrap_or_default();
                if let Some(word) = FORBIDDEN.iter().find(|word| statement.contains(**word)) {
                    faults.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    none("a pure room touches the world", &faults);
}

#[test]
fn pure_rooms_depend_on_no_runtime() {
    let mut faults = Vec::new();
    for name in PURE {
        let manifest = manifest(name);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for banned in ["tokio", "rand", "getrandom", "hyper", "libc", "rustix"] {
            if dependencies.contains_key(banned) {
                faults.push(format!("{name} depends on {banned}"));
            }
        }
    }
    none("a pure room depends on a runtime", &faults);
}
