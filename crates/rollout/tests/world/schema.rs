//! The schema of the world's database: migrations are expanded, contracted, taken back and brought back one step after the
//! other, as the real ones are, and stay as they are when the controller ends in the middle.

use std::collections::{BTreeMap, BTreeSet};

use switchover_migration::road::{Road, Step};
use switchover_model::config::Database;
use switchover_model::revision::{MigrationId, RevisionSchema};
use switchover_model::schema::{
    Found, InvariantSeen, MigrationPhase, MigrationSeen, RestorePoint, SchemaFailure, SchemaGoal, SchemaSeen,
    SchemaWork,
};
use switchover_model::{Problem, ReleaseId, Timestamp};

use super::dice::Dice;

const MILLIS: u64 = 1_000;

/// What goes wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) fails_until: u64,
    pub(crate) used_until: u64,
    pub(crate) broken_until: u64,
    /// While an invariant would be broken, it gives no answer in time.
    pub(crate) is_slow: bool,
}

/// What is being done.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) goal: SchemaGoal,
    wanted: RevisionSchema,
    beside: Vec<RevisionSchema>,
    step: Step,
    ends: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) known: Vec<MigrationSeen>,
    pub(crate) work: Option<Work>,
    pub(crate) failed: Option<SchemaFailure>,
    pub(crate) points: BTreeMap<ReleaseId, RestorePoint>,
    /// When something older than the live revision was there last.
    pub(crate) used_at: u64,
    pub(crate) trouble: Trouble,
    /// A work failed because of the trouble, since this was asked last.
    pub(crate) has_failed: bool,
    /// Migrations that somebody took back by hand.
    pub(crate) undone_by_hand: BTreeSet<String>,
    names: u32,
}

impl Schema {
    // === what it is asked ===

    pub(crate) fn ensure(
        &mut self,
        goal: &SchemaGoal,
        wanted: &RevisionSchema,
        beside: &[RevisionSchema],
        now: u64,
        dice: &mut Dice,
    ) {
        let is_in_work = self.work.as_ref().is_some_and(|work| work.goal == *goal);
        let has_failed = self.failed.as_ref().is_some_and(|failed| failed.goal == *goal);
        if is_in_work || has_failed {
            return;
        }
        self.work = None;
        self.begin(goal, wanted, beside, now, dice);
    }

    /// The next step toward the goal, when one is left.
    fn begin(
        &mut self,
        goal: &SchemaGoal,
        wanted: &RevisionSchema,
        beside: &[RevisionSchema],
        now: u64,
        dice: &mut Dice,
    ) {
        let nothing = RevisionSchema {
            migrations: Vec::new(),
            version: String::new(),
            schema: String::new(),
            url: String::new(),
        };
        let road = match goal {
            SchemaGoal::Serve { .. } => Road::Serve { wanted, beside },
            SchemaGoal::Leave { .. } => Road::Leave { wanted },
            SchemaGoal::Detach { .. } => Road::Detach { wanted, beside: beside.first().unwrap_or(&nothing) },
        };
        let step = match road.next(&self.known) {
            Ok(None) => return,
            Ok(Some(step)) => step,
            Err(error) => return self.fail(goal, &error.to_string()),
        };
        if now < self.trouble.fails_until {
            self.has_failed = true;
            return self.fail(goal, "The server said no.");
        }
        self.set_out(&step);
        let ends = now + dice.between(20, 1_500) * MILLIS;
        self.work = Some(Work { goal: goal.clone(), wanted: wanted.clone(), beside: beside.to_vec(), step, ends });
    }

    fn fail(&mut self, goal: &SchemaGoal, why: &str) {
        let problem = Problem::new("STEP-FAILED", why, "Look.");
        self.failed = Some(SchemaFailure { goal: goal.clone(), problem });
    }

    /// What is being done stops where it is: by order, or because the controller ended.
    pub(crate) fn rest(&mut self) {
        self.work = None;
    }

    pub(crate) fn mark(&mut self, release: ReleaseId) {
        let point = RestorePoint { name: format!("release-{release}"), lsn: Some("0/1".to_owned()), why_not: None };
        self.points.entry(release).or_insert(point);
    }

    pub(crate) fn observe(&self, rules: &Database, now: u64) -> SchemaSeen {
        let at = Timestamp::from_micros(now);
        let found = |broken: bool| match (broken, self.trouble.is_slow) {
            (false, _) => Found::Holds,
            (true, false) => Found::Broken { keys: vec!["17".to_owned()] },
            (true, true) => Found::Unknown { why: "It took too long.".to_owned() },
        };
        SchemaSeen {
            at,
            migrations: self.known.clone(),
            watched_since: Some(Timestamp::default()),
            used: [("older".to_owned(), Timestamp::from_micros(self.used_at))].into(),
            doing: self.work.as_ref().map(|work| SchemaWork {
                goal: work.goal.clone(),
                step: format!("{:?}", work.step),
                rows: None,
                blockers: Vec::new(),
            }),
            failed: self.failed.clone(),
            invariants: rules
                .invariants
                .iter()
                .map(|rule| InvariantSeen {
                    name: rule.name.clone(),
                    at,
                    found: found(now < self.trouble.broken_until),
                })
                .collect(),
            restore_points: self.points.clone(),
            ..SchemaSeen::default()
        }
    }

