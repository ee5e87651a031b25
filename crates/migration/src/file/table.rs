//! A map of the file held against the fields that it may have: what comes out of it has its type.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::fragment::{Fragment, is_type};
use crate::mistake::{Mistakes, did_you_mean, nearest};
use crate::yaml::{Entry, Node, Value};
use crate::{Expression, Ident, NotAnExpression};

/// A field that a map may have.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    /// How its value is written, in JSON.
    example: &'static str,
    presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    /// An empty text says as much as no field at all, as the published format has it.
    OptionalOrBlank,
    /// A field of an older form of the format; the example says what to write today.
    Gone,
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, example: &'static str) -> Field {
    Field { name, example, presence: Presence::Required }
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str, example: &'static str) -> Field {
    Field { name, example, presence: Presence::Optional }
}

/// A field that may be left out or be an empty text.
pub(super) const fn or_blank(name: &'static str, example: &'static str) -> Field {
    Field { name, example, presence: Presence::OptionalOrBlank }
}

/// A field that the format had once, with what to write today.
pub(super) const fn gone(name: &'static str, instead: &'static str) -> Field {
    Field { name, example: instead, presence: Presence::Gone }
}

/// A map whose keys are known. Each method gives a field's value; nothing where it was left out, or was wrong and told.
pub(super) struct Table<'n> {
    /// Where it stands among the maps, such as `add_column.column`.
    pub(super) path: String,
    /// Where it stands in the file: the key that it belongs to.
    pub(super) at: Range<usize>,
    entries: &'n [Entry],
    fields: &'static [Field],
}

