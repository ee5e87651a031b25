//! Contract: what only older versions needed goes to the attic.

use std::collections::BTreeMap;

use switchover_migration::Ident;
use switchover_migration::plan::{Piece, came_since, kept, plan_contract, standing};

use super::{MigrateError, Migrator, Progress, active, busy_with, expanded, planned_ones, refuse_what_is_open};
use crate::bystanders;
use crate::error::{refuse_for, refused, unexpected};
use crate::store::{Applied, Phase};

impl Migrator {
    /// Leaves the schema to the oldest expanded version and newer ones, or goes on with that. Who is on an older one is not
    /// looked at here: [`Migrator::observe`] does.
    pub async fn contract(&mut self, tell: &mut (dyn FnMut(Progress) + Send)) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let applied = match known.iter().find(|applied| !applied.phase.is_at_rest()) {
            Some(applied) if applied.phase == Phase::Contracting => applied.clone(),
            Some(applied) => return Err(busy_with(applied)),
            None => self.begin_contract(&known).await?,
        };
        self.run(&applied, tell).await?;
        // Names that contract changed are those of the versions that stand on it, too.
        let newer = expanded(&known).filter(|newer| newer.number > applied.number);
        let after = if applied.planned.settles_for_good() { Some(self.catalog_of(&known).await?) } else { None };
        let renamed = |newer: &Applied| {
            let planned = newer.planned.after_contract_of(&applied.planned);
            let planned = after.as_ref().map(|after| planned.as_far_as_there(after)).unwrap_or(planned);
            Applied { planned, ..newer.clone() }
        };
        let mut newer: Vec<Applied> = newer.map(renamed).collect();
        if let Some(after) = &after {
            let pending: Vec<Piece> = newer.iter().flat_map(|newer| newer.planned.pieces.clone()).collect();
            newer.iter_mut().for_each(|newer| newer.planned = newer.planned.with_what_came(after, &pending));
        }
        self.end(applied, Phase::Contracted, &newer).await
    }

    /// Contracts one after the other until `name` is.
    ///
    /// Errors: `name` is not expanded; nothing was begun.
    pub async fn contract_to(
        &mut self,
        name: &str,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<Applied>, MigrateError> {
        let known = self.applied().await?;
        let is_open =
            |applied: &&Applied| applied.name == name && matches!(applied.phase, Phase::Expanded | Phase::Contracting);
        let Some(last) = known.iter().find(is_open).map(|applied| applied.number) else {
            return Err(unknown(&known, name, "expanded"));
        };
        let mut done = Vec::new();
        loop {
            let applied = self.contract(tell).await?;
            let is_last = applied.number >= last;
            done.push(applied);
            if is_last {
                return Ok(done);
            }
        }
    }

    async fn begin_contract(&mut self, known: &[Applied]) -> Result<Applied, MigrateError> {
        refuse_what_is_open(known)?;
        let Some(oldest) = expanded(known).next().cloned() else {
            return Err(refused(
                "NOTHING-TO-CONTRACT",
                "no migration is expanded.",
                "Look with `switchover db status`.",
            ));
        };
        let newer: Vec<&Ident> = expanded(known).map(|applied| &applied.version_schema).collect();
        let mut older = self.versions().await?;
        older.retain(|schema| !newer.contains(&schema));
        let mut gone = older.clone();
        if oldest.planned.settles_for_good() {
            gone.extend(newer.iter().map(|version| (*version).clone()));
        }
        bystanders::refuse_on_versions(self.client(), &self.schema, &gone).await?;
        bystanders::refuse_row_types(self.client(), &self.schema, &oldest.planned).await?;
        let catalog = self.catalog_of(known).await?;
        refuse_for(came_since(&catalog, &oldest.planned))?;
        let standing = standing(&catalog, &planned_ones(known));
        let steps = plan_contract(&catalog, &oldest.planned, &active(known), &older, &standing);
        let earlier = self.earlier(known, &oldest)?;
        let kept = kept(&catalog, &oldest.planned, earlier, self.identities().await?);
        let comes_back = !oldest.planned.settles_for_good();
        let applied = Applied {
            kept: comes_back.then_some(kept),
            attic_seconds: comes_back.then_some(self.settings.attic.as_secs_f64()),
            ..oldest.clone()
        };
        self.begin(applied, Phase::Contracting, &steps).await
    }

    /// By what the rows of each table are known to subscribers, where that is not the default.
    async fn identities(&self) -> Result<BTreeMap<Ident, String>, MigrateError> {
        let rows = self
            .client()
            .query(
                "SELECT class.relname, class.relreplident::text, pg_catalog.quote_ident(of_index.relname)
                   FROM pg_catalog.pg_class AS class
                   JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
                   LEFT JOIN pg_catalog.pg_index AS index ON index.indrelid = class.oid AND index.indisreplident
                   LEFT JOIN pg_catalog.pg_class AS of_index ON of_index.oid = index.indexrelid
                  WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p')",
                &[&self.schema.as_str()],
            )
            .await?;
        let mut identities = BTreeMap::new();
        for row in rows {
            let (table, kind, index): (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
            let identity = match (kind.as_str(), index) {
                ("n", _) => "NOTHING".to_owned(),
                ("f", _) => "FULL".to_owned(),
                ("i", Some(index)) => format!("USING INDEX {index}"),
                (_, _) => "DEFAULT".to_owned(),
            };
            identities.insert(Ident::new(table).map_err(unexpected)?, identity);
        }
        Ok(identities)
    }
}

/// There is no migration of this name in such a phase.
pub(super) fn unknown(known: &[Applied], name: &str, phase: &str) -> MigrateError {
    let open: Vec<&str> = expanded(known).map(|applied| applied.name.as_str()).collect();
    let there = if open.is_empty() { "none is".to_owned() } else { format!("these are: {}", open.join(", ")) };
    refused(
        "MIGRATION-UNKNOWN",
        format!("no migration {name} is {phase}; {there}."),
        "Name one as `switchover db status` shows it.",
    )
}
