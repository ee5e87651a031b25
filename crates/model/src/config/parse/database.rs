//! `[database]` of the file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{File, word};
use crate::config::check::{Mistakes, Node};
use crate::config::names::FrameworkKind;
use crate::config::{Backup, Commands, DEFAULT_SCHEMA, DEFAULT_URL_VARIABLE, Database, Framework, Invariant, Level};

/// What Django's own words are put behind where the file says nothing.
const DJANGO: &str = "python manage.py";
/// The same for Alembic.
const ALEMBIC: &str = "alembic";
/// The keys that only changes of ours heed.
const OF_FILES: [&str; 3] = ["backfill_rate", "backfill_lag", "old_rows"];
/// The keys of which one says who changes the schema.
const LEVELS: [&str; 3] = ["migrations", "framework", "commands"];

impl File<'_> {
    pub(super) fn database(&self, shared: &[PathBuf], mistakes: &mut Mistakes<'_>) -> Option<Database> {
        if !self.root.has("database") {
            return None;
        }
        let database = self.root.table("database");
        let backup = database.table("backup");
        let backup = database.has("backup").then(|| Backup {
            command: backup.text("command").unwrap_or_default(),
            timeout: backup.duration("timeout"),
        });
        Some(Database {
            url: database.text("url").unwrap_or_else(|| DEFAULT_URL_VARIABLE.to_owned()),
            schema: database.text("schema").unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()),
            level: level(&database, shared, mistakes),
            vouch: database.list("vouch").iter().map(|(name, _)| name.clone()).collect(),
            lock_timeout: database.duration("lock_timeout"),
            backfill_timeout: database.duration("backfill_timeout"),
            backfill_rate: database.has("backfill_rate").then(|| database.whole("backfill_rate")),
            backfill_lag: database.duration("backfill_lag"),
            old_rows: word(&database, "old_rows").unwrap_or_default(),
            quiet: database.duration("quiet"),
            attic: database.duration("attic"),
            restore_point: database.flag("restore_point"),
            backup,
            invariants: invariants(&database, mistakes),
        })
    }
}

/// Who changes the schema: one of three keys says it.
fn level(database: &Node, shared: &[PathBuf], mistakes: &mut Mistakes<'_>) -> Level {
    let written: Vec<&str> = LEVELS.into_iter().filter(|name| database.has(name)).collect();
    if let [first, second, ..] = written[..] {
        let cause = format!("[database] has \"{first}\" and \"{second}\": one of them makes the changes");
        mistakes.add(database.place(second), cause, format!("leave {second} out, or {first}"));
    }
    if written.is_empty() && !mistakes.is_broken && !LEVELS.into_iter().any(|name| database.was_tried(name)) {
        mistakes.add(
            database.at.clone(),
            "[database] says nothing of who makes the changes",
            "write: migrations = \"db/migrations\", or framework = \"django\" or \"alembic\", or commands of another one",
        );
    }
    let framework = database.has("framework");
    if database.has("command") && !framework {
        let cause = "\"command\" has no effect: it belongs to \"framework\"";
        mistakes.add(database.place("command"), cause, "add: framework = \"django\", or leave command out");
    }
    for name in OF_FILES.into_iter().filter(|name| database.has(name) && !database.has("migrations")) {
        let cause =
            format!("\"{name}\" has no effect: whoever else changes the schema fills rows and makes rules itself");
        mistakes.add(database.place(name), cause, "leave it out");
    }
    if database.has("vouch") && database.has("migrations") {
        let cause = "\"vouch\" has no effect: files of migrations hide no code";
        mistakes.add(database.place("vouch"), cause, "leave it out");
    }
    let command = |default: &str| database.text("command").unwrap_or_else(|| default.to_owned());
    match word::<FrameworkKind>(database, "framework") {
        Some(FrameworkKind::Django) => Level::Framework(Framework::Django { command: command(DJANGO) }),
        Some(FrameworkKind::Alembic) => Level::Framework(Framework::Alembic { command: command(ALEMBIC) }),
        None if database.has("commands") => {
            let commands = database.table("commands");
            Level::Framework(Framework::Commands(Commands {
                status: commands.text("status").unwrap_or_default(),
                expand: commands.text("expand").unwrap_or_default(),
                contract: commands.text("contract"),
                sql: commands.text("sql"),
            }))
        }
        None => Level::Files(files(database, shared, mistakes)),
    }
}

fn files(database: &Node, shared: &[PathBuf], mistakes: &mut Mistakes<'_>) -> PathBuf {
    let migrations = PathBuf::from(database.text("migrations").unwrap_or_default());
    let outer = shared.iter().find(|shared| database.has("migrations") && migrations.starts_with(shared));
    if let Some(outer) = outer {
        let cause = format!("\"{}\" is shared: migrations belong to a revision", outer.display());
        mistakes.add(database.place("migrations"), cause, "keep the migrations in a directory that is not shared");
    }
    migrations
}

fn invariants(database: &Node, mistakes: &mut Mistakes<'_>) -> Vec<Invariant> {
    let mut names = BTreeSet::new();
    let mut invariants = Vec::new();
    for invariant in database.tables("invariant") {
        let name = invariant.text("name").unwrap_or_default();
        if !names.insert(name.clone()) {
            let cause = format!("the invariant \"{name}\" stands here twice");
            mistakes.add(invariant.place("name"), cause, "give each a name of its own");
        }
        let query = invariant.text("query").unwrap_or_default();
        invariants.push(Invariant { name, query, timeout: invariant.duration("timeout") });
    }
    invariants
}
