//! What must be so when the faults have stopped and time has run on: nothing half done, nothing that belongs to nothing.

use switchover_model::config::Drift;
use switchover_model::release::{Outcome, Stage};
use switchover_model::seam::Evidence;
use switchover_model::{RevisionId, Share, Slot};
use switchover_rollout::receipt::receipt;

use super::platform::{Instance, Nature, State};
use super::state::World;
use super::watch::Health;

impl World {
    /// Whether every release is settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.book.releases.values().all(|entry| entry.settled)
    }

    pub(crate) fn check_ending(&mut self) {
        self.check_releases();
        self.check_platform();
        self.check_routes();
        self.check_receipts();
        self.check_schema();
        self.take_snapshot();
        self.watch.before_crash = self.memory.as_ref().map(|memory| memory.app.clone());
        self.refold();
    }

    fn check_releases(&mut self) {
        // A contract waits for what somebody started by hand to be gone, and nobody stops that by itself.
        let reported = self.book.config.as_ref().is_some_and(|config| config.drift == Drift::Report);
        let waits_for_strays = reported && self.watch.stray_seen;
        let unsettled: Vec<String> = self
            .book
            .releases
            .values()
            .filter(|entry| !entry.settled || entry.outcome.is_none())
            .filter(|entry| !(entry.stage == Stage::Contract && waits_for_strays))
            .map(|entry| format!("release {} at {} undoing={}", entry.release, entry.stage, entry.undoing))
            .collect();
        if !unsettled.is_empty() {
            self.violate("every release ends in bounded time", || unsettled.join("; "));
        }
        if !self.book.open_attempts.is_empty() {
            let open = format!("{:?}", self.book.open_attempts);
            self.violate("no attempt is left open", || open);
        }
        if let Some((_, live)) = self.book.heading() {
            let good = self.book.releases.values().any(|entry| {
                let succeeded = matches!(entry.outcome, Some(Outcome::Succeeded { .. } | Outcome::Failed { .. }));
                entry.revision == live && succeeded
            });
            if !good {
                self.violate("what is live has succeeded once", || live.to_string());
            }
        }
    }

    fn nature(&self, revision: RevisionId) -> Nature {
        self.platform.natures.get(&revision).copied().unwrap_or(Nature::Good)
    }

    fn check_platform(&mut self) {
        let heading = self.book.heading();
        let reported = self.book.config.as_ref().is_some_and(|config| config.drift == Drift::Report);
        let strays_may_stay = reported && self.watch.stray_seen;
        let left: Vec<String> = self
            .platform
            .instances
            .iter()
            .filter(|instance| heading != Some((instance.slot, instance.revision)))
            .map(|instance| instance.id.to_string())
            .collect();
        if !left.is_empty() && !strays_may_stay {
            self.violate("no instance is left that belongs to nothing", || left.join(", "));
        }
        let Some((slot, revision)) = heading else { return };
        if self.nature(revision) != Nature::Good {
            return;
        }
        let seen = self.platform.observe(self.now);
        let health = self.book.health(Some(&seen), slot, revision);
        let reported =
            self.platform.instances.iter().any(|instance| instance.slot == slot && instance.hangs() && reported);
        if health != Health::Whole && !reported {
            self.violate("the live slot is whole in the end", || format!("{health:?}"));
        }
        if let Some(what) = self.workers_elsewhere(&seen, slot, revision) {
            self.violate("the workers work where the traffic is", || what);
        }
        let names: Vec<_> = self
            .book
            .sealed
            .get(&revision)
            .map(|sealed| sealed.processes.keys().cloned().collect())
            .unwrap_or_default();
        for name in names {
            let wanted = self.book.scale(revision, &name) as usize;
            let running = |instance: &&Instance| instance.slot == slot && instance.process == name;
            let count = self.platform.instances.iter().filter(running).count();
            if count != wanted && !strays_may_stay {
                self.violate("the live slot has the app's scale", || format!("{count} of {wanted} {name}"));
            }
        }
    }

    fn check_routes(&mut self) {
        let Some((version, goal)) = self.book.routed.clone() else { return };
        let Some(config) = self.book.config.clone() else { return };
        if config.drift == Drift::Report && self.watch.routes_edited {
            return;
        }
        let Some(table) = self.router.table.clone() else {
            return self.violate("the routes decided are in force", || "there is no table".to_owned());
        };
        let arms = table.arms.iter().map(|arm| (arm.slot, arm.revision, arm.share));
        let wanted = goal.arms.iter().map(|arm| (arm.slot, arm.revision, arm.share));
        if table.version != version || !arms.eq(wanted) {
            self.violate("the routes decided are in force", || format!("{} is, {version} should", table.version));
        }
        if table.hosts != config.route.hosts || table.drain_ms * 1_000 != config.route.drain.as_micros() {
            self.violate("the file's routes are in force", || format!("{:?} are", table.hosts));
        }
        let only_live = table.arms.iter().filter(|arm| arm.share > Share::NONE).count() <= 1;
        if !only_live {
            self.violate("one slot has the traffic in the end", || format!("{:?}", table.arms));
        }
        for slot in Slot::BOTH {
            let Some(arm) = table.arms.iter().find(|arm| arm.slot == slot && arm.share == Share::ALL) else { continue };
            let mut served: Vec<_> = arm
                .processes
                .iter()
                .flat_map(|process| &process.endpoints)
                .map(|endpoint| endpoint.instance.clone())
                .collect();
            let mut healthy: Vec<_> = self
                .platform
                .instances
                .iter()
                .filter(|one| {
                    one.slot == slot && one.revision == arm.revision && one.is_healthy() && one.address.is_some()
                })
                .map(|one| one.id.clone())
                .collect();
            // Who has come to be healthy since the last look can not be there yet.
            let looked_at = self.watch.seen.platform.as_ref().map_or(0, |platform| platform.at.as_micros());
            let unseen = |one: &&Instance| matches!(one.state, State::Healthy { since, .. } if since > looked_at);
            let unseen: Vec<_> = self.platform.instances.iter().filter(unseen).map(|one| one.id.clone()).collect();
            served.retain(|id| !unseen.contains(id));
            healthy.retain(|id| !unseen.contains(id));
            served.sort();
            healthy.sort();
            if served != healthy && self.nature(arm.revision) == Nature::Good {
                self.violate("the table has the healthy instances", || format!("{served:?}, not {healthy:?}"));
            }
        }
    }

    fn check_receipts(&mut self) {
        let Some(memory) = &self.memory else { return };
        let now = self.moment();
        let ledger = &self.router.ledger;
        let mut broken = None;
        for release in self.book.releases.keys() {
            let receipt = receipt(&memory.app, *release, Some(ledger), now, Evidence::EveryRequest);
            match receipt {
                None => broken = Some(format!("release {release} has none")),
                Some(receipt) => {
                    let answered: u64 = receipt.by_revision.values().flat_map(|counts| counts.answered).sum();
                    let own: u64 = receipt.own.values().map(|own| own.count).sum();
                    let out = answered + own + receipt.aborted + receipt.lost_with_router + receipt.in_flight_after;
                    if receipt.balanced && receipt.in_flight_before + receipt.accepted != out {
                        broken = Some(format!("release {release} says balanced, and is not: {receipt:?}"));
                    }
                    if receipt.closed && !receipt.balanced && !self.watch.traffic_unseen {
                        broken = Some(format!("release {release} does not balance: {receipt:?}"));
                    }
                }
            }
        }
        if let Some(what) = broken {
            self.violate("receipts close", || what);
        }
    }
}
