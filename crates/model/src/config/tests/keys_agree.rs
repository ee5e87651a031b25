//! The table of keys, the parser, the schema, the diff and the reference say the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::keys::{FILE_KEYS, Key, Kind};
use crate::config::*;

use super::accepted::{COMMANDS, FRAMEWORK, FULL};
use super::checks::CHECKS;
use super::experiment::AB;
use super::goals::ASKED;
use super::rolling::ROLLING;
use super::shadow::SHADOW;
use super::steps::{LINEAR, PRESET};
use super::{bad, good};

/// Calls `visit` with the path of every key, those of process types under `process.*`.
fn walk(keys: &'static [Key], path: &str, visit: &mut dyn FnMut(&str, &'static Key)) {
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        visit(&path, key);
        match &key.kind {
            Kind::Table(keys) | Kind::Tables(keys) => walk(keys, &path, visit),
            Kind::Processes(keys) => walk(keys, &format!("{path}.*"), visit),
            _ => {}
        }
    }
}

#[test]
fn every_default_keeps_the_rule_of_its_own_key() {
    walk(FILE_KEYS, "", &mut |path, key| {
        let Some(default) = key.default else { return };
        let kept = match &key.kind {
            Kind::Flag => default.parse::<bool>().is_ok(),
            Kind::Whole { least, most } => (*least..=*most).contains(&default.parse().unwrap()),
            Kind::Duration { least } => default.parse::<Span>().unwrap() >= *least,
            Kind::Choice(known) | Kind::WordOrTable { known, .. } => known.contains(&default),
            Kind::Text(rule) | Kind::CountOrText { rule, .. } => (rule.breaks)(default).is_none(),
            other => panic!("{path} has a default and is {other:?}"),
        };
        assert!(kept, "{path} = {default}");
    });
}

const CHECK: &str = "[[release.check]]\nname = \"a\"\nmeasure = \"errors\"\nmax = \"1%\"\n";

/// A check with the line of `path`'s key, beside which it needs others.
fn check_with(path: &str, example: &str) -> String {
    let own = path.rsplit_once('.').map_or(path, |(_, own)| own);
    let others = match own {
        "name" => "measure = \"errors\"\nmax = \"1%\"",
        "quantile" => "name = \"a\"\nmeasure = \"latency\"\nmax = \"1s\"",
        "prometheus" => "name = \"a\"\nquery = \"up{slot='$SLOT'}\"\nmax = \"1\"",
        "query" => "name = \"a\"\nprometheus = \"http://localhost:9090\"\nmax = \"1\"",
        "command" | "url" => "name = \"a\"\nmax = \"1\"",
        "token" => "name = \"a\"\nurl = \"http://localhost/x\"\nmax = \"1\"",
        "measure" => "name = \"a\"\nmax = \"1%\"",
        "max" | "worse_by" => "name = \"a\"\nmeasure = \"errors\"",
        "min" => "name = \"a\"\nmeasure = \"requests\"",
        "worse" => {
            "name = \"a\"\nprometheus = \"http://localhost:9090\"\nquery = \"up{slot='$SLOT'}\"\nworse_by = \"10%\""
        }
        "interval" | "timeout" | "allowed" => "name = \"a\"\ncommand = \"a\"\nmax = \"1\"",
        _ => "name = \"a\"\nmeasure = \"errors\"\nmax = \"1%\"",
    };
    format!("[[release.check]]\n{others}\n{example}\n")
}

/// The same of who is told.
fn notify_with(path: &str, example: &str) -> String {
    let needs = match path.rsplit_once('.').map_or(path, |(_, own)| own) {
        "url" => "secret = \"S\"\n",
        "secret" => "url = \"http://a/\"\n",
        "command" => "",
        _ => "command = \"a\"\n",
    };
    format!("[secrets]\nfile = \"s\"\n[[notify]]\n{needs}{example}\n")
}

/// An experiment with one key as its example writes it, and what that key needs beside it.
fn experiment_with(table: &str, own: &str, example: &str) -> String {
    let beside = |own_table: &str, lines: &[&str]| -> String {
        let is_own = table == own_table;
        let others = lines.iter().filter(|line| !(is_own && line.starts_with(&format!("{own} "))));
        let own_line = if is_own { format!("{example}\n") } else { String::new() };
        others.map(|line| format!("{line}\n")).collect::<String>() + &own_line
    };
    let tries = beside("release.experiment", &["share = \"50%\"", "for = \"7d\""]);
    let looks_at = if own == "value" { "header = \"X-A\"" } else { "value = \"1\"" };
    let matches = if table == "release.experiment.match" {
        format!("[[release.experiment.match]]\n{looks_at}\n{example}\n")
    } else {
        String::new()
    };
    let source = match (table, own) {
        ("release.goal", "prometheus") => "query = \"a{slot='$SLOT'}\"",
        ("release.goal", "query") => "prometheus = \"http://a/\"",
        ("release.goal", "token") => "url = \"http://a/$SLOT\"",
        ("release.goal", "interval" | "timeout" | "lag") => "command = \"a\"",
        ("release.goal", "url" | "command") => "",
        (_, _) => "request = \"GET / 2xx\"",
    };
    let goal = beside("release.goal", &["name = \"a\"", source]);
    let tries = if own == "at_least" { tries.replace("7d", "30d") } else { tries };
    format!(
        "[secrets]\nfile = \"s\"\n[release]\nstrategy = \"ab\"\n[release.experiment]\n{tries}{matches}[[release.goal]]\n{goal}"
    )
}

