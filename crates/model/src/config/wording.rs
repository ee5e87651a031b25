//! How mistakes about keys and values are worded.

use toml::de::DeValue;

use super::key::{Key, Kind};
use super::nearest::nearest;

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub(super) fn write(key: &Key) -> String {
    format!("write: {}", key.example)
}

pub(super) fn unknown(name: &str, path: &str) -> String {
    if path.is_empty() {
        format!("there is no key or table \"{name}\"")
    } else {
        format!("[{path}] has no key \"{name}\"")
    }
}

pub(super) fn instead(name: &str, keys: &[Key]) -> String {
    let carried_out = |key: &&Key| !matches!(key.kind, Kind::Later { .. });
    match nearest(name, keys.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let known: Vec<&str> = keys.iter().filter(carried_out).map(|key| key.name).collect();
            format!("known here: {}", known.join(", "))
        }
    }
}

pub(super) fn wrong_word(word: &str, path: &str, known: &[&str]) -> String {
    format!("\"{word}\" is none of the words for \"{path}\": {}", known.join(", "))
}

pub(super) fn choose(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            format!("write one of: {}", known.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
        }
    }
}

pub(super) fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) | Kind::Choice(_) => "a text",
        Kind::TextOrList(_) => "a text or a list of texts",
        Kind::List(_) => "a list of texts",
        Kind::Flag => "true or false",
        Kind::Whole { .. } => "a whole number",
        Kind::CountOrText { .. } => "a whole number or a text",
        Kind::Duration { .. } => "a duration in quotes, with its unit",
        Kind::WordOrTable { .. } => "a text or a table",
        Kind::Table(_) | Kind::Processes(_) | Kind::Environment => "a table",
        Kind::Tables(_) => "a list of tables",
        Kind::Later { .. } => "left out",
    }
}

pub(super) fn wrong_type(path: &str, wanted: &str, found: &DeValue<'_>) -> String {
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
