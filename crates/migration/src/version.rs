//! The schema as one version of the app sees it: names that lead to the database's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
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
            (name.clone(), VersionTable { physical: name.clone(), columns: columns.collect() })
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

/// What our own columns and tables are called like.
pub(crate) const OURS: &str = "_switchover_";

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
    let view = QualifiedName::new(schema, name);
    let base = QualifiedName::new(&catalog.schema, &table.physical);
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("{} AS {}", column.physical, column.name)).collect();
    let mut statements = vec![
        format!("CREATE VIEW {view} WITH (security_invoker = true) AS SELECT {} FROM {base}", columns.join(", ")),
        format!("SELECT switchover.same_rights({}, {})", literal(&base), literal(&view)),
    ];
    for column in &table.columns {
        if let Some(default) = &column.default {
            statements.push(format!("ALTER VIEW {view} ALTER COLUMN {} SET DEFAULT {default}", column.name));
        }
        if let Some(comment) = &column.comment {
            statements.push(format!("COMMENT ON COLUMN {view}.{} IS {}", column.name, crate::Literal(comment)));
        }
    }
    statements
}

fn literal(name: &QualifiedName) -> String {
    crate::Literal(&name.to_string()).to_string()
}
