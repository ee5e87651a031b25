//! The way from the migrations that a database knows to what a schema goal asks for, one operation after the other.
//!
//! Each operation follows from what is there when it is asked, so a run that was broken off goes on where it was.

use switchover_model::revision::{MigrationId, RevisionSchema};
use switchover_model::schema::{MigrationPhase, MigrationSeen};

/// What a goal asks of the schema.
#[derive(Debug, Clone, Copy)]
pub enum Road<'a> {
    /// What `wanted` needs is there beside what `beside` needs.
    Serve {
        /// What the new revision needs.
        wanted: &'a RevisionSchema,
        /// What the ones that go on meanwhile need.
        beside: &'a [RevisionSchema],
    },
    /// What only others than `wanted` needed is gone.
    Leave {
        /// What the only revision left needs.
        wanted: &'a RevisionSchema,
    },
    /// What `wanted` has beyond `beside` is kept in step no more.
    Detach {
        /// What the revision that is undone needs.
        wanted: &'a RevisionSchema,
        /// What the one that gets the traffic back needs.
        beside: &'a RevisionSchema,
    },
}

/// One operation on one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make its version, or go on with making it.
    Expand(MigrationId),
    /// Keep it in step again.
    Attach(String),
    /// Leave the schema to it.
    Contract(String),
    /// Take it back, or go on with that; a contracted one comes back from the attic first.
    Undo(String),
    /// Bring what it took away back from the attic: both versions can be used again.
    Restore(String),
    /// Keep it in step no more.
    Detach(String),
}

/// Why a goal can not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoad {
    /// A file was edited after its contract.
    #[error("migration {0} was edited after its contract")]
    Edited(String),
    /// A file was edited whose earlier form a revision that goes on stands on.
    #[error("migration {0} was edited, and a revision that is live or kept warm stands on it as it was")]
    InUse(String),
    /// The revisions' migrations are not of one line.
    #[error("migration {older} has to be taken back, and {newer}, which is in use, stands on it")]
    StandsOn {
        /// What has to go.
        older: String,
        /// What stays.
        newer: String,
    },
}

impl Road<'_> {
    /// The next operation on the way; nothing when the goal is reached.
    ///
    /// Assumes: `known` is in the order in which the migrations were begun, those that were taken back left out.
    ///
    /// # Errors
    /// The goal can not be reached from here.
    pub fn next(&self, known: &[MigrationSeen]) -> Result<Option<Step>, NoRoad> {
        match self {
            Self::Serve { wanted, beside } => serve(known, wanted, beside),
            Self::Leave { wanted } => leave(known, wanted),
            Self::Detach { wanted, beside } => Ok(detach(known, wanted, beside)),
        }
    }
}

fn is_of(schema: &RevisionSchema, id: &MigrationId) -> bool {
    schema.migrations.contains(id)
}

fn names(schema: &RevisionSchema, name: &str) -> bool {
    schema.migrations.iter().any(|id| id.name == name)
}

