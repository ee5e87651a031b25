//! The document held against the table of keys: every value that survives has its type, unit and bounds.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::time::{Span, SpanError};

use super::keys::{self, Key, Kind, LONGEST_SPAN, TextRule};
use super::mistake::Mistake;

/// Collects the mistakes of one file.
pub(super) struct Mistakes<'a> {
    source: &'a str,
    file: &'a str,
    found: Vec<(Range<usize>, Mistake)>,
    /// Parts of the file could not be read, so that nothing can be said to be missing.
    pub(super) is_broken: bool,
}

impl<'a> Mistakes<'a> {
    pub(super) fn new(source: &'a str, file: &'a str) -> Self {
        Self { source, file, found: Vec::new(), is_broken: false }
    }

    pub(super) fn add(&mut self, at: Range<usize>, cause: impl Into<String>, write: impl Into<String>) {
        let mistake = Mistake::at(self.source, self.file, &at, cause.into(), write.into());
        self.found.push((at, mistake));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The mistakes in the order of the file, each once.
    pub(super) fn in_order(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|(at, _)| at.start);
        let mut mistakes: Vec<Mistake> = self.found.into_iter().map(|(_, mistake)| mistake).collect();
        mistakes.dedup();
        mistakes
    }

    /// The lines that have a mistake so far.
    pub(super) fn lines(&self) -> Vec<usize> {
        self.found.iter().map(|(_, mistake)| mistake.line).collect()
    }

    /// Drops the mistakes found after the first `kept` that stand on one of `lines`.
    pub(super) fn drop_on_lines(&mut self, kept: usize, lines: &[usize]) {
        let mut at = 0;
        self.found.retain(|(place, mistake)| {
            at += 1;
            // A value that was made up for what could not be read stands nowhere.
            at <= kept || !(lines.contains(&mistake.line) || place.is_empty())
        });
    }
}

/// A value that keeps the rules of its key.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    List(Vec<(String, Range<usize>)>),
    Flag(bool),
    Whole(u32),
    Duration(Span),
    Table(Node),
    Tables(Vec<Node>),
    Processes(Vec<(String, Node)>),
    Environment(BTreeMap<String, String>),
}

/// A table whose values keep the rules of their keys.
#[derive(Debug, Clone)]
pub(super) struct Node {
    keys: &'static [Key],
    values: BTreeMap<&'static str, (Value, Range<usize>)>,
    /// Where the table itself stands.
    pub(super) at: Range<usize>,
}

impl Node {
    /// A table without a key of its own in the file.
    pub(super) fn empty(keys: &'static [Key], at: Range<usize>) -> Self {
        Self { keys, values: BTreeMap::new(), at }
    }

    fn key(&self, name: &str) -> &'static Key {
        self.keys.iter().find(|key| key.name == name).expect("the parser asks for keys of the table alone")
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(self.key(name).name).map(|(value, _)| value)
    }

    /// Whether the key was written, and written well.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Where the key's value stands, or the table when it was not written.
    pub(super) fn place(&self, name: &str) -> Range<usize> {
        self.values.get(self.key(name).name).map_or_else(|| self.at.clone(), |(_, at)| at.clone())
    }

    /// The text of the key, or its default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => self.key(name).default.map(str::to_owned),
        }
    }

    /// The texts of the key with their places.
    pub(super) fn list(&self, name: &str) -> &[(String, Range<usize>)] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The duration of the key, or its default.
    pub(super) fn duration(&self, name: &str) -> Span {
        match self.value(name) {
            Some(Value::Duration(span)) => *span,
            _ => self.default(name),
        }
    }

    /// The number of the key, or its default.
    pub(super) fn whole(&self, name: &str) -> u32 {
        match self.value(name) {
            Some(Value::Whole(number)) => *number,
            _ => self.default(name),
        }
    }

    /// The flag of the key, or its default.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Flag(flag)) => *flag,
            _ => self.default(name),
        }
    }

    fn default<T: std::str::FromStr>(&self, name: &str) -> T {
        self.key(name)
            .default
            .and_then(|text| text.parse().ok())
            .expect("a key that is read with a default has one that parses (tested)")
    }

    /// The table of the key; an empty one in the same place when it was not written.
    pub(super) fn table(&self, name: &str) -> Node {
        match (self.value(name), &self.key(name).kind) {
            (Some(Value::Table(node)), _) => node.clone(),
            (_, Kind::Table(keys)) => Self::empty(keys, self.at.clone()),
            (_, _) => Self::empty(&[], self.at.clone()),
        }
    }

    /// The tables of the key, in the order of the file.
    pub(super) fn tables(&self, name: &str) -> &[Node] {
        match self.value(name) {
            Some(Value::Tables(nodes)) => nodes,
            _ => &[],
        }
    }

    /// The process types with their names, in the order of the file.
    pub(super) fn processes(&self, name: &str) -> &[(String, Node)] {
        match self.value(name) {
            Some(Value::Processes(processes)) => processes,
            _ => &[],
        }
    }

    /// The environment variables of the key.
    pub(super) fn environment(&self, name: &str) -> BTreeMap<String, String> {
        match self.value(name) {
            Some(Value::Environment(variables)) => variables.clone(),
            _ => BTreeMap::new(),
        }
    }
}

