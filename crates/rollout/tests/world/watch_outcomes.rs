//! What must hold of every end of a release before it is written.

use switchover_model::release::{Outcome, Stage};
use switchover_model::seam::Phase;
use switchover_model::{ReleaseId, Slot};

use super::book::Entry;
use super::state::World;
use super::watch::Health;

impl World {
    pub(crate) fn broken_by_outcome(
        &self,
        release: ReleaseId,
        outcome: &Outcome,
        at: u64,
    ) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        match outcome {
            Outcome::Succeeded { proven } => self.broken_by_success(entry, *proven, at),
            Outcome::RolledBack { .. } if !entry.shifted => {
                Some(("rolled back is what had been shifted", String::new()))
            }
            Outcome::RolledBack { .. } => self.broken_by_small_way_back(entry),
            Outcome::Aborted { .. } => entry.in_force.then_some(("aborted is what never had traffic", String::new())),
            Outcome::Superseded { by } => (*by <= release || entry.shifted)
                .then_some(("superseded is what had no traffic and has a successor", String::new())),
            Outcome::Failed { cause } if cause.code == "NO-HEALTHY-WAY-BACK" => {
                self.ill_on_the_way_back(entry).map(|ill| ("a way back is provisioned anew before it fails", ill))
            }
            Outcome::Failed { .. } => None,
        }
    }

    /// An ill instance of what the release goes back to, when nobody has had them replaced.
    fn ill_on_the_way_back(&self, entry: &Entry) -> Option<String> {
        let (slot, from) = entry.slot.map(Slot::other).zip(entry.from)?;
        let sealed = self.book.sealed.get(&from)?;
        let needs = sealed.schema.as_ref().is_some();
        let is_spent = entry.renewed.len() >= self.book.size(from);
        let platform = self.watch.seen.platform.as_ref().filter(|_| !is_spent && !needs)?;
        let ill = platform.instances.iter().find(|instance| {
            instance.slot == slot
                && instance.revision == from
                && sealed.processes.get(&instance.process).is_some_and(|process| process.handover.is_none())
                && matches!(instance.phase, Phase::Unhealthy { .. } | Phase::Crashed { .. })
                && !entry.renewed.contains(&instance.id)
        });
        ill.map(|ill| ill.id.to_string())
    }

    fn broken_by_success(&self, entry: &Entry, proven: bool, at: u64) -> Option<(&'static str, String)> {
        if entry.hook_failed || entry.build_failed {
            return Some(("what failed does not succeed", String::new()));
        }
        let Some(switched_at) = entry.switched_at else {
            return Some(("what was not switched does not succeed", String::new()));
        };
        if !proven {
            return None;
        }
        let rule = "nothing is proven without evidence";
        if self.book.releases.keys().next_back() != Some(&entry.release) && entry.cut_short {
            let bake = self.book.config.as_ref().map_or(0, |config| config.release.bake.as_micros());
            if at < switched_at + bake {
                return Some((rule, "the bake was cut short".to_owned()));
            }
        }
        let bake = self.book.config.as_ref().map_or(0, |config| config.release.bake.as_micros());
        let baked = entry.stage == Stage::Bake && at >= entry.entered_at + bake;
        if !baked {
            return Some((rule, "the bake is not over".to_owned()));
        }
        let health = self.book.health(self.watch.seen.platform.as_ref(), entry.slot?, entry.revision);
        if health != Health::Whole {
            return Some((rule, format!("it is seen {health:?}")));
        }
        let counts =
            self.watch.seen.traffic.as_ref().and_then(|traffic| traffic.ledger.by_revision.get(&entry.revision));
        let answered: u64 = counts.map_or(0, |counts| counts.answered[..4].iter().sum());
        if entry.answered_at_switch.is_none_or(|before| answered <= before) {
            return Some((rule, "no answer of it was counted".to_owned()));
        }
        self.broken_by_unproven(entry)
    }

    pub(crate) fn broken_by_settling(&self, release: ReleaseId) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        if entry.outcome.is_none() {
            return Some(("what settles has an outcome", String::new()));
        }
        if let Some((attempt, _)) = self.book.open_attempts.iter().find(|(_, (of, _))| *of == release) {
            return Some(("nothing of a settled release runs", format!("attempt {}", attempt.0)));
        }
        if matches!(entry.outcome, Some(Outcome::Failed { .. })) {
            // A person is asked; both slots are left as they are until then.
            return None;
        }
        let succeeded = matches!(entry.outcome, Some(Outcome::Succeeded { .. }));
        let (slot, revision) =
            if succeeded { (entry.slot.map(Slot::other), entry.from) } else { (entry.slot, Some(entry.revision)) };
        let (slot, revision) = slot.zip(revision)?;
        let taken = self.book.heading() == Some((slot, revision))
            || self.book.releases.values().any(|other| {
                let holds_slot = other.release > release && other.slot == Some(slot);
                holds_slot
                    || other.release != release
                        && !other.settled
                        && (other.revision == revision || other.from == Some(revision))
            });
        if taken {
            return None;
        }
        let platform = self.watch.seen.platform.as_ref();
        let left = platform.map(|platform| {
            platform.instances.iter().any(|instance| instance.slot == slot && instance.revision == revision)
        });
        match left {
            None if !self.book.emptied.contains(&slot) => {
                Some(("what a release leaves is seen gone before it settles", "not seen".to_owned()))
            }
            Some(true) if !self.watch.stray_seen && !self.book.emptied.contains(&slot) => {
                Some(("what a release leaves is seen gone before it settles", format!("{revision} in {slot}")))
            }
            None | Some(_) => None,
        }
    }
}