fn serve(known: &[MigrationSeen], wanted: &RevisionSchema, beside: &[RevisionSchema]) -> Result<Option<Step>, NoRoad> {
    if let Some(step) = unfinished(known, wanted, beside) {
        return Ok(Some(step));
    }
    let edited = |seen: &&MigrationSeen| names(wanted, &seen.id.name) && !is_of(wanted, &seen.id);
    let in_use = |seen: &&MigrationSeen| edited(seen) && beside.iter().any(|beside| is_of(beside, &seen.id));
    if let Some(seen) = known.iter().find(|seen| edited(seen) && is_contracted(seen.phase)) {
        return Err(NoRoad::Edited(seen.id.name.clone()));
    }
    if let Some(seen) = known.iter().find(in_use) {
        return Err(NoRoad::InUse(seen.id.name.clone()));
    }
    // What none needs goes, the newest first; also what is there as another file says it.
    for (place, seen) in known.iter().enumerate().rev() {
        let needed = is_of(wanted, &seen.id) || beside.iter().any(|beside| is_of(beside, &seen.id));
        if !needed && !is_contracted(seen.phase) {
            return on_top(known, place).map(|()| Some(Step::Undo(seen.id.name.clone())));
        }
    }
    // What the new revision does not know and was contracted comes back, the newest first.
    let foreign = |seen: &&MigrationSeen| seen.phase == MigrationPhase::Contracted && !is_of(wanted, &seen.id);
    if let Some(seen) = known.iter().rev().find(foreign) {
        return Ok(Some(Step::Restore(seen.id.name.clone())));
    }
    let detached = known.iter().find(|seen| seen.phase == MigrationPhase::Detached && is_of(wanted, &seen.id));
    if let Some(detached) = detached {
        return Ok(Some(Step::Attach(detached.id.name.clone())));
    }
    let missing = wanted.migrations.iter().find(|id| !known.iter().any(|seen| seen.id == **id));
    Ok(missing.map(|id| Step::Expand(id.clone())))
}

fn is_contracted(phase: MigrationPhase) -> bool {
    match phase {
        MigrationPhase::Contracting | MigrationPhase::Contracted => true,
        MigrationPhase::Expanding | MigrationPhase::Expanded | MigrationPhase::Detached | MigrationPhase::Undoing => {
            false
        }
    }
}

/// Goes on with what was broken off, whichever goal it was for.
fn unfinished(known: &[MigrationSeen], wanted: &RevisionSchema, beside: &[RevisionSchema]) -> Option<Step> {
    known.iter().find_map(|seen| match seen.phase {
        MigrationPhase::Expanding => {
            let needed = is_of(wanted, &seen.id) || beside.iter().any(|beside| is_of(beside, &seen.id));
            Some(if needed { Step::Expand(seen.id.clone()) } else { Step::Undo(seen.id.name.clone()) })
        }
        MigrationPhase::Contracting => Some(Step::Contract(seen.id.name.clone())),
        MigrationPhase::Undoing => Some(Step::Undo(seen.id.name.clone())),
        MigrationPhase::Expanded | MigrationPhase::Detached | MigrationPhase::Contracted => None,
    })
}

/// Nothing newer stands on the migration in this place.
fn on_top(known: &[MigrationSeen], place: usize) -> Result<(), NoRoad> {
    match known.get(place + 1) {
        None => Ok(()),
        Some(newer) => Err(NoRoad::StandsOn { older: known[place].id.name.clone(), newer: newer.id.name.clone() }),
    }
}

fn leave(known: &[MigrationSeen], wanted: &RevisionSchema) -> Result<Option<Step>, NoRoad> {
    if let Some(step) = unfinished(known, wanted, &[]) {
        return Ok(Some(step));
    }
    for (place, seen) in known.iter().enumerate().rev() {
        let pending = matches!(seen.phase, MigrationPhase::Expanded | MigrationPhase::Detached);
        if pending && !is_of(wanted, &seen.id) {
            return on_top(known, place).map(|()| Some(Step::Undo(seen.id.name.clone())));
        }
    }
    let pending = known.iter().find_map(|seen| match seen.phase {
        MigrationPhase::Detached => Some(Step::Attach(seen.id.name.clone())),
        MigrationPhase::Expanded => Some(Step::Contract(seen.id.name.clone())),
        MigrationPhase::Expanding
        | MigrationPhase::Contracting
        | MigrationPhase::Contracted
        | MigrationPhase::Undoing => None,
    });
    Ok(pending)
}

fn detach(known: &[MigrationSeen], wanted: &RevisionSchema, beside: &RevisionSchema) -> Option<Step> {
    let own = known.iter().rev().find(|seen| {
        let own = is_of(wanted, &seen.id) && !is_of(beside, &seen.id);
        own && seen.phase == MigrationPhase::Expanded
    });
    own.map(|own| Step::Detach(own.id.name.clone()))
}

#[cfg(test)]
mod tests;
