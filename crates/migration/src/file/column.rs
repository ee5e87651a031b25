//! Columns and the operations on one.

use crate::fragment::Fragment;
use crate::mistake::Mistakes;
use crate::{
    AddColumn, AlterColumn, Check, Column, DefaultChange, DropColumn, Generated, Operation, References, RenameColumn,
};

use super::constraint::{ACTIONS, MATCH_TYPES, deferral};
use super::operations::renamed;
use super::table::{Field, Table, gone, optional, or_blank, required};

pub(super) const ADD_COLUMN: &[Field] = &[
    required("table", "\"users\""),
    required("column", "{\"name\": \"age\", \"type\": \"int\", \"nullable\": true}"),
    or_blank("up", "\"0\""),
];
pub(super) const ALTER_COLUMN: &[Field] = &[
    required("table", "\"users\""),
    required("column", "\"age\""),
    optional("type", "\"bigint\""),
    optional("nullable", "false"),
    optional("default", "\"0\""),
    optional("comment", "\"in years\""),
    optional("check", "{\"name\": \"age_is_known\", \"constraint\": \"age >= 0\"}"),
    optional("references", "{\"name\": \"age_group\", \"table\": \"groups\", \"column\": \"age\"}"),
    optional("unique", "{\"name\": \"users_age\"}"),
    or_blank("up", "\"age\""),
    or_blank("down", "\"age\""),
    gone("name", "a rename is an operation of its own: rename_column, with table, from and to"),
];
pub(super) const DROP_COLUMN: &[Field] =
    &[required("table", "\"users\""), required("column", "\"age\""), or_blank("down", "\"0\"")];
pub(super) const RENAME_COLUMN: &[Field] =
    &[required("table", "\"users\""), required("from", "\"name\""), required("to", "\"full_name\"")];

const COLUMN: &[Field] = &[
    required("name", "\"age\""),
    required("type", "\"int\""),
    optional("nullable", "true"),
    optional("unique", "true"),
    optional("pk", "true"),
    optional("default", "\"0\""),
    optional("check", "{\"name\": \"age_is_known\", \"constraint\": \"age >= 0\"}"),
    optional("references", "{\"name\": \"age_group\", \"table\": \"groups\", \"column\": \"age\"}"),
    optional("comment", "\"in years\""),
    optional("generated", "{\"identity\": {\"user_specified_values\": \"BY DEFAULT\"}}"),
];
const CHECK: &[Field] =
    &[required("name", "\"age_is_known\""), required("constraint", "\"age >= 0\""), optional("no_inherit", "true")];
const REFERENCES: &[Field] = &[
    required("name", "\"orders_user\""),
    required("table", "\"users\""),
    optional("column", "\"id\""),
    optional("on_delete", "\"CASCADE\""),
    optional("on_update", "\"CASCADE\""),
    optional("match_type", "\"FULL\""),
    optional("deferrable", "true"),
    optional("initially_deferred", "true"),
];
const UNIQUE: &[Field] = &[required("name", "\"users_age\"")];
const GENERATED: &[Field] =
    &[or_blank("expression", "\"price * amount\""), optional("identity", "{\"user_specified_values\": \"ALWAYS\"}")];
const IDENTITY: &[Field] =
    &[optional("user_specified_values", "\"BY DEFAULT\""), or_blank("sequence_options", "\"START WITH 1000\"")];

/// What an `alter_column` may change.
const CHANGES: &[&str] = &["type", "nullable", "default", "comment", "check", "references", "unique"];

