//! Only the router moves bytes of users' requests: nobody else takes connections from a network, or passes a stream on.

use std::collections::BTreeSet;

use crate::code::{lines, tests_begin};
use crate::tree::{manifest, none, room, rooms};

/// Rooms that may: the router, and what stands for users and apps in tests.
const MAY_MOVE: &[&str] = &["router", "testkit"];

/// Packages whose only use is to take or speak HTTP or raw sockets over a network, and the rooms that have another reason for them.
const PACKAGES: &[(&str, &[&str])] = &[
    // Both ends of the control API's unix socket; its server holds connections to a bound and heads to a time.
    // And what asks others over HTTP: hooks, webhooks, measurements. It takes no connection.
    ("hyper", &["api", "fetch", "switchover"]),
    ("hyper-util", &["api", "fetch", "switchover"]),
    ("axum", &["api"]),
    ("socket2", &[]),
    ("switchover-http1", &[]),
    ("h2", &[]),
    ("reqwest", &[]),
    ("tower", &[]),
    ("tokio-tungstenite", &[]),
];

/// Names in code that open, take or join streams of a network, and the files that have another reason for them.
const NAMES: &[(&str, &[&str])] = &[
    // A health probe asks an instance itself, and hooks and measurements are asked of others; a port is reserved by listening on it, and never accepted from. Prometheus reads
    // the daemon's metrics, and nobody anything else there.
    (
        "TcpStream",
        &["crates/platform/src/health.rs", "crates/api/src/metrics_address.rs", "crates/fetch/src/connect.rs"],
    ),
    ("TcpListener", &["crates/platform/src/port.rs", "crates/api/src/metrics_address.rs"]),
    ("TcpSocket", &[]),
    ("UdpSocket", &[]),
    ("copy_bidirectional", &[]),
    ("splice", &[]),
    ("sendfile", &[]),
];

#[test]
fn no_other_room_depends_on_what_moves_users_bytes() {
    let mut faults = Vec::new();
    for name in rooms().iter().filter(|name| !MAY_MOVE.contains(&name.as_str())) {
        let manifest = manifest(name);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for (package, reasons) in PACKAGES {
            if dependencies.contains_key(*package) && !reasons.contains(&name.as_str()) {
                faults.push(format!("{name} depends on {package}"));
            }
        }
    }
    none("a room besides the router could move users' bytes", &faults);
}

#[test]
fn no_other_room_opens_takes_or_joins_streams_of_a_network() {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for name in rooms().iter().filter(|name| !MAY_MOVE.contains(&name.as_str())) {
        for (path, text) in room(name).into_iter().filter(|(path, _)| path.contains("/src/")) {
            if path.ends_with("/tests.rs") || path.contains("/tests/") {
                continue;
            }
            let product = tests_begin(&text).unwrap_or(usize::MAX);
            for (number, line) in lines(&text).iter().enumerate().take_while(|(number, _)| number + 1 < product) {
                let words: BTreeSet<&str> =
                    line.code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
                for (word, reasons) in NAMES.iter().filter(|(word, _)| words.contains(word)) {
                    if reasons.contains(&path.as_str()) {
                        used.insert((*word, path.clone()));
                    } else {
                        faults.push(format!("{path}:{}: {word}", number + 1));
                    }
                }
            }
        }
    }
    for (word, reasons) in NAMES {
        let unused = reasons.iter().filter(|path| !used.contains(&(*word, (**path).to_owned())));
        faults.extend(unused.map(|path| format!("{path} does not name {word} any more, strike it off the list")));
    }
    none("a room besides the router could move users' bytes", &faults);
}
