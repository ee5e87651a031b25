//! What a new file changes: policy, which is in force at once, and what shapes instances, which waits for a revision.

use std::collections::BTreeMap;

use serde_json::Value;
use switchover_model::Problem;
use switchover_model::config::AppConfig;

use crate::app::App;

/// What `apply` of `after` changes, and what it leaves to the next deploy.
pub(crate) fn changes(before: Option<&AppConfig>, after: &AppConfig) -> Vec<Problem> {
    let Some(before) = before else { return Vec::new() };
    let mut notes: Vec<Problem> = changed_policy(before, after).into_iter().collect();
    let (_, shape) = differences(before, after);
    if !shape.is_empty() {
        let cause = "settings that shape instances changed too; what runs is not touched by an apply.";
        let next = "Run `switchover deploy` to make a revision of them.";
        notes.push(Problem::new("NEEDS-A-DEPLOY", cause, next).with_detail(shape));
    }
    notes
}

/// The policy that `after` changes, with the values before and after.
fn changed_policy(before: &AppConfig, after: &AppConfig) -> Option<Problem> {
    let (policy, _) = differences(before, after);
    if policy.is_empty() {
        return None;
    }
    let next = "A rollback does not take policy back; apply the file before to do so.";
    Some(Problem::new("POLICY-CHANGED", "the app's policy changed, for what runs too.", next).with_detail(policy))
}

/// The policy that a deploy by `after` changes: at once, or when it begins.
pub(crate) fn deployed(app: &App, after: &AppConfig) -> Option<Problem> {
    let note = changed_policy(app.config.as_ref()?, after)?;
    let Some(busy) = app.busy_with() else { return Some(note) };
    let cause = format!(
        "the app's policy changes when this release begins, once release {busy} has ended its shift or its undoing."
    );
    let next = "What has to change before that is changed by `switchover apply`.";
    Some(Problem { cause, next: next.to_owned(), ..note })
}

/// Lines of what differs: policy, and what shapes instances. Values of the environment are never shown.
fn differences(before: &AppConfig, after: &AppConfig) -> (Vec<String>, Vec<String>) {
    let (before, after) = (flat(before), flat(after));
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "nothing".to_owned());
    let lines = changed.map(|key| {
        if key.starts_with("env.") {
            return (key, format!("{key} changed"));
        }
        (key, format!("{key}: {} -> {}", shown(before.get(key)), shown(after.get(key))))
    });
    let (policy, shape): (Vec<_>, Vec<_>) = lines.partition(|(key, _)| is_policy(key));
    let text = |lines: Vec<(&String, String)>| lines.into_iter().map(|(_, line)| line).collect();
    (text(policy), text(shape))
}

fn is_policy(key: &str) -> bool {
    let of_revision = ["database.url", "database.schema", "database.migrations"];
    if key.starts_with("database.") {
        return !of_revision.contains(&key);
    }
    let scale = key.starts_with("processes.") && key.ends_with(".instances");
    scale || key.starts_with("route.") || key.starts_with("release.") || key == "drift"
}

fn flat(config: &AppConfig) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(config) {
        flatten(&value, String::new(), &mut flat);
    }
    flat
}

fn flatten(value: &Value, path: String, flat: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(value, below(name), flat)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| flatten(value, below(&place.to_string()), flat));
        }
        Value::Null => {}
        Value::String(text) => {
            flat.insert(path, text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            flat.insert(path, value.to_string());
        }
    }
}
