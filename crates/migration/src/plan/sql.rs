//! The operation `sql` and files of SQL: the user's own statements as steps, each transaction noted in itself.
//!
//! What they make is not known when they are planned. So the version's schema is made after them, from what is there then:
//! what the version had, as far as it still is, and what came.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use switchover_model::Problem;

use super::contract::drop_index;
use super::expand::Draft;
use super::{Lock, Piece, Planned, Step, Work};
use crate::catalog::Catalog;
use crate::lint::{Act, Linter, Name, Phase, RanBy, Statement, statements, transactions};
use crate::version::{Version, VersionColumn, VersionTable, is_ours};
use crate::{Ident, Literal, QualifiedName, RawSql};

/// What older versions still have and the version does not show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hidden {
    /// Whole tables.
    pub tables: BTreeSet<Ident>,
    /// Columns by their table.
    pub columns: BTreeMap<Ident, BTreeSet<Ident>>,
}

/// What the names of steps begin with that are the user's own statements.
pub const STATEMENT: &str = "statement ";

/// Takes the operation into the plan.
pub(super) fn add(draft: &mut Draft<'_>, sql: &RawSql) -> Result<(), Problem> {
    let phase = if sql.on_complete { Phase::Contract } else { Phase::Expand };
    let catalog = draft.ground.catalog;
    let found = Linter::new(RanBy::Us, Some(catalog)).file(&sql.up, "sql", phase);
    let refused: Vec<String> = found.iter().filter(|finding| finding.is_refused()).map(ToString::to_string).collect();
    if !refused.is_empty() {
        let cause = format!("the SQL of {} can not run as it stands.", phase.as_str());
        let next = "Write it in two phases as shown, or allow a rule: -- switchover: allow RULE because REASON";
        let lines = refused.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        return Err(Problem::new("SQL-REFUSED", cause, next).with_detail(lines));
    }
    steps(catalog, &sql.up).map_err(|problem| *problem)?;
    if let Some(down) = &sql.down {
        steps(catalog, down).map_err(|problem| *problem)?;
    }
    draft.pieces.push(Piece::Sql {
        up: sql.up.clone(),
        down: sql.down.clone(),
        on_complete: sql.on_complete,
        hidden: hidden(catalog, draft.ground.version),
        version_schema: draft.ground.version_schema.clone(),
    });
    Ok(())
}

/// The steps of expand, the version's schema at their end; nothing where the migration has no such operation.
pub(super) fn expand(catalog: &Catalog, schema: &Ident, version: &Version, pieces: &[Piece]) -> Vec<Step> {
    let mut all = Vec::new();
    for piece in pieces {
        if let Piece::Sql { up, on_complete: false, hidden, .. } = piece {
            all.extend(steps(catalog, up).unwrap_or_default());
            all.push(Step {
                name: format!("make the version {schema}"),
                lock: None,
                work: Work::Together(version_again(&catalog.schema, schema, version, hidden)),
            });
        }
    }
    all
}

/// The steps of contract. The version's views go with what they show, and come back without it, in one transaction.
pub(super) fn contract(catalog: &Catalog, planned: &Planned) -> Vec<Step> {
    let mut all = Vec::new();
    for piece in &planned.pieces {
        let Piece::Sql { up, on_complete: true, hidden, version_schema: schema, .. } = piece else { continue };
        for mut step in steps(catalog, up).unwrap_or_default() {
            if let Work::Together(statements) = &mut step.work {
                statements.insert(0, format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
                statements.extend(version_again(&catalog.schema, schema, &planned.version, hidden));
            }
            all.push(step);
        }
    }
    all
}

/// The steps of undo.
pub(super) fn undo(catalog: &Catalog, planned: &Planned) -> Vec<Step> {
    let downs = planned.pieces.iter().rev().filter_map(|piece| match piece {
        Piece::Sql { down: Some(down), .. } => Some(down),
        _ => None,
    });
    downs.flat_map(|down| steps(catalog, down).unwrap_or_default()).collect()
}

impl Planned {
    /// Whether statements of expand have no `down`: once they are done, it can not be taken back.
    #[must_use]
    pub fn has_no_way_back(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Sql { down: None, on_complete: false, .. }))
    }
}

