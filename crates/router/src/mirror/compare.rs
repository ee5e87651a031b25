//! In what two answers differ, by field.

use std::collections::BTreeMap;

use serde_json::Value;
use switchover_model::FieldPath;
use switchover_model::seam::CompareRules;

use super::answer::Answer;
use super::redact;

/// Most differences beyond noise that are told apart; the rest is in none.
const DIFFERENCES_MAX: usize = 32;
/// Most fields in which two live answers differ; where they differ in more, nothing can be said of a third one.
const NOISE_MAX: usize = 256;
/// A body that is never the same twice is compared by its size: so many times as large, or as small, and so many bytes more, is
/// another one.
const SIZE_TIMES: usize = 2;
const SIZE_BYTES: usize = 256;
/// Longest name of a field (bytes).
const FIELD_BYTES_MAX: usize = 200;

/// What of answers is compared, made ready.
#[derive(Debug)]
pub(super) struct Rules {
    headers: Vec<String>,
    ignored: Vec<FieldPath>,
}

/// What both said of a field, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) live: String,
    pub(super) other: String,
}

/// In what two answers differ, by the field's name; at most so many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differences {
    fields: BTreeMap<String, Difference>,
    most: usize,
}

/// Why an answer of the new slot can not be held against a live one that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// None came in time.
    Unanswered,
    /// It is longer than is kept.
    TooLarge,
    /// It is encoded in a way that is not read.
    Encoded,
}

impl Rules {
    pub(super) fn new(rules: &CompareRules) -> Self {
        Self { headers: rules.compared_headers(), ignored: rules.ignore_fields.clone() }
    }

    /// The headers that are compared.
    pub(super) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// In what two answers of the live slot differ.
    pub(super) fn noise(&self, live: &Answer, again: &Answer) -> Differences {
        self.compared(live, again, &Differences::at_most(0), NOISE_MAX)
    }

    /// In what the new slot's answer differs from the live one beyond `noise`, the differences of that to `again`.
    pub(super) fn differences(
        &self,
        (live, again): (&Answer, &Answer),
        other: Result<&Answer, Unreadable>,
        noise: &Differences,
    ) -> Differences {
        let mut found = Differences::at_most(DIFFERENCES_MAX);
        let other = match other {
            Ok(other) => other,
            Err(why) => {
                let bytes = || format!("{} bytes", live.body.len());
                let (field, live, other) = match why {
                    Unreadable::Unanswered => ("answer", "answered".to_owned(), "none in time"),
                    Unreadable::TooLarge => ("body (size)", bytes(), "more than is kept"),
                    Unreadable::Encoded => {
                        ("header content-encoding", "one that is read".to_owned(), "one that is not")
                    }
                };
                found.add(field.to_owned(), live, other.to_owned());
                return found;
            }
        };
        let mut found = self.compared(live, other, noise, DIFFERENCES_MAX);
        if noise.fields.contains_key("body") && live.status == other.status {
            let (least, most) = (live.body.len().min(again.body.len()), live.body.len().max(again.body.len()));
            let length = other.body.len();
            if length * SIZE_TIMES + SIZE_BYTES < least || length > most * SIZE_TIMES + SIZE_BYTES {
                found.add("body (size)".to_owned(), format!("{least} to {most} bytes"), format!("{length} bytes"));
            }
        }
        found
    }

    /// Another status is a difference of its own: what else differs then follows from it.
    fn compared(&self, live: &Answer, other: &Answer, noise: &Differences, most: usize) -> Differences {
        let mut found = Differences::at_most(most);
        if live.status != other.status {
            found.add("status".to_owned(), live.status.to_string(), other.status.to_string());
            return found;
        }
        for ((name, one), two) in self.headers.iter().zip(&live.headers).zip(&other.headers) {
            if one != two {
                let shown = |value: &Option<Vec<u8>>| match value {
                    None => "(absent)".to_owned(),
                    Some(value) => redact::text(name, &String::from_utf8_lossy(value)),
                };
                found.add(format!("header {name}"), shown(one), shown(two));
            }
        }
        if live.body != other.body {
            self.bodies(live, other, &mut found, noise);
        }
        found.fields.retain(|field, _| !noise.has(field));
        found
    }

