//! The schema of the small world: what is asked of it is so at once.

use switchover_migration::road::{Road, Step};
use switchover_model::config::{AppConfig, BACKFILL_LAG, Database, Framework, Level, OldRows};
use switchover_model::framework::{Migrated, Step as FrameworkStep};
use switchover_model::record::{AttemptId, AttemptResult, Event};
use switchover_model::revision::{MigrationId, RevisionSchema};
use switchover_model::schema::{MigrationPhase, MigrationSeen, SchemaGoal};
use switchover_model::{ReleaseId, RevisionId, Span};

use super::bed::{Bed, file};

/// An app's file with a database, whose old versions count as unused after ten seconds.
pub(super) fn file_with_database() -> AppConfig {
    let database = Database {
        url: "DATABASE_URL".into(),
        schema: "public".into(),
        level: Level::Files("db/migrations".into()),
        vouch: Vec::new(),
        lock_timeout: Span::from_secs(60),
        backfill_timeout: Span::from_secs(3_600),
        quiet: Span::from_secs(10),
        attic: Span::from_secs(86_400),
        restore_point: false,
        backfill_rate: None,
        backfill_lag: BACKFILL_LAG,
        old_rows: OldRows::Refuse,
        backup: None,
        invariants: Vec::new(),
    };
    AppConfig { database: Some(database), ..file() }
}

/// The same with a framework of the app's own. Migrations whose name begins with `-` take something away.
pub(super) fn file_with_framework() -> AppConfig {
    let mut file = file_with_database();
    if let Some(database) = &mut file.database {
        database.level = Level::Framework(Framework::Django { command: "python manage.py".into() });
    }
    file
}

impl Bed {
    /// A run of the app's own framework that ends well.
    pub(super) fn migrate(
        &mut self,
        attempt: AttemptId,
        release: ReleaseId,
        revision: RevisionId,
        step: FrameworkStep,
    ) {
        if self.attempts_hang {
            return;
        }
        let schema = self.app.revision(revision).and_then(|revision| revision.schema.clone()).unwrap();
        let known: Vec<String> = schema.migrations.into_iter().map(|id| id.name).collect();
        let beside = self.app.heading().is_some();
        let is_late = |name: &String| beside && name.starts_with('-');
        let pending: Vec<String> = known.iter().filter(|name| !self.carried.contains(*name)).cloned().collect();
        let (waiting, done): (Vec<String>, Vec<String>) = match step {
            FrameworkStep::Expand => pending.into_iter().partition(is_late),
            FrameworkStep::Contract => (Vec::new(), pending),
        };
        self.carried.extend(done.clone());
        self.end(attempt, AttemptResult::Passed { output: Vec::new() });
        if step == FrameworkStep::Expand {
            let known = (!self.names_nothing).then_some(known);
            self.note(Event::Migrated { release, migrated: Box::new(Migrated { done, waiting, known }) });
        }
    }

    /// The next revision's migrations: `name`, or `name#checksum`.
    pub(super) fn schema_of_files(&self) -> RevisionSchema {
        let id = |name: &&str| {
            let (name, checksum) = name.split_once('#').unwrap_or((name, "1"));
            MigrationId { name: name.to_owned(), checksum: checksum.to_owned() }
        };
        let version = self.migrations.last().map_or_else(|| "public".to_owned(), |name| format!("public_{name}"));
        RevisionSchema {
            migrations: self.migrations.iter().map(id).collect(),
            version,
            schema: "public".into(),
            url: "DATABASE_URL".into(),
        }
    }

    /// A deploy of new content with these migrations.
    pub(super) fn deploy_with(&mut self, content: &str, migrations: &[&'static str]) -> ReleaseId {
        self.migrations = migrations.to_vec();
        self.deploy(content)
    }

    /// The migrations that the database knows, with how far they are.
    pub(super) fn known(&self) -> String {
        let known = self.seen.schema.iter().flat_map(|schema| &schema.migrations);
        let known: Vec<String> =
            known.map(|seen| format!("{} {:?}", seen.id.name, seen.phase).to_lowercase()).collect();
        known.join(", ")
    }

    /// The schema comes to serve the goal at once, unless it is told to stay.
    pub(super) fn reach(&mut self, goal: &SchemaGoal) {
        let (revision, beside) = match goal {
            SchemaGoal::Serve { revision, beside, .. } => (*revision, beside.clone()),
            SchemaGoal::Leave { revision, .. } => (*revision, Vec::new()),
            SchemaGoal::Detach { revision, beside, .. } => (*revision, vec![*beside]),
        };
        let of = |id: RevisionId| self.app.revision(id).and_then(|revision| revision.schema.clone());
        let wanted = of(revision).unwrap();
        let beside: Vec<RevisionSchema> = beside.into_iter().filter_map(of).collect();
        let nothing = RevisionSchema {
            migrations: Vec::new(),
            version: "public".into(),
            schema: "public".into(),
            url: "DATABASE_URL".into(),
        };
        let road = match goal {
            SchemaGoal::Serve { .. } => Road::Serve { wanted: &wanted, beside: &beside },
            SchemaGoal::Leave { .. } => Road::Leave { wanted: &wanted },
            SchemaGoal::Detach { .. } => Road::Detach { wanted: &wanted, beside: beside.first().unwrap_or(&nothing) },
        };
        let stays = self.schema_stays;
        let mut told = Vec::new();
        if let Some(schema) = self.seen.schema.as_mut().filter(|_| !stays) {
            while let Ok(Some(step)) = road.next(&schema.migrations) {
                told.push(carry_out(&mut schema.migrations, &step));
            }
        }
        self.log.extend(told);
    }
}

fn carry_out(known: &mut Vec<MigrationSeen>, step: &Step) -> String {
    let mut set = |name: &str, phase| {
        if let Some(seen) = known.iter_mut().find(|seen| seen.id.name == name) {
            seen.phase = phase;
        }
    };
    match step {
        Step::Expand(id) => {
            set(&id.name, MigrationPhase::Expanded);
            if !known.iter().any(|seen| seen.id == *id) {
                known.push(MigrationSeen { id: id.clone(), phase: MigrationPhase::Expanded });
            }
            format!("schema: expand {}", id.name)
        }
        Step::Attach(name) => {
            set(name, MigrationPhase::Expanded);
            format!("schema: attach {name}")
        }
        Step::Contract(name) => {
            set(name, MigrationPhase::Contracted);
            format!("schema: contract {name}")
        }
        Step::Undo(name) => {
            known.retain(|seen| seen.id.name != *name);
            format!("schema: undo {name}")
        }
        Step::Restore(name) => {
            set(name, MigrationPhase::Expanded);
            format!("schema: restore {name}")
        }
        Step::Detach(name) => {
            set(name, MigrationPhase::Detached);
            format!("schema: detach {name}")
        }
    }
}
