//! In what two answers differ, by field.

use std::collections::BTreeMap;

use serde_json::Value;
use switchover_model::FieldPath;
use switchover_model::seam::CompareRules;

use super::answer::Answer;
use super::redact;

/// Most differences of two answers that are told apart; the rest is in none.
const DIFFERENCES_MAX: usize = 32;
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

/// In what two answers differ, by the field's name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences(BTreeMap<String, Difference>);

impl Rules {
    pub(super) fn new(rules: &CompareRules) -> Self {
        Self { headers: rules.compared_headers(), ignored: rules.ignore_fields.clone() }
    }

    /// The headers that are compared.
    pub(super) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// In what `other` differs from `live`; nothing is no answer.
    ///
    /// Another status is a difference of its own: what else differs then follows from it.
    pub(super) fn differences(&self, live: &Answer, other: Option<&Answer>) -> Differences {
        let mut found = Differences::default();
        let Some(other) = other else {
            found.add("answer".to_owned(), "answered".to_owned(), "none in time".to_owned());
            return found;
        };
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
            self.bodies(live, other, &mut found);
        }
        found
    }

    fn bodies(&self, live: &Answer, other: &Answer, found: &mut Differences) {
        let read = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).ok().filter(|_| answer.is_json);
        match (read(live), read(other)) {
            (Some(one), Some(two)) => self.values(&mut Vec::new(), &one, &two, found),
            (_, _) => {
                let at = live.body.iter().zip(&other.body).take_while(|(one, two)| one == two).count();
                let shown = |body: &[u8]| format!("{} bytes, another from byte {at} on", body.len());
                found.add("body".to_owned(), shown(&live.body), shown(&other.body));
            }
        }
    }

    fn values<'a>(&self, path: &mut Vec<&'a str>, one: &'a Value, two: &'a Value, found: &mut Differences) {
        if one == two || found.is_full() || self.ignores(path) {
            return;
        }
        match (one, two) {
            (Value::Object(one), Value::Object(two)) => {
                let added = two.keys().filter(|key| !one.contains_key(*key));
                for key in one.keys().chain(added) {
                    path.push(key);
                    match (one.get(key), two.get(key)) {
                        (Some(one), Some(two)) => self.values(path, one, two, found),
                        (one, two) if !self.ignores(path) => found.add_values(path, one, two),
                        (_, _) => {}
                    }
                    path.pop();
                }
            }
            (Value::Array(one), Value::Array(two)) => {
                if one.len() != two.len() {
                    let name = format!("{} (length)", field(path));
                    found.add(name, one.len().to_string(), two.len().to_string());
                }
                path.push("*");
                for (one, two) in one.iter().zip(two) {
                    self.values(path, one, two, found);
                }
                path.pop();
            }
            (one, two) => found.add_values(path, Some(one), Some(two)),
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
    /// The names of the fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Those that are not among `noise`. Where a list has another length by noise, its items stand in other places.
    pub(super) fn beyond(self, noise: &Self) -> impl Iterator<Item = (String, Difference)> {
        let is_noise = move |field: &str| {
            noise.0.keys().any(|known| {
                let list = known.strip_suffix(" (length)");
                known == field || list.is_some_and(|list| field.starts_with(&format!("{list}/")))
                    // Nothing can be said of parts of a body that is no JSON the second time.
                    || (known == "body" && field.starts_with("body"))
            })
        };
        self.0.into_iter().filter(move |(field, _)| !is_noise(field))
    }

    fn is_full(&self) -> bool {
        self.0.len() >= DIFFERENCES_MAX
    }

    fn add(&mut self, field: String, live: String, other: String) {
        if !self.is_full() {
            self.0.entry(field).or_insert(Difference { live, other });
        }
    }

    fn add_values(&mut self, path: &[&str], one: Option<&Value>, two: Option<&Value>) {
        let name = path.join("/");
        self.add(field(path), redact::value(&name, one), redact::value(&name, two));
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
