//! What is seen of a schema in use: versions, phases, and who is still on which version.
//!
//! PostgreSQL shows no other session's `search_path`, so who is on a version is told by what can be seen: the name that the
//! session gives itself ([`application_name`]), the search path that its role is set to, the version's views that it has
//! locked, the text of its last statement, and, of writes, by the rows: triggers note the last one that an older version made. A
//! session that was given its search path alone, says nothing of itself and only reads, is seen only while it reads.

use std::time::Duration;

use switchover_migration::{Ident, change::older_writes};
use switchover_model::{Problem, Span};

use super::{MigrateError, Migrator};
use crate::error::unexpected;
use crate::store::{Applied, Phase};

/// The longest name that a session can give itself, in bytes (PostgreSQL: `NAMEDATALEN` less one).
const MAX_NAME: usize = 63;
/// How long a statement of a session that is over tells which version it is on.
const STATEMENT_TELLS: Duration = Duration::from_secs(2);
/// Between two looks at who is on an older version.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The name that an instance's sessions give themselves, so that they are known to be on `version`.
#[must_use]
pub fn application_name(app: &str, revision: &str, version: &Ident) -> String {
    let version = version.as_str();
    let names = [format!("switchover:{app}:{revision}:{version}"), format!("switchover:{revision}:{version}")];
    names.into_iter().find(|name| name.len() <= MAX_NAME).unwrap_or_else(|| version.to_owned())
}

/// A session that is seen to be on a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The version's schema.
    pub version: Ident,
    /// Its process.
    pub pid: i32,
    /// Its user.
    pub user: String,
    /// What it calls itself.
    pub application: String,
    /// Since when it is connected, in UTC (RFC 3339).
    pub since: String,
    /// By what it is known.
    pub evidence: String,
}

impl std::fmt::Display for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "session {} of {} ({}), connected since {}, is on {}: {}",
            self.pid, self.user, self.application, self.since, self.version, self.evidence
        )
    }
}

/// A migration and what is seen of its use.
#[derive(Debug, Clone)]
pub struct Use {
    /// The migration.
    pub applied: Applied,
    /// The steps of its running phase that are done, and how many there are.
    pub steps: (usize, usize),
    /// How long ago a version older than it wrote, in seconds, as far as rows tell; nothing where that was never seen.
    pub older_wrote: Option<f64>,
}

/// A schema as it is used.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Schemas that an app can use now, the oldest version first.
    pub versions: Vec<Ident>,
    /// The migrations that the database knows, oldest first.
    pub migrations: Vec<Use>,
    /// Sessions that are seen to be on a version.
    pub sessions: Vec<Session>,
    /// Whether the sessions of all users can be seen: else there may be more.
    pub sees_all: bool,
}

/// What says that an older version is in use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InTheWay {
    /// Sessions on versions that contract takes away.
    pub sessions: Vec<Session>,
    /// The migration and how long ago a version older than it wrote, in seconds.
    pub wrote: Option<(String, f64)>,
}

impl InTheWay {
    /// Whether nothing does.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.sessions.is_empty() && self.wrote.is_none()
    }

    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let mut says: Vec<String> = self.sessions.iter().map(ToString::to_string).collect();
        if let Some((name, seconds)) = &self.wrote {
            says.push(format!(
                "a version older than {name} wrote {} ago",
                Span::from_micros((seconds.max(0.0) * 1e6) as u64).rounded()
            ));
        }
        let cause = format!("an older version is in use: {}.", says.join("; "));
        Problem::new(
            "OLD-VERSION-IN-USE",
            cause,
            "End what is on it, then contract; `--force` goes on although its statements will fail.",
        )
        .with_detail(says)
    }
}

impl Observation {
    /// What says that a version is in use that is taken away when `name` is contracted; with no name, the oldest expanded
    /// migration. A write counts for `quiet`.
    #[must_use]
    pub fn in_the_way(&self, name: Option<&str>, quiet: Duration) -> InTheWay {
        let is_meant = |one: &&Use| name.is_none_or(|name| one.applied.name == name);
        let open = |one: &&Use| matches!(one.applied.phase, Phase::Expanded | Phase::Contracting);
        let Some(target) = self.migrations.iter().filter(open).find(is_meant) else { return InTheWay::default() };
        let stays: Vec<&Ident> = self
            .migrations
            .iter()
            .filter(|one| one.applied.number >= target.applied.number && one.applied.phase != Phase::Undone)
            .map(|one| &one.applied.version_schema)
            .collect();
        let wrote = target.older_wrote.filter(|seconds| *seconds <= quiet.as_secs_f64());
        InTheWay {
            sessions: self.sessions.iter().filter(|session| !stays.contains(&&session.version)).cloned().collect(),
            wrote: wrote.map(|seconds| (target.applied.name.clone(), seconds)),
        }
    }
}

