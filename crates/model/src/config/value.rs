//! One value held against its key, by what kind of value the key takes.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use crate::time::{Span, SpanError};

use super::check::{Mistakes, Node, Value, check_table};
use super::key::{Key, Kind, LONGEST_SPAN};
use super::text_rule::{TextRule, breaks_env_name, breaks_process_name};
use super::wording::{choose, join, wanted, write, wrong_type, wrong_word};

/// Holds one value against its key.
pub(super) fn check_value(
    value: &Spanned<DeValue<'_>>,
    key: &'static Key,
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<(Value, Range<usize>)> {
    let at = value.span();
    let checked = match (&key.kind, value.get_ref()) {
        (Kind::Text(rule) | Kind::TextOrList(rule), DeValue::String(text)) => {
            let text = check_text(text, at.clone(), rule, key, mistakes)?;
            match key.kind {
                Kind::TextOrList(_) => Value::List(vec![(text, at.clone())]),
                _ => Value::Text(text),
            }
        }
        (Kind::List(rule) | Kind::TextOrList(rule), DeValue::Array(items)) => {
            Value::List(check_list(items, at.clone(), rule, key, path, mistakes)?)
        }
        (Kind::CountOrText { rule, .. }, DeValue::String(text)) => {
            Value::Text(check_text(text, at.clone(), rule, key, mistakes)?)
        }
        (Kind::CountOrText { most, .. }, DeValue::Integer(number)) => {
            Value::Whole(check_whole(number, at.clone(), (1, *most), key, path, mistakes)?)
        }
        (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
        (Kind::Whole { least, most }, DeValue::Integer(number)) => {
            Value::Whole(check_whole(number, at.clone(), (*least, *most), key, path, mistakes)?)
        }
        (Kind::Duration { least }, DeValue::String(text)) => {
            Value::Duration(check_span(text, &at, *least, key, path, mistakes)?)
        }
        (Kind::Duration { .. }, DeValue::Integer(number)) => {
            mistakes.add(at, SpanError::NoUnit(number.to_string()).to_string(), write(key));
            return None;
        }
        (Kind::Choice(known) | Kind::WordOrTable { known, .. }, DeValue::String(word)) => {
            Value::Text(check_word(word, &at, known, path, mistakes)?)
        }
        (Kind::Table(keys) | Kind::WordOrTable { keys, .. }, DeValue::Table(table)) => {
            Value::Table(check_table(table, at.clone(), keys, path, mistakes))
        }
        (Kind::Tables(keys), DeValue::Array(items)) => {
            let mut nodes = Vec::new();
            for item in items {
                match item.get_ref() {
                    DeValue::Table(table) => nodes.push(check_table(table, item.span(), keys, path, mistakes)),
                    other => mistakes.add(item.span(), wrong_type(path, "a list of tables", other), write(key)),
                }
            }
            Value::Tables(nodes)
        }
        (Kind::Tables(_), DeValue::Table(_)) => {
            mistakes.add(at, format!("\"{path}\" is a list of tables: its header has two brackets"), write(key));
            return None;
        }
        (Kind::Processes(keys), DeValue::Table(table)) => {
            Value::Processes(check_processes(table, &at, keys, path, mistakes))
        }
        (Kind::Environment, DeValue::Table(table)) => Value::Environment(check_environment(table, path, mistakes)),
        (kind, other) => {
            mistakes.add(at, wrong_type(path, wanted(kind), other), write(key));
            return None;
        }
    };
    Some((checked, at))
}

fn check_text(text: &str, at: Range<usize>, rule: &TextRule, key: &Key, mistakes: &mut Mistakes<'_>) -> Option<String> {
    match (rule.breaks)(text) {
        None => Some(text.to_owned()),
        Some(why) => {
            mistakes.add(at, why, format!("write {}, such as: {}", rule.what, key.example));
            None
        }
    }
}

fn check_word(
    word: &str,
    at: &Range<usize>,
    known: &[&str],
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<String> {
    if !known.contains(&word) {
        mistakes.add(at.clone(), wrong_word(word, path, known), choose(word, known));
        return None;
    }
    Some(word.to_owned())
}

fn check_list(
    items: &DeArray<'_>,
    at: Range<usize>,
    rule: &TextRule,
    key: &Key,
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<(String, Range<usize>)>> {
    if items.is_empty() {
        mistakes.add(at, format!("\"{path}\" is an empty list"), format!("{}, or leave it out", write(key)));
        return None;
    }
    let mut list = Vec::new();
    for item in items {
        let DeValue::String(text) = item.get_ref() else {
            mistakes.add(item.span(), wrong_type(path, "a list of texts", item.get_ref()), write(key));
            continue;
        };
        list.extend(check_text(text, item.span(), rule, key, mistakes).map(|text| (text, item.span())));
    }
    Some(list)
}

fn check_whole(
    number: &DeInteger<'_>,
    at: Range<usize>,
    (least, most): (u32, u32),
    key: &Key,
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<u32> {
    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
    let within = parsed.and_then(|number| u32::try_from(number).ok()).filter(|number| (least..=most).contains(number));
    if within.is_none() {
        mistakes.add(at, format!("\"{path}\" is {number}; it must be {least} to {most}"), write(key));
    }
    within
}

fn check_span(
    text: &str,
    at: &Range<usize>,
    least: Span,
    key: &Key,
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<Span> {
    let cause = match text.parse::<Span>() {
        Ok(span) if span < least => format!("\"{path}\" is {span}; it must be at least {least}"),
        Ok(span) if span > LONGEST_SPAN => format!("\"{path}\" is {span}; it must be at most {LONGEST_SPAN}"),
        Ok(span) => return Some(span),
        Err(error) => error.to_string(),
    };
    mistakes.add(at.clone(), cause, write(key));
    None
}

fn check_processes(
    table: &DeTable<'_>,
    at: &Range<usize>,
    keys: &'static [Key],
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Vec<(String, Node)> {
    let mut processes = Vec::new();
    if table.is_empty() {
        mistakes.add(
            at.clone(),
            "there is no process type",
            "write:\n[process.web]\ncommand = \"bin/shop --port $PORT\"",
        );
    }
    for (name, value) in table {
        let text = name.get_ref().as_ref();
        let DeValue::Table(process) = value.get_ref() else {
            // `[process]` with the keys of a process type right in it: the name was forgotten.
            let cause = format!("\"{text}\" stands in [{path}], where only tables named after process types stand");
            mistakes.add(name.span(), cause, "write the name of the process type into the header: [process.web]");
            continue;
        };
        if let Some(why) = breaks_process_name(text) {
            mistakes.add(name.span(), why, "write a process name, such as: [process.web]");
            continue;
        }
        // The header is where a process type stands; its table begins there.
        let node = check_table(process, value.span(), keys, &join(path, text), mistakes);
        processes.push((text.to_owned(), node));
    }
    processes.sort_by_key(|(_, node)| node.at.start);
    processes
}

fn check_environment(table: &DeTable<'_>, path: &str, mistakes: &mut Mistakes<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (name, value) in table {
        let text = name.get_ref().as_ref();
        if let Some(why) = breaks_env_name(text) {
            mistakes.add(name.span(), why, "write another name, such as: RAILS_ENV = \"production\"");
            continue;
        }
        match value.get_ref() {
            DeValue::String(content) if content.contains('\0') => {
                mistakes.add(value.span(), format!("\"{path}.{text}\" contains a zero byte"), "write it without");
            }
            DeValue::String(content) => {
                variables.insert(text.to_owned(), content.to_string());
            }
            DeValue::Integer(number) => {
                let cause = wrong_type(&join(path, text), "a text", value.get_ref());
                mistakes.add(value.span(), cause, format!("write: {text} = \"{number}\""));
            }
            DeValue::Boolean(flag) => {
                let cause = wrong_type(&join(path, text), "a text", value.get_ref());
                mistakes.add(value.span(), cause, format!("write: {text} = \"{flag}\""));
            }
            other => {
                let cause = wrong_type(&join(path, text), "a text", other);
                mistakes.add(value.span(), cause, format!("write: {text} = \"...\""));
            }
        }
    }
    variables
}
