//! Undo: an expanded migration is taken back, a contracted one becomes an expanded one again.

use std::collections::BTreeSet;

use switchover_migration::plan::{Step, Work, plan_restore, plan_stop_contract, plan_undo};

use super::contract::unknown;
use super::{MigrateError, Migrator, Progress, active, busy_with};
use crate::bystanders;
use crate::error::{refused, unexpected};
use crate::notes::{self, Place};
use crate::store::{Applied, Phase};

/// The name of the state before the first migration.
const BASE: &str = "base";

impl Migrator {
    /// Takes the newest migration one phase back, or goes on with that: from expanded (whole, half done or detached) to
    /// undone, from contracted to expanded.
    pub async fn undo(&mut self, tell: &mut (dyn FnMut(Progress) + Send)) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let Some(newest) = known.iter().rev().find(|applied| applied.phase != Phase::Undone) else {
            return Err(refused("NOTHING-TO-UNDO", "no migration is there.", "Look with `switchover db status`."));
        };
        if let Some(contracting) = known.iter().find(|applied| applied.phase == Phase::Contracting) {
            return self.stop_contract(&known, contracting, tell).await;
        }
        match newest.phase {
            Phase::Undoing => self.finish(newest.clone(), Phase::Undone, tell).await,
            Phase::Restoring => self.finish_restore(newest.clone(), tell).await,
            Phase::Contracting | Phase::Undone => Err(busy_with(newest)),
            Phase::Contracted => {
                let applied = self.begin_restore(&known, newest).await?;
                self.finish_restore(applied, tell).await
            }
            Phase::Expanding | Phase::Expanded | Phase::Detaching | Phase::Detached | Phase::Attaching => {
                self.refuse_without_way_back().await?;
                let version = std::slice::from_ref(&newest.version_schema);
                bystanders::refuse_on_versions(self.client(), &self.schema, version).await?;
                let catalog = self.catalog_of(&known).await?;
                let mut steps = plan_undo(&catalog, &newest.planned, &active(&known), &newest.version_schema);
                if newest.phase == Phase::Expanding {
                    self.leave_indexes_of_others(newest, &mut steps).await?;
                }
                let applied = self.begin(newest.clone(), Phase::Undoing, &steps).await?;
                self.finish(applied, Phase::Undone, tell).await
            }
        }
    }

    /// An index that a broken-off expand has not begun is the user's own, whatever its name.
    async fn leave_indexes_of_others(&self, broken_off: &Applied, steps: &mut Vec<Step>) -> Result<(), MigrateError> {
        let place = Place { schema: &self.schema, number: broken_off.number, phase: broken_off.phase.as_str() };
        let expand: Vec<Step> = serde_json::from_str(&broken_off.steps).map_err(unexpected)?;
        for step in &expand {
            let Work::BuildIndex { build, .. } = &step.work else { continue };
            let is_begun = notes::has_begun_index(self.client(), place, &build.index).await?;
            // As a build of before notes it, at its end.
            if !is_begun && !notes::is_done(self.client(), place, step).await? {
                steps.retain(|step| !matches!(&step.work, Work::DropIndex { index, .. } if *index == build.index));
            }
        }
        Ok(())
    }

    /// Takes expanded migrations back until `name` is the newest; `base` for all of them.
    ///
    /// Errors: there is no such migration, or one that is contracted stands between; nothing was begun.
    pub async fn undo_to(
        &mut self,
        name: &str,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<Applied>, MigrateError> {
        let known = self.applied().await?;
        let there = known.iter().rev().find(|applied| applied.name == name && applied.phase != Phase::Undone);
        let down_to = match there {
            Some(applied) => applied.number,
            // What was there before an adopted database's starting point is not known.
            None if name == BASE => {
                known.iter().filter(|applied| applied.is_baseline()).map(|applied| applied.number).max().unwrap_or(0)
            }
            None => return Err(unknown(&known, name, "there")),
        };
        let open = known.iter().filter(|applied| applied.number > down_to && applied.phase != Phase::Undone);
        if let Some(contracted) =
            open.clone().find(|applied| matches!(applied.phase, Phase::Contracted | Phase::Contracting))
        {
            return Err(refused(
                "MIGRATION-CONTRACTED",
                format!("{} is contracted and stands between.", contracted.name),
                "Restore it with `switchover db undo`, one after the other, as long as the attic is there.",
            ));
        }
        for applied in open.clone() {
            self.refuse_without_way_back_of(applied).await?;
        }
        let mut done = Vec::new();
        if known.iter().any(|applied| applied.phase == Phase::Contracting) {
            done.push(self.undo(tell).await?);
        }
        for _ in 0..open.count() {
            done.push(self.undo(tell).await?);
        }
        Ok(done)
    }

    /// Refuses to take back what says no way to: statements of the user's own without `down`, once one of them is done.
    pub(super) async fn refuse_without_way_back(&self) -> Result<(), MigrateError> {
        let known = self.applied().await?;
        let open = |applied: &&Applied| !matches!(applied.phase, Phase::Contracted | Phase::Undone);
        match known.iter().rev().find(open) {
            Some(newest) => self.refuse_without_way_back_of(newest).await,
            None => Ok(()),
        }
    }

    async fn refuse_without_way_back_of(&self, applied: &Applied) -> Result<(), MigrateError> {
        if !applied.planned.has_no_way_back() {
            return Ok(());
        }
        let place = Place { schema: &self.schema, number: applied.number, phase: Phase::Expanding.as_str() };
        if !notes::has_run_statements(self.client(), place).await? {
            return Ok(());
        }
        Err(refused(
            "NO-WAY-BACK",
            format!("{} has statements of its own and does not say what takes them back.", applied.name),
            "What it made is what the live version can live with: leave it, and mend it with a next migration. Or give the \
             same command again to go on.",
        ))
    }

    /// Takes back a contract that was broken off, as long as it has changed no table.
    async fn stop_contract(
        &mut self,
        known: &[Applied],
        contracting: &Applied,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        let place = Place { schema: &self.schema, number: contracting.number, phase: contracting.phase.as_str() };
        let steps: Vec<Step> = serde_json::from_str(&contracting.steps).map_err(unexpected)?;
        let mut done = BTreeSet::new();
        for step in &steps {
            if notes::has_begun(self.client(), place, step).await? {
                done.insert(step.name.clone());
            }
        }
        let catalog = self.catalog_of(known).await?;
        let earlier = self.earlier(known, contracting)?;
        let back =
            plan_stop_contract(&catalog, &contracting.planned, &earlier, &steps, |step| done.contains(&step.name));
        let Some(back) = back else {
            let next = if contracting.planned.settles_for_good() {
                "Mend what the failed statement says, then give `switchover db contract` again; nothing takes its statements back."
            } else {
                "Give `switchover db contract` again to go on with it; then `switchover db undo` restores what was there."
            };
            let cause = format!("contract of {} was broken off when it had changed tables.", contracting.name);
            return Err(refused("MIGRATION-UNFINISHED", cause, next));
        };
        let contracting = Applied { kept: None, attic_seconds: None, ..contracting.clone() };
        let applied = self.begin(contracting, Phase::Restoring, &back).await?;
        self.finish_restore(applied, tell).await
    }

    async fn begin_restore(&mut self, known: &[Applied], newest: &Applied) -> Result<Applied, MigrateError> {
        if newest.is_baseline() {
            return Err(refused(
                "NOTHING-TO-UNDO",
                format!("{} is the starting point.", newest.name),
                "What was there before is not known here.",
            ));
        }
        if newest.planned.settles_for_good() {
            return Err(refused(
                "NO-WAY-BACK",
                format!(
                    "contract of {} was statements of your own, and nothing says what takes them back.",
                    newest.name
                ),
                "Go on with the version that is there, and mend it with a next migration.",
            ));
        }
        let Some(kept) = &newest.kept else {
            return Err(refused(
                "ATTIC-EMPTY",
                format!("what contract of {} put aside was purged.", newest.name),
                "Go on with the version that is there; a new migration can make the old columns anew.",
            ));
        };
        let catalog = self.catalog_of(known).await?;
        let steps = plan_restore(&catalog, &newest.planned, kept).map_err(MigrateError::Refused)?;
        self.begin(newest.clone(), Phase::Restoring, &steps).await
    }

    /// Whether a step that changes something is done.
    async fn has_changed(&self, applied: &Applied) -> Result<bool, MigrateError> {
        let steps: Vec<Step> = serde_json::from_str(&applied.steps).map_err(unexpected)?;
        let place = Place { schema: &self.schema, number: applied.number, phase: applied.phase.as_str() };
        for step in steps.iter().filter(|step| !matches!(step.work, Work::Evaluate(_))) {
            if notes::is_done(self.client(), place, step).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn finish_restore(
        &mut self,
        applied: Applied,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        if let Err(error) = self.run(&applied, tell).await {
            // Without anything kept it is a contract that is taken back.
            if applied.kept.is_none() || !error.is_lasting() || self.has_changed(&applied).await? {
                return Err(error);
            }
            // Rows that have no older values stand in the way: the version that is live stays as it was.
            self.end(applied, Phase::Contracted, &[]).await?;
            return Err(MigrateError::NotChanged(Box::new(error)));
        }
        let applied = Applied { kept: None, attic_seconds: None, ..applied };
        self.end(applied, Phase::Expanded, &[]).await
    }
}
