//! Constraints of a table and the operations on one.

use crate::fragment::Fragment;
use crate::mistake::Mistakes;
use crate::{
    Column, Constraint, ConstraintKind, CreateConstraint, DropConstraint, DropMultiColumnConstraint, Ident,
    IndexStorage, OnDelete, Operation, RenameConstraint,
};

use super::operations::renamed;
use super::table::{Field, Table, optional, or_blank, required};

pub(super) const CREATE_CONSTRAINT: &[Field] = &[
    required("table", "\"users\""),
    required("name", "\"users_name\""),
    required("type", "\"unique\""),
    optional("columns", "[\"name\"]"),
    or_blank("check", "\"age >= 0\""),
    optional("references", "{\"table\": \"users\", \"columns\": [\"id\"]}"),
    optional("no_inherit", "true"),
    optional("index_parameters", "{\"include_columns\": [\"email\"]}"),
    required("up", "{\"name\": \"name\"}"),
    required("down", "{\"name\": \"name\"}"),
];
pub(super) const DROP_CONSTRAINT: &[Field] = &[
    required("table", "\"users\""),
    required("name", "\"users_name\""),
    or_blank("up", "\"name\""),
    required("down", "\"name || id\""),
];
pub(super) const DROP_MULTI_COLUMN: &[Field] = &[
    required("table", "\"users\""),
    required("name", "\"users_name\""),
    optional("up", "{\"name\": \"name\"}"),
    required("down", "{\"name\": \"name || id\"}"),
];
pub(super) const RENAME_CONSTRAINT: &[Field] =
    &[required("table", "\"users\""), required("from", "\"users_name\""), required("to", "\"users_full_name\"")];

const CONSTRAINT: &[Field] = &[
    required("name", "\"users_name\""),
    required("type", "\"unique\""),
    optional("columns", "[\"name\"]"),
    or_blank("check", "\"age >= 0\""),
    optional("references", "{\"table\": \"users\", \"columns\": [\"id\"]}"),
    optional("deferrable", "true"),
    optional("initially_deferred", "true"),
    optional("nulls_not_distinct", "true"),
    optional("no_inherit", "true"),
    optional("index_parameters", "{\"include_columns\": [\"email\"]}"),
    optional("exclude", "{\"index_method\": \"gist\", \"elements\": \"during WITH &&\"}"),
];
const REFERENCES: &[Field] = &[
    required("table", "\"users\""),
    required("columns", "[\"id\"]"),
    optional("name", "\"orders_user\""),
    optional("on_delete", "\"CASCADE\""),
    optional("on_delete_set_columns", "[\"user_id\"]"),
    optional("on_update", "\"CASCADE\""),
    optional("match_type", "\"FULL\""),
];
const INDEX_PARAMETERS: &[Field] = &[
    or_blank("tablespace", "\"fast\""),
    or_blank("storage_parameters", "\"fillfactor = 70\""),
    optional("include_columns", "[\"email\"]"),
];
const EXCLUDE: &[Field] = &[
    required("index_method", "\"gist\""),
    required("elements", "\"during WITH &&\""),
    or_blank("predicate", "\"NOT cancelled\""),
];

/// What a delete or a change of the key referred to does.
pub(super) const ACTIONS: &[(&str, OnDelete)] = &[
    ("NO ACTION", OnDelete::NoAction),
    ("RESTRICT", OnDelete::Restrict),
    ("CASCADE", OnDelete::Cascade),
    ("SET NULL", OnDelete::SetNull(Vec::new())),
    ("SET DEFAULT", OnDelete::SetDefault(Vec::new())),
];
/// Whether all columns of a reference are NULL or none. `PARTIAL` is a word of the format that no database knows.
pub(super) const MATCH_TYPES: &[(&str, bool)] = &[("SIMPLE", false), ("FULL", true)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unique,
    Check,
    PrimaryKey,
    ForeignKey,
    Exclude,
}

const KINDS: &[(&str, Kind)] = &[
    ("unique", Kind::Unique),
    ("check", Kind::Check),
    ("primary_key", Kind::PrimaryKey),
    ("foreign_key", Kind::ForeignKey),
    ("exclude", Kind::Exclude),
];
/// What can be added to a table that is there.
const ADDED_KINDS: &[(&str, Kind)] = &[
    ("unique", Kind::Unique),
    ("check", Kind::Check),
    ("primary_key", Kind::PrimaryKey),
    ("foreign_key", Kind::ForeignKey),
];

impl Kind {
    /// The fields that say what it asks for; the others are of other kinds.
    fn fields(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Unique => {
                (&["columns"], &["nulls_not_distinct", "index_parameters", "deferrable", "initially_deferred"])
            }
            Self::Check => (&["check"], &["columns", "no_inherit"]),
            Self::PrimaryKey => (&["columns"], &["index_parameters", "deferrable", "initially_deferred"]),
            Self::ForeignKey => (&["columns", "references"], &["deferrable", "initially_deferred"]),
            Self::Exclude => (&["exclude"], &["index_parameters", "deferrable", "initially_deferred"]),
        }
    }
}