/// The columns of a new table.
pub(super) fn columns(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Vec<Column>> {
    let items = table.list("columns", mistakes)?;
    let path = format!("{}[]", table.join("columns"));
    let mut columns: Vec<Column> = Vec::new();
    for item in items {
        let Some(fields) = Table::open(item, &path, &item.at, COLUMN, mistakes) else { continue };
        let Some(column) = column(&fields, mistakes) else { continue };
        if columns.iter().any(|other| other.name == column.name) {
            fields.mistake("name", format!("there is a column {} already", column.name), "name it otherwise", mistakes);
        }
        columns.push(column);
    }
    Some(columns)
}

fn column(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Column> {
    let name = table.name("name", mistakes);
    let data_type = table.data_type("type", mistakes);
    let nullable = table.flag("nullable", mistakes).unwrap_or(false);
    let unique = table.flag("unique", mistakes).unwrap_or(false);
    let primary_key = table.flag("pk", mistakes).unwrap_or(false);
    let default = table.expression("default", mistakes);
    let check = check(table, mistakes);
    let references = references(table, mistakes);
    let comment = table.text("comment", mistakes).map(str::to_owned);
    let generated = generated(table, mistakes);
    if table.has("generated") && table.has("default") {
        table.mistake("default", "a generated column has no default", "leave one of the two out", mistakes);
    }
    if primary_key && nullable {
        let cause = "a column of the primary key takes no NULL";
        table.mistake("nullable", cause, "leave out \"nullable\" or \"pk\"", mistakes);
    }
    Some(Column {
        name: name?,
        data_type: data_type?,
        nullable,
        unique,
        primary_key,
        default,
        check,
        references,
        comment,
        generated,
    })
}

fn check(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Check> {
    let fields = table.table("check", CHECK, mistakes)?;
    let name = fields.name("name", mistakes);
    let expression = fields.expression("constraint", mistakes);
    let no_inherit = fields.flag("no_inherit", mistakes).unwrap_or(false);
    Some(Check { name: name?, expression: expression?, no_inherit })
}

fn references(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<References> {
    let fields = table.table("references", REFERENCES, mistakes)?;
    let name = fields.name("name", mistakes);
    let target = fields.name("table", mistakes);
    let column = fields.name("column", mistakes);
    let on_delete = fields.word("on_delete", ACTIONS, mistakes).unwrap_or_default();
    let on_update = fields.word("on_update", ACTIONS, mistakes).unwrap_or_default();
    let match_full = fields.word("match_type", MATCH_TYPES, mistakes).unwrap_or(false);
    let (deferrable, initially_deferred) = deferral(&fields, mistakes);
    Some(References {
        name: name?,
        table: target?,
        column,
        on_delete,
        on_update,
        match_full,
        deferrable,
        initially_deferred,
    })
}

fn generated(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Generated> {
    let fields = table.table("generated", GENERATED, mistakes)?;
    let expression = fields.expression("expression", mistakes);
    let identity = fields.table("identity", IDENTITY, mistakes);
    match (fields.has("expression"), fields.has("identity")) {
        (true, true) => {
            let cause = "a column is generated from an expression or from a sequence, not from both";
            fields.mistake("identity", cause, "leave one of the two out", mistakes);
            None
        }
        (false, false) => {
            let write = format!("{}\nor {}", fields.write("expression", mistakes), fields.write("identity", mistakes));
            let cause = format!("{} has neither \"expression\" nor \"identity\"", fields.path);
            mistakes.add(&fields.at, cause, write);
            None
        }
        (true, false) => expression.map(Generated::Stored),
        (false, true) => {
            let identity = identity?;
            let values = [("ALWAYS", true), ("BY DEFAULT", false)];
            let always = identity.word("user_specified_values", &values, mistakes).unwrap_or(true);
            let options = identity.fragment("sequence_options", Fragment::SequenceOptions, mistakes);
            Some(Generated::Identity { always, options: options.unwrap_or_default() })
        }
    }
}

pub(super) fn add_column(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let fields = table.table("column", COLUMN, mistakes);
    let column = fields.and_then(|fields| column(&fields, mistakes));
    let up = table.expression("up", mistakes);
    Some(Operation::AddColumn(AddColumn { table: name?, column: column?, up }))
}

pub(super) fn alter_column(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let column = table.name("column", mistakes);
    let data_type = table.data_type("type", mistakes);
    let nullable = table.flag("nullable", mistakes);
    let default = match table.is_null("default") {
        true => DefaultChange::Drop,
        false => table.expression("default", mistakes).map_or(DefaultChange::Keep, DefaultChange::Set),
    };
    let comment = match table.is_null("comment") {
        true => Some(None),
        false => table.text("comment", mistakes).map(|comment| Some(comment.to_owned())),
    };
    let check = check(table, mistakes);
    let references = references(table, mistakes);
    let unique = table.table("unique", UNIQUE, mistakes).and_then(|unique| unique.name("name", mistakes));
    let up = table.expression("up", mistakes);
    let down = table.expression("down", mistakes);
    if table.first_of(CHANGES).is_none() && !table.has("name") {
        let cause = "alter_column changes nothing";
        mistakes.add(&table.at, cause, format!("add one of: {}", CHANGES.join(", ")));
    }
    if table.has("type") {
        for side in ["up", "down"].into_iter().filter(|side| !table.has(side)) {
            table.miss(side, mistakes);
        }
    }
    Some(Operation::AlterColumn(AlterColumn {
        table: name?,
        column: column?,
        data_type,
        nullable,
        default,
        comment,
        check,
        references,
        unique,
        up,
        down,
    }))
}

pub(super) fn drop_column(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let column = table.name("column", mistakes);
    let down = table.expression("down", mistakes);
    Some(Operation::DropColumn(DropColumn { table: name?, column: column?, down }))
}

pub(super) fn rename_column(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let names = renamed(table, mistakes);
    let (from, to) = names?;
    Some(Operation::RenameColumn(RenameColumn { table: name?, from, to }))
}
