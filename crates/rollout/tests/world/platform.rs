//! The simulated platform: two slots of instances that boot, fall sick, crash, loop and stop in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use switchover_model::config::Handover;
use switchover_model::revision::Revision;
use switchover_model::seam::{ProcessGoal, Role, SlotSpec};
use switchover_model::{InstanceId, ProcessName, RevisionId, Slot, Timestamp};

use super::dice::Dice;
use super::fault::Fault;

const MILLIS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// What an app's revision is like by nature: no fault of the world, it stays when the faults stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    Good,
    /// Boots, but never answers well.
    NeverHealthy,
    /// Ends at once.
    EndsAtOnce,
    /// Falls sick this many microseconds after it was healthy, and stays so.
    FallsSick(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Becomes healthy at `healthy_at`, if ever; ends at `crash_at`, if ever.
    Starting {
        since: u64,
        healthy_at: Option<u64>,
        crash_at: Option<u64>,
    },
    Healthy {
        since: u64,
        sick_at: Option<u64>,
    },
    /// It answers nothing any more, and is still shown as healthy until `noticed_at`.
    Hung {
        since: u64,
        healthy_since: u64,
        noticed_at: u64,
    },
    Unhealthy {
        since: u64,
        until: Option<u64>,
    },
    Stopping {
        since: u64,
        ends: u64,
    },
    Crashed {
        retry_at: u64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) slot: Slot,
    pub(crate) revision: RevisionId,
    pub(crate) process: ProcessName,
    pub(crate) address: Option<SocketAddr>,
    /// For a worker.
    pub(crate) handover: Option<Handover>,
    /// What it was told to be.
    pub(crate) role: Role,
    /// It was to be asked for its health after this moment, and has answered well.
    pub(super) answered_since: Option<Timestamp>,
    /// Whether a lease worker still holds the lease, although told to stand by, and until when.
    pub(crate) lets_go_at: Option<u64>,
    pub(crate) state: State,
    pub(crate) restarts: u32,
    grace: u64,
    deadline: u64,
    loops_until: u64,
}

impl Instance {
    /// Whether it takes connections.
    pub(crate) fn listens(&self) -> bool {
        match self.state {
            State::Healthy { .. } | State::Hung { .. } | State::Unhealthy { .. } => self.address.is_some(),
            State::Starting { .. } | State::Stopping { .. } | State::Crashed { .. } => false,
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        matches!(self.state, State::Healthy { .. })
    }

    /// Whether a worker does its work at this moment, in truth.
    pub(crate) fn works(&self) -> bool {
        let alive = !matches!(self.state, State::Crashed { .. });
        let holds = match self.handover {
            Some(Handover::Lease) => self.role == Role::Active || self.lets_go_at.is_some(),
            Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain) | None => true,
        };
        alive && holds
    }

    /// It answers nothing, and does not recover by itself.
    pub(crate) fn hangs(&self) -> bool {
        matches!(self.state, State::Hung { .. } | State::Unhealthy { until: None, .. })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    fn next_change(&self) -> Option<u64> {
        let phase = match self.state {
            State::Starting { since, healthy_at, crash_at } => {
                let deadline = Some(since + self.deadline).filter(|_| self.address.is_some());
                [healthy_at, crash_at, deadline].into_iter().flatten().min()
            }
            State::Healthy { sick_at, .. } => sick_at,
            State::Hung { noticed_at, .. } => Some(noticed_at),
            State::Unhealthy { until, .. } => until,
            State::Stopping { ends, .. } => Some(ends),
            State::Crashed { retry_at } => Some(retry_at),
        };
        [phase, self.lets_go_at].into_iter().flatten().min()
    }
}

/// Instances that were told to stop, and whether by a wish for another content of the slot (not merely for fewer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) instance: InstanceId,
    pub(crate) surplus: bool,
}

/// Switches of the world's trouble that concern instances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) never_healthy_until: u64,
    pub(crate) slow_boot_until: u64,
    pub(crate) ignores_stop_until: u64,
    pub(crate) no_headroom_until: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) instances: Vec<Instance>,
    /// Revisions on disk.
    pub(crate) sealed: BTreeMap<RevisionId, Revision>,
    pub(crate) natures: BTreeMap<RevisionId, Nature>,
    pub(crate) trouble: Trouble,
    /// Faults that took effect since they were last taken.
    pub(crate) effects: Vec<Fault>,
    /// After which moment each slot is to be asked.
    pub(super) asked: BTreeMap<Slot, Timestamp>,
    /// Since when its controller looks.
    pub(super) since: u64,
    born: u64,
}

