//! The document held against the table of keys: every value that survives has its type, unit and bounds.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use crate::time::Span;

use super::key::{Key, Kind};
use super::mistake::Mistake;
use super::nearest::nearest;
use super::value::check_value;
use super::wording::{instead, join, unknown};

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
    /// Keys that were written, or meant, and not written well.
    tried: Vec<&'static str>,
    /// Where the table itself stands.
    pub(super) at: Range<usize>,
}

impl Node {
    /// A table without a key of its own in the file.
    pub(super) fn empty(keys: &'static [Key], at: Range<usize>) -> Self {
        Self { keys, values: BTreeMap::new(), tried: Vec::new(), at }
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

    /// Whether the key was written as a table.
    pub(super) fn has_table(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Table(_)))
    }

    /// Whether the key was written or meant, well or not.
    pub(super) fn was_tried(&self, name: &str) -> bool {
        self.has(name) || self.tried.contains(&name)
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

    /// The number of a key that may be a text as well, where it was written as a number.
    pub(super) fn count(&self, name: &str) -> Option<u32> {
        match self.value(name) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
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
            (_, Kind::Table(keys) | Kind::WordOrTable { keys, .. }) => Self::empty(keys, self.at.clone()),
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
            misspelt.extend(nearest(name.get_ref(), keys.iter().map(|key| key.name)));
            continue;
        };
        let path = join(path, key.name);
        if let Kind::Later { instead } = &key.kind {
            mistakes.add(name.span(), format!("\"{path}\" is not carried out yet"), *instead);
            continue;
        }
        if let Some(value) = check_value(value, key, &path, mistakes) {
            node.values.insert(key.name, value);
        } else {
            node.tried.push(key.name);
        }
    }
    for key in keys.iter().filter(|key| key.required) {
        if !mistakes.is_broken && !table.contains_key(key.name) && !misspelt.contains(&key.name) {
            let place = if path.is_empty() { "the file".to_owned() } else { format!("[{path}]") };
            mistakes.add(at.clone(), format!("{place} has no \"{}\"", key.name), format!("write: {}", key.example));
        }
    }
    node.tried.append(&mut misspelt);
    node
}
