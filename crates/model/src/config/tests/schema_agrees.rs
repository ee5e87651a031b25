//! The JSON Schema takes what the parser takes, and refuses what one key alone makes wrong.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::accepted::FULL;
use crate::config::{parse, schema};

const SMALL: &str = "name = \"shop\"\n[process.web]\ncommand = \"bin/shop\"\n";

/// Why `value` is not what `schema` says; nothing when it is. Knows the words of the schema that is made here, and no other.
fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let rules = schema.as_object().expect("a schema is an object");
    let mut faults = Vec::new();
    let mut fault = |is_kept: bool, rule: &str| {
        if !is_kept {
            faults.push(format!("{at}: {rule}"));
        }
    };
    let (text, list, table) = (value.as_str(), value.as_array(), value.as_object());
    for (word, rule) in rules {
        let number = || rule.as_u64().expect("a number") as usize;
        match word.as_str() {
            "$schema" | "title" | "description" | "examples" | "default" => {}
            "type" => fault(has_type(value, rule.as_str().expect("a type")), "type"),
            "enum" => fault(rule.as_array().expect("a list").contains(value), "enum"),
            "pattern" => fault(text.is_none_or(|text| matches(rule, text)), "pattern"),
            "minimum" => fault(value.as_i64().is_none_or(|value| value >= rule.as_i64().unwrap()), "minimum"),
            "maximum" => fault(value.as_i64().is_none_or(|value| value <= rule.as_i64().unwrap()), "maximum"),
            "minItems" => fault(list.is_none_or(|list| list.len() >= number()), "minItems"),
            "minProperties" => fault(table.is_none_or(|table| table.len() >= number()), "minProperties"),
            "required" => {
                let names = rule.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name"));
                let missing = names.filter(|name| table.is_some_and(|table| !table.contains_key(*name))).count();
                fault(missing == 0, "required");
            }
            "anyOf" => {
                let sides = rule.as_array().expect("a list");
                fault(sides.iter().any(|side| self::faults(side, value, at).is_empty()), "anyOf");
            }
            "items" | "properties" | "additionalProperties" | "propertyNames" => {}
            other => panic!("the schema has a word that this test does not know: {other}"),
        }
    }
    for (place, item) in list.into_iter().flatten().enumerate() {
        if let Some(rule) = rules.get("items") {
            faults.extend(self::faults(rule, item, &format!("{at}[{place}]")));
        }
    }
    for (name, item) in table.into_iter().flatten() {
        faults.extend(property_faults(rules, name, item, &format!("{at}.{name}")));
    }
    faults
}

fn property_faults(rules: &Map<String, Value>, name: &str, value: &Value, at: &str) -> Vec<String> {
    let mut found = rules.get("propertyNames").map(|rule| faults(rule, &json!(name), at)).unwrap_or_default();
    match (rules.get("properties").and_then(|known| known.get(name)), rules.get("additionalProperties")) {
        (Some(rule), _) => found.extend(faults(rule, value, at)),
        (None, Some(Value::Bool(false))) => found.push(format!("{at}: no such key")),
        (None, Some(rule)) if rule.is_object() => found.extend(faults(rule, value, at)),
        (None, _) => {}
    }
    found
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type {other}"),
    }
}

fn matches(pattern: &Value, text: &str) -> bool {
    // Patterns of a JSON Schema are those of ECMAScript, with Unicode (draft 2020-12, 6.4).
    regress::Regex::with_flags(pattern.as_str().expect("a pattern"), "u").expect("a pattern").find(text).is_some()
}

/// What the schema says of a file.
fn refused_by_schema(text: &str) -> Vec<String> {
    let file: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    faults(&schema(), &serde_json::to_value(file).expect("TOML without dates is JSON"), "")
}

fn is_refused_by_parser(text: &str) -> bool {
    parse(text, "switchover.toml", Path::new("/srv/shop")).is_err()
}

