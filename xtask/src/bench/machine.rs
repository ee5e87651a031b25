//! What a bench ran on: the machine, and the versions of the programs beside it.

use std::process::Command;

/// The machine, as a sentence.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Machine: {model}, {cores} cores, Linux {}; load {} when it began.",
        kernel.split('-').next().unwrap_or_default().trim(),
        load.split(' ').next().unwrap_or("unknown")
    )
}

/// What the peers call themselves, such as `nginx 1.22.1, haproxy 2.6.12, wrk 4.1.0`.
pub(crate) fn peers() -> String {
    ["nginx", "haproxy", "wrk"].map(|program| format!("{program} {}", version(program))).join(", ")
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("-v").output();
    // nginx tells it on standard error, haproxy and wrk on standard output.
    let told = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    number_in(&String::from_utf8_lossy(&told)).unwrap_or_else(|| "of unknown version".to_owned())
}

/// The first version number of a text: digits and at least one dot, without what a distribution adds.
fn number_in(text: &str) -> Option<String> {
    text.split(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()))
        .map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_programs_say() {
        for (text, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u2 2025/04/25 - https://haproxy.org/\n", "2.6.12"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer\n", "4.1.0"),
        ] {
            assert_eq!(number_in(text).as_deref(), Some(version), "{text}");
        }
        assert_eq!(number_in("no number..."), None);
    }
}
