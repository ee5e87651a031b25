use std::path::PathBuf;

use serde::Serialize;
use switchover_migration::plan::{Meaning, Step, Work};
use switchover_model::view::SCHEMA_VERSION;

use super::{OldRowsChoice, Place, failed, migration};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Show what a migration would do, statement by statement, with the lock of each step; nothing is changed
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// A file of declared operations, or of SQL
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    old_rows: OldRowsChoice,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct PlanView {
    schema_version: u32,
    expand: Vec<Step>,
    contract: Vec<Step>,
    undo: Vec<Step>,
    /// What undoing each phase means, and what no way back can give.
    #[serde(flatten)]
    meaning: Meaning,
}

impl Plan {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let migration = migration(&self.file)?;
        let database = self.place.looker().await?.with_old_rows(self.old_rows.into());
        let (expand, contract, undo) = database.plan(&migration).await.map_err(failed)?;
        let meaning = database.meaning(&migration).await.map_err(failed)?;
        if shared.json {
            say::json(&PlanView { schema_version: SCHEMA_VERSION, expand, contract, undo, meaning });
            return Ok(Exit::Succeeded);
        }
        if meaning.no_way_back {
            say::line(
                "can not be taken back once a statement of its own has run: it does not say what takes them back",
            );
        }
        for (phase, steps) in [("expand", &expand), ("contract", &contract), ("undo", &undo)] {
            say::line(phase);
            for step in steps {
                tell(step);
            }
        }
        let kinds = [
            ("undo after expand: what the newer version wrote goes to the attic", &meaning.undo_of_expand),
            ("undo after contract, as long as the attic is there", &meaning.undo_of_contract),
            ("what no way back gives", &meaning.lost),
        ];
        for (kind, says) in kinds.into_iter().filter(|(_, says)| !says.is_empty()) {
            say::line(kind);
            says.iter().for_each(|one| say::line(format_args!("  {one}")));
        }
        Ok(Exit::Succeeded)
    }
}

fn tell(step: &Step) {
    let lock = step.lock.as_ref().map(|(lock, table)| format!("  [{} on {table}]", lock.as_str())).unwrap_or_default();
    say::line(format_args!("  {}{lock}", step.name));
    match &step.work {
        Work::Together(statements) => statements.iter().for_each(|sql| tell_sql(sql)),
        Work::BuildIndex { build, .. } if build.partitioned => {
            tell_sql(&build.sql_of_parent());
            say::line("      then of each partition its part, CREATE INDEX CONCURRENTLY, which the index takes over");
        }
        Work::BuildIndex { build, .. } => tell_sql(&build.sql()),
        Work::DropIndex { index, of: Some(_) } => tell_sql(&format!("DROP INDEX {index}")),
        Work::DropIndex { index, of: None } => tell_sql(&format!("DROP INDEX CONCURRENTLY {index}")),
        Work::ForeignKey { on, name, clause, .. } => {
            say::line("      first on each partition, NOT VALID, and seen to hold there; then");
            tell_sql(&format!("ALTER TABLE {on} ADD CONSTRAINT {name} {clause}"));
        }
        Work::Validate { sql, .. } | Work::Alone { sql, .. } => tell_sql(sql),
        Work::Evaluate(work) => {
            say::line("      stops where one of these can not be computed");
            tell_sql(&work.values);
        }
        Work::Backfill(work) => {
            let rows = work.rows.map_or_else(|| "an unknown number of".to_owned(), |rows| format!("about {rows}"));
            say::line(format_args!("      {rows} rows, in batches"));
            tell_sql(&format!("UPDATE {} SET {}", work.table, work.set));
        }
        Work::Check(finding) => {
            say::line(format_args!("      stops at a row where {}", finding.means));
            tell_sql(&finding.query);
        }
    }
}

fn tell_sql(sql: &str) {
    for line in sql.lines().filter(|line| !line.trim().is_empty()) {
        say::line(format_args!("      {line}"));
    }
}
