//! What must hold of every record before it is written: it rests on what was seen, and on what is known.

use std::collections::BTreeSet;

use switchover_model::config::OnCrash;
use switchover_model::record::{Attempt, AttemptResult, Event, Record};
use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::seam::{Phase, PlatformSeen, Role, RoutesGoal};
use switchover_model::{InstanceId, ReleaseId, RevisionId, Share, Slot};
use switchover_rollout::limits;

use super::book::{Book, Entry, is_split, whole_arm};
use super::platform::{Instance, State};
use super::state::{World, brief};
use super::watch::Health;

const MILLIS: u64 = 1_000;

impl World {
    /// Checks a record against what was seen and what is known before it is written.
    pub(crate) fn watch_record(&mut self, record: &Record) {
        let old_reading = self.watch.seen.traffic.as_ref().is_some_and(|traffic| traffic.at != record.at);
        match &record.event {
            Event::Opened { ledger: None, .. } | Event::Settled { ledger: None, .. } => {
                self.watch.traffic_unseen = true;
            }
            Event::Settled { .. } if old_reading => self.watch.traffic_unseen = true,
            _ => {}
        }
        let broken = match &record.event {
            Event::Entered { release, stage, slot } => self.broken_by_entering(*release, *stage, *slot),
            Event::AttemptStarted { release, what, .. } => self.broken_by_attempt(*release, what),
            Event::Routed { release, version, goal } => self.broken_by_routing(*release, *version, goal),
            Event::Stepped { release, step, of, share, batch: _ } => {
                self.broken_by_stepping(*release, *step, *of, *share)
            }
            Event::Sized { release, sizes } => self.broken_by_sizing(*release, sizes),
            Event::Decided { watch, decided } => self.broken_by_decided(watch.release, decided),
            Event::InForce { version, .. } => self.broken_by_in_force(*version),
            Event::Switched { release, .. } => self.broken_by_switched(*release),
            Event::Drained { slot, .. } => self.broken_by_drained(*slot),
            Event::Emptied { slot } => self.broken_by_emptied(*slot),
            Event::Stopped { slot } => self.broken_by_stopping(*slot),
            Event::Concluded { release, outcome } => self.broken_by_outcome(*release, outcome, record.at.as_micros()),
            Event::Settled { release, .. } => self.broken_by_settling(*release),
            Event::Opened { release, .. } => {
                let known = self.book.releases.contains_key(release);
                known.then_some(("a release is opened once", String::new()))
            }
            Event::Waiting { release, reason } => self.broken_by_waiting(*release, reason),
            Event::Undoing { release, cause, .. } => self.broken_by_undoing(*release, cause.as_ref()),
            Event::Renewed { instances, .. } => self.broken_by_renewal(instances),
            Event::AttemptEnded { .. }
            | Event::Commanded { .. }
            | Event::Sealed { .. }
            | Event::Marked { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::HandedOver { .. }
            | Event::Drifted { .. }
            | Event::Noted { .. }
            | Event::Migrated { .. }
            | Event::RouterRestarted { .. } => None,
        };
        if let Some((rule, what)) = broken {
            self.violate(rule, || format!("{what} {}", brief(&format!("{:?}", record.event))));
        }
    }

    fn broken_by_entering(
        &self,
        release: ReleaseId,
        stage: Stage,
        slot: Option<Slot>,
    ) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        let newer = self.book.releases.keys().next_back() != Some(&release);
        let cut_short = stage >= Stage::Retire && newer;
        if entry.paused && !entry.undoing && !cut_short {
            return Some(("a paused release does not go on", String::new()));
        }
        if !entry.stages.is_empty() && stage <= entry.stage {
            return Some(("stages go forward", format!("from {}", entry.stage)));
        }
        if (entry.hook_failed || entry.build_failed) && !cut_short {
            return Some(("a failed attempt ends the way forward", String::new()));
        }
        if let Some(broken) = self.broken_by_missing_shadow(entry, stage) {
            return Some(broken);
        }
        if let Some(broken) = self.broken_by_beginning(entry, stage) {
            return Some(broken);
        }
        let unpassed = || self.unpassed_hook(entry, stage);
        if let (Some(hook), false) = (unpassed(), cut_short) {
            return Some(("a stage is left when its hooks have passed", format!("hook {hook}")));
        }
        if entry.stages.last() == Some(&Stage::Build) && self.is_live_twin(entry) {
            return Some(("what is live already is not deployed again", String::new()));
        }
        let platform = self.watch.seen.platform.as_ref();
        if stage == Stage::Provision {
            return self.broken_by_provisioning(entry, slot);
        }
        if stage == Stage::Shift
            && let Some(broken) = self.broken_by_window(entry).or_else(|| self.broken_by_shift_of_schema(entry))
        {
            return Some(broken);
        }
        let ready = |slot| self.book.health(platform, slot, entry.revision) == Health::Whole;
        if matches!(stage, Stage::Verify | Stage::Shift) && !entry.slot.is_some_and(ready) {
            return Some(("a slot is ready when all of it is seen healthy", String::new()));
        }
        let asks = self.book.config.as_ref().is_some_and(|config| config.release.approve);
        if stage == Stage::Shift && asks && !entry.promoted {
            return Some(("a gate is opened by a person", String::new()));
        }
        None
    }

