//! Baseline: a database that is there is adopted as it is.

use switchover_migration::plan::{Planned, version_step};
use switchover_migration::version::Version;

use super::{MigrateError, Migrator};
use crate::error::refused;
use crate::store::{self, Applied, BASELINE, Phase};

impl Applied {
    /// Whether it is a starting point, and no migration.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        self.checksum == BASELINE
    }
}

impl Migrator {
    /// Writes down that the database, as it is now, is what the migration `name` and all before it lead to, and makes
    /// `SCHEMA_base`, through which it is used.
    ///
    /// Errors: migrations are known already; nothing was changed.
    pub async fn baseline(&mut self, name: &str) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        if let Some(same) = known.iter().find(|applied| applied.is_baseline() && applied.name == name) {
            if same.phase == Phase::Contracted {
                return Ok(same.clone());
            }
            let same = same.clone();
            self.run(&same, &mut |_| {}).await?;
            return self.end(same, Phase::Contracted, &[]).await;
        }
        if let Some(first) = known.iter().find(|applied| applied.phase != Phase::Undone) {
            return Err(refused(
                "BASELINE-TOO-LATE",
                format!("the database knows migration {} already.", first.name),
                "A starting point comes before the first migration.",
            ));
        }
        let catalog = self.catalog_of(&known).await?;
        let version = Version::base(&catalog);
        let schema = self.named("base")?;
        let step = version_step(&catalog, &schema, &version);
        let number = known.last().map_or(1, |applied| applied.number + 1);
        let applied = Applied {
            number,
            name: name.to_owned(),
            checksum: BASELINE.to_owned(),
            version_schema: schema.clone(),
            phase: Phase::Expanding,
            planned: Planned { number, before: version.clone(), version, changes: Vec::new(), pieces: Vec::new() },
            steps: "[]".to_owned(),
            kept: None,
            attic_seconds: None,
            since: String::new(),
            restorable_until: None,
        };
        self.refuse_foreign_base(&known).await?;
        let steps = if self.is_there(&schema).await? { Vec::new() } else { vec![step] };
        let applied = self.begin(applied, Phase::Expanding, &steps).await?;
        self.run(&applied, &mut |_| {}).await?;
        store::note(self.client(), &self.schema, name, "baseline", None).await?;
        self.end(applied, Phase::Contracted, &[]).await
    }
}
