use std::path::PathBuf;

use serde::Serialize;
use switchover_migration::{Migration, directory};
use switchover_model::Span;
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::{Applied, Observation, Phase, Session, Use};

use super::migrate::after_baseline;
use super::{AppliedView, Place, failed, lint};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// Show which migrations the database knows, which versions can be used, and who is seen to use which
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Say, too, how a directory of migrations stands to it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct StatusView {
    schema_version: u32,
    /// Schemas that an app can use now, oldest first.
    versions: Vec<String>,
    /// Of the newest migration; nothing before the first.
    phase: Option<&'static str>,
    /// Expanded and not contracted, oldest first.
    pending: Vec<String>,
    migrations: Vec<MigrationView>,
    sessions: Vec<SessionView>,
    /// Whether sessions of all users can be seen.
    sees_all_sessions: bool,
    /// How the directory stands to it, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<DirectoryView>,
}

/// Migrations of a directory beside those that the database knows.
#[derive(Debug, Serialize)]
struct DirectoryView {
    /// Not expanded yet, in order.
    waiting: Vec<String>,
    /// Edited after their expand.
    edited: Vec<String>,
    /// The database knows them and the directory does not.
    missing: Vec<String>,
}

impl DirectoryView {
    fn of(migrations: Vec<Migration>, seen: &Observation) -> Result<Self, Failure> {
        let known: Vec<Applied> = seen.migrations.iter().map(|one| one.applied.clone()).collect();
        let migrations = after_baseline(migrations, &known)?;
        let open = || known.iter().filter(|applied| applied.phase != Phase::Undone);
        let (mut waiting, mut edited) = (Vec::new(), Vec::new());
        for migration in &migrations {
            let name = migration.name.as_str();
            match open().find(|applied| applied.name == name) {
                None => waiting.push(name.to_owned()),
                Some(applied) if applied.checksum != migration.checksum => edited.push(name.to_owned()),
                Some(_) => {}
            }
        }
        let is_missing = |applied: &&Applied| {
            !applied.is_baseline() && migrations.iter().all(|migration| migration.name.as_str() != applied.name)
        };
        let missing = open().filter(is_missing).map(|applied| applied.name.clone()).collect();
        Ok(Self { waiting, edited, missing })
    }

    fn tell(&self) {
        for (kind, names) in
            [("waiting", &self.waiting), ("edited", &self.edited), ("not in the directory", &self.missing)]
        {
            names.iter().for_each(|name| say::line(format_args!("{kind:<12} {name}")));
        }
    }
}

#[derive(Debug, Serialize)]
struct MigrationView {
    #[serde(flatten)]
    applied: AppliedView,
    steps_done: usize,
    steps: usize,
    /// How long ago a version older than it was seen to write, in seconds.
    older_wrote_seconds_ago: Option<f64>,
}

#[derive(Debug, Serialize)]
struct SessionView {
    version: String,
    pid: i32,
    user: String,
    application: String,
    since: String,
    evidence: String,
}

impl StatusView {
    fn of(seen: &Observation) -> Self {
        let is_pending = |one: &&Use| one.applied.phase == Phase::Expanded;
        let session = |session: &Session| SessionView {
            version: session.version.as_str().to_owned(),
            pid: session.pid,
            user: session.user.clone(),
            application: session.application.clone(),
            since: session.since.clone(),
            evidence: session.evidence.clone(),
        };
        let migration = |one: &Use| MigrationView {
            applied: AppliedView::of(&one.applied),
            steps_done: one.steps.0,
            steps: one.steps.1,
            older_wrote_seconds_ago: one.older_wrote,
        };
        Self {
            schema_version: SCHEMA_VERSION,
            versions: seen.versions.iter().map(|version| version.as_str().to_owned()).collect(),
            phase: seen.migrations.last().map(|one| one.applied.phase.as_str()),
            pending: seen.migrations.iter().filter(is_pending).map(|one| one.applied.name.clone()).collect(),
            migrations: seen.migrations.iter().map(migration).collect(),
            sessions: seen.sessions.iter().map(session).collect(),
            sees_all_sessions: seen.sees_all,
            directory: None,
        }
    }
}

impl Status {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let migrations = match &self.dir {
            Some(dir) => Some(directory::read(&lint::files(dir)?)?),
            None => None,
        };
        let database = self.place.looker().await?;
        let seen = database.observe().await.map_err(failed)?;
        let mut view = StatusView::of(&seen);
        if let Some(migrations) = migrations {
            view.directory = Some(DirectoryView::of(migrations, &seen)?);
        }
        if shared.json {
            say::json(&view);
            return Ok(Exit::Succeeded);
        }
        if view.migrations.is_empty() {
            say::line("no migration yet");
        }
        for migration in &view.migrations {
            tell(migration);
        }
        if let Some(directory) = &view.directory {
            directory.tell();
        }
        if !view.versions.is_empty() {
            say::line(format_args!("versions to use: {}", view.versions.join(", ")));
        }
        for session in &seen.sessions {
            say::line(session);
        }
        if !view.sees_all_sessions {
            say::line("sessions of other users can not be seen: this needs the role pg_read_all_stats");
        }
        Ok(Exit::Succeeded)
    }
}

fn tell(migration: &MigrationView) {
    let mut line = format!("{:<12} {}", migration.applied.phase, migration.applied.name);
    if migration.steps > 0 {
        line.push_str(&format!(", {} of {} steps done", migration.steps_done, migration.steps));
    }
    if let Some(seconds) = migration.older_wrote_seconds_ago {
        line.push_str(&format!(
            ", an older version wrote {} ago",
            Span::from_micros((seconds.max(0.0) * 1e6) as u64).rounded()
        ));
    }
    match (migration.applied.phase, &migration.applied.restorable_until) {
        (_, Some(until)) => line.push_str(&format!(", can be restored until {until} at least")),
        ("contracted", None) => line.push_str(", can not be restored: nothing of it is in the attic"),
        (_, None) => {}
    }
    say::line(line);
}
