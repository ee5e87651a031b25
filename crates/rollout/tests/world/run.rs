//! One run from its seed: a first deploy, trouble, calm, and the reckoning.

use switchover_model::release::{Command, ReleaseKind, Stage};

use super::coverage::{Coverage, Order, Place};
use super::fault::Fault;
use super::platform::Instance;
use super::room::Room;
use super::state::{BEGIN, Violation, World};

const MILLIS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// Trouble lasts at most this long.
const CHAOS: u64 = 90 * SECOND;
/// After the last fault everything is settled within this time: the sum of every wait's bound that a run can meet.
const SETTLES_WITHIN: u64 = 1_500 * SECOND;
/// Then the world stays as it is for this long.
const STAYS: u64 = 20 * SECOND;

/// How long somebody in the live slot who hangs may stay: its deadline, and what lies at most between two times of replacing.
const REPLACED_WITHIN: u64 = 4_000 * SECOND;
/// A run that turns more often than this goes round in circles.
const TURNS: u64 = 20_000;

/// What a run was.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) coverage: Coverage,
    pub(crate) records: usize,
    pub(crate) turns: u64,
    pub(crate) virtual_seconds: u64,
}

/// A run that broke a promise, with its story.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) violation: Violation,
    pub(crate) trace: String,
}

/// Runs the world of `seed`. A failure is told with its trace: the run is repeated with the pen out.
pub(crate) fn run(seed: u64, room: Room) -> Result<Report, Box<Failure>> {
    match run_once(seed, room, false) {
        Ok(report) => Ok(report),
        Err(_) => match run_once(seed, room, true) {
            Err(failure) => Err(failure),
            Ok(_) => panic!("seed {seed} fails once and passes once: the world itself is not deterministic"),
        },
    }
}

fn run_once(seed: u64, room: Room, traced: bool) -> Result<Report, Box<Failure>> {
    let mut world = World::new(seed, room, traced);
    world.live();
    match world.violation.clone() {
        Some(violation) => Err(Box::new(Failure { seed, violation, trace: world.trace() })),
        None => Ok(Report {
            coverage: world.coverage,
            records: world.journal.records.len(),
            turns: world.ticks,
            virtual_seconds: (world.now - BEGIN) / SECOND,
        }),
    }
}

/// How far the run is on its way to the meeting it goes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not there yet.
    Going,
    /// There: the fault and the order come at these times, whichever are left.
    There {
        fault_at: Option<u64>,
        order_at: Option<u64>,
    },
    Done,
}

impl World {
    fn live(&mut self) {
        let focus = self.focus;
        self.tell(|| format!("seed goes for {focus:?}"));
        self.turn();
        self.first_deploy();
        self.trouble();
        self.calm();
        self.coverage.close(self.visit);
        if self.violation.is_none() {
            self.check_ending();
        }
    }

    /// Goes on until the next moment at which something is to be done.
    fn go_to(&mut self, moment: u64) {
        let next = self.next_tick().min(self.next_attempt_end().unwrap_or(u64::MAX)).min(moment);
        self.advance(next.max(self.now + 1));
        if self.violation.is_some() {
            return;
        }
        if self.next_attempt_end().is_some_and(|ends| ends <= self.now) {
            self.end_attempts();
        }
        if self.next_tick() <= self.now {
            self.turn();
        }
        if self.ticks > TURNS {
            self.violate("a run comes to rest", || format!("{TURNS} turns"));
        }
    }

    // === trouble ===

    fn trouble(&mut self) {
        let wild_from_the_start = self.dice.chance(250);
        // The meeting takes place in the first release, or in one that has something to go back to.
        let meets_in = if self.dice.chance(250) { 1 } else { 2 };
        let mut way = Way::Going;
        let mut end = BEGIN + CHAOS;
        let mut next_event = self.now + SECOND;
        while self.now < end && self.violation.is_none() {
            let due = match way {
                Way::There { fault_at, order_at } => [fault_at, order_at].into_iter().flatten().min(),
                Way::Going | Way::Done => None,
            };
            // Nobody listens while the controller is away.
            let due = due.filter(|_| self.memory.is_some()).unwrap_or(u64::MAX);
            self.go_to(next_event.min(due).min(end));
            if self.violation.is_some() {
                return;
            }
            way = self.further(way, meets_in);
            if way == Way::Done && end == BEGIN + CHAOS {
                end = end.min(self.now + self.dice.between(500, 10_000) * MILLIS);
            }
            if self.now >= next_event {
                next_event = self.now + self.dice.between(50, 3_000) * MILLIS;
                if way == Way::Done || wild_from_the_start { self.anything() } else { self.toward(meets_in) }
            }
        }
    }