/// The constraints of a new table with these columns.
pub(super) fn constraints(
    table: &Table<'_>,
    columns: &[Column],
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<Constraint>> {
    if !table.has("constraints") {
        return Some(Vec::new());
    }
    let mut has_primary_key = columns.iter().any(|column| column.primary_key);
    let mut constraints: Vec<Constraint> = Vec::new();
    for item in table.list("constraints", mistakes)? {
        let path = format!("{}[]", table.join("constraints"));
        let Some(fields) = Table::open(item, &path, &item.at, CONSTRAINT, mistakes) else { continue };
        let Some(constraint) = constraint(&fields, KINDS, mistakes) else { continue };
        if constraints.iter().any(|other| other.name == constraint.name) {
            let cause = format!("there is a constraint {} already", constraint.name);
            fields.mistake("name", cause, "name it otherwise", mistakes);
        }
        let is_primary_key = matches!(constraint.kind, ConstraintKind::PrimaryKey { .. });
        if is_primary_key && has_primary_key {
            let write = "leave out this one, or \"pk\" at the columns";
            fields.mistake("type", "the table has a primary key already", write, mistakes);
        }
        has_primary_key |= is_primary_key;
        constraints.push(constraint);
    }
    Some(constraints)
}

fn constraint(table: &Table<'_>, kinds: &[(&str, Kind)], mistakes: &mut Mistakes<'_>) -> Option<Constraint> {
    let name = table.name("name", mistakes);
    let columns = table.names("columns", mistakes);
    let check = table.expression("check", mistakes);
    let references = table.table("references", REFERENCES, mistakes);
    let no_inherit = table.flag("no_inherit", mistakes).unwrap_or(false);
    let nulls_not_distinct = table.flag("nulls_not_distinct", mistakes).unwrap_or(false);
    let (include, storage) = index_parameters(table, mistakes);
    let (deferrable, initially_deferred) = deferral(table, mistakes);
    let kind = table.word("type", kinds, mistakes)?;
    refuse_fields_of_other_kinds(table, kind, kinds, mistakes);
    let kind = match kind {
        Kind::Unique => ConstraintKind::Unique { columns: columns?, nulls_not_distinct, include, storage },
        Kind::PrimaryKey => ConstraintKind::PrimaryKey { columns: columns?, include, storage },
        Kind::Check => ConstraintKind::Check { expression: check?, no_inherit },
        Kind::ForeignKey => foreign_key(name.as_ref(), columns, &references?, mistakes)?,
        Kind::Exclude => {
            let fields = table.table("exclude", EXCLUDE, mistakes)?;
            let method = fields.fragment("index_method", Fragment::IndexMethod, mistakes);
            let elements = fields.fragment("elements", Fragment::ExclusionElements, mistakes);
            let predicate = fields.expression("predicate", mistakes);
            ConstraintKind::Exclude { method: method?, elements: elements?, predicate, include, storage }
        }
    };
    Some(Constraint { name: name?, kind, deferrable, initially_deferred })
}

fn refuse_fields_of_other_kinds(table: &Table<'_>, kind: Kind, kinds: &[(&str, Kind)], mistakes: &mut Mistakes<'_>) {
    let word = kinds.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| *word);
    let (needed, possible) = kind.fields();
    for name in needed.iter().filter(|name| !table.has(name)) {
        table.miss(name, mistakes);
    }
    let of_kinds = [
        "columns",
        "check",
        "references",
        "no_inherit",
        "nulls_not_distinct",
        "index_parameters",
        "exclude",
        "deferrable",
        "initially_deferred",
    ];
    for name in of_kinds.into_iter().filter(|name| !needed.contains(name) && !possible.contains(name)) {
        // The format has these at every kind where they say nothing.
        if table.has(name) && !table.says_nothing(name) {
            let cause = format!("a constraint of type {word} has no \"{name}\"");
            table.mistake(name, cause, "leave it out, or write another type", mistakes);
        }
    }
}

