//! YAML and JSON as values with their places in the file: the plain part of YAML that says everything where it stands.
//!
//! JSON is read as the YAML that it is (YAML 1.2, 1.2.1). Anchors, aliases, tags and several documents in one file are
//! refused: what a change does must be seen where it is written.

use std::collections::BTreeSet;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::mistake::Mistakes;

/// The longest file that is read, in bytes.
pub(crate) const LONGEST_FILE: usize = 1 << 20;
/// How deep lists and maps may lie in each other; the format needs nine.
const MOST_NESTED: usize = 16;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Its bytes in the file.
    pub(crate) at: Range<usize>,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Nothing is known of it, and that was told.
    Refused,
}

/// A key of a map with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Range<usize>,
    pub(crate) node: Node,
}

impl Value {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Refused => "refused",
        }
    }
}

/// Reads `text`. Where nothing comes back, at least one mistake was added.
pub(crate) fn read(text: &str, mistakes: &mut Mistakes<'_>) -> Option<Node> {
    if text.len() > LONGEST_FILE {
        mistakes.add(&(0..0), format!("the file is longer than {LONGEST_FILE} bytes"), "split it into several files");
        return None;
    }
    let mut reader = Reader { places: Places::of(text), open: Vec::new(), root: None, documents: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = reader.places.byte(error.marker().index());
                let format = if mistakes.is_json() { "JSON" } else { "YAML" };
                mistakes.add(&(at..at), format!("not {format}: {}", error.info()), "see https://yaml.org/spec/1.2.2/");
                return None;
            }
        };
        reader.take(event, span, mistakes)?;
    }
    if reader.root.is_none() {
        mistakes.add(&(0..0), "the file is empty", "write: operations: [...]");
    }
    reader.root
}

/// From characters, in which the parser counts, to bytes.
struct Places(Vec<usize>);

impl Places {
    fn of(text: &str) -> Self {
        Self(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    fn byte(&self, character: usize) -> usize {
        self.0.get(character).or(self.0.last()).copied().unwrap_or(0)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }
}

/// A list or map whose end is still to come.
enum Open {
    List(Vec<Node>, usize),
    Map { entries: Vec<Entry>, keys: BTreeSet<String>, key: Option<(Option<String>, Range<usize>)>, start: usize },
}

/// Builds the tree without calling itself, so that no file can exhaust the stack.
struct Reader {
    places: Places,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Reader {
    /// Takes the next event; nothing when reading can not go on.
    fn take(&mut self, event: Event<'_>, span: Span, mistakes: &mut Mistakes<'_>) -> Option<()> {
        let at = self.places.range(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    mistakes.add(&at, "a second document begins here", "write one document a file");
                    return None;
                }
            }
            Event::Alias(_) => {
                mistakes.add(&at, "an alias (*) stands here", "write the value itself");
                self.put(Node { value: Value::Refused, at }, mistakes);
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), &at, mistakes);
                let value = match style {
                    _ if tag.is_some() => Value::Refused,
                    ScalarStyle::Plain => plain(&text),
                    _ => Value::Text(text.into_owned()),
                };
                self.put(Node { value, at }, mistakes);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), &at, mistakes);
                self.push(Open::List(Vec::new(), at.start), &at, mistakes)?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), &at, mistakes);
                let map = Open::Map { entries: Vec::new(), keys: BTreeSet::new(), key: None, start: at.start };
                self.push(map, &at, mistakes)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop()? {
                    Open::List(items, start) => Node { value: Value::List(items), at: start..at.end.max(start) },
                    Open::Map { entries, start, .. } => {
                        Node { value: Value::Map(entries), at: start..at.end.max(start) }
                    }
                };
                self.put(node, mistakes);
            }
        }
        Some(())
    }

    fn push(&mut self, open: Open, at: &Range<usize>, mistakes: &mut Mistakes<'_>) -> Option<()> {
        if self.open.len() == MOST_NESTED {
            let cause = format!("more than {MOST_NESTED} lists and maps lie in each other here");
            mistakes.add(at, cause, "no operation needs as many");
            return None;
        }
        self.open.push(open);
        Some(())
    }

    /// Puts a finished value where it belongs: into the list, or as the map's key or value.
    fn put(&mut self, node: Node, mistakes: &mut Mistakes<'_>) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map { entries, keys, key, .. }) => match key.take() {
                // Nothing more is said about what stands under a key that is none.
                Some((None, _)) => {}
                Some((Some(key), key_at)) => {
                    if keys.insert(key.clone()) {
                        entries.push(Entry { key, key_at, node });
                    } else {
                        mistakes.add(&key_at, format!("\"{key}\" stands here twice"), "leave one of them out");
                    }
                }
                None => {
                    let text = match node.value {
                        Value::Text(text) => Some(text),
                        Value::Refused => None,
                        other => {
                            let cause = format!("a key must be a text, not {}", other.kind());
                            mistakes.add(&node.at, cause, "write it in quotes");
                            None
                        }
                    };
                    *key = Some((text, node.at));
                }
            },
        }
    }
}

fn refuse_marks(anchor: usize, is_tagged: bool, at: &Range<usize>, mistakes: &mut Mistakes<'_>) {
    if anchor > 0 {
        mistakes.add(at, "this value has an anchor (&)", "leave the anchor out, and write the value where it is used");
    }
    if is_tagged {
        mistakes.add(at, "this value has a tag (!)", "leave the tag out; a text that looks like a number is quoted");
    }
}

/// What a text without quotes means (YAML 1.2.2, 10.3.2: the core schema).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_special = matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    // What Rust reads as a number beyond these characters (`inf`, `nan`) is a text in YAML.
    let is_plain = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && unsigned.chars().all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter))
        && unsigned.parse::<f64>().is_ok();
    is_special || is_plain
}