/// The statements of `sql` as steps: each transaction one, what can share none by itself.
pub(crate) fn steps(catalog: &Catalog, sql: &str) -> Result<Vec<Step>, Box<Problem>> {
    let wrong = |(at, cause): (Range<usize>, String)| {
        let line = sql[..at.start.min(sql.len())].matches('\n').count() + 1;
        Box::new(Problem::new("SQL-REFUSED", format!("line {line}: {cause}."), "Write it otherwise."))
    };
    let known = statements(sql).map_err(|mut found| wrong(found.remove(0)))?;
    if let Some(found) =
        known.iter().find_map(|statement| refusal(statement).map(|cause| (statement.at.clone(), cause)))
    {
        return Err(wrong(found));
    }
    let mut all = Vec::new();
    for transaction in transactions(&known) {
        let first = transaction.start + 1;
        let run = &known[transaction];
        let texts: Vec<String> = run.iter().map(|statement| sql[statement.at.clone()].to_owned()).collect();
        match run {
            [statement] if statement.alone.is_some() => {
                all.extend(alone(catalog, statement, &texts[0], first));
            }
            run => all.push(together(catalog, run, texts, first)),
        }
    }
    Ok(all)
}

/// Why a statement can not be run by us at all.
pub(crate) fn refusal(statement: &Statement) -> Option<String> {
    if let Some(kind) = statement.alone {
        let is_ours = ["CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY", "REINDEX CONCURRENTLY", "VACUUM"];
        if !is_ours.contains(&kind) {
            return Some(format!("{kind} is no change of a schema that could be gone on with when it is broken off"));
        }
    }
    statement.acts.iter().find_map(|act| match act {
        Act::Set { setting, local: false } => Some(format!("SET {setting} would outlast the file: write SET LOCAL")),
        Act::Set { setting, local: true } if setting == "lock_timeout" => {
            Some("the wait for a lock is bounded already, to 40 ms at a time: leave it out".to_owned())
        }
        Act::OtherTransaction => Some("only BEGIN; and COMMIT; may bound a transaction here".to_owned()),
        Act::CreateIndex(added) if added.concurrently && added.index.is_none() => {
            Some("the index needs a name, by which a broken-off build is found again".to_owned())
        }
        _ => None,
    })
}

/// What a step is called: unlike every other of its file by the number of its first statement.
fn called(number: usize, text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let short: String = line.chars().take(60).collect();
    let dots = if short.len() < line.len() { "..." } else { "" };
    format!("{STATEMENT}{number}: {short}{dots}")
}

fn together(catalog: &Catalog, run: &[Statement], texts: Vec<String>, first: usize) -> Step {
    let name = called(first, &texts.join("; "));
    let mut locks: BTreeMap<QualifiedName, Lock> = BTreeMap::new();
    for (lock, table) in run.iter().flat_map(|statement| &statement.acts).filter_map(Act::lock) {
        let is_there = catalog.tables.contains_key(&table.name);
        if is_there && table.schema.as_ref().is_none_or(|schema| *schema == catalog.schema) {
            let held = locks.entry(qualified(catalog, table)).or_insert(lock);
            *held = (*held).max(lock);
        }
    }
    // Of several tables, each statement takes its own.
    let lock = if locks.len() == 1 { locks.pop_first().map(|(table, lock)| (lock, table)) } else { None };
    let mut statements = vec![search_path(&catalog.schema, true)];
    statements.extend(texts);
    Step { name, lock, work: Work::Together(statements) }
}

