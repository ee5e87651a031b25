//! Looks at one app's schema all the time: how far its migrations are, who uses which version, whether its data holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use switchover_migration::Ident;
use switchover_model::config::Invariant;
use switchover_model::revision::MigrationId;
use switchover_model::schema::{
    AtticSeen, Found, InvariantSeen, MigrationPhase, MigrationSeen, SchemaPlace, SchemaSeen,
};
use switchover_model::{RevisionId, Timestamp};

use super::{Told, lock};
use crate::error::unexpected;
use crate::{Applied, Database, MigrateError, Migrator, Observation, Phase};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The same while something is done, or a release is on its way.
const LOOK_BUSY: Duration = Duration::from_millis(200);
/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// How old the finding of an invariant may become before it is asked again.
const INVARIANT_EVERY: Duration = Duration::from_secs(3);
/// The most rows that are shown of those which break an invariant.
const MOST_KEYS: usize = 20;
/// A gap between two good looks that is longer than this begins the watch anew.
const LONGEST_GAP: Duration = Duration::from_secs(10);

/// Looks until its owner ends it.
pub(super) async fn watch(told: Arc<Mutex<Told>>) {
    let mut eyes = Eyes::default();
    loop {
        let place = lock(&told).place.clone();
        let looked = tokio::time::timeout(LOOK_LIMIT, eyes.look(&place)).await;
        let mut busy = place.asks;
        {
            let mut told = lock(&told);
            busy |= told.doing.is_some();
            match looked {
                Ok(Ok(seen)) => {
                    told.seen = Some(seen);
                    told.unreachable = None;
                }
                Ok(Err(error)) => told.unreachable = Some(error.to_string()),
                Err(_) => told.unreachable = Some(format!("it did not answer within {} s", LOOK_LIMIT.as_secs())),
            }
            if told.unreachable.is_some() {
                eyes.migrator = None;
            }
        }
        if place.asks {
            eyes.ask(&place, &told).await;
        }
        tokio::time::sleep(if busy { LOOK_BUSY } else { LOOK }).await;
    }
}

/// What is remembered from look to look.
#[derive(Default)]
struct Eyes {
    migrator: Option<Migrator>,
    watched_since: Option<Timestamp>,
    looked_at: Option<Timestamp>,
    used: BTreeMap<String, Timestamp>,
    used_by: BTreeMap<RevisionId, Timestamp>,
}

impl Eyes {
    async fn look(&mut self, place: &SchemaPlace) -> Result<SchemaSeen, MigrateError> {
        let migrator = match self.migrator.take() {
            Some(migrator) => migrator,
            None => {
                let schema = Ident::new(place.rules.schema.as_str()).map_err(unexpected)?;
                Migrator::look(&place.url, schema).await?
            }
        };
        let observed = migrator.observe().await?;
        let tagged = migrator.tagged(place.app.as_str()).await?;
        self.migrator = Some(migrator);
        let at = now();
        self.remember(&observed, &tagged, at);
        let applied: Vec<Applied> = observed.migrations.iter().map(|one| one.applied.clone()).collect();
        let (migrations, baseline) = known(&applied);
        let attic = applied.iter().filter(|applied| applied.is_restorable()).filter_map(|applied| {
            let until = applied.restorable_until.clone()?;
            Some(AtticSeen { migration: applied.name.clone(), until })
        });
        let mut sessions = BTreeMap::new();
        for session in &observed.sessions {
            *sessions.entry(session.version.as_str().to_owned()).or_default() += 1;
        }
        Ok(SchemaSeen {
            at,
            migrations,
            versions: observed.versions.iter().map(|version| version.as_str().to_owned()).collect(),
            sessions,
            watched_since: self.watched_since,
            used: self.used.clone(),
            used_by: self.used_by.clone(),
            baseline,
            attic: attic.collect(),
            ..SchemaSeen::default()
        })
    }

