//! *Purge*: what a migration's contract or undo put aside goes for good.

use super::{Lock, Step, Work, attic_prefix, kept_mark};
use crate::catalog::Catalog;
use crate::change::older_writes;
use crate::version::{ATTIC, OURS, Version, view};
use crate::{Ident, QualifiedName};

/// The steps that empty the attic of the migration with this number.
///
/// `standing` are the versions that can be used, by their schemas.
/// Guarantees: nothing goes that has not a name of ours with this number in it; each step may be gone through again.
#[must_use]
pub fn plan_purge(catalog: &Catalog, number: u32, standing: &[(Ident, Version)]) -> Vec<Step> {
    let prefix = attic_prefix(number);
    let is_aside = |name: &Ident| name.as_str().starts_with(&prefix);
    let kept = kept_mark(number);
    let mut steps = Vec::new();
    for (name, table) in &catalog.tables {
        let on = QualifiedName::new(&catalog.schema, name);
        if is_aside(name) {
            steps.push(Step {
                name: format!("drop what was table {}", called(name, &prefix)),
                lock: Some((Lock::AccessExclusive, on.clone())),
                work: Work::Together(vec![format!("DROP TABLE {on}")]),
            });
            continue;
        }
        let columns = table.columns.iter().filter(|column| is_aside(&column.name) || column.name == kept);
        let drops: Vec<String> = columns.map(|column| format!("DROP COLUMN {}", column.name)).collect();
        if !drops.is_empty() {
            steps.push(Step {
                name: format!("drop what was put aside of table {name}"),
                lock: Some((Lock::AccessExclusive, on.clone())),
                work: Work::Together(
                    views_again(catalog, name, standing)
                        .into_iter()
                        .chain([format!("ALTER TABLE {on} {}", drops.join(", "))])
                        .collect(),
                ),
            });
        }
    }
    let noted = older_writes(&catalog.schema, number);
    if !steps.is_empty() {
        steps.push(Step {
            name: "forget when an older version wrote".to_owned(),
            lock: None,
            work: Work::Together(vec![format!("DROP SEQUENCE IF EXISTS {noted}")]),
        });
    }
    steps
}

/// Views of the table that go past a column that was put aside are made anew without it.
fn views_again(catalog: &Catalog, table: &Ident, standing: &[(Ident, Version)]) -> Vec<String> {
    let mut statements = Vec::new();
    for (schema, version) in standing {
        let seen = version.tables.iter().filter(|(_, seen)| seen.physical == *table);
        for (name, seen) in seen.filter(|(_, seen)| seen.hidden.iter().any(|hidden| is_put_aside(&hidden.physical))) {
            statements.push(format!("DROP VIEW IF EXISTS {}", QualifiedName::new(schema, name)));
            statements.push(format!("DROP VIEW IF EXISTS {}", QualifiedName::new(schema, &name.prefixed(OURS))));
            statements.extend(view(catalog, schema, name, seen));
        }
    }
    statements
}

fn is_put_aside(column: &Ident) -> bool {
    column.as_str().starts_with(ATTIC)
}

fn called<'a>(name: &'a Ident, prefix: &str) -> &'a str {
    name.as_str().strip_prefix(prefix).unwrap_or(name.as_str())
}
