//! The OpenAPI document, made from the same table as the routes.

use serde_json::{Map, Value, json};

use crate::routes::ROUTES;

/// Query parameters by path: name, whether it is a number, what it means.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("/v1/apps/{app}/logs", "lines", "integer", "Lines of the past for each instance (100)"),
    ("/v1/apps/{app}/logs", "follow", "boolean", "Go on with what comes"),
    ("/v1/apps/{app}/logs", "slot", "string", "blue or green alone"),
    ("/v1/apps/{app}/logs", "process", "string", "One process type alone"),
    ("/v1/apps/{app}/logs", "instance", "string", "One instance alone, also when it has ended"),
    ("/v1/apps/{app}/logs", "all", "boolean", "Also instances that have ended, while others run"),
    (
        "/v1/apps/{app}/logs",
        "places",
        "boolean",
        "Tell with follow, too, how far each log was told: INSTANCE, FILE, OFFSET",
    ),
    (
        "/v1/apps/{app}/logs",
        "after",
        "string",
        "With follow, go on after these places, INSTANCE:FILE:OFFSET, with commas between",
    ),
    ("/v1/apps/{app}/wait/{release}", "until", "string", "switched or settled"),
    ("/v1/apps/{app}/wait/{release}", "timeout_ms", "integer", "How long; at most 60000, then ask again"),
    ("/v1/apps/{app}/events", "after", "integer", "The last sequence that is known already"),
    ("/v1/apps/{app}/events", "status", "boolean", "Send the status whenever it changed, too"),
];

/// The OpenAPI 3.1 document of the control API.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for (method, path, summary) in ROUTES {
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        entry[*method] = operation(method, path, summary);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Switchover control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Served on the unix socket control.sock in the state folder, to the daemon's own user and root.",
        },
        "paths": paths,
        "components": { "schemas": {
            "Answer": {
                "type": "object",
                "required": ["schema_version"],
                "properties": { "schema_version": { "const": switchover_model::view::SCHEMA_VERSION } },
            },
            "Problem": {
                "type": "object",
                "required": ["code", "cause", "next"],
                "properties": {
                    "code": { "type": "string", "description": "Stable; has its section in docs/troubleshooting.md" },
                    "cause": { "type": "string" },
                    "next": { "type": "string" },
                    "detail": { "type": "array", "items": { "type": "string" } },
                },
            },
        } },
    })
}

fn operation(method: &str, path: &str, summary: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(PARAMETERS.iter().filter(|(of, ..)| *of == path).map(|(_, name, kind, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": kind } })
    }));
    let is_command = path.ends_with("/commands");
    if is_command {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "The same key again is the same command",
            "schema": { "type": "string", "minLength": 1, "maxLength": 200 },
        }));
    }
    let kind = match path {
        _ if path.ends_with("/events") => "text/event-stream",
        _ if path.ends_with("/logs") => "application/x-ndjson",
        _ if path.ends_with("/metrics") => "text/plain",
        _ => "application/json",
    };
    let good = if is_command { "202" } else { "200" };
    let body = if kind == "text/plain" {
        json!({ "type": "string" })
    } else {
        json!({ "$ref": "#/components/schemas/Answer" })
    };
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            good: { "description": summary, "content": { kind: { "schema": body } } },
            "default": {
                "description": "What went wrong",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            },
        },
    });
    if method == "post" {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["command"],
                "properties": { "command": { "enum": ["apply", "deploy", "promote", "pause", "resume", "abort", "rollback"] } },
            } } },
        });
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_belongs_to_a_route() {
        for (path, name, ..) in PARAMETERS {
            assert!(ROUTES.iter().any(|(_, route, _)| route == path), "{name} of {path}");
        }
    }

    #[test]
    fn every_route_is_in_the_document() {
        let document = document();
        for (method, path, summary) in ROUTES {
            assert_eq!(document["paths"][path][method]["summary"], *summary, "{method} {path}");
        }
    }
}
