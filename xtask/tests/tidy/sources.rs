//! How the sources are laid out, and what they must not say.

use std::collections::BTreeSet;

use crate::code::lines;
use crate::tree::{files, none};

fn rust() -> Vec<(String, String)> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

#[test]
fn files_are_named_after_what_is_in_them() {
    let vague = ["utils", "util", "helpers", "helper", "common", "misc", "types", "manager", "handler", "processor"];
    let faults: Vec<_> = files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.ends_with(".rs"))
        .filter(|path| path.split(['/', '.']).any(|part| vague.contains(&part)))
        .collect();
    none("a name that says nothing", &faults);
}

#[test]
fn each_room_opens_with_what_it_is_and_where_to_begin() {
    let faults: Vec<_> = rust()
        .into_iter()
        .filter(|(path, _)| path.starts_with("crates/") && path.ends_with("/src/lib.rs"))
        .filter(|(_, text)| {
            let opening: Vec<_> = text.lines().take_while(|line| line.starts_with("//!")).collect();
            let opening = opening.join(" ").to_lowercase();
            !(opening.contains("promise") && opening.contains("must never") && opening.contains("begin reading"))
        })
        .map(|(path, _)| path)
        .collect();
    none("lib.rs says what the room promises, what it must never do, and where to begin reading", &faults);
}

#[test]
fn only_the_binary_prints() {
    let may_print = ["crates/switchover/", "crates/testkit/", "xtask/"];
    let mut faults = Vec::new();
    for (path, text) in rust() {
        if may_print.iter().any(|prefix| path.starts_with(prefix))
            || !path.contains("/src/")
            || path.contains("/src/bin/")
        {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let statement = line.split("//").next().unwrap_or_default();
            if ["println!(", "print!(", "eprint!(", "eprintln!("].iter().any(|word| statement.contains(word)) {
                faults.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none("a library prints", &faults);
}

#[test]
fn only_the_journal_touches_its_files() {
    let mut faults = Vec::new();
    for (path, text) in rust() {
        if path.starts_with("crates/journal/") || path.starts_with("xtask/") || path.contains("/tests/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("journal.sqlite") || line.contains("rusqlite") {
                faults.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none("the journal's files are named outside of its room", &faults);
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let mut faults = Vec::new();
    for (path, text) in rust() {
        if path.starts_with("xtask/tests/") {
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_block = code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn");
            let nearby = lines[number.saturating_sub(8)..=number].join("\n").to_lowercase();
            if is_block && !nearby.contains("safety") {
                faults.push(format!("{path}:{}: unsafe without a safety comment", number + 1));
            }
        }
    }
    none("unsafe code without its reason", &faults);
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let home = ["/ro", "ot/"].concat();
    let work = ["/wo", "rk/"].concat();
    let proxy = ["artif", "actory"].concat();
    let mut faults = Vec::new();
    for (path, text) in files() {
        for (number, line) in text.lines().enumerate() {
            if [&home, &work, &proxy].iter().any(|word| line.contains(word.as_str())) {
                faults.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("a path or host of one machine", &faults);
}

#[test]
fn a_lint_is_expected_with_a_reason_and_not_allowed() {
    let mut faults = Vec::new();
    for (path, text) in rust() {
        for (number, line) in lines(&text).iter().enumerate() {
            let code = line.code.trim_start();
            // Shared by several test programs, of which each uses its own part: what one leaves unused, another uses.
            let is_shared = path.contains("/tests/") && path.ends_with("/mod.rs") && code.contains("allow(dead_code,");
            if (code.starts_with("#[allow(") || code.starts_with("#![allow(")) && !is_shared {
                faults.push(format!("{path}:{}: write expect and the reason", number + 1));
            }
        }
    }
    none("a lint that is switched off", &faults);
}

#[test]
fn whatever_is_told_to_the_product_by_a_variable_is_read_by_somebody() {
    let names = |text: &str| -> BTreeSet<String> {
        text.split('"')
            .filter(|word| word.strip_prefix("SWITCHOVER_").is_some_and(|rest| !rest.is_empty()))
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
            .map(ToOwned::to_owned)
            .collect()
    };
    let mut known = BTreeSet::new();
    let mut told = Vec::new();
    for (path, text) in rust() {
        let is_product = path.starts_with("crates/") && path.contains("/src/");
        for (number, line) in text.lines().enumerate() {
            let is_read = line.contains("env::var") || line.contains("env = ");
            if is_product || is_read {
                known.extend(names(line));
            } else if line.contains(".env(") {
                told.extend(names(line).into_iter().map(|name| (name, format!("{path}:{}", number + 1))));
            }
        }
    }
    assert!(told.len() > 3, "only {} variables are told: the search is broken", told.len());
    let faults: Vec<_> =
        told.iter().filter(|(name, _)| !known.contains(name)).map(|(name, at)| format!("{at}: {name}")).collect();
    none("a variable that nobody reads", &faults);
}