/// A hook with one key as its example writes it, and what that key needs beside it.
fn hook_with(path: &str, example: &str) -> String {
    let secrets = "[secrets]\nfile = \"s\"\n";
    let needs = match path.rsplit_once('.').map_or(path, |(_, own)| own) {
        "stage" => "command = \"a\"\n",
        "command" | "url" => "stage = \"verify\"\n",
        "method" | "token" => "stage = \"verify\"\nurl = \"http://a/\"\n",
        _ => "stage = \"verify\"\ncommand = \"a\"\n",
    };
    format!("{secrets}[[release.hook]]\n{needs}{example}\n")
}

#[test]
fn every_example_is_accepted_where_it_stands() {
    walk(FILE_KEYS, "", &mut |path, key| {
        let name = "name = \"shop\"\n";
        let web = "[process.web]\ncommand = \"a\"\n";
        let example = key.example;
        let database = "[database]\nmigrations = \"db\"\n";
        let text = match path.rsplit_once('.').map_or("", |(parent, _)| parent) {
            "" if path == "name" => format!("{example}\n{web}"),
            "" if matches!(key.kind, Kind::Choice(_)) => format!("{name}{example}\n{web}"),
            // These tables need a key of their own, which has its own example.
            "" if ["database", "process", "secrets", "shared"].contains(&path) => return,
            // It needs to know whom.
            "" if path == "notify" => return,
            "" => format!("{name}{web}{example}\n"),
            "notify" => format!("{name}{web}{}", notify_with(path, example)),
            "process.*" if path.ends_with("handover") => {
                format!("{name}[process.queue]\ncommand = \"a\"\n{example}\n")
            }
            "process.*" if path.ends_with("command") => format!("{name}[process.web]\n{example}\n"),
            "process.*" => format!("{name}{web}{example}\n"),
            "process.*.health" => format!("{name}{web}[process.web.health]\n{example}\n"),
            "process.*.stop" => format!("{name}{web}[process.web.stop]\n{example}\n"),
            table if table.starts_with("release") => match release_example(table, path, example) {
                Some(more) => format!("{name}{web}{more}\n"),
                None => return,
            },
            "database" if example.starts_with("[[") => return,
            "database" if path.ends_with("migrations") => format!("{name}{web}[database]\n{example}\n"),
            "database" if path.ends_with("framework") || path.ends_with("commands") => {
                format!("{name}{web}[database]\n{example}\n")
            }
            "database" if path.ends_with(".command") || path.ends_with("vouch") => {
                format!("{name}{web}[database]\nframework = \"django\"\n{example}\n")
            }
            "database" => format!("{name}{web}{database}{example}\n"),
            "database.commands" => {
                let all = ["status = \"a\"", "expand = \"a\""];
                let own = path.rsplit_once('.').map_or(path, |(_, own)| own);
                let others: Vec<&str> = all.into_iter().filter(|line| !line.starts_with(own)).collect();
                format!("{name}{web}[database.commands]\n{}\n{example}\n", others.join("\n"))
            }
            "database.backup" if path.ends_with("command") => {
                format!("{name}{web}{database}[database.backup]\n{example}\n")
            }
            "database.backup" => format!("{name}{web}{database}[database.backup]\ncommand = \"a\"\n{example}\n"),
            "database.invariant" => {
                let all = ["name = \"a\"", "query = \"SELECT 1\""];
                let own = path.rsplit_once('.').map_or(path, |(_, own)| own);
                let others: Vec<&str> = all.into_iter().filter(|line| !line.starts_with(own)).collect();
                format!("{name}{web}{database}[[database.invariant]]\n{}\n{example}\n", others.join("\n"))
            }
            table => format!("{name}{web}[{table}]\n{example}\n"),
        };
        if matches!(key.kind, Kind::Later { .. }) {
            assert!(bad(&text).contains("is not carried out yet"), "{path}: {text}");
        } else {
            good(&text);
        }
    });
}

