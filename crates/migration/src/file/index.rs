//! Indexes and the operations on one.

use crate::fragment::Fragment;
use crate::mistake::Mistakes;
use crate::yaml::{Node, Value};
use crate::{CreateIndex, DropIndex, Ident, IndexColumn, IndexMethod, Nulls, Operation, Order};

use super::table::{Field, Table, optional, or_blank, required};

pub(super) const CREATE_INDEX: &[Field] = &[
    required("name", "\"users_by_name\""),
    required("table", "\"users\""),
    required("columns", "[{\"column\": \"name\", \"sort\": \"DESC\"}]"),
    or_blank("predicate", "\"active\""),
    or_blank("method", "\"btree\""),
    or_blank("storage_parameters", "\"fillfactor = 70\""),
    optional("unique", "true"),
];
pub(super) const DROP_INDEX: &[Field] = &[required("name", "\"users_by_name\"")];

const LISTED: &[Field] = &[
    required("column", "\"name\""),
    or_blank("collate", "\"\\\"de_DE\\\"\""),
    or_blank("sort", "\"DESC\""),
    or_blank("nulls", "\"LAST\""),
    optional("opclass", "{\"name\": \"text_pattern_ops\"}"),
];
const SETTINGS: &[Field] = &[
    or_blank("collate", "\"\\\"de_DE\\\"\""),
    or_blank("sort", "\"DESC\""),
    or_blank("nulls", "\"LAST\""),
    optional("opclass", "{\"name\": \"text_pattern_ops\"}"),
];
const OPERATOR_CLASS: &[Field] = &[or_blank("name", "\"gist_trgm_ops\""), optional("params", "[\"siglen = 32\"]")];

const METHODS: &[(&str, IndexMethod)] = &[
    ("btree", IndexMethod::BTree),
    ("hash", IndexMethod::Hash),
    ("gist", IndexMethod::Gist),
    ("spgist", IndexMethod::SpGist),
    ("gin", IndexMethod::Gin),
    ("brin", IndexMethod::Brin),
];

pub(super) fn create_index(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("name", mistakes);
    let target = table.name("table", mistakes);
    let columns = columns(table, mistakes);
    let predicate = table.expression("predicate", mistakes);
    let method = table.word("method", METHODS, mistakes).unwrap_or_default();
    let storage_parameters = table.fragment("storage_parameters", Fragment::StorageParameters, mistakes);
    let unique = table.flag("unique", mistakes).unwrap_or(false);
    if unique && method != IndexMethod::BTree {
        let cause = "only a btree index can be unique";
        table.mistake("unique", cause, "leave out \"unique\" or \"method\"", mistakes);
    }
    Some(Operation::CreateIndex(CreateIndex {
        name: name?,
        table: target?,
        columns: columns?,
        predicate,
        method,
        storage_parameters,
        unique,
    }))
}

/// The index's columns: a list of names or of maps with the settings, or a map from names to settings.
fn columns(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Vec<(Ident, IndexColumn)>> {
    let entry = table.entry("columns")?;
    let path = table.join("columns");
    let mut columns: Vec<(Ident, IndexColumn)> = Vec::new();
    match &entry.node.value {
        Value::Map(settings) if !settings.is_empty() => {
            for column in settings {
                let Ok(name) = Ident::new(column.key.as_str()) else {
                    mistakes.add(&column.key_at, "this is no name of a column", table.write("columns", mistakes));
                    continue;
                };
                let column = match column.node.value {
                    Value::Null => Some(IndexColumn::default()),
                    _ => {
                        Table::open(&column.node, &format!("{path}.{}", column.key), &column.key_at, SETTINGS, mistakes)
                            .map(|fields| settings_of(&fields, mistakes))
                    }
                };
                columns.extend(column.map(|column| (name, column)));
            }
        }
        _ => {
            for item in table.list("columns", mistakes)? {
                if let Some((name, column)) = listed(item, &format!("{path}[]"), mistakes) {
                    if columns.iter().any(|(other, _)| *other == name) {
                        mistakes.add(&item.at, format!("{name} stands here twice"), "leave one of them out");
                    }
                    columns.push((name, column));
                }
            }
        }
    }
    Some(columns)
}

fn listed(item: &Node, path: &str, mistakes: &mut Mistakes<'_>) -> Option<(Ident, IndexColumn)> {
    match &item.value {
        Value::Text(text) => match Ident::new(text.as_str()) {
            Ok(name) => Some((name, IndexColumn::default())),
            Err(why) => {
                mistakes.add(&item.at, why.to_string(), "write the name of a column");
                None
            }
        },
        _ => {
            let fields = Table::open(item, path, &item.at, LISTED, mistakes)?;
            let name = fields.name("column", mistakes);
            let column = settings_of(&fields, mistakes);
            Some((name?, column))
        }
    }
}

fn settings_of(fields: &Table<'_>, mistakes: &mut Mistakes<'_>) -> IndexColumn {
    let collate = fields.fragment("collate", Fragment::Collation, mistakes);
    let orders = [("ASC", Order::Ascending), ("DESC", Order::Descending)];
    let order = fields.word("sort", &orders, mistakes).unwrap_or_default();
    let nulls = fields.word("nulls", &[("FIRST", Nulls::First), ("LAST", Nulls::Last)], mistakes);
    let operator_class = fields.table("opclass", OPERATOR_CLASS, mistakes).and_then(|fields| {
        let name = fields.fragment("name", Fragment::OperatorClass, mistakes);
        let parameters = fields.fragments("params", Fragment::OperatorParameters, mistakes);
        match (name, parameters) {
            (Some(name), Some(parameters)) => Some(format!("{name} ({})", parameters.join(", "))),
            (name, None) => name,
            (None, Some(_)) => {
                if !fields.has("name") {
                    fields.mistake("params", "there is no operator class for them", "add its name", mistakes);
                }
                None
            }
        }
    });
    IndexColumn { collate, operator_class, order, nulls }
}

pub(super) fn drop_index(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    Some(Operation::DropIndex(DropIndex { name: table.name("name", mistakes)? }))
}
