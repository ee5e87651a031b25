//! An app's own statements: what can not work on a version of the schema, which is made of views.
//!
//! Views of a plain selection take most of what a table takes. What they do not take is listed here, each rule tried on real
//! servers by a test of `switchover-postgres`. Such a statement has to name the base schema, or be written otherwise.

use std::ops::Range;

use squawk_syntax::SyntaxKind::{
    CALL_EXPR, COLUMN_NAME_REF, CONFLICT_ON_CONSTRAINT, COPY, COPY_TABLE, FIELD_EXPR, GROUP_BY_CLAUSE, MERGE, NAME_REF,
    RELATION_NAME_REF, SELECT, STAR, TABLE_NAME_REF, TABLESAMPLE_CLAUSE, TARGET, TARGET_LIST, TRUNCATE,
    WHERE_CURRENT_OF,
};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::normalize_name_node;

use super::Source;
use super::finding::{Finding, Said, Severity};
use super::name::{Name, written};
use super::statement::{Statement, statements};
use crate::Ident;
use crate::catalog::Catalog;

/// The names of these rules.
pub const RULES: &[&str] = &[
    "copy-of-view",
    "current-of-view",
    "grouped-by-key",
    "merge-into-view",
    "on-conflict-on-constraint",
    "partition-by-name",
    "sequence-by-name",
    "system-column",
    "tablesample-of-view",
    "truncate-of-view",
];

/// The first version whose MERGE takes a view (PostgreSQL 17 release notes).
const MERGES_INTO_VIEWS: u32 = 17;

/// What is said about the statements of `text`, on a server of version `major`, where it is known.
///
/// What names its tables with a schema is left alone, and with the `catalog` what names none of its tables.
/// Errors: the place where the parser stops.
pub fn findings(
    text: &str,
    file: &str,
    major: Option<u32>,
    catalog: Option<&Catalog>,
) -> Result<Vec<Finding>, (Range<usize>, String)> {
    let source = Source { text, file };
    let mut found = Vec::new();
    for statement in statements(text).map_err(|mut wrong| wrong.remove(0))? {
        let mut all = if is_ours(&statement, catalog) { told(&statement, major) } else { Vec::new() };
        all.extend(catalog.and_then(|catalog| partition(&statement.node, catalog)));
        for (rule, said) in all {
            found.push(source.finding(rule, Severity::Refused, &statement.at, said));
        }
    }
    Ok(found)
}

/// Whether it may be about a table that a version shows: one without a schema before it.
fn is_ours(statement: &Statement, catalog: Option<&Catalog>) -> bool {
    let is_known = |name: &Ident| catalog.is_none_or(|catalog| catalog.tables.contains_key(name));
    relations(&statement.node).any(|name| name.schema.is_none() && is_known(&name.name))
        || sequences(&statement.node).is_some()
}

/// The tables that a statement names.
fn relations(node: &SyntaxNode) -> impl Iterator<Item = Name> {
    let is_one = |node: &SyntaxNode| matches!(node.kind(), RELATION_NAME_REF | TABLE_NAME_REF);
    node.descendants().filter(is_one).filter_map(|node| Name::first_in(&node))
}

/// A partition by its own name, of which no version has a view.
fn partition(node: &SyntaxNode, catalog: &Catalog) -> Option<(&'static str, Said)> {
    let named: Vec<Ident> = relations(node).filter(|name| name.schema.is_none()).map(|name| name.name).collect();
    let mut partitions = catalog
        .tables
        .iter()
        .flat_map(|(table, known)| known.partitions.iter().map(move |partition| (table, &partition.name)));
    let (table, partition) =
        partitions.find(|(_, partition)| partition.schema == catalog.schema && named.contains(&partition.name))?;
    let said = Said::new(format!(
        "a version has a view of {}, not of its partition {}",
        written(table),
        written(&partition.name)
    ));
    let next = format!(
        "Name {}, or the partition with the base schema: {}.{}.",
        written(table),
        written(&catalog.schema),
        written(&partition.name)
    );
    Some(("partition-by-name", said.next(next)))
}

fn told(statement: &Statement, major: Option<u32>) -> Vec<(&'static str, Said)> {
    let node = &statement.node;
    let has = |kind| node.descendants().any(|node| node.kind() == kind);
    let base =
        "Name the base schema in it, such as public.TABLE, for as long as both versions have the columns that it names";
    let mut all = Vec::new();
    match Kind::of(node) {
        Kind::Copy => all.push((
            "copy-of-view",
            Said::new("COPY takes no view").next(format!("{base}; read with COPY (SELECT ...) TO.")),
        )),
        Kind::Merge if major.is_none_or(|major| major < MERGES_INTO_VIEWS) => all.push((
            "merge-into-view",
            Said::new("MERGE takes no view before PostgreSQL 17")
                .next(format!("Write INSERT ... ON CONFLICT. {base}.")),
        )),
        Kind::Truncate => all.push((
            "truncate-of-view",
            Said::new("TRUNCATE takes no view").next(format!("Write DELETE FROM. {base}.")),
        )),
        Kind::Merge | Kind::Other => {}
    }
    if has(CONFLICT_ON_CONSTRAINT) {
        let said = Said::new("a view has no constraints to name");
        all.push(("on-conflict-on-constraint", said.next("Name the columns: ON CONFLICT (COLUMN, ...).")));
    }
    if has(WHERE_CURRENT_OF) {
        let said = Said::new("a view's row can not be named by a cursor");
        all.push(("current-of-view", said.next("Name the row by its key.")));
    }
    if has(TABLESAMPLE_CLAUSE) {
        all.push(("tablesample-of-view", Said::new("a view can not be sampled").next(format!("{base}."))));
    }
    if let Some(function) = sequences(node) {
        let said = Said::new(format!("{function} looks for a sequence that is of the table and not of its view"));
        all.push((
            "sequence-by-name",
            said.next("Write the sequence with the base schema, or INSERT ... RETURNING, or lastval()."),
        ));
    }
    if let Some(column) = system_column(node) {
        let said = Said::new(format!("a view has no {column}"));
        all.push(("system-column", said.next("Name the row by its key, and its state by a column of its own.")));
    }
    if node.descendants().filter(|node| node.kind() == SELECT).any(|select| groups_by_key(&select)) {
        let said = Said::new("a column that is neither grouped by nor aggregated is known by a table's key alone");
        all.push(("grouped-by-key", said.next("Name it in GROUP BY, too.")));
    }
    all
}