/// The example of a key below `[release]` where it stands; nothing where it needs keys of its own, which have examples.
fn release_example(table: &str, path: &str, example: &str) -> Option<String> {
    let own = path.rsplit_once('.').map_or(path, |(_, own)| own);
    let beside = |lines: [&'static str; 2]| -> String {
        lines.into_iter().filter(|line| !line.starts_with(own)).map(|line| format!("{line}\n")).collect()
    };
    let strategy = |word: &str| format!("[release]\nstrategy = \"{word}\"\n");
    Some(match (table, own) {
        ("release", "hook" | "step" | "check" | "experiment" | "goal") => return None,
        ("release.experiment" | "release.experiment.match" | "release.goal", _) => experiment_with(table, own, example),
        ("release", "false_alarms" | "evidence_timeout" | "no_evidence") => format!("[release]\n{example}\n{CHECK}"),
        ("release.check", _) => format!("[secrets]\nfile = \"s.env\"\n{}", check_with(path, example)),
        ("release", "approve_timeout") => format!("[release]\napprove = true\n{example}"),
        ("release", "canary" | "linear" | "rolling") => format!("{}{example}", strategy(own)),
        ("release.rolling", _) => format!("{}[release.rolling]\n{example}", strategy("rolling")),
        ("release.linear", _) => format!("{}[release.linear]\n{example}", strategy("linear")),
        ("release.step", _) => {
            let others = beside(["share = \"10%\"", "for = \"1m\""]);
            format!("{}[[release.step]]\n{others}{example}", strategy("canary"))
        }
        ("release.hook", _) => hook_with(path, example),
        ("release.shadow" | "release.shadow.compare", _) => format!("[{table}]\n{example}"),
        ("release", _) if example.starts_with("[[") => example.to_owned(),
        (_, _) => format!("[release]\n{example}"),
    })
}

/// The key without the name of its process and its place in a list.
fn unnumbered(key: &str) -> String {
    let parts = key.split('.').filter(|part| part.parse::<usize>().is_err());
    parts.collect::<Vec<_>>().join(".").replace(".web.", ".*.").replace(".mailer.", ".*.")
}

#[test]
fn the_full_example_writes_every_key_and_the_diff_shows_each() {
    let all = [FULL, FRAMEWORK, COMMANDS, CHECKS, PRESET, LINEAR, ROLLING, SHADOW, AB, ASKED];
    let shown: BTreeSet<String> = all
        .into_iter()
        .flat_map(|text| diff(None, &good(text)))
        .map(|change| {
            let key = unnumbered(&change.key);
            if key.starts_with("env.") { "env".to_owned() } else { key }
        })
        .collect();
    let mut leaves = BTreeSet::new();
    walk(FILE_KEYS, "", &mut |path, key| match key.kind {
        Kind::Table(_) | Kind::Tables(_) | Kind::Processes(_) | Kind::Later { .. } => {}
        _ => {
            leaves.insert(path.to_owned());
        }
    });
    assert_eq!(leaves, shown);
}

#[test]
fn a_change_belongs_to_what_the_table_of_keys_says() {
    let mut parts = BTreeMap::new();
    walk(FILE_KEYS, "", &mut |path, key| {
        parts.insert(path.to_owned(), key.part);
    });
    for change in diff(None, &good(FULL)) {
        let key = unnumbered(&change.key);
        let key = if key.starts_with("env.") { "env".to_owned() } else { key };
        assert_eq!(parts[&key], change.part, "{key}");
    }
}

#[test]
fn the_schema_has_every_key_that_is_carried_out_and_no_other() {
    let schema = schema();
    walk(FILE_KEYS, "", &mut |path, key| {
        let pointer = path
            .split('.')
            .map(|name| if name == "*" { "/additionalProperties".to_owned() } else { format!("/properties/{name}") })
            .collect::<String>()
            .replace("/properties/step/properties", "/properties/step/items/properties")
            .replace("/properties/goal/properties", "/properties/goal/items/properties")
            .replace("/properties/match/properties", "/properties/match/items/properties")
            .replace("/properties/hook/properties", "/properties/hook/items/properties")
            .replace("/properties/check/properties", "/properties/check/items/properties")
            .replace("/properties/notify/properties", "/properties/notify/items/properties")
            .replace("/properties/invariant/properties", "/properties/invariant/items/properties");
        let there = schema.pointer(&pointer).is_some();
        assert_eq!(there, !matches!(key.kind, Kind::Later { .. }), "{pointer}");
    });
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["name", "process"]));
}

#[test]
fn the_configuration_page_holds_the_reference_and_files_that_are_right() {
    let begin = "<!-- reference: begin -->\n";
    let end = "<!-- reference: end -->";
    let page = include_str!("../../../../../docs/configuration.md");
    let (before, rest) = page.split_once(begin).expect("the page has the begin mark");
    let (_, after) = rest.split_once(end).expect("the page has the end mark");
    expect_test::expect_file!["../../../../../docs/configuration.md"]
        .assert_eq(&format!("{before}{begin}\n{}\n{end}{after}", reference()));

    let files: Vec<&str> = before.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(files.len() >= 2, "the page shows whole files");
    for file in files {
        good(file);
    }
}
