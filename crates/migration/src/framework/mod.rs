//! An app's own framework: what its commands print, read and sorted into expand and contract. The commands themselves are run by
//! others, from the new revision's own copy, and never backwards.

pub mod alembic;
pub mod django;
mod place;

use serde::Serialize;
pub use switchover_model::framework::Pending;

pub use place::place;

use crate::catalog::Catalog;
use crate::lint::{self, Finding, Linter, Phase, RanBy};

/// Where a migration fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Both versions can live with it: before the new one serves.
    Expand,
    /// Only the new version can live with it: when the older one is gone.
    Contract,
    /// It comes after one for contract, so it has to wait with it; the new version would start without it.
    Behind,
    /// No phase takes it as it stands: it has to be written otherwise.
    Neither,
    /// What it does is not seen.
    Unseen,
}

/// A migration with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sorted {
    /// As the framework calls it.
    pub name: String,
    /// Where it fits.
    pub fit: Fit,
    /// Why, and how to write it.
    pub findings: Vec<Finding>,
}

/// Each pending migration with the phase that takes it. A framework carries them out in its order, so none of expand can
/// come after one of contract.
#[must_use]
pub fn sort(pending: &[Pending], catalog: Option<&Catalog>) -> Vec<Sorted> {
    let mut linter = Linter::new(RanBy::Others, catalog);
    let mut waits = false;
    let mut sorted = Vec::new();
    for migration in pending {
        let mut then = linter.clone();
        let sql = migration.sql.as_deref().unwrap_or_default();
        let expand = then.file(sql, &migration.name, Phase::Expand);
        let is_refused = |findings: &[Finding]| findings.iter().any(Finding::is_refused);
        let contract_too = || linter.clone().file(sql, &migration.name, Phase::Contract);
        let fit = match () {
            () if migration.runs_code => Fit::Unseen,
            () if !is_refused(&expand) && waits => Fit::Behind,
            () if !is_refused(&expand) => Fit::Expand,
            // What the new version needs from its start can not wait until the older one is gone.
            () if !lint::adds(sql) && !is_refused(&contract_too()) => Fit::Contract,
            () => Fit::Neither,
        };
        waits |= fit == Fit::Contract;
        linter = then;
        sorted.push(Sorted { name: migration.name.clone(), fit, findings: expand });
    }
    sorted
}

#[cfg(test)]
mod tests;