    /// One step toward the meeting, or in it.
    fn further(&mut self, way: Way, meets_in: u32) -> Way {
        match way {
            Way::Going => {
                let (release, place) = (self.visit.release, self.visit.place);
                let begun = self.book.releases.keys().next_back().map_or(0, |id| id.0);
                let there = match self.focus.place {
                    Place::Idle => place == Place::Idle && begun >= 1,
                    Place::At(_) | Place::Undoing => place == self.focus.place && release >= meets_in,
                };
                if !there {
                    return Way::Going;
                }
                let fault_at = self.now + self.dice.pick(&[0, 0, 50, 300]) * MILLIS;
                let order_at = self.now + self.dice.pick(&[1, 40, 200, 600]) * MILLIS;
                Way::There { fault_at: Some(fault_at), order_at: Some(order_at) }
            }
            Way::There { mut fault_at, mut order_at } => {
                if fault_at.is_some_and(|at| at <= self.now) {
                    fault_at = None;
                    let fault = self.focus.fault;
                    self.tell(|| format!("trouble: {fault:?}"));
                    self.inject(fault);
                }
                if order_at.is_some_and(|at| at <= self.now) && self.memory.is_some() {
                    order_at = None;
                    self.order(self.focus.order);
                }
                let left = fault_at.is_some() || order_at.is_some();
                if left { Way::There { fault_at, order_at } } else { Way::Done }
            }
            Way::Done => Way::Done,
        }
    }

    /// What brings the newest release to the place of the meeting.
    fn toward(&mut self, meets_in: u32) {
        let place = self.visit.place;
        let newest = self.book.releases.keys().next_back().map_or(0, |id| id.0);
        let switched = self.book.moving().is_some_and(|entry| entry.switched_at.is_some());
        let wants_undoing = self.focus.place == Place::Undoing && newest >= meets_in;
        if newest < meets_in && (place == Place::Idle || switched) {
            return self.order(Order::Deploy);
        }
        match place {
            Place::Idle if self.focus.place != Place::Idle || newest == 0 => self.order(Order::Deploy),
            Place::At(Stage::Approve) if wants_undoing => self.order(Order::Abort),
            Place::At(Stage::Approve) => self.approve(),
            Place::At(Stage::Bake | Stage::Retire | Stage::Contract) if wants_undoing => self.order(Order::Rollback),
            Place::At(Stage::Build | Stage::Expand | Stage::Provision | Stage::Verify | Stage::Shift)
                if wants_undoing =>
            {
                if self.dice.chance(200) {
                    self.order(Order::Abort);
                }
            }
            Place::Idle
            | Place::At(
                Stage::Build
                | Stage::Expand
                | Stage::Provision
                | Stage::Verify
                | Stage::Shift
                | Stage::Bake
                | Stage::Retire
                | Stage::Contract,
            )
            | Place::Undoing => {}
        }
    }

    /// Anything at all; most often what is rare otherwise: a broken invariant while a way back goes on.
    fn anything(&mut self) {
        let goes_back = self.book.moving().is_some_and(|entry| matches!(entry.kind, ReleaseKind::Return { .. }));
        if goes_back && self.dice.chance(150) {
            return self.inject(Fault::InvariantBroken);
        }
        match self.dice.below(10) {
            0..=3 => {
                let fault = self.dice.pick(&Fault::ALL);
                self.inject(fault);
            }
            4 => self.approve(),
            5 => self.send_again(),
            6 => self.order(Order::Deploy),
            7 if self.visit.place == Place::Idle => self.order(Order::Deploy),
            _ => {
                let order = self.dice.pick(&Order::ALL);
                self.order(order);
                if self.dice.chance(150) {
                    self.order(Order::Deploy);
                }
            }
        }
    }

    // === calm ===

    fn calm(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.calm_down();
        let end = self.now + SETTLES_WITHIN;
        while self.now < end && self.violation.is_none() && !self.has_settled() {
            self.resume_paused();
            self.go_to(end);
        }
        for stays in [STAYS, REPLACED_WITHIN] {
            let stays = self.now + stays;
            while self.now < stays && self.violation.is_none() {
                self.go_to(stays);
            }
            if !self.platform.instances.iter().any(Instance::hangs) {
                return;
            }
        }
    }

    fn has_settled(&self) -> bool {
        self.memory.is_some() && self.is_settled()
    }

    /// The hold that a person forgot is let go, and so is an old slot.
    fn resume_paused(&mut self) {
        if self.memory.is_none() {
            return;
        }
        let paused =
            self.book.releases.values().find(|entry| entry.paused && !entry.settled).map(|entry| entry.release);
        if let Some(release) = paused {
            self.submit_new(&Command::Resume { release });
        }
        self.let_go();
    }
}