    fn bodies(&self, live: &Answer, other: &Answer, found: &mut Differences, noise: &Differences) {
        let read = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).ok().filter(|_| answer.is_json);
        match (read(live), read(other)) {
            (Some(one), Some(two)) => self.values(&mut Vec::new(), (&one, &two), found, noise),
            (_, _) => {
                let at = live.body.iter().zip(&other.body).take_while(|(one, two)| one == two).count();
                let shown = |body: &[u8]| format!("{} bytes, another from byte {at} on", body.len());
                found.add("body".to_owned(), shown(&live.body), shown(&other.body));
            }
        }
    }

    fn values<'a>(
        &self,
        path: &mut Vec<&'a str>,
        (one, two): (&'a Value, &'a Value),
        found: &mut Differences,
        noise: &Differences,
    ) {
        if one == two || found.is_full() || self.ignores(path) {
            return;
        }
        match (one, two) {
            (Value::Object(one), Value::Object(two)) => {
                let added = two.keys().filter(|key| !one.contains_key(*key));
                for key in one.keys().chain(added) {
                    path.push(key);
                    match (one.get(key), two.get(key)) {
                        (Some(one), Some(two)) => self.values(path, (one, two), found, noise),
                        (one, two) if !self.ignores(path) => found.add_values(path, (one, two), noise),
                        (_, _) => {}
                    }
                    path.pop();
                }
            }
            (Value::Array(one), Value::Array(two)) => {
                if one.len() != two.len() {
                    let name = format!("{} (length)", field(path));
                    found.add_beyond(name, one.len().to_string(), two.len().to_string(), noise);
                }
                path.push("*");
                for (one, two) in one.iter().zip(two) {
                    self.values(path, (one, two), found, noise);
                }
                path.pop();
            }
            (one, two) => found.add_values(path, (Some(one), Some(two)), noise),
        }
    }

    fn ignores(&self, path: &[&str]) -> bool {
        self.ignored.iter().any(|ignored| {
            let steps: Vec<&str> = ignored.as_str().split('/').skip(1).collect();
            steps.len() <= path.len() && steps.iter().zip(path).all(|(step, name)| *step == "*" || step == name)
        })
    }
}

impl Differences {
    fn at_most(most: usize) -> Self {
        Self { fields: BTreeMap::new(), most }
    }

    /// The names of the fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Each with what both said of it.
    pub(super) fn told(self) -> impl Iterator<Item = (String, Difference)> {
        self.fields.into_iter()
    }

    /// As noise: so much differs between two live answers that nothing can be said of a third one.
    pub(super) fn says_nothing(&self) -> bool {
        self.is_full() || self.fields.contains_key("status")
    }

    /// Whether `field` is among this noise. Where a list has another length by noise, its items stand in other places; and nothing
    /// can be said of parts of a body that is no JSON the second time.
    fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
            || (field.starts_with("body") && field != "body (size)" && self.fields.contains_key("body"))
            || self
                .fields
                .keys()
                .filter_map(|known| known.strip_suffix(" (length)"))
                .any(|list| field.strip_prefix(list).is_some_and(|rest| rest.starts_with('/')))
    }

    fn is_full(&self) -> bool {
        self.fields.len() >= self.most
    }

    fn add(&mut self, field: String, live: String, other: String) {
        if !self.is_full() {
            self.fields.entry(field).or_insert(Difference { live, other });
        }
    }

    /// What is noise takes no place.
    fn add_beyond(&mut self, field: String, live: String, other: String, noise: &Self) {
        if !noise.has(&field) {
            self.add(field, live, other);
        }
    }

    fn add_values(&mut self, path: &[&str], (one, two): (Option<&Value>, Option<&Value>), noise: &Self) {
        let name = path.join("/");
        self.add_beyond(field(path), redact::value(&name, one), redact::value(&name, two), noise);
    }
}

/// The name of the field at `path` of a body.
fn field(path: &[&str]) -> String {
    let mut name = "body ".to_owned();
    for step in path {
        let step = redact::key(step);
        if name.len() + step.len() + 2 > FIELD_BYTES_MAX {
            // All that is deeper is one field.
            name.push_str("/…");
            break;
        }
        name.push('/');
        name.push_str(step);
    }
    if path.is_empty() {
        name.push('/');
    }
    name
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