impl<'n> Table<'n> {
    /// The map that `node` is, with its unknown and missing fields told.
    pub(super) fn open(
        node: &'n Node,
        path: &str,
        at: &Range<usize>,
        fields: &'static [Field],
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Refused => return None,
            other => {
                let at = if matches!(other, Value::Null) { at } else { &node.at };
                let cause = format!("{} must be a map, not {}", place(path), other.kind());
                mistakes.add(at, cause, example_of(fields, path, mistakes));
                return None;
            }
        };
        let known = fields.iter().filter(|field| field.presence != Presence::Gone).map(|field| field.name);
        let mut misspelt = Vec::new();
        for entry in entries {
            let field = fields.iter().find(|field| field.name == entry.key);
            let write = match field {
                Some(field) if field.presence == Presence::Gone => field.example.to_owned(),
                Some(_) => continue,
                None => did_you_mean(&entry.key, known.clone()),
            };
            mistakes.add(&entry.key_at, format!("{} has no field \"{}\"", place(path), entry.key), write);
            misspelt.extend(nearest(&entry.key, known.clone()));
        }
        let table = Self { path: path.to_owned(), at: at.clone(), entries, fields };
        for field in fields.iter().filter(|field| field.presence == Presence::Required) {
            if !table.has(field.name) && !misspelt.contains(&field.name) {
                table.miss(field.name, mistakes);
            }
        }
        Some(table)
    }

    /// Tells that a field is missing.
    pub(super) fn miss(&self, name: &str, mistakes: &mut Mistakes<'_>) {
        mistakes.add(&self.at, format!("{} has no \"{name}\"", place(&self.path)), self.write(name, mistakes));
    }

    /// Tells a mistake at a field, or at the map where the field was left out.
    pub(super) fn mistake(&self, name: &str, cause: impl Into<String>, write: &str, mistakes: &mut Mistakes<'_>) {
        let at = self.entry(name).map_or(&self.at, |entry| &entry.key_at);
        mistakes.add(at, cause, write);
    }

    /// Whether the field is there and says something.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// The first of these fields that is there.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Whether the field has the value that stands for having none: `false`, an empty list or map.
    pub(super) fn says_nothing(&self, name: &str) -> bool {
        self.entry(name).is_none_or(|entry| match &entry.node.value {
            Value::Flag(flag) => !flag,
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::Refused => false,
        })
    }

    /// Whether the field is `null`.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| matches!(entry.node.value, Value::Null))
    }

    pub(super) fn text(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<&'n str> {
        let entry = self.entry(name)?;
        self.text_of(&entry.node, &self.join(name), name, mistakes)
    }

    pub(super) fn name(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<Ident> {
        let entry = self.entry(name)?;
        let text = self.text_of(&entry.node, &self.join(name), name, mistakes)?;
        self.name_of(text, &entry.node.at, name, mistakes)
    }

    pub(super) fn expression(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<Expression> {
        let entry = self.entry(name)?;
        let text = self.text_of(&entry.node, &self.join(name), name, mistakes)?;
        self.expression_of(text, &entry.node.at, &self.join(name), name, mistakes)
    }

    pub(super) fn data_type(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<String> {
        let text = self.text(name, mistakes)?;
        if is_type(text) {
            return Some(text.trim().to_owned());
        }
        let cause = format!("\"{}\" is no type: {}", self.join(name), shown(text));
        self.value_mistake(name, &cause, &self.write(name, mistakes), mistakes);
        None
    }

    pub(super) fn fragment(&self, name: &str, what: Fragment, mistakes: &mut Mistakes<'_>) -> Option<String> {
        let text = self.text(name, mistakes)?;
        match what.check(text) {
            Ok(()) => Some(text.trim().to_owned()),
            Err(why) => {
                let cause = format!("\"{}\" can not be read: {why}", self.join(name));
                self.value_mistake(name, &cause, &self.write(name, mistakes), mistakes);
                None
            }
        }
    }

    /// A list of texts that go into a statement as written.
    pub(super) fn fragments(&self, name: &str, what: Fragment, mistakes: &mut Mistakes<'_>) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.list(name, mistakes)? {
            let Some(text) = self.text_of(item, &format!("{}[]", self.join(name)), name, mistakes) else { continue };
            match what.check(text) {
                Ok(()) => texts.push(text.trim().to_owned()),
                Err(why) => {
                    let cause = format!("\"{}\" can not be read: {why}", self.join(name));
                    mistakes.add(&item.at, cause, self.write(name, mistakes));
                }
            }
        }
        Some(texts)
    }

    pub(super) fn flag(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<bool> {
        let entry = self.entry(name)?;
        match &entry.node.value {
            Value::Flag(flag) => Some(*flag),
            Value::Refused => None,
            other => {
                let cause = format!("\"{}\" must be true or false, not {}", self.join(name), other.kind());
                mistakes.add(&entry.node.at, cause, self.write(name, mistakes));
                None
            }
        }
    }

    /// The choice that a word stands for.
    pub(super) fn word<T: Clone>(&self, name: &str, words: &[(&str, T)], mistakes: &mut Mistakes<'_>) -> Option<T> {
        let text = self.text(name, mistakes)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let known = words.iter().map(|(word, _)| *word);
        let cause = format!("{} is none of the words for \"{}\"", shown(text), self.join(name));
        self.value_mistake(name, &cause, &did_you_mean(text, known), mistakes);
        None
    }

    /// A list of names, at least one, each once.
    pub(super) fn names(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<Vec<Ident>> {
        let items = self.list(name, mistakes)?;
        let mut names = Vec::new();
        for item in items {
            let Some(text) = self.text_of(item, &format!("{}[]", self.join(name)), name, mistakes) else { continue };
            let Some(ident) = self.name_of(text, &item.at, name, mistakes) else { continue };
            if names.contains(&ident) {
                mistakes.add(&item.at, format!("{} stands here twice", shown(text)), "leave one of them out");
            } else {
                names.push(ident);
            }
        }
        Some(names)
    }

    /// A list with something in it.
    pub(super) fn list(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<&'n [Node]> {
        let entry = self.entry(name)?;
        match &entry.node.value {
            Value::List(items) if items.is_empty() => {
                let cause = format!("\"{}\" is an empty list", self.join(name));
                mistakes.add(&entry.key_at, cause, self.write(name, mistakes));
                None
            }
            Value::List(items) => Some(items),
            Value::Refused => None,
            other => {
                let cause = format!("\"{}\" must be a list, not {}", self.join(name), other.kind());
                mistakes.add(&entry.key_at, cause, self.write(name, mistakes));
                None
            }
        }
    }

    /// The field's own map.
    pub(super) fn table(&self, name: &str, fields: &'static [Field], mistakes: &mut Mistakes<'_>) -> Option<Table<'n>> {
        let entry = self.entry(name)?;
        Table::open(&entry.node, &self.join(name), &entry.key_at, fields, mistakes)
    }

    /// A map from columns to expressions.
    pub(super) fn expressions(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<BTreeMap<Ident, Expression>> {
        let entry = self.entry(name)?;
        let Value::Map(entries) = &entry.node.value else {
            if !matches!(entry.node.value, Value::Refused) {
                let cause = format!(
                    "\"{}\" must be a map from columns to expressions, not {}",
                    self.join(name),
                    entry.node.value.kind()
                );
                mistakes.add(&entry.key_at, cause, self.write(name, mistakes));
            }
            return None;
        };
        let mut expressions = BTreeMap::new();
        for column in entries {
            let path = format!("{}.{}", self.join(name), column.key);
            let ident = self.name_of(&column.key, &column.key_at, name, mistakes);
            let text = self.text_of(&column.node, &path, &column.key, mistakes);
            let expression = text.and_then(|text| self.expression_of(text, &column.node.at, &path, name, mistakes));
            expressions.extend(ident.zip(expression));
        }
        Some(expressions)
    }

    /// The field with where it stands; nothing for an empty text that says nothing.
    pub(super) fn entry(&self, name: &str) -> Option<&'n Entry> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        let is_blank = matches!(&entry.node.value, Value::Text(text) if text.trim().is_empty());
        let field = self.fields.iter().find(|field| field.name == name);
        let may_be_blank = field.is_some_and(|field| field.presence == Presence::OptionalOrBlank);
        Some(entry).filter(|_| !(is_blank && may_be_blank))
    }

    pub(super) fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// How the field is written.
    pub(super) fn write(&self, name: &str, mistakes: &Mistakes<'_>) -> String {
        let example = self.fields.iter().find(|field| field.name == name).map_or("...", |field| field.example);
        format!("write: {}", mistakes.written(name, example))
    }

    // === Values ===

    fn text_of(&self, node: &'n Node, path: &str, name: &str, mistakes: &mut Mistakes<'_>) -> Option<&'n str> {
        let write = match &node.value {
            Value::Text(text) if !text.trim().is_empty() => return Some(text),
            Value::Refused => return None,
            Value::Text(_) => {
                mistakes.add(&node.at, format!("\"{path}\" is empty"), self.write(name, mistakes));
                return None;
            }
            Value::Number(number) => format!("write: {}", mistakes.written(name, &format!("\"{number}\""))),
            Value::Flag(flag) => format!("write: {}", mistakes.written(name, &format!("\"{flag}\""))),
            Value::Null | Value::List(_) | Value::Map(_) => self.write(name, mistakes),
        };
        mistakes.add(&node.at, format!("\"{path}\" must be a text, not {}", node.value.kind()), write);
        None
    }

    fn name_of(&self, text: &str, at: &Range<usize>, name: &str, mistakes: &mut Mistakes<'_>) -> Option<Ident> {
        match Ident::new(text) {
            Ok(ident) => Some(ident),
            Err(why) => {
                mistakes.add(at, why.to_string(), self.write(name, mistakes));
                None
            }
        }
    }

    fn expression_of(
        &self,
        text: &str,
        at: &Range<usize>,
        path: &str,
        name: &str,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Expression> {
        let why = match Expression::parse(text) {
            Ok(expression) => return Some(expression),
            Err(why) => why,
        };
        let at = match &why {
            NotAnExpression::Syntax { at: within, .. } => mistakes.within(at, text, *within),
            NotAnExpression::Empty
            | NotAnExpression::NotOneValue
            | NotAnExpression::Writes(_)
            | NotAnExpression::Name(_) => at.clone(),
        };
        mistakes.add(&at, format!("\"{path}\": {why}"), self.write(name, mistakes));
        None
    }

    /// Tells a mistake at a field's value.
    fn value_mistake(&self, name: &str, cause: &str, write: &str, mistakes: &mut Mistakes<'_>) {
        let at = self.entry(name).map_or(&self.at, |entry| &entry.node.at);
        mistakes.add(at, cause, write);
    }
}

/// What a message calls the map at `path`. Items of a list are called after it with `[]`.
fn place(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

/// How a map with these fields begins.
fn example_of(fields: &[Field], path: &str, mistakes: &Mistakes<'_>) -> String {
    let inner: Vec<String> = fields
        .iter()
        .filter(|field| field.presence == Presence::Required)
        .map(|field| format!("\"{}\": {}", field.name, field.example))
        .collect();
    let map = format!("{{{}}}", inner.join(", "));
    let name = path.rsplit('.').next().unwrap_or(path);
    if name.is_empty() || name.ends_with("[]") {
        format!("write: {map}")
    } else {
        format!("write: {}", mistakes.written(name, &map))
    }
}

/// A text of the file in a message, cut to what a line bears.
fn shown(text: &str) -> String {
    let line: String = text.chars().take(60).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.len() < text.len() { format!("\"{line}...\"") } else { format!("\"{line}\"") }
}
