//! What goes wrong, and when.

use switchover_model::seam::{Role, Routes};
use switchover_model::{Share, Slot};

use super::fault::Fault;
use super::state::World;

const MILLIS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

impl World {
    /// Lets one fault happen now, or as soon as there is an occasion for it.
    pub(crate) fn inject(&mut self, fault: Fault) {
        let until = self.now + self.dice.between(100, 6_000) * MILLIS;
        match fault {
            Fault::InstanceCrashes
            | Fault::InstanceVanishes
            | Fault::TurnsUnhealthy
            | Fault::InstanceHangs
            | Fault::CrashLoop
            | Fault::LiveSlotDies
            | Fault::IdleSlotDies
            | Fault::StrayInstance => self.inject_into_instances(fault, until),
            Fault::NeverHealthy => {
                self.platform.trouble.never_healthy_until = until;
                self.boot_one();
            }
            Fault::SlowBoot => {
                self.platform.trouble.slow_boot_until = until;
                self.boot_one();
            }
            Fault::IgnoresStop => {
                self.platform.trouble.ignores_stop_until = until;
                self.stop_one();
            }
            Fault::NoHeadroom => self.platform.trouble.no_headroom_until = until,
            Fault::PlatformUnknown => self.knobs.platform_unknown_until = until,
            Fault::PlatformStale => self.knobs.platform_stale_until = until,
            Fault::ActionLost => self.knobs.lose_actions_until = until,
            Fault::ActionRepeated => self.knobs.repeat_actions_until = until,
            Fault::ActionSlow => self.knobs.slow_actions_until = until,
            Fault::ActionsReordered => self.knobs.reorder_actions_until = until,
            Fault::RouteLate => self.knobs.late_routes_until = until,
            Fault::RouterKilled | Fault::RouterDown => self.kill_router(fault),
            Fault::TrafficUnknown => self.knobs.traffic_unknown_until = until,
            Fault::TrafficStale => self.knobs.traffic_stale_until = until,
            Fault::RoutesEdited => self.edit_routes(),
            Fault::LongRequest => self.router.trouble.long_requests_until = until,
            Fault::UpgradeStays => self.router.trouble.long_upgrades_until = until,
            Fault::BuildFails | Fault::BuildHangs | Fault::HookFails | Fault::HookHangs => {
                self.spoil_attempts(fault, until);
            }
            Fault::AttemptLost => {
                if !self.book.open_attempts.is_empty() {
                    self.crash();
                }
            }
            Fault::CrashAfterObserve
            | Fault::CrashAfterDecide
            | Fault::CrashAfterAppend
            | Fault::CrashBetweenActions => {
                self.knobs.crash = Some(fault);
                self.wake();
            }
            Fault::ControllerDown => {
                self.knobs.stay_down = true;
                self.crash();
            }
            Fault::SchemaUnknown => self.knobs.schema_unknown_until = until,
            Fault::SchemaFails => self.schema.trouble.fails_until = until,
            Fault::OldSession => self.schema.trouble.used_until = until,
            Fault::InvariantBroken => {
                self.schema.trouble.broken_until = until;
                self.schema.trouble.is_slow = self.dice.chance(300);
            }
            Fault::SchemaEdited => self.edit_schema(),
            Fault::RevisionSick => self.knobs.sick_revision = true,
            Fault::RevisionFallsSick => self.fall_sick(),
        }
        self.wake();
    }

    fn kill_router(&mut self, fault: Fault) {
        let away = if fault == Fault::RouterDown { (2_000, 15_000) } else { (5, 300) };
        let away = self.dice.between(away.0, away.1) * MILLIS;
        let lost = self.router.kill(self.now, away);
        self.tell(|| format!("the router is killed, lost {lost:?}"));
        self.met(fault);
    }

    fn spoil_attempts(&mut self, fault: Fault, until: u64) {
        match fault {
            Fault::BuildFails => self.knobs.builds_fail_until = until,
            Fault::BuildHangs => self.knobs.builds_hang_until = until,
            Fault::HookFails => self.knobs.hooks_fail_until = until,
            _ => self.knobs.hooks_hang_until = until,
        }
        self.throw_again();
    }

    /// Somebody takes a migration back by hand that nothing that serves or is on its way needs.
    fn edit_schema(&mut self) {
        let shifting = self.book.releases.values().filter(|entry| entry.outcome.is_none() && entry.shifted);
        let shifting = shifting.flat_map(|entry| [Some(entry.revision), entry.from]).flatten();
        let heading = self.book.heading().map(|(_, revision)| revision);
        let shifting: Vec<_> = shifting.chain(heading).chain(self.serving_or_warm()).collect();
        let serving: Vec<_> = shifting.into_iter().filter_map(|revision| self.schema_of(revision)).collect();
        if let Some(name) = self.schema.undo_by_hand(&serving) {
            self.tell(|| format!("somebody takes migration {name} back"));
            self.met(Fault::SchemaEdited);
        }
    }