    /// Somebody is to be replaced who has been well for longer than what is seen may be old.
    fn broken_by_renewal(&self, instances: &BTreeSet<InstanceId>) -> Option<(&'static str, String)> {
        let is_well = |instance: &&Instance| matches!(instance.state, State::Healthy { since, .. } if since + limits::SEEN_MAX_AGE.as_micros() < self.now);
        let mut named = self.platform.instances.iter().filter(|instance| instances.contains(&instance.id));
        named.find(is_well).map(|well| ("who is well is not replaced", well.id.to_string()))
    }

    fn unpassed_hook(&self, entry: &Entry, stage: Stage) -> Option<usize> {
        let hooks = &entry.config.as_ref()?.release.hooks;
        let due = hooks.iter().enumerate().find(|(index, hook)| {
            hook.stage < stage
                && hook.stage < Stage::Retire
                && entry.stages.contains(&hook.stage)
                && !entry.hooks_passed.contains(index)
        });
        due.map(|(index, _)| index)
    }

    fn broken_by_provisioning(&self, entry: &Entry, slot: Option<Slot>) -> Option<(&'static str, String)> {
        let heading = self.book.heading();
        let Some(slot) = slot else { return Some(("a provision has its slot", String::new())) };
        if heading.is_some_and(|(live, _)| live == slot) {
            return Some(("the live slot is not taken", String::new()));
        }
        let Some(platform) = &self.watch.seen.platform else {
            // A slot that has the revision already is not taken: whether it still runs there is waited for.
            let has_it = self.book.occupant(slot) == Some(entry.revision);
            return (!has_it).then_some(("an unseen slot is not taken", String::new()));
        };
        // Where the revision runs already, who is told to leave is in nobody's way.
        let runs_it = platform.instances.iter().any(|seen| seen.slot == slot && seen.revision == entry.revision);
        let is_left = |instance: &&switchover_model::seam::InstanceSeen| {
            let leaves = runs_it && matches!(instance.phase, Phase::Stopping { .. });
            instance.slot == slot && instance.revision != entry.revision && !leaves
        };
        if let Some(left) = platform.instances.iter().find(is_left) {
            return Some(("a slot is empty before it is taken", left.id.to_string()));
        }
        // What runs there already is no second environment more.
        let is_there = platform.instances.iter().any(|instance| instance.slot == slot);
        if platform.headroom.is_some() && !is_there {
            return Some(("headroom is looked at first", String::new()));
        }
        None
    }

    /// Exactly what is live, and well, as far as anybody answers.
    fn is_live_twin(&self, entry: &Entry) -> bool {
        let Some((slot, live)) = self.book.heading().filter(|_| entry.kind == ReleaseKind::Deploy) else {
            return false;
        };
        let twins = self.book.sealed.get(&live).zip(self.book.sealed.get(&entry.revision));
        twins.is_some_and(|(live, new)| live.is_same_content(new))
            && self.book.sure_health(self.watch.seen.platform.as_ref(), slot, live, self.now) == Health::Whole
    }