    /// Who was seen to use what.
    fn remember(&mut self, observed: &Observation, tagged: &[String], at: Timestamp) {
        let gap = self.looked_at.map(|looked_at| at.since(looked_at).to_std());
        // Who can not see the sessions of others knows nothing of them.
        let is_whole = observed.sees_all && gap.is_some_and(|gap| gap <= LONGEST_GAP);
        let so_far = self.watched_since.filter(|_| is_whole);
        self.watched_since = so_far.or(observed.sees_all.then_some(at));
        self.looked_at = Some(at);
        for session in &observed.sessions {
            self.used.insert(session.version.as_str().to_owned(), at);
        }
        let mut before = observed.versions.first().map(|version| version.as_str().to_owned());
        for one in observed.migrations.iter().filter(|one| one.applied.phase != Phase::Undone) {
            if let (Some(seconds), Some(older)) = (one.older_wrote, &before) {
                let ago = Duration::from_secs_f64(seconds.max(0.0));
                let wrote = Timestamp::from_micros(at.as_micros().saturating_sub(ago.as_micros() as u64));
                let known = self.used.entry(older.clone()).or_insert(wrote);
                *known = (*known).max(wrote);
            }
            before = Some(one.applied.version_schema.as_str().to_owned());
        }
        for name in tagged {
            if let Some(revision) = name.split(':').nth(2).and_then(|revision| revision.parse().ok()) {
                self.used_by.insert(revision, at);
            }
        }
    }

    /// Asks the invariants whose findings have become old.
    async fn ask(&self, place: &SchemaPlace, told: &Mutex<Told>) {
        let known = lock(told).invariants.clone();
        let mut found = Vec::new();
        for rule in &place.rules.invariants {
            let fresh =
                known.iter().find(|seen| seen.name == rule.name && now().since(seen.at).to_std() < INVARIANT_EVERY);
            match fresh {
                Some(seen) => found.push(seen.clone()),
                None => {
                    let at = now();
                    let answer = tokio::time::timeout(rule.timeout.to_std() + LOOK_LIMIT, invariant(place, rule)).await;
                    let answer = match answer {
                        Ok(Ok(keys)) if keys.is_empty() => Found::Holds,
                        Ok(Ok(keys)) => Found::Broken { keys },
                        Ok(Err(error)) => Found::Unknown { why: error.to_string() },
                        Err(_) => Found::Unknown { why: "the server did not answer in time".to_owned() },
                    };
                    found.push(InvariantSeen { name: rule.name.clone(), at, found: answer });
                }
            }
        }
        lock(told).invariants = found;
    }
}

/// The keys of rows that break an invariant, asked in a read-only transaction on the schema's own tables.
async fn invariant(place: &SchemaPlace, rule: &Invariant) -> Result<Vec<String>, MigrateError> {
    let database = Database::connect(&place.url).await?;
    let client = database.client();
    let schema = Ident::new(place.rules.schema.as_str()).map_err(unexpected)?;
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL search_path = {schema}",
        rule.timeout.to_std().as_millis()
    );
    client.batch_execute(&begin).await?;
    let query = rule.query.trim().trim_end_matches(';');
    // The first column of each row, as text, whatever its type.
    let query = format!(
        "SELECT (SELECT value FROM pg_catalog.json_each_text(pg_catalog.row_to_json(found)) LIMIT 1)
           FROM (\n{query}\n) AS found LIMIT {MOST_KEYS}"
    );
    let rows = client.query(&query, &[]).await?;
    client.batch_execute("ROLLBACK").await?;
    Ok(rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".to_owned())).collect())
}

/// The migrations that are there, and the baseline before them.
pub(super) fn known(applied: &[Applied]) -> (Vec<MigrationSeen>, Option<String>) {
    let baseline = applied.iter().find(|applied| applied.is_baseline()).map(|applied| applied.name.clone());
    let migrations = applied.iter().filter(|applied| !applied.is_baseline()).filter_map(|applied| {
        let id = MigrationId { name: applied.name.clone(), checksum: applied.checksum.clone() };
        Some(MigrationSeen { id, phase: phase(applied.phase)? })
    });
    (migrations.collect(), baseline)
}

/// The phase as decisions know it; nothing for what was taken back.
fn phase(phase: Phase) -> Option<MigrationPhase> {
    match phase {
        Phase::Expanding => Some(MigrationPhase::Expanding),
        // What is being detached is gone on with by detaching it again.
        Phase::Expanded | Phase::Detaching => Some(MigrationPhase::Expanded),
        Phase::Contracting => Some(MigrationPhase::Contracting),
        Phase::Contracted => Some(MigrationPhase::Contracted),
        // The same command goes on with both.
        Phase::Undoing | Phase::Restoring => Some(MigrationPhase::Undoing),
        Phase::Detached | Phase::Attaching => Some(MigrationPhase::Detached),
        Phase::Undone => None,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
