//! An app's own statements: what can not work on a version of the schema, which is made of views.
//!
//! Views of a plain selection take most of what a table takes. What they do not take is listed here, each rule tried on real
//! servers by a test of `switchover-postgres`. Such a statement has to name the base schema, or be written otherwise.

use std::ops::Range;

use squawk_syntax::SyntaxKind::{
    AS_NAME, CALL_EXPR, COLUMN_NAME, COLUMN_NAME_REF, CONFLICT_ON_CONSTRAINT, COPY, COPY_TABLE, CTE_NAME, FIELD_EXPR,
    GROUP_BY_CLAUSE, GROUPING_EXPR, HAVING_CLAUSE, MERGE, NAME_REF, ORDER_BY_CLAUSE, OVER_CLAUSE, RECURSIVE_KW,
    RELATION_NAME_REF, SELECT, SELECT_CLAUSE, SET_EXPR, STAR, TABLE_NAME_REF, TABLESAMPLE_CLAUSE, TARGET, TARGET_LIST,
    TRUNCATE, WHERE_CURRENT_OF, WITH_CLAUSE, WITH_TABLE,
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
    "default-of-view",
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
        all.extend(sequence_by_name(&statement.node));
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
    let is_version = |schema: &Ident| {
        catalog.is_some_and(|catalog| schema.as_str().starts_with(&format!("{}_", catalog.schema.as_str())))
    };
    relations(&statement.node).any(|name| match &name.schema {
        Some(schema) => is_version(schema) && is_known(&name.name),
        None => is_known(&name.name),
    })
}

/// The tables that a statement names; those that it makes itself by WITH are none.
fn relations(node: &SyntaxNode) -> impl Iterator<Item = Name> {
    let is_one = |node: &SyntaxNode| matches!(node.kind(), RELATION_NAME_REF | TABLE_NAME_REF);
    let named = node.descendants().filter(is_one).filter_map(|node| Some((Name::first_in(&node)?, node)));
    let own: Vec<Name> =
        named.filter(|(name, node)| name.schema.is_some() || !is_of_with(name, node)).map(|(name, _)| name).collect();
    own.into_iter()
}