/// Names without a schema are of the schema that is changed.
fn search_path(schema: &Ident, local: bool) -> String {
    let path = Literal(&format!("{schema}, ")).to_string();
    format!("SELECT set_config('search_path', {path} || current_setting('search_path'), {local})")
}

fn qualified(catalog: &Catalog, name: &Name) -> QualifiedName {
    QualifiedName::new(name.schema.as_ref().unwrap_or(&catalog.schema), &name.name)
}

fn alone(catalog: &Catalog, statement: &Statement, text: &str, number: usize) -> Vec<Step> {
    let mut all = Vec::new();
    for act in &statement.acts {
        match act {
            Act::CreateIndex(added) => {
                let Some(index) = &added.index else { continue };
                let on = qualified(catalog, &added.table);
                let unique = if added.unique { "UNIQUE " } else { "" };
                let sql = format!("CREATE {unique}INDEX CONCURRENTLY {index} ON {on} {}", added.rest);
                let index = QualifiedName::new(&on.schema, index);
                all.push(Step {
                    name: called(number, text),
                    lock: None,
                    work: Work::Concurrently { sql, index, breaks: None },
                });
            }
            Act::DropIndex { index, .. } => all.push(drop_index(&qualified(catalog, index))),
            _ => {
                let schema = catalog.schema.clone();
                all.push(Step {
                    name: called(number, text),
                    lock: None,
                    work: Work::Alone { sql: text.to_owned(), schema },
                });
                break;
            }
        }
    }
    all
}

// === The version's schema ===

/// The version with tables and columns that came since it was planned; what `pieces` hide stays hidden.
#[must_use]
pub fn with_what_came<'a>(version: &Version, catalog: &Catalog, pieces: impl Iterator<Item = &'a Piece>) -> Version {
    let mut hidden = Hidden::default();
    for piece in pieces {
        match piece {
            Piece::DroppedTable { table } => {
                hidden.tables.insert(table.clone());
            }
            Piece::DroppedColumn { table, column } | Piece::ReplacedColumn { table, old: column, .. } => {
                hidden.columns.entry(table.clone()).or_default().insert(column.clone());
            }
            _ => {}
        }
    }
    let mut version = version.clone();
    for (name, table) in catalog.tables.iter().filter(|(name, _)| !is_ours(name) && !hidden.tables.contains(name)) {
        let is_taken = version.tables.contains_key(name);
        let seen = version.tables.values_mut().find(|seen| seen.physical == *name);
        let columns: Vec<VersionColumn> = table
            .columns
            .iter()
            .filter(|column| !is_ours(&column.name))
            .filter(|column| hidden.columns.get(name).is_none_or(|hidden| !hidden.contains(&column.name)))
            .map(|column| VersionColumn {
                name: column.name.clone(),
                physical: column.name.clone(),
                default: None,
                comment: column.comment.clone(),
            })
            .collect();
        match seen {
            Some(seen) => {
                let is_seen = |column: &VersionColumn| {
                    seen.columns.iter().any(|known| known.physical == column.physical || known.name == column.name)
                };
                let came: Vec<VersionColumn> = columns.into_iter().filter(|column| !is_seen(column)).collect();
                seen.columns.extend(came);
            }
            None if !is_taken => {
                version
                    .tables
                    .insert(name.clone(), VersionTable { physical: name.clone(), columns, hidden: Vec::new() });
            }
            None => {}
        }
    }
    version
}

/// What is there now and the version does not show.
fn hidden(catalog: &Catalog, version: &Version) -> Hidden {
    let mut hidden = Hidden::default();
    for (name, table) in catalog.tables.iter().filter(|(name, _)| !is_ours(name)) {
        let Some(seen) = version.tables.values().find(|seen| seen.physical == *name) else {
            hidden.tables.insert(name.clone());
            continue;
        };
        let unseen = table.columns.iter().map(|column| &column.name).filter(|column| !is_ours(column));
        let unseen: BTreeSet<Ident> =
            unseen.filter(|column| seen.columns.iter().all(|known| known.physical != **column)).cloned().collect();
        if !unseen.is_empty() {
            hidden.columns.insert(name.clone(), unseen);
        }
    }
    hidden
}