fn foreign_key(
    name: Option<&Ident>,
    columns: Option<Vec<Ident>>,
    fields: &Table<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<ConstraintKind> {
    let table = fields.name("table", mistakes);
    let referred = fields.names("columns", mistakes);
    let on_update = fields.word("on_update", ACTIONS, mistakes).unwrap_or_default();
    let match_full = fields.word("match_type", MATCH_TYPES, mistakes).unwrap_or(false);
    let on_delete = fields.word("on_delete", ACTIONS, mistakes).unwrap_or_default();
    let set = fields.names("on_delete_set_columns", mistakes);
    if let (Some(name), Some(other)) = (name, fields.name("name", mistakes))
        && *name != other
    {
        let cause = format!("the constraint is called {name} above, and {other} here");
        fields.mistake("name", cause, "leave this one out", mistakes);
    }
    let on_delete = match (on_delete, set) {
        (OnDelete::SetNull(_), Some(set)) => OnDelete::SetNull(set),
        (OnDelete::SetDefault(_), Some(set)) => OnDelete::SetDefault(set),
        (other, Some(_)) => {
            let cause = "\"on_delete_set_columns\" has no effect: on_delete sets no column";
            let write = "leave it out, or write: on_delete: SET NULL";
            fields.mistake("on_delete_set_columns", cause, write, mistakes);
            other
        }
        (other, None) => other,
    };
    let (columns, referred) = (columns?, referred?);
    if columns.len() != referred.len() {
        let cause = format!("columns are {} here and {} in the constraint", referred.len(), columns.len());
        fields.mistake("columns", cause, "name as many columns on both sides", mistakes);
    }
    if let OnDelete::SetNull(set) | OnDelete::SetDefault(set) = &on_delete
        && let Some(stranger) = set.iter().find(|column| !columns.contains(column))
    {
        let cause = format!("{stranger} is none of the constraint's columns");
        fields.mistake("on_delete_set_columns", cause, "name columns of the constraint", mistakes);
    }
    Some(ConstraintKind::ForeignKey { columns, table: table?, referred, on_delete, on_update, match_full })
}

fn index_parameters(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> (Vec<Ident>, IndexStorage) {
    let Some(fields) = table.table("index_parameters", INDEX_PARAMETERS, mistakes) else {
        return (Vec::new(), IndexStorage::default());
    };
    let tablespace = fields.name("tablespace", mistakes);
    let parameters = fields.fragment("storage_parameters", Fragment::StorageParameters, mistakes);
    let include = fields.names("include_columns", mistakes).unwrap_or_default();
    (include, IndexStorage { tablespace, parameters })
}

/// Whether a constraint can be deferred, and is so from the start. What is deferred from the start can be deferred.
pub(super) fn deferral(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> (bool, bool) {
    let deferrable = table.flag("deferrable", mistakes);
    let initially_deferred = table.flag("initially_deferred", mistakes).unwrap_or(false);
    if deferrable == Some(false) && initially_deferred {
        let cause = "it can not be deferred from the start and not be deferrable";
        table.mistake("deferrable", cause, "leave one of the two out", mistakes);
    }
    (deferrable.unwrap_or(initially_deferred), initially_deferred)
}

pub(super) fn create_constraint(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let name = table.name("table", mistakes);
    let constraint = constraint(table, ADDED_KINDS, mistakes);
    let columns = if table.has("columns") { table.names("columns", &mut Mistakes::new("", "")) } else { None };
    let up = table.expressions("up", mistakes);
    let down = table.expressions("down", mistakes);
    for (side, expressions) in [("up", &up), ("down", &down)] {
        let strangers = expressions
            .iter()
            .flat_map(|map| map.keys())
            .filter(|column| columns.as_ref().is_some_and(|columns| !columns.contains(column)));
        for stranger in strangers {
            let cause = format!("\"{side}\" has a value for {stranger}, which is none of the constraint's columns");
            table.mistake(side, cause, "leave it out, or name the column in \"columns\"", mistakes);
        }
    }
    let (up, down) = (up?, down?);
    Some(Operation::CreateConstraint(CreateConstraint { table: name?, constraint: constraint?, up, down }))
}

pub(super) fn drop_constraint(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let target = table.name("table", mistakes);
    let name = table.name("name", mistakes);
    let up = table.expression("up", mistakes);
    let down = table.expression("down", mistakes);
    Some(Operation::DropConstraint(DropConstraint { table: target?, name: name?, up, down: down? }))
}

pub(super) fn drop_multi_column_constraint(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let target = table.name("table", mistakes);
    let name = table.name("name", mistakes);
    let up = table.expressions("up", mistakes).unwrap_or_default();
    let down = table.expressions("down", mistakes);
    if down.as_ref().is_some_and(std::collections::BTreeMap::is_empty) {
        let write = table.write("down", mistakes);
        table.mistake("down", "\"down\" has no column", &write, mistakes);
    }
    Some(Operation::DropMultiColumnConstraint(DropMultiColumnConstraint {
        table: target?,
        name: name?,
        up,
        down: down?,
    }))
}

pub(super) fn rename_constraint(table: &Table<'_>, mistakes: &mut Mistakes<'_>) -> Option<Operation> {
    let target = table.name("table", mistakes);
    let names = renamed(table, mistakes);
    let (from, to) = names?;
    Some(Operation::RenameConstraint(RenameConstraint { table: target?, from, to }))
}