impl Platform {
    pub(crate) fn new() -> Self {
        Self {
            instances: Vec::new(),
            sealed: BTreeMap::new(),
            natures: BTreeMap::new(),
            trouble: Trouble::default(),
            effects: Vec::new(),
            asked: BTreeMap::new(),
            since: 0,
            born: 0,
        }
    }

    // === what it is asked ===

    /// Makes the slot run `spec`. Instances that were told to stop by this are answered.
    pub(crate) fn ensure(&mut self, spec: &SlotSpec, now: u64, dice: &mut Dice) -> Vec<Told> {
        let mut told = Vec::new();
        let wanted: BTreeMap<&ProcessName, u32> =
            spec.processes.iter().map(|(name, goal)| (name, running(spec, name, *goal))).collect();
        for index in 0..self.instances.len() {
            let instance = &self.instances[index];
            let belongs = instance.revision == spec.revision.id && wanted.contains_key(&instance.process);
            let is_replaced = spec.without.contains(&instance.id);
            if instance.slot == spec.slot && !instance.is_stopping() && (!belongs || is_replaced) {
                told.push(Told { instance: instance.id.clone(), surplus: belongs });
                self.tell_to_stop(index, now, dice);
            }
        }
        for (name, goal) in &spec.processes {
            let target = wanted.get(name).copied().unwrap_or(0);
            self.scale(spec, name, target, now, dice, &mut told);
            for instance in &mut self.instances {
                let here = instance.slot == spec.slot && instance.process == *name && !instance.is_stopping();
                if here && instance.role != goal.role && instance.handover.is_some() {
                    let held = instance.role == Role::Active && instance.works();
                    instance.role = goal.role;
                    let lease = instance.handover == Some(Handover::Lease);
                    instance.lets_go_at = (held && lease).then(|| now + dice.between(1, 800) * MILLIS);
                }
            }
        }
        self.instances.retain(|instance| !matches!(instance.state, State::Stopping { ends: 0, .. }));
        self.asked.extend(spec.asked_since.map(|asked| (spec.slot, asked)));
        self.answer();
        told
    }

    fn scale(
        &mut self,
        spec: &SlotSpec,
        name: &ProcessName,
        target: u32,
        now: u64,
        dice: &mut Dice,
        told: &mut Vec<Told>,
    ) {
        let mut running: Vec<usize> = (0..self.instances.len())
            .filter(|index| {
                let instance = &self.instances[*index];
                instance.slot == spec.slot && instance.process == *name && !instance.is_stopping()
            })
            .collect();
        // The healthy ones stay.
        running.sort_by_key(|index| !self.instances[*index].is_healthy());
        while running.len() > target as usize {
            if let Some(index) = running.pop() {
                told.push(Told { instance: self.instances[index].id.clone(), surplus: target > 0 });
                self.tell_to_stop(index, now, dice);
            }
        }
        for _ in running.len()..target as usize {
            let role = spec.processes.get(name).map_or(Role::Active, |goal| goal.role);
            self.start(&spec.revision, spec.slot, name, role, now, dice);
        }
    }

    /// Makes the slot run nothing.
    pub(crate) fn stop(&mut self, slot: Slot, now: u64, dice: &mut Dice) -> Vec<Told> {
        let mut told = Vec::new();
        for index in 0..self.instances.len() {
            if self.instances[index].slot == slot && !self.instances[index].is_stopping() {
                told.push(Told { instance: self.instances[index].id.clone(), surplus: false });
                self.tell_to_stop(index, now, dice);
            }
        }
        self.instances.retain(|instance| !matches!(instance.state, State::Stopping { ends: 0, .. }));
        told
    }

    pub(crate) fn keep(&mut self, keep: &BTreeSet<RevisionId>) {
        self.sealed.retain(|id, _| keep.contains(id));
    }

    // === what happens by itself ===

    pub(crate) fn next_change(&self) -> Option<u64> {
        self.instances.iter().filter_map(Instance::next_change).min()
    }