/// Makes the version's schema anew from what is there.
fn version_again(base: &Ident, schema: &Ident, version: &Version, hidden: &Hidden) -> Vec<String> {
    let json = |written: serde_json::Result<String>| written.expect("names and texts can be written as JSON");
    let (seen, unseen) = (json(serde_json::to_string(&version.tables)), json(serde_json::to_string(hidden)));
    let values =
        [seen.as_str(), unseen.as_str(), base.as_str(), schema.as_str()].map(|value| Literal(value).to_string());
    let [seen, unseen, from, to] = &values;
    let body = format!(
        "DECLARE\n    seen CONSTANT jsonb := {seen};\n    hidden CONSTANT jsonb := {unseen};\n    \
         base CONSTANT text := {from};\n    target CONSTANT text := {to};{MAKE_VERSION}"
    );
    vec![
        format!("DROP SCHEMA IF EXISTS {schema} CASCADE"),
        format!("CREATE SCHEMA {schema}"),
        format!("SELECT switchover.same_schema_rights({}, {})", Literal(base.as_str()), Literal(schema.as_str())),
        format!("DO {}", Literal(&body)),
    ]
}

/// One view a table; see `version::view`, whose work it does for tables that are not known when it is planned.
const MAKE_VERSION: &str = "
    one record;
    given record;
    list text;
BEGIN
    FOR one IN
        SELECT coalesce(known.key, class.relname::text) AS name, class.relname::text AS physical, class.oid,
               coalesce(known.value -> 'columns', '[]') AS columns
          FROM pg_catalog.pg_class AS class
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
          LEFT JOIN jsonb_each(seen) AS known ON known.value ->> 'physical' = class.relname
         WHERE namespace.nspname = base AND class.relkind IN ('r', 'p') AND NOT class.relispartition
           AND (known.key IS NOT NULL OR NOT starts_with(class.relname::text, '_switchover_') AND NOT hidden -> 'tables' ? class.relname::text)
    LOOP
        SELECT string_agg(format('%I AS %I', attribute.attname, coalesce(shown.value ->> 'name', attribute.attname::text)), ', '
                          ORDER BY shown.place NULLS LAST, attribute.attnum)
          INTO list
          FROM pg_catalog.pg_attribute AS attribute
          LEFT JOIN jsonb_array_elements(one.columns) WITH ORDINALITY AS shown(value, place)
            ON shown.value ->> 'physical' = attribute.attname
         WHERE attribute.attrelid = one.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
           AND (shown.value IS NOT NULL OR NOT starts_with(attribute.attname::text, '_switchover_')
                AND NOT coalesce(hidden -> 'columns' -> one.physical ? attribute.attname::text, false));
        EXECUTE format('CREATE VIEW %I.%I WITH (security_invoker = true) AS SELECT %s FROM %I.%I', target, one.name, list, base, one.physical);
        PERFORM switchover.same_rights(format('%I.%I', base, one.physical), format('%I.%I', target, one.name));
        FOR given IN
            SELECT shown.value ->> 'name' AS name, shown.value ->> 'default' AS value, shown.value ->> 'comment' AS comment
              FROM jsonb_array_elements(one.columns) AS shown(value)
              JOIN pg_catalog.pg_attribute AS attribute
                ON attribute.attrelid = one.oid AND attribute.attname = shown.value ->> 'physical' AND NOT attribute.attisdropped
        LOOP
            IF given.value IS NOT NULL THEN
                EXECUTE format('ALTER VIEW %I.%I ALTER COLUMN %I SET DEFAULT %s', target, one.name, given.name, given.value);
            END IF;
            IF given.comment IS NOT NULL THEN
                EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', target, one.name, given.name, given.comment);
            END IF;
        END LOOP;
    END LOOP;
END";