const SESSIONS: &str = "
WITH version AS (SELECT unnest($1::text[]) AS name),
     session AS (
        SELECT pid, usename, usesysid, coalesce(application_name, '') AS application, backend_start, state, state_change, query
          FROM pg_catalog.pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'switchover'
           AND coalesce(backend_type, 'client backend') = 'client backend'),
     seen AS (
        SELECT version.name, session.pid, 1 AS rank, 'it calls itself so' AS evidence FROM version JOIN session
            ON session.application = version.name OR right(session.application, length(version.name) + 1) = ':' || version.name
     UNION ALL
        SELECT version.name, held.pid, 2, 'it has view ' || class.relname || ' in use'
          FROM version JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = version.name
          JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid
          JOIN pg_catalog.pg_locks AS held ON held.relation = class.oid
               AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
     UNION ALL
        SELECT version.name, session.pid, 3, 'the search path that its role is set to'
          FROM pg_catalog.pg_db_role_setting AS setting, unnest(setting.setconfig) AS one, version, session
         WHERE setting.setrole = session.usesysid
           AND setting.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
           AND one LIKE 'search_path=%'
           AND version.name = ANY (string_to_array(replace(replace(substr(one, 13), '\"', ''), ' ', ''), ','))
     UNION ALL
        SELECT version.name, session.pid, 4, 'its last statement names it' FROM version, session
         WHERE (session.state <> 'idle' OR session.state_change > clock_timestamp() - make_interval(secs => $2))
           AND (position(version.name || '.' IN session.query) > 0 OR position('\"' || version.name || '\".' IN session.query) > 0))
SELECT DISTINCT ON (seen.name, seen.pid) seen.name, seen.pid, coalesce(session.usename::text, '?'), session.application,
       to_char(session.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), seen.evidence
  FROM seen JOIN session USING (pid) ORDER BY seen.name, seen.pid, seen.rank";

impl Migrator {
    /// What is seen now. Changes nothing.
    pub async fn observe(&self) -> Result<Observation, MigrateError> {
        let versions = self.versions().await?;
        let mut migrations = Vec::new();
        for applied in self.applied().await? {
            let older_wrote = match applied.phase {
                Phase::Expanded | Phase::Contracting => self.older_wrote(applied.number).await?,
                Phase::Expanding
                | Phase::Contracted
                | Phase::Undoing
                | Phase::Undone
                | Phase::Restoring
                | Phase::Detaching
                | Phase::Detached
                | Phase::Attaching => None,
            };
            migrations.push(Use { steps: self.steps_done(&applied).await?, applied, older_wrote });
        }
        let sees_all = "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')";
        let sees_all = self.client().query_one(sees_all, &[]).await?.get(0);
        Ok(Observation { sessions: self.sessions(&versions).await?, versions, migrations, sees_all })
    }

    /// Waits until no use of an older version is seen that contract of `name` (of the oldest expanded one) would break.
    ///
    /// Errors: there still is some after `patience`, which is named.
    pub async fn wait_until_unused(
        &self,
        name: Option<&str>,
        quiet: Duration,
        patience: Duration,
    ) -> Result<(), MigrateError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let in_the_way = self.observe().await?.in_the_way(name, quiet);
            if in_the_way.is_nothing() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(MigrateError::Refused(vec![in_the_way.problem()]));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The names of sessions that call themselves instances of `app` ([`application_name`]).
    pub(crate) async fn tagged(&self, app: &str) -> Result<Vec<String>, MigrateError> {
        let names = "SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity
                      WHERE datname = current_database() AND starts_with(application_name, 'switchover:' || $1 || ':')";
        Ok(self.client().query(names, &[&app]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn sessions(&self, versions: &[Ident]) -> Result<Vec<Session>, MigrateError> {
        let names: Vec<&str> = versions.iter().map(Ident::as_str).collect();
        let rows = self.client().query(SESSIONS, &[&names, &STATEMENT_TELLS.as_secs_f64()]).await?;
        let session = |row: &tokio_postgres::Row| {
            Ok(Session {
                version: Ident::new(row.get::<_, String>(0)).map_err(unexpected)?,
                pid: row.get(1),
                user: row.get(2),
                application: row.get(3),
                since: row.get(4),
                evidence: row.get(5),
            })
        };
        rows.iter().map(session).collect()
    }

    async fn older_wrote(&self, number: u32) -> Result<Option<f64>, MigrateError> {
        let sequence = older_writes(&self.schema, number).to_string();
        let there = self.client().query_one("SELECT to_regclass($1) IS NOT NULL", &[&sequence]).await?;
        if !there.get::<_, bool>(0) {
            return Ok(None);
        }
        let ago = format!(
            "SELECT CASE WHEN is_called THEN extract(epoch FROM clock_timestamp())::float8 - last_value END FROM {sequence}"
        );
        Ok(self.client().query_one(&ago, &[]).await?.get(0))
    }

    async fn steps_done(&self, applied: &Applied) -> Result<(usize, usize), MigrateError> {
        let steps: Vec<switchover_migration::plan::Step> = serde_json::from_str(&applied.steps).map_err(unexpected)?;
        if steps.is_empty() {
            return Ok((0, 0));
        }
        let done =
            "SELECT count(*) FROM switchover.step WHERE schema = $1 AND number = $2 AND phase = $3 AND name = ANY ($4)";
        let number = i32::try_from(applied.number).map_err(unexpected)?;
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let row =
            self.client().query_one(done, &[&self.schema.as_str(), &number, &applied.phase.as_str(), &names]).await?;
        Ok((usize::try_from(row.get::<_, i64>(0)).unwrap_or(0), steps.len()))
    }
}
