//! The app's own framework in the world: what it has carried out, what it does when it is run, and what must hold of it. A
//! migration whose name begins with `-` takes something away.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::framework::{Migrated, Step};
use switchover_model::record::{Attempt, AttemptResult, Event};
use switchover_model::revision::RevisionSchema;
use switchover_model::{Problem, ReleaseId, RevisionId};

use super::dice::Dice;
use super::state::World;

/// What the framework of the world's app knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Framework {
    /// The migrations that each revision has.
    files: BTreeMap<RevisionId, Vec<String>>,
    carried: BTreeSet<String>,
    names: u32,
}

fn is_late(name: &str) -> bool {
    name.starts_with('-')
}

impl Framework {
    /// A revision made from the live one: with some migrations more, or one less.
    pub(crate) fn make(&mut self, revision: RevisionId, live: Option<RevisionId>, dice: &mut Dice) -> RevisionSchema {
        let mut files = live.and_then(|live| self.files.get(&live)).cloned().unwrap_or_default();
        match dice.below(100) {
            0..35 => files.push(self.named("")),
            35..60 => files.extend([self.named(""), self.named("-")]),
            60..70 => files.push(self.named("-")),
            70..75 => {
                files.pop();
            }
            _ => {}
        }
        self.files.insert(revision, files);
        RevisionSchema {
            migrations: Vec::new(),
            version: "public".to_owned(),
            schema: "public".to_owned(),
            url: "DATABASE_URL".to_owned(),
        }
    }

    fn named(&mut self, sign: &str) -> String {
        self.names += 1;
        format!("{sign}f{}", self.names)
    }

    fn pending(&self, revision: RevisionId) -> Vec<String> {
        let files = self.files.get(&revision).cloned().unwrap_or_default();
        files.into_iter().filter(|name| !self.carried.contains(name)).collect()
    }

    /// Something was taken away that the revision does not know of.
    fn gone(&self, revision: RevisionId) -> Option<&String> {
        let files = self.files.get(&revision)?;
        self.carried.iter().find(|name| is_late(name) && !files.contains(name))
    }

    /// Why the revision can not run on what is there.
    pub(crate) fn unserved(&self, revision: RevisionId) -> Option<String> {
        let gone = self.gone(revision).map(|name| format!("{name} is contracted"));
        let missing = self.pending(revision).into_iter().find(|name| !is_late(name));
        gone.or_else(|| missing.map(|name| format!("{name} is not there")))
    }

    /// Whether something of the revision's waits to be taken away.
    pub(crate) fn waits(&self, revision: RevisionId) -> bool {
        self.pending(revision).iter().any(|name| is_late(name))
    }
}

impl World {
    /// The framework is run to its end.
    pub(crate) fn run_framework(&mut self, release: ReleaseId, step: Step) -> (AttemptResult, Option<Event>) {
        let passed = AttemptResult::Passed { output: Vec::new() };
        let Some(revision) = self.book.releases.get(&release).map(|entry| entry.revision) else {
            return (passed, None);
        };
        if self.framework.gone(revision).is_some() {
            let cause = Problem::new("SCHEMA-GONE-ON", "It does not know what was taken away.", "Deploy another.");
            return (AttemptResult::Failed { cause }, None);
        }
        let beside = self.book.heading().is_some_and(|(_, live)| live != revision);
        let pending = self.framework.pending(revision);
        let (waiting, done): (Vec<String>, Vec<String>) = match step {
            Step::Expand => pending.into_iter().partition(|name| beside && is_late(name)),
            Step::Contract => (Vec::new(), pending),
        };
        self.tell(|| format!("the framework does {done:?} for {revision}, {waiting:?} wait"));
        self.framework.carried.extend(done.clone());
        let known = self.framework.files.get(&revision).cloned();
        let migrated = Event::Migrated { release, migrated: Box::new(Migrated { done, waiting, known }) };
        (passed, (step == Step::Expand).then_some(migrated))
    }

    /// The framework is ended in the middle: some of it is done.
    pub(crate) fn break_framework(&mut self, release: ReleaseId, what: &Attempt) {
        let Attempt::Migrate { step } = what else { return };
        let Some(revision) = self.book.releases.get(&release).map(|entry| entry.revision) else { return };
        let late = *step == Step::Contract;
        let fits: Vec<String> =
            self.framework.pending(revision).into_iter().filter(|name| is_late(name) == late).collect();
        if self.framework.gone(revision).is_none() {
            let done = self.dice.index(fits.len() + 1);
            self.framework.carried.extend(fits.into_iter().take(done));
        }
    }
}