/// `nextval`, `currval`, `setval` of a name without schema, and `pg_get_serial_sequence` of a table.
fn sequences(node: &SyntaxNode) -> Option<String> {
    node.descendants().filter(|node| node.kind() == CALL_EXPR).find_map(|call| {
        let function = call.first_child()?.text().to_string().trim().to_ascii_lowercase();
        let is_one = ["nextval", "currval", "setval", "pg_get_serial_sequence"].contains(&function.as_str());
        let text = call.text().to_string();
        let argument = text.split('\'').nth(1)?;
        (is_one && !argument.contains('.')).then_some(function)
    })
}

fn system_column(node: &SyntaxNode) -> Option<String> {
    const COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
    let names = node.descendants().filter(|node| matches!(node.kind(), NAME_REF | COLUMN_NAME_REF));
    names.map(|name| normalize_name_node(&name)).find(|name| COLUMNS.contains(&name.as_str()))
}

/// Whether it shows a column that it neither groups by nor aggregates.
fn groups_by_key(select: &SyntaxNode) -> bool {
    let Some(group) = select.children().find(|node| node.kind() == GROUP_BY_CLAUSE) else { return false };
    let bare = |node: &SyntaxNode| {
        let text = node.text().to_string().to_ascii_lowercase();
        text.rsplit('.').next().unwrap_or_default().trim().trim_matches('"').to_owned()
    };
    let is_name = |node: &SyntaxNode| matches!(node.kind(), NAME_REF | FIELD_EXPR);
    let grouped: Vec<String> = group.descendants().filter(is_name).map(|node| bare(&node)).collect();
    // `GROUP BY 1` and sets of groups say it by other means.
    if grouped.is_empty() || group.text().to_string().chars().any(|letter| letter.is_ascii_digit()) {
        return false;
    }
    let Some(targets) = select.descendants().find(|node| node.kind() == TARGET_LIST) else { return false };
    targets.children().filter(|node| node.kind() == TARGET).any(|target| {
        let is_star = target.descendants_with_tokens().any(|part| part.kind() == STAR)
            && target.descendants().all(|node| node.kind() != CALL_EXPR);
        let value = target.first_child();
        is_star || value.is_some_and(|value| is_name(&value) && !grouped.contains(&bare(&value)))
    })
}

/// The statements that are told by their kind.
enum Kind {
    Copy,
    Merge,
    Truncate,
    Other,
}

impl Kind {
    fn of(node: &SyntaxNode) -> Self {
        match node.kind() {
            COPY if node.children().any(|child| child.kind() == COPY_TABLE) => Self::Copy,
            MERGE => Self::Merge,
            TRUNCATE => Self::Truncate,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sql: &str) -> Vec<String> {
        findings(sql, "app.sql", Some(15), None).unwrap().into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn only_what_a_view_can_not_is_told() {
        for (sql, expected) in [
            ("COPY users FROM STDIN", "copy-of-view"),
            ("COPY (SELECT * FROM users) TO STDOUT", ""),
            ("TRUNCATE users", "truncate-of-view"),
            ("TRUNCATE public.users", ""),
            ("COPY public.users FROM STDIN", ""),
            ("INSERT INTO public.users (id) VALUES ($1) ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING", ""),
            ("SELECT xmin FROM public.users", ""),
            ("SELECT xmin FROM public.users, orders", "system-column"),
            ("MERGE INTO users USING s ON users.id = s.id WHEN MATCHED THEN DELETE", "merge-into-view"),
            (
                "INSERT INTO users (id) VALUES ($1) ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING",
                "on-conflict-on-constraint",
            ),
            ("INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING id", ""),
            ("UPDATE users SET a = 1 WHERE CURRENT OF c", "current-of-view"),
            ("SELECT * FROM users TABLESAMPLE SYSTEM (1)", "tablesample-of-view"),
            ("SELECT nextval('users_id_seq')", "sequence-by-name"),
            ("SELECT nextval('public.users_id_seq'), lastval()", ""),
            ("SELECT xmin, id FROM users", "system-column"),
            ("SELECT u.*, count(*) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id", "grouped-by-key"),
            ("SELECT u.id, u.name, count(*) FROM users u GROUP BY u.id", "grouped-by-key"),
            ("SELECT u.id, count(*), max(name) FROM users u GROUP BY u.id", ""),
            ("SELECT id, name FROM users GROUP BY 1, 2", ""),
            ("SELECT * FROM users WHERE id = $1 FOR UPDATE SKIP LOCKED", ""),
            ("LOCK TABLE users IN SHARE MODE", ""),
        ] {
            assert_eq!(told(sql).join(" "), expected, "{sql}");
        }
        assert_eq!(
            findings("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", "f", Some(17), None),
            Ok(Vec::new())
        );
        assert!(findings("SELEC 1", "f", None, None).is_err());
    }
}
