//! Detach and attach: the older version goes on alone, and both again.

use switchover_migration::plan::{kept, out_of_step, plan_attach, plan_detach};

use super::contract::unknown;
use super::{MigrateError, Migrator, Progress, active, busy_with};
use crate::error::{refused, unexpected};
use crate::store::{Applied, Phase};

impl Migrator {
    /// Stops keeping the versions of `name`, the newest expanded migration, in step: its triggers and rules go, its columns
    /// and values stay. For when these are why the older version fails.
    pub async fn detach(
        &mut self,
        name: &str,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let newest = newest_called(&known, name)?;
        let applied = match newest.phase {
            Phase::Detached => return Ok(newest.clone()),
            Phase::Detaching => newest.clone(),
            Phase::Expanded => {
                let catalog = self.catalog_of(&known).await?;
                let earlier = self.earlier(&known, newest)?;
                let kept = kept(&catalog, &newest.planned, earlier, std::collections::BTreeMap::new());
                let steps = plan_detach(&catalog, &newest.planned, &active(&known));
                self.begin(Applied { kept: Some(kept), ..newest.clone() }, Phase::Detaching, &steps).await?
            }
            Phase::Attaching | Phase::Expanding | Phase::Contracting | Phase::Undoing | Phase::Restoring => {
                return Err(busy_with(newest));
            }
            Phase::Contracted | Phase::Undone => return Err(unknown(&known, name, "expanded")),
        };
        self.finish(applied, Phase::Detached, tell).await
    }

    /// Keeps the versions of `name` in step again, with what the older one wrote meanwhile brought in step. How many rows
    /// differ, and which, is told first.
    pub async fn attach(
        &mut self,
        name: &str,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let newest = newest_called(&known, name)?;
        let applied = match newest.phase {
            Phase::Expanded => return Ok(newest.clone()),
            Phase::Attaching => newest.clone(),
            Phase::Detached => {
                let catalog = self.catalog_of(&known).await?;
                let kept = newest.kept.as_ref().ok_or_else(|| unexpected("nothing was kept at detach"))?;
                let steps = plan_attach(&catalog, &newest.planned, &active(&known), kept);
                for (table, finding) in out_of_step(&catalog, &newest.planned) {
                    let rows = self.client().query(&finding.query, &[]).await?;
                    let count = rows.first().map_or(0, |row| row.get::<_, i64>(1));
                    let keys = rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect();
                    let rows = u64::try_from(count).unwrap_or(0);
                    tell(Progress::Differ { table: table.as_str().to_owned(), rows, keys });
                }
                self.begin(newest.clone(), Phase::Attaching, &steps).await?
            }
            Phase::Detaching | Phase::Expanding | Phase::Contracting | Phase::Undoing | Phase::Restoring => {
                return Err(busy_with(newest));
            }
            Phase::Contracted | Phase::Undone => return Err(unknown(&known, name, "detached")),
        };
        self.run(&applied, tell).await?;
        self.end(Applied { kept: None, ..applied }, Phase::Expanded, &[]).await
    }
}

fn newest_called<'a>(known: &'a [Applied], name: &str) -> Result<&'a Applied, MigrateError> {
    let open = |applied: &&Applied| !matches!(applied.phase, Phase::Undone | Phase::Contracted);
    match known.iter().rev().find(open) {
        Some(newest) if newest.name == name => Ok(newest),
        Some(newest) if known.iter().any(|applied| applied.name == name && open(&applied)) => Err(refused(
            "MIGRATION-NOT-NEWEST",
            format!("{} stands on {name}.", newest.name),
            format!("Undo {} first, or take that one.", newest.name),
        )),
        Some(_) | None => Err(unknown(known, name, "expanded")),
    }
}
