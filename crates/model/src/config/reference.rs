//! The reference of the file in Markdown, made from the table of keys: a part of `docs/configuration.md`.

use std::fmt::Write as _;

use super::Part;
use super::keys::{FILE_KEYS, Key, Kind};

/// Every key of the file, table by table, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    section(&mut out, "At the top", "", FILE_KEYS);
    out.push_str("### Not carried out yet\n\nThese keys are refused with a message that says so, never ignored.\n\n");
    out.push_str("| key | today |\n|---|---|\n");
    later(&mut out, "", FILE_KEYS);
    out
}

fn section(out: &mut String, title: &str, intro: &str, keys: &[Key]) {
    let _ = writeln!(out, "### {title}\n");
    if !intro.is_empty() {
        let _ = writeln!(out, "{intro}\n");
    }
    let carried_out = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later { .. }));
    out.push_str("| key | value | default | belongs to | meaning |\n|---|---|---|---|---|\n");
    for key in carried_out() {
        let default = match key.default {
            Some(default) => format!("`{default}`"),
            None if key.required => "required".to_owned(),
            None => "none".to_owned(),
        };
        let _ =
            writeln!(out, "| `{}` | {} | {default} | {} | {} |", key.name, value(&key.kind), part(key.part), key.doc);
    }
    out.push('\n');
    for key in carried_out() {
        match &key.kind {
            Kind::Table(keys) | Kind::Tables(keys) => section(out, &format!("`{}`", key.example), key.doc, keys),
            Kind::Processes(keys) => section(out, "`[process.NAME]`", key.doc, keys),
            Kind::Text(_)
            | Kind::TextOrList(_)
            | Kind::List(_)
            | Kind::Flag
            | Kind::Whole { .. }
            | Kind::CountOrText { .. }
            | Kind::Duration { .. }
            | Kind::Choice(_)
            | Kind::WordOrTable { .. }
            | Kind::Environment
            | Kind::Later { .. } => {}
        }
    }
}

fn later(out: &mut String, path: &str, keys: &[Key]) {
    for key in keys {
        match &key.kind {
            Kind::Later { instead } => {
                let _ = writeln!(out, "| `{path}{}` | {instead} |", key.name);
            }
            Kind::Table(keys) | Kind::Tables(keys) | Kind::Processes(keys) => {
                later(out, &format!("{path}{}.", key.name), keys);
            }
            Kind::Text(_)
            | Kind::TextOrList(_)
            | Kind::List(_)
            | Kind::Flag
            | Kind::Choice(_)
            | Kind::Whole { .. }
            | Kind::CountOrText { .. }
            | Kind::Duration { .. }
            | Kind::WordOrTable { .. }
            | Kind::Environment => {}
        }
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text(rule) => rule.what.to_owned(),
        Kind::TextOrList(rule) => format!("{} or a list of them", rule.what),
        Kind::List(rule) => format!("a list, each {}", rule.what),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Whole { least, most } => format!("{least} to {most}"),
        Kind::CountOrText { rule, .. } => rule.what.to_owned(),
        Kind::Duration { least } => format!("a duration, at least {least}"),
        Kind::Choice(known) => known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::WordOrTable { known, keys } => {
            let words = known.iter().map(|word| format!("`{word}`"));
            words.chain(keys.iter().map(|key| format!("`{{ {} }}`", key.example))).collect::<Vec<_>>().join(", ")
        }
        Kind::Table(_) => "a table".to_owned(),
        Kind::Tables(_) => "a list of tables".to_owned(),
        Kind::Processes(_) => "tables named after process types".to_owned(),
        Kind::Environment => "names and texts".to_owned(),
        Kind::Later { .. } => "not carried out yet".to_owned(),
    }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Identity => "the app",
        Part::Build => "the build",
        Part::Revision => "the revision",
        Part::Policy => "the policy",
    }
}