    /// A new revision shows what it is: one that runs falls sick for good, or the next one will.
    fn fall_sick(&mut self) {
        let newest = self.book.moving().filter(|entry| !entry.undoing).map(|entry| entry.revision);
        let live = self.router.whole_arm().map(|arm| arm.revision);
        let running = newest.into_iter().chain(live);
        let running =
            running.into_iter().find(|id| self.platform.instances.iter().any(|instance| instance.revision == *id));
        match running.filter(|_| self.dice.chance(500)) {
            Some(revision) => {
                if self.platform.reveal_sickness(revision, self.now) {
                    self.met(Fault::RevisionFallsSick);
                }
            }
            None => self.knobs.falling_revision = true,
        }
    }

    /// One instance ends and is started again at once, into the trouble there is.
    fn boot_one(&mut self) {
        if !self.platform.instances.is_empty() && self.dice.chance(500) {
            let index = self.dice.index(self.platform.instances.len());
            self.platform.restart(index, self.now, &mut self.dice);
            self.take_effects();
        }
    }

    /// Somebody tells one instance to stop by hand.
    fn stop_one(&mut self) {
        if !self.platform.instances.is_empty() && self.dice.chance(500) {
            let index = self.dice.index(self.platform.instances.len());
            self.platform.stop_by_hand(index, self.now, &mut self.dice);
            self.take_effects();
        }
    }

    fn inject_into_instances(&mut self, fault: Fault, until: u64) {
        let now = self.now;
        let live = self.router.whole_arm().map(|arm| arm.slot);
        if fault == Fault::StrayInstance {
            let slot = self.dice.pick(&Slot::BOTH);
            let sealed: Vec<_> = self.platform.sealed.values().cloned().collect();
            if sealed.is_empty() {
                return;
            }
            let revision = &sealed[self.dice.index(sealed.len())];
            let routed: Vec<_> = revision
                .processes
                .iter()
                .filter(|(_, process)| process.handover.is_none())
                .map(|(name, _)| name.clone())
                .collect();
            if routed.is_empty() {
                return;
            }
            let process = routed[self.dice.index(routed.len())].clone();
            self.platform.start(revision, slot, &process, Role::Active, now, &mut self.dice);
            self.watch.stray_seen = true;
            self.tell(|| format!("somebody starts {process} of {} in {slot}", revision.id));
            self.met(fault);
            return;
        }
        let mut victims: Vec<usize> = (0..self.platform.instances.len())
            .filter(|index| {
                let instance = &self.platform.instances[*index];
                match fault {
                    Fault::LiveSlotDies => Some(instance.slot) == live,
                    Fault::IdleSlotDies => Some(instance.slot) != live,
                    Fault::InstanceHangs => instance.is_healthy() && instance.address.is_some(),
                    _ => true,
                }
            })
            .collect();
        if !matches!(fault, Fault::LiveSlotDies | Fault::IdleSlotDies) && !victims.is_empty() {
            victims = vec![victims[self.dice.index(victims.len())]];
        }
        if victims.is_empty() {
            return;
        }
        for index in victims.into_iter().rev() {
            let id = self.platform.instances[index].id.clone();
            self.tell(|| format!("{fault:?} hits {id}"));
            match fault {
                Fault::InstanceVanishes => self.platform.vanish(index),
                Fault::InstanceHangs => {
                    let noticed_at = now + self.dice.between(1_000, 8_000) * MILLIS;
                    self.platform.hang(index, now, noticed_at);
                }
                Fault::TurnsUnhealthy => self.platform.sicken(index, now, until),
                Fault::CrashLoop => self.platform.crash_again_until(index, until, now),
                Fault::LiveSlotDies | Fault::IdleSlotDies if self.dice.chance(500) => self.platform.vanish(index),
                _ => self.platform.crash(index, now),
            }
        }
        self.met(fault);
    }

    /// Somebody changes the table by hand: the other slot, no hosts, no arms.
    fn edit_routes(&mut self) {
        let Some(table) = self.router.table.clone().filter(|_| self.router.is_up(self.now)) else { return };
        let mut edited: Routes = table;
        match self.dice.below(3) {
            0 => edited.hosts.push("evil.example".parse().expect("a host")),
            1 => edited.arms.clear(),
            _ => {
                for arm in &mut edited.arms {
                    arm.share = if arm.share == Share::ALL {
                        Share::from_basis_points(5_000).unwrap_or(Share::NONE)
                    } else {
                        Share::NONE
                    };
                }
            }
        }
        edited.version += self.dice.below(3);
        self.tell(|| format!("somebody edits the routes: version {}", edited.version));
        self.watch.routes_edited = true;
        self.router.edit(edited, self.now);
        self.met(Fault::RoutesEdited);
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.tell(|| "the faults stop".to_owned());
        self.chaos = false;
        self.knobs = super::state::Knobs::default();
        self.router.trouble = super::router::Trouble::default();
        self.schema.trouble = super::schema::Trouble::default();
        self.router.down_until = self.router.down_until.min(self.now + 100 * MILLIS);
        self.restart_at = self.restart_at.min(self.now + 100 * MILLIS);
        self.platform.calm_down(self.now);
        if let Some(memory) = &mut self.memory {
            memory.next_tick = memory.next_tick.min(self.now + SECOND);
        }
    }
}
