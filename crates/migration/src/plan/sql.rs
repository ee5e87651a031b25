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
use super::renaming::{renamed_hidden, renamed_version};
use super::{Lock, Piece, Planned, Step, Work};
use crate::catalog::Catalog;
use crate::lint::{Act, Linter, Name, Phase, RanBy, Statement, statements, transactions};
use crate::version::{OURS, Version, VersionColumn, VersionTable, is_ours};
use crate::{Ident, Literal, QualifiedName, RawSql};

/// What older versions still have and the version does not show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hidden {
    /// Whole tables.
    pub tables: BTreeSet<Ident>,
    /// Columns by their table.
    pub columns: BTreeMap<Ident, BTreeSet<Ident>>,
}

/// A version that is in use while another one is contracted, in the names before that.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its schema.
    pub schema: Ident,
    /// What it shows, and whatever else is there and not hidden.
    pub version: Version,
    /// What it does not show.
    pub hidden: Hidden,
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

/// What the versions of `expanded` migrations show, oldest first.
#[must_use]
pub fn standing(catalog: &Catalog, expanded: &[(&Ident, &Planned)]) -> Vec<Standing> {
    let one = |(place, (schema, planned)): (usize, &(&Ident, &Planned))| {
        // What the next one stands on is all of it, with what its own statements made.
        let known = expanded.get(place + 1).map(|(_, next)| &next.before);
        let version = known.unwrap_or(&planned.version).clone();
        let of_sql = planned.pieces.iter().find_map(|piece| {
            let Piece::Sql { hidden, .. } = piece else { return None };
            Some(hidden.clone()).filter(|_| known.is_none())
        });
        let hidden = of_sql.unwrap_or_else(|| hidden(catalog, &version));
        Standing { schema: (*schema).clone(), version, hidden }
    };
    expanded.iter().enumerate().map(one).collect()
}