    /// Lets what is due at `now` happen.
    pub(crate) fn advance(&mut self, now: u64, dice: &mut Dice) {
        for index in 0..self.instances.len() {
            let instance = &mut self.instances[index];
            if instance.lets_go_at.is_some_and(|at| at <= now) {
                instance.lets_go_at = None;
            }
            match instance.state {
                State::Starting { since, healthy_at, crash_at } => {
                    if crash_at.is_some_and(|at| at <= now) {
                        self.crash(index, now);
                    } else if healthy_at.is_some_and(|at| at <= now) {
                        let nature = self.natures.get(&self.instances[index].revision);
                        let sick_at = match nature {
                            Some(Nature::FallsSick(after)) => Some(now + after),
                            Some(Nature::Good | Nature::NeverHealthy | Nature::EndsAtOnce) | None => None,
                        };
                        self.instances[index].state = State::Healthy { since: now, sick_at };
                    } else if instance.address.is_some() && since + instance.deadline <= now {
                        let until = healthy_at.filter(|at| *at > now);
                        instance.state = State::Unhealthy { since: now, until };
                    }
                }
                State::Healthy { sick_at, .. } => {
                    if sick_at.is_some_and(|at| at <= now) {
                        instance.state = State::Unhealthy { since: now, until: None };
                        self.effects.push(Fault::RevisionFallsSick);
                    }
                }
                State::Hung { since, noticed_at, .. } => {
                    if noticed_at <= now {
                        instance.state = State::Unhealthy { since, until: None };
                    }
                }
                State::Unhealthy { until, .. } => {
                    if until.is_some_and(|at| at <= now) {
                        instance.state = State::Healthy { since: now, sick_at: None };
                    }
                }
                State::Crashed { retry_at } => {
                    if retry_at <= now {
                        self.boot(index, now, dice);
                    }
                }
                State::Stopping { .. } => {}
            }
        }
        self.instances.retain(|instance| !matches!(instance.state, State::Stopping { ends, .. } if ends <= now));
        self.answer();
    }

    // === what is done to it ===

    /// The instance ends by itself and is started again after a back-off.
    pub(crate) fn crash(&mut self, index: usize, now: u64) {
        let instance = &mut self.instances[index];
        if instance.is_stopping() {
            instance.state = State::Stopping { since: now, ends: now };
            return;
        }
        let backoff = ((200 * MILLIS) << instance.restarts.min(5)).min(5 * SECOND);
        instance.restarts += 1;
        instance.lets_go_at = None;
        instance.state = State::Crashed { retry_at: now + backoff };
    }

    pub(crate) fn crash_again_until(&mut self, index: usize, until: u64, now: u64) {
        self.instances[index].loops_until = until;
        self.crash(index, now);
    }

    /// It ends and is started again at once.
    pub(crate) fn restart(&mut self, index: usize, now: u64, dice: &mut Dice) {
        if !self.instances[index].is_stopping() {
            self.crash(index, now);
            self.boot(index, now, dice);
        }
    }

    pub(crate) fn stop_by_hand(&mut self, index: usize, now: u64, dice: &mut Dice) {
        if self.instances[index].listens() {
            self.tell_to_stop(index, now, dice);
        }
    }

    /// The instance and its shim are gone.
    pub(crate) fn vanish(&mut self, index: usize) {
        self.instances.remove(index);
    }

    pub(crate) fn sicken(&mut self, index: usize, now: u64, until: u64) {
        if let State::Healthy { .. } = self.instances[index].state {
            self.instances[index].state = State::Unhealthy { since: now, until: Some(until) };
        }
    }

    /// It answers nothing from now on, which is noticed at `noticed_at`, and does not recover by itself.
    pub(crate) fn hang(&mut self, index: usize, now: u64, noticed_at: u64) {
        let instance = &mut self.instances[index];
        if let (State::Healthy { since, .. }, Some(_)) = (instance.state, instance.address) {
            instance.state = State::Hung { since: now, healthy_since: since, noticed_at };
        }
    }

    /// Starts one instance, by hand or because it is wanted.
    pub(crate) fn start(
        &mut self,
        revision: &Revision,
        slot: Slot,
        process: &ProcessName,
        role: Role,
        now: u64,
        dice: &mut Dice,
    ) {
        let Some(how) = revision.processes.get(process) else { return };
        self.born += 1;
        let born = self.born;
        let port = 20_000 + u16::try_from(born % 40_000).unwrap_or(0);
        self.instances.push(Instance {
            id: format!("{slot}-{process}-{born}").parse().expect("the parts are labels"),
            slot,
            revision: revision.id,
            process: process.clone(),
            address: how.health.as_ref().map(|_| SocketAddr::from(([127, 0, 0, 1], port))),
            handover: how.handover,
            role,
            answered_since: None,
            lets_go_at: None,
            state: State::Crashed { retry_at: now },
            restarts: 0,
            grace: how.stop.grace.as_micros(),
            deadline: how.health.as_ref().map_or(0, |health| health.deadline.as_micros()),
            loops_until: 0,
        });
        self.boot(self.instances.len() - 1, now, dice);
    }

