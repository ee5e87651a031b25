//! The operation `sql` and files of SQL: the user's own statements as steps, each transaction noted in itself.
//!
//! What they make is not known when they are planned. So the version's schema is made after them, from what is there then:
//! what the version had, as far as it still is, and what came.

use std::collections::BTreeMap;
use std::ops::Range;

use switchover_model::Problem;

use super::contract::drop_index;
use super::draft::Draft;
use super::renaming::{renamed_hidden, renamed_version};
use super::version_anew::{Standing, hidden, version_again, with_what_came};
use super::{Lock, Piece, Planned, Step, Work};
use crate::catalog::Catalog;
use crate::change::drop_version;
use crate::lint::{Act, Linter, Name, Phase, RanBy, Statement, statements, transactions};
use crate::version::Version;
use crate::{Ident, IndexBuild, Literal, QualifiedName, RawSql};

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

/// The steps of contract. The versions' views, which may show what goes, go with it, and come back without it, in one
/// transaction.
pub(super) fn contract(catalog: &Catalog, planned: &Planned, standing: &[Standing]) -> Vec<Step> {
    let mut all = Vec::new();
    for piece in &planned.pieces {
        let Piece::Sql { up, on_complete: true, .. } = piece else { continue };
        for mut step in steps(catalog, up).unwrap_or_default() {
            if let Work::Together(statements) = &mut step.work {
                let drops = standing.iter().map(|one| drop_version(&one.schema));
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

    /// The same with the tables and columns of `catalog` that came with statements of an older migration's contract. `pending`
    /// is what it and the other migrations made that are expanded: that is of none but their own versions.
    #[must_use]
    pub fn with_what_came(&self, catalog: &Catalog, pending: &[Piece]) -> Self {
        let mut catalog = catalog.clone();
        for piece in pending {
            match piece {
                Piece::MadeTable { table } => drop(catalog.tables.remove(table)),
                Piece::MadeColumn { table, column, .. } => {
                    let known = catalog.tables.get_mut(table);
                    known.into_iter().for_each(|known| known.columns.retain(|there| there.name != *column));
                }
                _ => {}
            }
        }
        let came = |version: &Version| with_what_came(version, &catalog, pending.iter());
        Self { version: came(&self.version), before: came(&self.before), ..self.clone() }
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
                let index = QualifiedName::new(&on.schema, index);
                let known = catalog.tables.get(&on.name).filter(|_| on.schema == catalog.schema);
                let partitioned = known.is_some_and(|known| known.partitioned);
                let build = IndexBuild { index, on, partitioned, unique: added.unique, rest: added.rest.clone() };
                all.push(Step {
                    name: called(number, text),
                    lock: None,
                    work: Work::BuildIndex { build, breaks: None },
                });
            }
            Act::DropIndex { index, .. } => all.push(drop_index(catalog, &qualified(catalog, index))),
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