/// The steps of contract. The versions' views, which may show what goes, go with it, and come back without it, in one
/// transaction.
pub(super) fn contract(catalog: &Catalog, planned: &Planned, standing: &[Standing]) -> Vec<Step> {
    let mut all = Vec::new();
    for piece in &planned.pieces {
        let Piece::Sql { up, on_complete: true, .. } = piece else { continue };
        for mut step in steps(catalog, up).unwrap_or_default() {
            if let Work::Together(statements) = &mut step.work {
                let drops = standing.iter().map(|one| format!("DROP SCHEMA IF EXISTS {} CASCADE", one.schema));
                let own = std::mem::take(statements);
                statements.extend(drops.chain(own));
                for one in standing {
                    let (version, hidden) =
                        (renamed_version(&one.version, planned), renamed_hidden(&one.hidden, planned));
                    statements.extend(version_again(&catalog.schema, &one.schema, &version, &hidden));
                }
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

    /// Whether contract has statements of the user's own: nothing takes these back.
    #[must_use]
    pub fn settles_for_good(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Sql { on_complete: true, .. }))
    }

    /// This migration without tables and columns that a contract before it took away.
    #[must_use]
    pub fn as_far_as_there(&self, catalog: &Catalog) -> Self {
        let there = |version: &Version| {
            let mut version = version.clone();
            version.tables.retain(|_, seen| catalog.tables.contains_key(&seen.physical));
            for seen in version.tables.values_mut() {
                let known = &catalog.tables[&seen.physical];
                seen.columns.retain(|column| known.column(&column.physical).is_some());
            }
            version
        };
        Self { version: there(&self.version), before: there(&self.before), ..self.clone() }
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

/// Where names are looked for in sessions that say nothing else.
pub const SESSION_PATH: &str = "(SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path')";

/// Names without a schema are of the schema that is changed, else of where the user's other sessions look.
fn search_path(schema: &Ident, local: bool) -> String {
    let path = Literal(&format!("{schema}, ")).to_string();
    format!("SELECT set_config('search_path', {path} || {SESSION_PATH}, {local})")
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
    let seen = version.tables.iter().map(|(name, table)| (name.as_str().to_owned(), shown(name, table)));
    let seen = serde_json::Value::Object(seen.collect()).to_string();
    let unseen = serde_json::to_string(hidden).expect("names can be written as JSON");
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

/// A table as [`MAKE_VERSION`] takes it.
fn shown(name: &Ident, table: &VersionTable) -> serde_json::Value {
    let hidden = table.hidden.iter().map(|hidden| {
        let name = hidden.physical.prefixed(OURS);
        serde_json::json!({ "physical": hidden.physical, "name": name, "default": hidden.default })
    });
    serde_json::json!({
        "physical": table.physical,
        "columns": table.columns,
        "between": name.prefixed(OURS),
        "hidden": hidden.collect::<Vec<_>>(),
    })
}

/// One view a table; see `version::view`, whose work it does for tables that are not known when it is planned.
const MAKE_VERSION: &str = "
    one record;
    given record;
    columns jsonb;
    past jsonb;
    list text;
    source text;
    target_view text;
    invoker boolean;
    granted boolean;
BEGIN
    FOR one IN
        SELECT coalesce(known.key, class.relname::text) AS name, class.relname::text AS physical, class.oid,
               class.relrowsecurity AS secured, known.value ->> 'between' AS between,
               coalesce(known.value -> 'columns', '[]') AS columns, coalesce(known.value -> 'hidden', '[]') AS past
          FROM pg_catalog.pg_class AS class
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
          LEFT JOIN jsonb_each(seen) AS known ON known.value ->> 'physical' = class.relname
         WHERE namespace.nspname = base AND class.relkind IN ('r', 'p') AND NOT class.relispartition
           AND (known.key IS NOT NULL OR NOT starts_with(class.relname::text, '_switchover_') AND NOT hidden -> 'tables' ? class.relname::text)
    LOOP
        SELECT jsonb_agg(jsonb_build_object('physical', attribute.attname, 'name', coalesce(shown.value ->> 'name', attribute.attname::text),
                         'default', shown.value ->> 'default', 'comment', shown.value ->> 'comment')
                         ORDER BY shown.place NULLS LAST, attribute.attnum), coalesce(bool_or(attribute.attacl IS NOT NULL), false)
          INTO columns, granted
          FROM pg_catalog.pg_attribute AS attribute
          LEFT JOIN jsonb_array_elements(one.columns) WITH ORDINALITY AS shown(value, place)
            ON shown.value ->> 'physical' = attribute.attname
         WHERE attribute.attrelid = one.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
           AND (shown.value IS NOT NULL OR NOT starts_with(attribute.attname::text, '_switchover_')
                AND NOT coalesce(hidden -> 'columns' -> one.physical ? attribute.attname::text, false));
        SELECT jsonb_agg(gone.value) INTO past
          FROM jsonb_array_elements(one.past) AS gone(value)
          JOIN pg_catalog.pg_attribute AS attribute
            ON attribute.attrelid = one.oid AND attribute.attname = gone.value ->> 'physical' AND NOT attribute.attisdropped
         WHERE NOT starts_with(attribute.attname::text, '_switchover_attic_');
        invoker := NOT granted OR one.secured;
        source := format('%I.%I', base, one.physical);
        IF past IS NOT NULL THEN
            target_view := format('%I.%I', target, one.between);
            SELECT string_agg(format('%I AS %I', shown.value ->> 'physical', shown.value ->> 'name'), ', ') INTO list
              FROM jsonb_array_elements(coalesce(columns, '[]') || past) AS shown(value);
            EXECUTE format('CREATE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s', target_view, invoker, list, source);
            PERFORM switchover.same_rights(source, target_view);
            PERFORM switchover.same_column_rights(source, shown.value ->> 'physical', target_view, shown.value ->> 'name')
               FROM jsonb_array_elements(coalesce(columns, '[]') || past) AS shown(value) WHERE granted;
            FOR given IN SELECT value ->> 'name' AS name, value ->> 'default' AS value FROM jsonb_array_elements(past) LOOP
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', target_view, given.name, given.value);
            END LOOP;
            source := target_view;
            SELECT jsonb_agg(jsonb_set(shown.value, '{physical}', shown.value -> 'name')) INTO columns
              FROM jsonb_array_elements(columns) AS shown(value);
        END IF;
        target_view := format('%I.%I', target, one.name);
        SELECT string_agg(format('%I AS %I', shown.value ->> 'physical', shown.value ->> 'name'), ', ') INTO list
          FROM jsonb_array_elements(columns) AS shown(value);
        EXECUTE format('CREATE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s', target_view, invoker, list, source);
        PERFORM switchover.same_rights(source, target_view);
        PERFORM switchover.same_column_rights(source, shown.value ->> 'physical', target_view, shown.value ->> 'name')
           FROM jsonb_array_elements(columns) AS shown(value) WHERE granted;
        FOR given IN
            SELECT value ->> 'name' AS name, value ->> 'default' AS value, value ->> 'comment' AS comment FROM jsonb_array_elements(columns)
        LOOP
            IF given.value IS NOT NULL THEN
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', target_view, given.name, given.value);
            END IF;
            IF given.comment IS NOT NULL THEN
                EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target_view, given.name, given.comment);
            END IF;
        END LOOP;
    END LOOP;
END";
