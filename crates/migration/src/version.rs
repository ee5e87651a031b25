//! The schema as one version of the app sees it: names that lead to the database's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::change::note_view;
use crate::{Ident, QualifiedName};

/// All tables of a version by the names that it uses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Version {
    /// By the version's own names.
    pub tables: BTreeMap<Ident, VersionTable>,
}

/// One table of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionTable {
    /// Its name in the database.
    pub physical: Ident,
    /// Its columns in the order in which they are seen.
    pub columns: Vec<VersionColumn>,
    /// Columns that its inserts go past, to say that they are its own.
    #[serde(default)]
    pub hidden: Vec<HiddenColumn>,
}

/// A column that a version does not see. A view between its own and the table has it, with a default that leaves a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenColumn {
    /// Its name in the database.
    pub physical: Ident,
    /// What the view between gives it.
    pub default: String,
}

/// One column of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionColumn {
    /// Its name in this version.
    pub name: Ident,
    /// Its name in the database.
    pub physical: Ident,
    /// What the view gives where an insert leaves it out; nothing where the table's own default does.
    pub default: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
}

impl Version {
    /// The version that sees everything as the database has it, our own columns left out.
    #[must_use]
    pub fn base(catalog: &Catalog) -> Self {
        let table = |(name, table): (&Ident, &crate::catalog::Table)| {
            let columns = table.columns.iter().filter(|column| !is_ours(&column.name));
            let columns = columns.map(|column| VersionColumn {
                name: column.name.clone(),
                physical: column.name.clone(),
                default: None,
                comment: column.comment.clone(),
            });
            (name.clone(), VersionTable { physical: name.clone(), columns: columns.collect(), hidden: Vec::new() })
        };
        Self { tables: catalog.tables.iter().filter(|(name, _)| !is_ours(name)).map(table).collect() }
    }
}

impl VersionTable {
    /// The column that the version calls so.
    #[must_use]
    pub fn column(&self, name: &Ident) -> Option<&VersionColumn> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The same, to be changed.
    pub(crate) fn column_mut(&mut self, name: &Ident) -> Option<&mut VersionColumn> {
        self.columns.iter_mut().find(|column| column.name == *name)
    }

    /// From the version's names to the database's.
    #[must_use]
    pub fn names(&self) -> BTreeMap<Ident, Ident> {
        self.columns.iter().map(|column| (column.name.clone(), column.physical.clone())).collect()
    }
}

/// A view's default of NULL. PostgreSQL keeps no default that is the constant, and takes the table's then: by that one
/// inserts of older versions are told.
pub(crate) fn no_default(data_type: &str) -> String {
    format!("{NO_DEFAULT}{data_type}) END")
}

/// Whether a view's default is such a one.
pub(crate) fn is_no_default(default: &str) -> bool {
    default.starts_with(NO_DEFAULT)
}

const NO_DEFAULT: &str = "CASE WHEN true THEN CAST(NULL AS ";

/// What our own columns and tables are called like.
pub(crate) const OURS: &str = "_switchover_";
/// What the names of columns and tables that were put aside begin with.
pub(crate) const ATTIC: &str = "_switchover_attic_";

/// Whether we made it beside what the app made.
#[must_use]
pub fn is_ours(name: &Ident) -> bool {
    name.as_str().starts_with(OURS)
}

/// The statements that make the view of one table in the version's schema, its rights and defaults with it.
///
/// A view of a plain selection is updatable by itself, and with `security_invoker` (PostgreSQL 15) who uses it needs
/// and has exactly the rights on the table, row security included.
pub(crate) fn view(catalog: &Catalog, schema: &Ident, name: &Ident, table: &VersionTable) -> Vec<String> {
    let base = QualifiedName::new(&catalog.schema, &table.physical);
    let view = QualifiedName::new(schema, name);
    let columns: Vec<(Ident, Ident, Option<&String>)> = table
        .columns
        .iter()
        .map(|column| (column.physical.clone(), column.name.clone(), column.default.as_ref()))
        .collect();
    // What is put aside is not written past any more.
    let is_there = |hidden: &&HiddenColumn| {
        let known = catalog.tables.get(&table.physical).and_then(|table| table.column(&hidden.physical));
        known.is_some_and(|column| !column.name.as_str().starts_with(ATTIC))
    };
    let past: Vec<&HiddenColumn> = table.hidden.iter().filter(is_there).collect();
    let mut statements = if past.is_empty() {
        selection(catalog, table, &base, &view, &columns)
    } else {
        let between = QualifiedName::new(schema, &name.prefixed(OURS));
        let hidden =
            past.iter().map(|hidden| (hidden.physical.clone(), hidden.physical.prefixed(OURS), Some(&hidden.default)));
        let all: Vec<_> = columns.iter().map(|(from, to, _)| (from.clone(), to.clone(), None)).chain(hidden).collect();
        let outer: Vec<_> = columns.iter().map(|(_, name, default)| (name.clone(), name.clone(), *default)).collect();
        let mut both = selection(catalog, table, &base, &between, &all);
        both.extend(selection(catalog, table, &between, &view, &outer));
        both
    };
    for column in &table.columns {
        if let Some(comment) = &column.comment {
            statements.push(format!("COMMENT ON COLUMN {view}.{} IS {}", column.name, crate::Literal(comment)));
        }
    }
    statements
}

/// A view of columns of `from`, by other names and with defaults of their own, with the rights that are on `from`.
fn selection(
    catalog: &Catalog,
    table: &VersionTable,
    from: &QualifiedName,
    view: &QualifiedName,
    columns: &[(Ident, Ident, Option<&String>)],
) -> Vec<String> {
    let list: Vec<String> = columns.iter().map(|(of, name, _)| format!("{of} AS {name}")).collect();
    let known = catalog.tables.get(&table.physical);
    let granted = known.is_some_and(|table| table.columns.iter().any(|column| column.granted));
    // Through a view that is its user's, PostgreSQL asks for a right on every column that the view has. One that is its
    // owner's asks for those of the columns that are used, and row security would be the owner's.
    let invoker = !granted || known.is_some_and(|table| table.row_security);
    let mut statements = vec![
        format!("CREATE VIEW {view} WITH (security_invoker = {invoker}) AS SELECT {} FROM {from}", list.join(", ")),
        note_view(view),
        format!("SELECT switchover.same_rights({}, {})", literal(from), literal(view)),
    ];
    for (of, name, default) in columns {
        if let Some(default) = default {
            statements.push(format!("ALTER VIEW {view} ALTER COLUMN {name} SET DEFAULT {default}"));
        }
        if granted {
            statements.push(same_column_rights(from, of, view, name));
        }
    }
    statements
}

/// Gives a column the rights that were granted on another one alone.
pub(crate) fn same_column_rights(from: &QualifiedName, of: &Ident, to: &QualifiedName, name: &Ident) -> String {
    format!(
        "SELECT switchover.same_column_rights({}, {}, {}, {})",
        literal(from),
        crate::Literal(of.as_str()),
        literal(to),
        crate::Literal(name.as_str())
    )
}

fn literal(name: &QualifiedName) -> String {
    crate::Literal(&name.to_string()).to_string()
}
