//! The list of operations: each a map with one key, read by the file of what it is about.

use crate::mistake::{Mistakes, did_you_mean};
use crate::yaml::{Entry, Node, Value};
use crate::{CreateTable, DropTable, Operation, RawSql, RenameTable, ReplicaIdentity, SetReplicaIdentity};

use super::table::{Field, Table, optional, or_blank, required};
use super::{column, constraint, index};

/// Reads one operation's fields.
type Read = fn(&Table<'_>, &mut Mistakes<'_>) -> Option<Operation>;

/// Every operation of the format: its name, its fields, and what reads it.
const OPERATIONS: &[(&str, &[Field], Read)] = &[
    ("add_column", column::ADD_COLUMN, column::add_column),
    ("alter_column", column::ALTER_COLUMN, column::alter_column),
    ("create_constraint", constraint::CREATE_CONSTRAINT, constraint::create_constraint),
    ("create_index", index::CREATE_INDEX, index::create_index),
    ("create_table", CREATE_TABLE, create_table),
    ("drop_column", column::DROP_COLUMN, column::drop_column),
    ("drop_constraint", constraint::DROP_CONSTRAINT, constraint::drop_constraint),
    ("drop_index", index::DROP_INDEX, index::drop_index),
    ("drop_multicolumn_constraint", constraint::DROP_MULTI_COLUMN, constraint::drop_multi_column_constraint),
    ("drop_table", DROP_TABLE, drop_table),
    ("rename_column", column::RENAME_COLUMN, column::rename_column),
    ("rename_constraint", constraint::RENAME_CONSTRAINT, constraint::rename_constraint),
    ("rename_table", RENAME_TABLE, rename_table),
    ("set_replica_identity", SET_REPLICA_IDENTITY, set_replica_identity),
    ("sql", SQL, sql),
];

const CREATE_TABLE: &[Field] = &[
    required("name", "\"users\""),
    required("columns", "[{\"name\": \"id\", \"type\": \"bigint\", \"pk\": true}]"),
    optional("constraints", "[{\"name\": \"users_name\", \"type\": \"unique\", \"columns\": [\"name\"]}]"),
    optional("comment", "\"who may sign in\""),
];
const DROP_TABLE: &[Field] = &[required("name", "\"users\"")];
const RENAME_TABLE: &[Field] = &[required("from", "\"users\""), required("to", "\"people\"")];
const SET_REPLICA_IDENTITY: &[Field] =
    &[required("table", "\"users\""), required("identity", "{\"type\": \"index\", \"index\": \"users_by_name\"}")];
const IDENTITY: &[Field] = &[required("type", "\"full\""), or_blank("index", "\"users_by_name\"")];
const SQL: &[Field] = &[
    required("up", "\"CREATE TYPE kind AS ENUM ('a', 'b')\""),
    or_blank("down", "\"DROP TYPE IF EXISTS kind\""),
    optional("onComplete", "true"),
];

/// The operations of the file.
pub(super) fn read(file: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Vec<Operation>> {
    let items = file.list("operations", mistakes)?;
    let mut operations = Vec::new();
    for item in items {
        let Some(entry) = only_entry(item, mistakes) else { continue };
        let Some((name, fields, read)) = OPERATIONS.iter().find(|(name, _, _)| *name == entry.key) else {
            let cause = format!("there is no operation \"{}\"", entry.key);
            let known = OPERATIONS.iter().map(|(name, _, _)| *name);
            mistakes.add(&entry.key_at, cause, did_you_mean(&entry.key, known));
            continue;
        };
        let Some(table) = Table::open(&entry.node, name, &entry.key_at, fields, mistakes) else { continue };
        let operation = read(&table, mistakes);
        if items.len() > 1 && matches!(&operation, Some(Operation::Sql(sql)) if !sql.on_complete) {
            table.mistake(
                "up",
                "sql stands beside other operations: what it leaves behind is not known when they are planned",
                "give it a file of its own, or add: onComplete: true",
                mistakes,
            );
        }
        operations.extend(operation);
    }
    Some(operations)
}

/// The one operation that an item of the list is.
fn only_entry<'n>(item: &'n Node, mistakes: &mut Mistakes<'_>) -> Option<&'n Entry> {
    let write = format!("write: {}", mistakes.written("drop_table", "{\"name\": \"users\"}"));
    match &item.value {
        Value::Map(entries) => match &entries[..] {
            [entry] => Some(entry),
            [] => {
                mistakes.add(&item.at, "there is no operation here", write);
                None
            }
            [_, second, ..] => {
                let cause = format!("\"{}\" is a second key: an operation has one, its name", second.key);
                mistakes.add(&second.key_at, cause, "give each operation its own item of the list");
                None
            }
        },
        Value::Refused => None,
        other => {
            mistakes.add(&item.at, format!("an operation must be a map, not {}", other.kind()), write);
            None
        }
    }
}

fn create_table(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("name", mistakes);
    let columns = column::columns(table, mistakes);
    let constraints = constraint::constraints(table, columns.as_deref().unwrap_or_default(), mistakes);
    let comment = table.text("comment", mistakes).map(str::to_owned);
    Some(Operation::CreateTable(CreateTable { name: name?, columns: columns?, constraints: constraints?, comment }))
}

fn drop_table(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    Some(Operation::DropTable(DropTable { name: table.name("name", mistakes)? }))
}

fn rename_table(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let (from, to) = renamed(table, mistakes)?;
    Some(Operation::RenameTable(RenameTable { from, to }))
}

/// `from` and `to`, two names.
pub(super) fn renamed(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<(crate::Ident, crate::Ident)> {
    let (from, to) = (table.name("from", mistakes), table.name("to", mistakes));
    let (from, to) = (from?, to?);
    if from == to {
        table.mistake("to", "it has this name already", "write another name, or leave the operation out", mistakes);
        return None;
    }
    Some((from, to))
}

fn set_replica_identity(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let identity = table.table("identity", IDENTITY, mistakes)?;
    let index = identity.name("index", mistakes);
    // In small letters in the reference, in capitals in SQL: both are meant.
    let words = [
        ("full", Some(ReplicaIdentity::Full)),
        ("default", Some(ReplicaIdentity::Default)),
        ("nothing", Some(ReplicaIdentity::Nothing)),
        ("index", None),
        ("FULL", Some(ReplicaIdentity::Full)),
        ("DEFAULT", Some(ReplicaIdentity::Default)),
        ("NOTHING", Some(ReplicaIdentity::Nothing)),
        ("INDEX", None),
    ];
    let identity = match (identity.word("type", &words, mistakes)?, index) {
        (Some(_), Some(_)) => {
            let cause = "\"index\" has no effect: the rows are not known by an index";
            identity.mistake("index", cause, "leave it out, or write: type: index", mistakes);
            return None;
        }
        (Some(known), None) => known,
        (None, Some(index)) => ReplicaIdentity::Index(index),
        (None, None) => {
            if !identity.has("index") {
                identity.miss("index", mistakes);
            }
            return None;
        }
    };
    Some(Operation::SetReplicaIdentity(SetReplicaIdentity { table: name?, identity }))
}

fn sql(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let up = table.text("up", mistakes).map(str::to_owned);
    let down = table.text("down", mistakes).map(str::to_owned);
    let on_complete = table.flag("onComplete", mistakes).unwrap_or(false);
    if on_complete && down.is_some() {
        let cause = "\"down\" has no effect: what runs at the end is not taken back by it";
        table.mistake("down", cause, "leave out \"down\" or \"onComplete\"", mistakes);
    }
    Some(Operation::Sql(RawSql { up: up?, down, on_complete }))
}