    // === what happens by itself ===

    pub(crate) fn next_change(&self) -> Option<u64> {
        self.work.as_ref().map(|work| work.ends)
    }

    pub(crate) fn advance(&mut self, now: u64, dice: &mut Dice) {
        let Some(work) = self.work.clone().filter(|work| work.ends <= now) else { return };
        self.finish(&work.step);
        self.work = None;
        self.begin(&work.goal, &work.wanted, &work.beside, now, dice);
    }

    fn phase(&mut self, name: &str, phase: MigrationPhase) {
        if let Some(seen) = self.known.iter_mut().find(|seen| seen.id.name == name) {
            seen.phase = phase;
        }
    }

    fn set_out(&mut self, step: &Step) {
        match step {
            Step::Expand(id) => {
                if !self.known.iter().any(|seen| seen.id == *id) {
                    self.known.push(MigrationSeen { id: id.clone(), phase: MigrationPhase::Expanding });
                }
            }
            Step::Contract(name) => self.phase(name, MigrationPhase::Contracting),
            Step::Undo(name) => self.phase(name, MigrationPhase::Undoing),
            Step::Attach(_) | Step::Restore(_) | Step::Detach(_) => {}
        }
    }

    fn finish(&mut self, step: &Step) {
        match step {
            Step::Expand(id) => self.phase(&id.name, MigrationPhase::Expanded),
            Step::Contract(name) => self.phase(name, MigrationPhase::Contracted),
            Step::Undo(name) => self.known.retain(|seen| seen.id.name != *name),
            Step::Attach(name) | Step::Restore(name) => self.phase(name, MigrationPhase::Expanded),
            Step::Detach(name) => self.phase(name, MigrationPhase::Detached),
        }
    }

    // === what is done to it ===

    /// Somebody takes the newest migration back by hand, where none of these needs it.
    pub(crate) fn undo_by_hand(&mut self, serving: &[RevisionSchema]) -> Option<String> {
        let needed = |seen: &MigrationSeen| serving.iter().any(|schema| schema.migrations.contains(&seen.id));
        let newest = self.known.last().filter(|seen| seen.phase == MigrationPhase::Expanded && !needed(seen))?;
        let name = newest.id.name.clone();
        self.rest();
        self.known.retain(|seen| seen.id.name != name);
        self.undone_by_hand.insert(name.clone());
        Some(name)
    }

    /// The migrations of the next revision: those of the one before, with some more, one less or one edited.
    pub(crate) fn next_files(&mut self, before: Option<&RevisionSchema>, dice: &mut Dice) -> RevisionSchema {
        let mut migrations = before.map(|before| before.migrations.clone()).unwrap_or_default();
        match dice.below(100) {
            0..45 => migrations.push(self.named()),
            45..55 => migrations.extend([self.named(), self.named()]),
            55..65 => {
                migrations.pop();
            }
            65..75 => {
                if let Some(last) = migrations.last_mut() {
                    last.checksum.push('x');
                }
            }
            _ => {}
        }
        let version = migrations.last().map_or_else(|| "public".to_owned(), |last| format!("public_{}", last.name));
        RevisionSchema { migrations, version, schema: "public".to_owned(), url: "DATABASE_URL".to_owned() }
    }

    fn named(&mut self) -> MigrationId {
        self.names += 1;
        MigrationId { name: format!("m{}", self.names), checksum: "c".to_owned() }
    }
}

/// Why a revision that needs `wanted` can not go on running on `known`, told without the room under test. What is detached
/// still holds the values of who is on it.
pub(crate) fn unserved(known: &[MigrationSeen], wanted: &RevisionSchema) -> Option<String> {
    let attached: Vec<MigrationSeen> = known
        .iter()
        .map(|seen| {
            let detached = seen.phase == MigrationPhase::Detached;
            let phase = if detached { MigrationPhase::Expanded } else { seen.phase };
            MigrationSeen { phase, ..seen.clone() }
        })
        .collect();
    not_in_step(&attached, wanted)
}

/// Why a revision that needs `wanted` can not begin to run on `known`.
pub(crate) fn not_in_step(known: &[MigrationSeen], wanted: &RevisionSchema) -> Option<String> {
    let usable = [MigrationPhase::Expanded, MigrationPhase::Contracting, MigrationPhase::Contracted];
    let taken_away = [MigrationPhase::Contracting, MigrationPhase::Contracted];
    let missing = wanted.migrations.iter().find(|id| {
        let seen = known.iter().find(|seen| seen.id == **id);
        seen.is_none_or(|seen| !usable.contains(&seen.phase))
    });
    let foreign = known
        .iter()
        .find(|seen| taken_away.contains(&seen.phase) && !wanted.migrations.iter().any(|id| id.name == seen.id.name));
    let missing = missing.map(|id| format!("{} is not there", id.name));
    missing.or_else(|| foreign.map(|seen| format!("{} is contracted", seen.id.name)))
}

/// Whether nothing is left that only others need.
pub(crate) fn is_left_to(known: &[MigrationSeen], wanted: &RevisionSchema) -> bool {
    let settled =
        |seen: &MigrationSeen| seen.phase == MigrationPhase::Contracted && wanted.migrations.contains(&seen.id);
    known.iter().all(settled)
}
