//! Purge: the attic is emptied.

use std::time::Duration;

use switchover_migration::Ident;
use switchover_migration::plan::plan_purge;
use switchover_migration::version::Version;

use super::{MigrateError, Migrator, Progress, busy_with, expanded};
use crate::notes::Place;
use crate::run;
use crate::store::{self, Applied, PURGING, Phase};

/// What is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// What has been kept for as long as its contract asked for.
    Due,
    /// What has been kept for longer than this.
    OlderThan(Duration),
    /// Everything.
    All,
}

/// The versions that can be used, by their schemas.
fn standing(known: &[Applied]) -> Vec<(Ident, Version)> {
    let open = expanded(known).map(|applied| (applied.version_schema.clone(), applied.planned.version.clone()));
    let contracted = known.iter().rev().find(|applied| applied.phase == Phase::Contracted);
    let contracted = contracted.map(|applied| (applied.version_schema.clone(), applied.planned.version_after()));
    contracted.into_iter().chain(open).collect()
}

impl Migrator {
    /// Drops for good what contract and undo put aside. Whose attic is emptied can not be restored any more.
    pub async fn purge(
        &mut self,
        what: Purge,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<Applied>, MigrateError> {
        let known = self.applied().await?;
        if let Some(unfinished) = known.iter().find(|applied| !applied.phase.is_at_rest()) {
            return Err(busy_with(unfinished));
        }
        let due = self.due(what).await?;
        let mut purged = Vec::new();
        for applied in known.iter().filter(|applied| due.contains(&applied.number)) {
            purged.extend(self.purge_one(applied, tell).await?);
        }
        Ok(purged)
    }

    /// Drops what one migration put aside; nothing where it has nothing there.
    pub(super) async fn purge_one(
        &mut self,
        applied: &Applied,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Option<Applied>, MigrateError> {
        let known = self.applied().await?;
        let catalog = self.catalog_of(&known).await?;
        let steps = plan_purge(&catalog, applied.number, &standing(&known));
        if steps.is_empty() && applied.kept.is_none() {
            return Ok(None);
        }
        let client = self.database.client_mut();
        let closed = Applied { kept: None, attic_seconds: None, restorable_until: None, ..applied.clone() };
        store::close(client, &self.schema, &closed).await?;
        let place = Place { schema: &self.schema, number: applied.number, phase: PURGING };
        run::steps(client, place, &steps, &self.settings, tell).await?;
        store::note(self.database.client(), &self.schema, &applied.name, "purged", None).await?;
        Ok(Some(closed))
    }

    /// Numbers of migrations whose attic is to be emptied now, by the database's clock.
    async fn due(&self, what: Purge) -> Result<Vec<u32>, MigrateError> {
        let seconds = match what {
            Purge::Due => None,
            Purge::OlderThan(age) => Some(age.as_secs_f64()),
            Purge::All => Some(0.0),
        };
        let default = super::Settings::ATTIC.as_secs_f64();
        let phases = [Phase::Contracted.as_str(), Phase::Undone.as_str()];
        let rows = self
            .client()
            .query(
                "SELECT number FROM switchover.migration WHERE schema = $1 AND phase = ANY ($2)
                    AND changed_at + make_interval(secs => coalesce($3, attic_seconds, $4)) <= clock_timestamp()",
                &[&self.schema.as_str(), &phases.as_slice(), &seconds, &default],
            )
            .await?;
        Ok(rows.iter().filter_map(|row| u32::try_from(row.get::<_, i32>(0)).ok()).collect())
    }
}