/// Whether a name is that of a query of WITH that can be seen where it stands: in what follows the query, in itself with RECURSIVE.
fn is_of_with(name: &Name, at: &SyntaxNode) -> bool {
    let clauses = at.ancestors().filter_map(|outer| outer.children().find(|child| child.kind() == WITH_CLAUSE));
    clauses.into_iter().any(|clause| {
        let is_recursive = clause.children_with_tokens().any(|part| part.kind() == RECURSIVE_KW);
        let queries = clause.children().filter(|query| query.kind() == WITH_TABLE);
        queries.into_iter().any(|query| {
            let called =
                query.children().find(|child| child.kind() == CTE_NAME).map(|called| normalize_name_node(&called));
            let is_seen = is_recursive || at.text_range().start() >= query.text_range().end();
            is_seen && called.as_deref() == Some(name.name.as_str())
        })
    })
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
    if node
        .descendants()
        .any(|node| node.kind() == SET_EXPR && node.text().to_string().trim().eq_ignore_ascii_case("default"))
    {
        let said = Said::new("SET ... = DEFAULT sets NULL: a view has no defaults");
        all.push(("default-of-view", said.next("Write the value. INSERT is not concerned.")));
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

fn sequence_by_name(node: &SyntaxNode) -> Option<(&'static str, Said)> {
    let function = sequences(node)?;
    let said = Said::new(format!("{function} looks for a sequence that is of the table and not of its view"));
    Some((
        "sequence-by-name",
        said.next("Write the sequence with the base schema, or INSERT ... RETURNING, or lastval()."),
    ))
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

/// Functions of one row: what stands in them needs a group like the column itself. Others may be aggregates.
const OF_ONE_ROW: &[&str] = &[
    "abs",
    "age",
    "btrim",
    "ceil",
    "coalesce",
    "concat",
    "date_part",
    "date_trunc",
    "extract",
    "floor",
    "greatest",
    "initcap",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "md5",
    "nullif",
    "replace",
    "right",
    "round",
    "rtrim",
    "split_part",
    "substr",
    "substring",
    "to_char",
    "to_date",
    "to_timestamp",
    "trim",
    "upper",
];

/// Whether it shows, sorts or sifts by a column that it neither groups by nor aggregates.
fn groups_by_key(select: &SyntaxNode) -> bool {
    let part = |kind| select.children().find(move |node| node.kind() == kind);
    let Some(group) = part(GROUP_BY_CLAUSE) else { return false };
    let items: Vec<SyntaxNode> = group.descendants().filter(|node| node.kind() == GROUPING_EXPR).collect();
    // `GROUP BY 1`, sets of groups and expressions say it by other means.
    let names = items.iter().map(|item| item.first_child().filter(is_column).map(|name| bare(&name)));
    let Some(grouped) = names.collect::<Option<Vec<String>>>().filter(|names| !names.is_empty()) else { return false };
    let own = part(SELECT_CLAUSE).and_then(|clause| clause.children().find(|node| node.kind() == TARGET_LIST));
    let Some(targets) = own else { return false };
    let name_of = |target: &SyntaxNode| {
        let called = target.children().find(|node| node.kind() == AS_NAME)?;
        called.children().find(|node| node.kind() == COLUMN_NAME).map(|name| normalize_name_node(&name))
    };
    let called: Vec<String> = targets.children().filter_map(|target| name_of(&target)).collect();
    // A name of the output that is grouped by stands for its whole expression.
    if called.iter().any(|name| grouped.contains(name)) {
        return false;
    }
    let is_star = |target: &SyntaxNode| {
        target.descendants_with_tokens().any(|part| part.kind() == STAR)
            && target.descendants().all(|node| node.kind() != CALL_EXPR)
    };
    if targets.children().filter(|node| node.kind() == TARGET).any(|target| is_star(&target)) {
        return true;
    }
    let shown = [Some(targets), part(HAVING_CLAUSE)].into_iter().flatten().any(|node| has_loose(&node, &grouped, &[]));
    shown || part(ORDER_BY_CLAUSE).is_some_and(|order| has_loose(&order, &grouped, &called))
}

fn is_column(node: &SyntaxNode) -> bool {
    matches!(node.kind(), NAME_REF | FIELD_EXPR)
}

/// A column without its table.
fn bare(node: &SyntaxNode) -> String {
    let text = node.text().to_string().to_ascii_lowercase();
    text.rsplit('.').next().unwrap_or_default().trim().trim_matches('"').to_owned()
}

/// Whether a column stands in it that is not `grouped` and none of the names that it is `called` by, by itself or in a function of
/// one row.
fn has_loose(node: &SyntaxNode, grouped: &[String], called: &[String]) -> bool {
    match node.kind() {
        NAME_REF | FIELD_EXPR => {
            let name = bare(node);
            let is_constant = name.starts_with("current_")
                || ["localtime", "localtimestamp", "session_user", "user"].contains(&name.as_str());
            !is_constant && !grouped.contains(&name) && !called.contains(&name)
        }
        CALL_EXPR => {
            let function = node.first_child().map(|name| bare(&name)).unwrap_or_default();
            let is_window = node.children().any(|child| child.kind() == OVER_CLAUSE);
            !is_window
                && OF_ONE_ROW.contains(&function.as_str())
                && node.children().skip(1).any(|child| has_loose(&child, grouped, called))
        }
        // A query of its own has its own groups; names of types and parameters are no columns.
        SELECT => false,
        _ => node.children().any(|child| has_loose(&child, grouped, called)),
    }
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
            ("SELECT u.id, upper(u.name) FROM users u GROUP BY u.id", "grouped-by-key"),
            ("SELECT u.id FROM users u GROUP BY u.id ORDER BY u.name", "grouped-by-key"),
            ("SELECT u.id, count(*) AS n FROM users u GROUP BY u.id ORDER BY n, max(u.age)", ""),
            ("SELECT u.id FROM users u GROUP BY u.id HAVING u.age > 10", "grouped-by-key"),
            ("SELECT u.id FROM users u GROUP BY u.id HAVING max(u.age) > 10", ""),
            ("SELECT date_trunc('day', at) FROM users GROUP BY date_trunc('day', at)", ""),
            ("SELECT date_trunc('day', at) AS day, count(*) FROM users GROUP BY day", ""),
            ("SELECT name AS n, count(*) FROM users GROUP BY n", ""),
            ("SELECT id, current_date, count(*), covar_pop(a, b), own_aggregate(c) FROM users GROUP BY id", ""),
            ("WITH t AS (SELECT a, b FROM x) SELECT id, count(*) FROM t GROUP BY id", ""),
            ("WITH users AS (SELECT xmin FROM users) SELECT * FROM users", "system-column"),
            ("WITH t AS (SELECT xmin FROM public.users) SELECT * FROM t", ""),
            ("UPDATE users SET age = DEFAULT WHERE id = 1", "default-of-view"),
            ("UPDATE users SET (age, name) = (DEFAULT, 'a') WHERE id = 1", "default-of-view"),
            ("INSERT INTO users (id, age) VALUES (1, DEFAULT)", ""),
            ("INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET age = DEFAULT", "default-of-view"),
            (
                "INSERT INTO public.users SELECT nextval('s') ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING",
                "sequence-by-name",
            ),
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