/// Holds `table` against `keys`; `path` is where the table stands in the file, such as `process.web`.
pub(super) fn check_table(
    table: &DeTable<'_>,
    at: Range<usize>,
    keys: &'static [Key],
    path: &str,
    mistakes: &mut Mistakes<'_>,
) -> Node {
    let mut node = Node::empty(keys, at.clone());
    let mut misspelt = Vec::new();
    for (name, value) in table {
        let Some(key) = keys.iter().find(|key| key.name == name.get_ref().as_ref()) else {
            mistakes.add(name.span(), unknown(name.get_ref(), path), instead(name.get_ref(), keys));
            misspelt.extend(keys::nearest(name.get_ref(), keys.iter().map(|key| key.name)));
            continue;
        };
        let path = join(path, key.name);
        if let Kind::Later { instead } = &key.kind {
            mistakes.add(name.span(), format!("\"{path}\" is not carried out yet"), *instead);
            continue;
        }
        if let Some(value) = check_value(value, key, &path, mistakes) {
            node.values.insert(key.name, value);
        }
    }
    for key in keys.iter().filter(|key| key.required) {
        if !mistakes.is_broken && !table.contains_key(key.name) && !misspelt.contains(&key.name) {
            let place = if path.is_empty() { "the file".to_owned() } else { format!("[{path}]") };
            mistakes.add(at.clone(), format!("{place} has no \"{}\"", key.name), format!("write: {}", key.example));
        }
    }
    node
}

/// Holds one value against its key.
fn check_value(
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
            let mut list = Vec::new();
            for item in items {
                let DeValue::String(text) = item.get_ref() else {
                    mistakes.add(item.span(), wrong_type(path, "a list of texts", item.get_ref()), write(key));
                    continue;
                };
                list.extend(check_text(text, item.span(), rule, key, mistakes).map(|text| (text, item.span())));
            }
            if items.iter().next().is_none() {
                mistakes.add(at, format!("\"{path}\" is an empty list"), format!("{}, or leave it out", write(key)));
                return None;
            }
            Value::List(list)
        }
        (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
        (Kind::Whole { least, most }, DeValue::Integer(number)) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
            match parsed.and_then(|number| u32::try_from(number).ok()).filter(|number| (least..=most).contains(&number))
            {
                Some(number) => Value::Whole(number),
                None => {
                    mistakes.add(at, format!("\"{path}\" is {number}; it must be {least} to {most}"), write(key));
                    return None;
                }
            }
        }
        (Kind::Duration { least }, DeValue::String(text)) => {
            Value::Duration(check_span(text, &at, *least, key, path, mistakes)?)
        }
        (Kind::Duration { .. }, DeValue::Integer(number)) => {
            mistakes.add(at, SpanError::NoUnit(number.to_string()).to_string(), write(key));
            return None;
        }
        (Kind::Choice { known, later }, DeValue::String(word)) => {
            if !known.contains(&word.as_ref()) {
                mistakes.add(at, wrong_word(word, path, known, later), choose(word, known));
                return None;
            }
            Value::Text(word.to_string())
        }
        (Kind::Table(keys), DeValue::Table(table)) => {
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
        if let Some(why) = keys::breaks_process_name(text) {
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
        if let Some(why) = keys::breaks_env_name(text) {
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

// === Wording ===

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn write(key: &Key) -> String {
    format!("write: {}", key.example)
}

fn unknown(name: &str, path: &str) -> String {
    if path.is_empty() {
        format!("there is no key or table \"{name}\"")
    } else {
        format!("[{path}] has no key \"{name}\"")
    }
}

fn instead(name: &str, keys: &[Key]) -> String {
    let carried_out = |key: &&Key| !matches!(key.kind, Kind::Later { .. });
    match keys::nearest(name, keys.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let known: Vec<&str> = keys.iter().filter(carried_out).map(|key| key.name).collect();
            format!("known here: {}", known.join(", "))
        }
    }
}

fn wrong_word(word: &str, path: &str, known: &[&str], later: &[&str]) -> String {
    if later.contains(&word) {
        format!("{path} = \"{word}\" is not carried out yet")
    } else {
        format!("\"{word}\" is none of the words for \"{path}\": {}", known.join(", "))
    }
}

fn choose(word: &str, known: &[&str]) -> String {
    match keys::nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            format!("write one of: {}", known.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) | Kind::Choice { .. } => "a text",
        Kind::TextOrList(_) => "a text or a list of texts",
        Kind::List(_) => "a list of texts",
        Kind::Flag => "true or false",
        Kind::Whole { .. } => "a whole number",
        Kind::Duration { .. } => "a duration in quotes, with its unit",
        Kind::Table(_) | Kind::Processes(_) | Kind::Environment => "a table",
        Kind::Tables(_) => "a list of tables",
        Kind::Later { .. } => "left out",
    }
}

fn wrong_type(path: &str, wanted: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("\"{path}\" must be {wanted}, not {found}")
}
