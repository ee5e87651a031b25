//! The JSON Schema of the file, made from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{FILE_KEYS, Key, Kind, TextRule};

/// A duration as `Span` reads it: numbers with units in falling order, at least one of them.
const DURATION: &str = "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m(?!s))?([0-9]+s)?([0-9]+ms)?([0-9]+us)?$";
const ENV_NAME: &str = "^(?!PORT$)(?!SWITCHOVER_)[A-Za-z_][A-Za-z0-9_]*$";
const PROCESS_NAME: &str = "^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$";

/// The JSON Schema (draft 2020-12) of `switchover.toml`, for editors and checks.
///
/// It says what each key may be; contradictions between keys are found by [`super::parse`] alone.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(FILE_KEYS);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("switchover.toml"));
    Value::Object(schema)
}

fn table(keys: &[Key]) -> Map<String, Value> {
    let carried_out = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later { .. }));
    let properties: Map<String, Value> =
        carried_out().map(|key| (key.name.to_owned(), Value::Object(property(key)))).collect();
    let required: Vec<&str> = carried_out().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn property(key: &Key) -> Map<String, Value> {
    let mut schema = match &key.kind {
        Kind::Text(rule) => object(text(rule)),
        Kind::List(rule) => object(list(rule)),
        Kind::TextOrList(rule) => object(json!({ "anyOf": [text(rule), list(rule)] })),
        Kind::Flag => object(json!({ "type": "boolean" })),
        Kind::Whole { least, most } => object(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Kind::CountOrText { most, rule } => {
            object(json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": most }, text(rule)] }))
        }
        Kind::Duration { .. } => object(json!({ "type": "string", "pattern": DURATION })),
        Kind::Choice(known) => object(json!({ "enum": known })),
        Kind::WordOrTable { known, keys } => {
            object(json!({ "anyOf": [{ "enum": known }, Value::Object(table(keys))] }))
        }
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => object(json!({ "type": "array", "items": table(keys) })),
        Kind::Processes(keys) => object(json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": PROCESS_NAME },
            "additionalProperties": table(keys),
        })),
        Kind::Environment => object(json!({
            "type": "object",
            "propertyNames": { "pattern": ENV_NAME },
            "additionalProperties": { "type": "string" },
        })),
        Kind::Later { .. } => Map::new(),
    };
    schema.insert("description".to_owned(), json!(key.doc));
    schema.insert("examples".to_owned(), json!([key.example]));
    if let Some(default) = key.default {
        let default = match &key.kind {
            Kind::Flag => json!(default == "true"),
            Kind::Whole { .. } => json!(default.parse::<u32>().ok()),
            _ => json!(default),
        };
        schema.insert("default".to_owned(), default);
    }
    schema
}

fn text(rule: &TextRule) -> Value {
    json!({ "type": "string", "pattern": rule.pattern })
}

fn list(rule: &TextRule) -> Value {
    json!({ "type": "array", "minItems": 1, "items": text(rule) })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