    fn boot(&mut self, index: usize, now: u64, dice: &mut Dice) {
        let instance = &mut self.instances[index];
        let nature = self.natures.get(&instance.revision).copied().unwrap_or(Nature::Good);
        let slow = now < self.trouble.slow_boot_until;
        let broken = now < self.trouble.never_healthy_until;
        let takes = if slow { dice.between(2_000, 7_000) } else { dice.between(50, 1_500) } * MILLIS;
        let mut healthy_at = Some(now + takes);
        let mut crash_at = None;
        match nature {
            Nature::Good | Nature::FallsSick(_) => {}
            Nature::NeverHealthy => healthy_at = None,
            Nature::EndsAtOnce => {
                healthy_at = None;
                crash_at = Some(now + dice.between(10, 400) * MILLIS);
            }
        }
        if instance.loops_until > now {
            healthy_at = None;
            crash_at = Some(now + dice.between(10, 400) * MILLIS);
        }
        if broken {
            healthy_at = None;
            self.effects.push(Fault::NeverHealthy);
        }
        if slow {
            self.effects.push(Fault::SlowBoot);
        }
        if nature == Nature::NeverHealthy || nature == Nature::EndsAtOnce {
            self.effects.push(Fault::RevisionSick);
        }
        instance.state = State::Starting { since: now, healthy_at, crash_at };
    }

    fn tell_to_stop(&mut self, index: usize, now: u64, dice: &mut Dice) {
        let instance = &mut self.instances[index];
        let ends = match instance.state {
            State::Crashed { .. } => 0,
            State::Starting { .. }
            | State::Healthy { .. }
            | State::Hung { .. }
            | State::Unhealthy { .. }
            | State::Stopping { .. } => {
                if now < self.trouble.ignores_stop_until {
                    self.effects.push(Fault::IgnoresStop);
                    now + instance.grace
                } else {
                    now + dice.between(1, (instance.grace / MILLIS).max(1)) * MILLIS
                }
            }
        };
        instance.state = State::Stopping { since: now, ends };
    }

    /// A revision turns out to be sick: its healthy instances fall sick now, and later ones soon.
    pub(crate) fn reveal_sickness(&mut self, revision: RevisionId, now: u64) -> bool {
        let mut shown = false;
        self.natures.insert(revision, Nature::FallsSick(200 * MILLIS));
        for instance in self.instances.iter_mut().filter(|instance| instance.revision == revision) {
            if instance.is_healthy() {
                instance.state = State::Unhealthy { since: now, until: None };
                shown = true;
            }
        }
        shown
    }

    /// The faults of single instances end; what an app is by nature stays. What never got healthy because of a fault is
    /// crashed, so that its shim starts it again in a world that is whole.
    pub(crate) fn calm_down(&mut self, now: u64) {
        self.trouble = Trouble::default();
        for index in 0..self.instances.len() {
            self.instances[index].loops_until = 0;
            let good = !matches!(
                self.natures.get(&self.instances[index].revision),
                Some(Nature::NeverHealthy | Nature::EndsAtOnce | Nature::FallsSick(_))
            );
            let stuck = match self.instances[index].state {
                State::Starting { healthy_at, .. } => healthy_at.is_none(),
                // What hangs is for the tool to replace.
                State::Hung { .. } | State::Unhealthy { .. } => false,
                State::Healthy { .. } | State::Stopping { .. } | State::Crashed { .. } => false,
            };
            if good && stuck {
                self.crash(index, now);
            }
        }
    }
}

/// How many of a process type run in truth: standing by means not to run, except for a lease.
fn running(spec: &SlotSpec, name: &ProcessName, goal: ProcessGoal) -> u32 {
    let handover = spec.revision.processes.get(name).and_then(|process| process.handover);
    match (goal.role, handover) {
        (Role::Active, _) | (Role::Standby, Some(Handover::Lease) | None) => goal.count,
        (Role::Standby, Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain)) => 0,
    }
}