#[test]
fn files_that_are_right_are_right_by_the_schema() {
    let page = include_str!("../../../../../docs/configuration.md");
    let shown = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples = [
        SMALL,
        FULL,
        include_str!("../../../../../examples/http-server/switchover.toml"),
        include_str!("../../../../../examples/django/switchover.toml"),
    ];
    for text in examples.into_iter().chain(shown) {
        assert!(!is_refused_by_parser(text), "{text}");
        assert_eq!(refused_by_schema(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_one_key_makes_wrong_is_wrong_by_the_schema_too() {
    for more in [
        "nmae = \"shop\"\n",
        "instances = 0\n",
        "instances = 101\n",
        "instances = \"2\"\n",
        "health = { path = \"up\" }\n",
        "health = { interval = 500 }\n",
        "health = { timeout = \"2 s\" }\n",
        "health = { timeout = \"soon\" }\n",
        "stop = { signal = \"SIGNAL\" }\n",
        "stop = { grace = \"\" }\n",
        "handover = \"sometimes\"\n",
        "[process.Web]\ncommand = \"bin/shop\"\n",
        "[process.other]\n",
        "[env]\nPORT = \"1\"\n",
        "[env]\nSWITCHOVER_APP = \"a\"\n",
        "[env]\nNUMBER = 1\n",
        "[build]\nsource = \"\"\n",
        "[shared]\npaths = [\"../up\"]\n",
        "[shared]\npaths = [\"/var\"]\n",
        "[route]\nhost = [\"a b\"]\n",
        "[route]\npreview = { allow = [\"10.0.0.0\"] }\n",
        "[route]\nsticky = \"cokie\"\n",
        "[route]\nsticky = { cookie = \"switchover-client\" }\n",
        "[route]\nsticky = { header = \"a b\" }\n",
        "[route]\nsticky = { query = \"a\" }\n",
        "[release]\napprove = \"yes\"\n",
        "[release]\nkeep_revisions = 0\n",
        "[[release.hook]]\nstage = \"never\"\ncommand = \"a\"\n",
        "[[release.hook]]\ncommand = \"a\"\n",
        "[releese]\nbake = \"1m\"\n",
    ] {
        let text = format!("{SMALL}{more}");
        assert!(is_refused_by_parser(&text), "{text}");
        assert!(!refused_by_schema(&text).is_empty(), "{text}");
    }
    for text in ["name = \"shop\"\n", "name = \"shop\"\n[process]\n", "[process.web]\ncommand = \"a\"\n"] {
        assert!(is_refused_by_parser(text) && !refused_by_schema(text).is_empty(), "{text}");
    }
}

/// Every file that comes from the full one by putting `value` in the place of one value.
fn with_each_replaced(table: &toml::Table, value: &toml::Value) -> Vec<(String, toml::Table)> {
    let mut all = Vec::new();
    for (name, old) in table {
        let mut put = |path: String, new: toml::Value| {
            let mut changed = table.clone();
            changed.insert(name.clone(), new);
            all.push((path, changed));
        };
        put(name.clone(), value.clone());
        if let toml::Value::Table(inner) = old {
            for (path, changed) in with_each_replaced(inner, value) {
                put(format!("{name}.{path}"), toml::Value::Table(changed));
            }
        }
    }
    all
}

#[test]
fn the_schema_refuses_nothing_that_the_parser_takes() {
    let full: toml::Table = FULL.parse().unwrap();
    let values = ["", "1s", "0s", "a", "/", "-1", "shop.example.com", "10.0.0.0/8", "SIGTERM", "drain", "é", "a\nb"];
    let mut values: Vec<toml::Value> = values.map(toml::Value::from).to_vec();
    values.extend([0, 1, 7, 1000].map(toml::Value::from));
    values.extend([true.into(), 1.5.into(), toml::Value::Array(Vec::new()), toml::Value::Table(toml::Table::new())]);
    values.push(toml::Value::Array(vec!["a".into()]));
    let (mut taken, mut refused) = (0, 0);
    for value in &values {
        for (path, changed) in with_each_replaced(&full, value) {
            let text = toml::to_string(&changed).unwrap();
            if is_refused_by_parser(&text) {
                refused += 1;
                continue;
            }
            taken += 1;
            let faults = refused_by_schema(&text);
            assert!(faults.is_empty(), "{path} = {value} is taken by the parser, and the schema says {faults:?}");
        }
    }
    assert!(taken > 30 && refused > 200, "{taken} taken, {refused} refused: this compared nothing");
}