    fn broken_by_attempt(&self, release: ReleaseId, what: &Attempt) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        if entry.paused && !entry.undoing {
            return Some(("a paused release does not go on", String::new()));
        }
        if entry.undoing || entry.outcome.is_some() && entry.stage < Stage::Retire {
            return Some(("an undone release attempts nothing", String::new()));
        }
        let lost = entry.attempts.iter().any(|(tried, result)| tried == what && *result == AttemptResult::Lost);
        let config = entry.config.as_ref()?;
        let on_crash = match what {
            Attempt::Build { .. } => config.build.as_ref().map(|build| build.on_crash),
            Attempt::Hook { hook, .. } => config.release.hooks.get(*hook).map(|hook| hook.on_crash),
            // The same round is not begun twice.
            Attempt::Backup { .. } => Some(OnCrash::Fail),
            // It asks first what is left to do.
            Attempt::Migrate { .. } => Some(OnCrash::Rerun),
        };
        if lost && on_crash == Some(OnCrash::Fail) {
            return Some(("a lost attempt that counts as failed is not run again", String::new()));
        }
        self.broken_by_asking(entry, what)
    }

    fn broken_by_routing(
        &self,
        release: Option<ReleaseId>,
        version: u64,
        goal: &RoutesGoal,
    ) -> Option<(&'static str, String)> {
        if self.book.routed.as_ref().is_some_and(|(before, _)| version <= *before) {
            return Some(("a change of the routes has a new number", format!("{version}")));
        }
        if let Some(broken) = self.broken_by_mirror(release, goal) {
            return Some(broken);
        }
        let before = self.book.heading();
        let after = whole_arm(goal);
        let total: u64 = goal.arms.iter().map(|arm| u64::from(arm.share.basis_points())).sum();
        if !goal.arms.is_empty() && total != 10_000 {
            return Some(("shares sum to all", format!("{total}")));
        }
        let entry = release.and_then(|release| self.book.releases.get(&release));
        if let Some(broken) = entry.and_then(|entry| self.broken_by_share(entry, goal)) {
            return Some(broken);
        }
        // A split that has no way back is left where somebody answers.
        let is_gathered = self.book.routed.as_ref().is_some_and(|(_, before)| is_split(before)) && !is_split(goal);
        let own = |entry: &Entry| is_gathered && after == entry.slot.map(|slot| (slot, entry.revision));
        if let Some(entry) = entry.filter(|entry| entry.undoing && before != after && !own(entry))
            && after != entry.slot.map(Slot::other).zip(entry.from)
        {
            return Some(("an undone release leads the traffic back to where it came from", format!("{after:?}")));
        }
        if before == after {
            return None;
        }
        let platform = self.watch.seen.platform.as_ref();
        let Some((slot, revision)) = after else {
            let fit = before.is_some_and(|(slot, revision)| {
                matches!(self.book.health(platform, slot, revision), Health::Whole | Health::Some)
            });
            let undone = entry.is_some_and(|entry| entry.undoing);
            return (fit && !undone).then_some(("traffic is not taken from a healthy slot for nothing", String::new()));
        };
        let can_serve =
            |(slot, revision)| matches!(self.book.health(platform, slot, revision), Health::Whole | Health::Some);
        let sure = self.book.sure_health(platform, slot, revision, self.now);
        if sure == Health::None && before.is_some_and(can_serve) {
            return Some(("traffic goes to what answers", format!("{slot} {revision}")));
        }
        let undone_at = entry.filter(|entry| entry.undoing).and_then(|entry| entry.undone_at);
        if undone_at.is_some_and(|at| self.has_hung_before(slot, revision, at)) && before.is_some_and(can_serve) {
            return Some(("who goes back has answered after that was asked for", format!("{slot} {revision}")));
        }
        match self.book.health(platform, slot, revision) {
            Health::Whole | Health::Some => None,
            Health::Unknown => Some(("nothing unseen gets the traffic", format!("{slot} {revision}"))),
            Health::None => Some(("traffic goes to a healthy slot", format!("{slot} {revision}"))),
        }
    }

    fn broken_by_in_force(&self, version: u64) -> Option<(&'static str, String)> {
        let seen = self.watch.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        let (decided, goal) = self.book.routed.as_ref()?;
        let same = seen.is_some_and(|routes| {
            let arms = routes.arms.iter().map(|arm| (arm.slot, arm.revision, arm.share));
            let wanted = goal.arms.iter().map(|arm| (arm.slot, arm.revision, arm.share));
            routes.version == version && arms.eq(wanted)
        });
        (!same || *decided != version).then_some(("in force is what was seen in force", String::new()))
    }

    fn broken_by_switched(&self, release: ReleaseId) -> Option<(&'static str, String)> {
        let rule = "switched is what was seen to be switched";
        let entry = self.book.releases.get(&release)?;
        let slot = entry.slot?;
        let all = match &self.watch.seen.traffic {
            Some(traffic) => {
                let arms = traffic.routes.as_ref().map_or(&[][..], |routes| &routes.arms);
                arms.iter().any(|arm| arm.slot == slot && arm.revision == entry.revision && arm.share == Share::ALL)
            }
            // Seen before, and nothing was decided since.
            None => {
                self.book.in_force.is_some()
                    && self.book.in_force == self.book.routed.as_ref().map(|(version, _)| *version)
            }
        };
        if !all || self.book.heading() != Some((slot, entry.revision)) {
            return Some((rule, "it has not all the traffic".to_owned()));
        }
        let Some(platform) = &self.watch.seen.platform else {
            return Some((rule, "the workers were not seen".to_owned()));
        };
        self.workers_elsewhere(platform, slot, entry.revision).map(|what| (rule, what))
    }

    /// A worker that does not work in `slot`, or one that may not and works in the other.
    pub(crate) fn workers_elsewhere(
        &self,
        platform: &PlatformSeen,
        slot: Slot,
        revision: RevisionId,
    ) -> Option<String> {
        let sealed = self.book.sealed.get(&revision)?;
        for (name, process) in &sealed.processes {
            let Some(handover) = process.handover else { continue };
            let working = |in_slot: Slot| {
                platform.instances.iter().filter(move |instance| {
                    instance.slot == in_slot && instance.process == *name && instance.role == Role::Active
                })
            };
            let wanted = self.book.scale(revision, name) as usize;
            let healthy = working(slot).filter(|instance| matches!(instance.phase, Phase::Healthy { .. })).count();
            if healthy < wanted {
                return Some(format!("{healthy} of {wanted} {name} work in {slot}"));
            }
            let old = working(slot.other()).find(|instance| !matches!(instance.phase, Phase::Crashed { .. }));
            if let Some(old) = old.filter(|old| {
                let ending = matches!(old.phase, Phase::Stopping { .. });
                Book::exclusive(Some(handover)) || !ending
            }) {
                return Some(format!("{} still works", old.id));
            }
        }
        None
    }

    fn broken_by_drained(&self, slot: Slot) -> Option<(&'static str, String)> {
        let rule = "drained is seen, or its deadline is over";
        let lost_at = self.router.lost_share_at.get(&slot)?;
        let table = self.router.table.as_ref()?;
        if self.now >= lost_at + table.drain_ms * MILLIS {
            return None;
        }
        let Some(traffic) = &self.watch.seen.traffic else { return Some((rule, "it was not seen".to_owned())) };
        let revisions: Vec<_> = self
            .platform
            .instances
            .iter()
            .filter(|instance| instance.slot == slot)
            .map(|instance| instance.revision)
            .collect();
        let busy = |revision: &&RevisionId| {
            traffic.in_flight.get(*revision).is_some_and(|count| *count > 0)
                || traffic.upgrades.get(*revision).is_some_and(|count| *count > 0)
        };
        let live = self.book.heading().map(|(_, revision)| revision);
        let busy = revisions.iter().filter(|revision| Some(**revision) != live).find(busy);
        busy.map(|revision| (rule, format!("{revision} is busy")))
    }

    fn broken_by_emptied(&self, slot: Slot) -> Option<(&'static str, String)> {
        let platform = self.watch.seen.platform.as_ref();
        let empty = platform.is_some_and(|platform| platform.instances.iter().all(|instance| instance.slot != slot));
        (!empty).then_some(("empty is what was seen empty", String::new()))
    }
}
