//! Everything there is in one run, and how it moves on in time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use switchover_model::record::{Attempt, AttemptId, Draft, IdempotencyKey};
use switchover_model::release::Command;
use switchover_model::seam::{Routes, Seen};
use switchover_model::{ReleaseId, Share, Timestamp};
use switchover_rollout::App;

use super::book::Book;
use super::coverage::{Coverage, Place, Visit};
use super::dice::Dice;
use super::fault::Fault;
use super::focus::Focus;
use super::framework::Framework;
use super::journal::Journal;
use super::platform::Platform;
use super::room::Room;
use super::router::Router;
use super::schema::Schema;
use super::watch::Watch;

/// Virtual time begins here.
pub(crate) const BEGIN: u64 = 1_000_000_000_000;
const TRACE_LINES: usize = 400;

/// A broken promise.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    /// The rule that caught it.
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    /// When, in microseconds since the run began.
    pub(crate) at: u64,
}

/// Switches of the trouble between the controller and the world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    pub(crate) platform_unknown_until: u64,
    pub(crate) platform_stale_until: u64,
    pub(crate) traffic_unknown_until: u64,
    pub(crate) traffic_stale_until: u64,
    pub(crate) schema_unknown_until: u64,
    pub(crate) lose_actions_until: u64,
    pub(crate) repeat_actions_until: u64,
    pub(crate) slow_actions_until: u64,
    pub(crate) reorder_actions_until: u64,
    pub(crate) late_routes_until: u64,
    pub(crate) builds_fail_until: u64,
    pub(crate) builds_hang_until: u64,
    pub(crate) hooks_fail_until: u64,
    pub(crate) hooks_hang_until: u64,
    /// Crash at this point, once.
    pub(crate) crash: Option<Fault>,
    pub(crate) stay_down: bool,
    /// The next revision that is sealed is sick by nature.
    pub(crate) sick_revision: bool,
    pub(crate) falling_revision: bool,
}

/// An attempt that the controller runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) what: Attempt,
    pub(crate) release: ReleaseId,
    pub(crate) started: u64,
    pub(crate) ends: u64,
    pub(crate) end: Ending,
}

/// How an attempt will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Passes,
    SaysNotYet,
    Fails,
}

/// What the controller has in memory: gone when it crashes.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) app: App,
    pub(crate) next_tick: u64,
    pub(crate) running: BTreeMap<AttemptId, Running>,
    /// The last look in which the platform was seen.
    pub(crate) last_platform: Option<Rc<Seen>>,
    /// Lost requests of the router that were recorded.
    pub(crate) lost_recorded: u64,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) room: Room,
    pub(crate) focus: Focus,
    pub(crate) now: u64,
    pub(crate) chaos: bool,
    pub(crate) platform: Platform,
    pub(crate) router: Router,
    pub(crate) schema: Schema,
    pub(crate) framework: Framework,
    pub(crate) journal: Journal,
    pub(crate) book: Book,
    pub(crate) knobs: Knobs,
    pub(crate) memory: Option<Memory>,
    pub(crate) restart_at: u64,
    pub(crate) late_routes: Vec<(u64, Routes)>,
    /// What was seen last, for answers that are old.
    pub(crate) recent: VecDeque<Rc<Seen>>,
    pub(crate) sent: Vec<(IdempotencyKey, Command)>,
    pub(crate) watch: Watch,
    pub(crate) coverage: Coverage,
    pub(crate) visit: Visit,
    pub(crate) violation: Option<Violation>,
    trace: Option<VecDeque<String>>,
    pub(crate) ticks: u64,
}

impl World {
    pub(crate) fn new(seed: u64, room: Room, traced: bool) -> Self {
        Self {
            dice: Dice::new(seed),
            room,
            focus: Focus::of_seed(seed),
            now: BEGIN,
            chaos: true,
            platform: Platform::new(),
            router: Router::new(),
            schema: Schema::default(),
            framework: Framework::default(),
            journal: Journal::default(),
            book: Book::default(),
            knobs: Knobs::default(),
            memory: None,
            restart_at: BEGIN,
            late_routes: Vec::new(),
            recent: VecDeque::new(),
            sent: Vec::new(),
            watch: Watch::default(),
            coverage: Coverage::new(),
            visit: Visit::new(0, Place::Idle),
            violation: None,
            trace: traced.then(VecDeque::new),
            ticks: 0,
        }
    }

    pub(crate) fn moment(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    // === what is told ===

    /// Writes a line of the trace; the text is made only when somebody will read it.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let at = self.now - BEGIN;
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE_LINES {
                trace.pop_front();
            }
            trace.push_back(format!("{:>9}.{:03} {}", at / 1_000_000, at / 1_000 % 1_000, line()));
        }
    }

    pub(crate) fn trace(&self) -> String {
        self.trace.iter().flatten().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Notes the first broken promise; the run ends with it.
    pub(crate) fn violate(&mut self, rule: &'static str, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            let line = format!("VIOLATION {rule}: {what}");
            self.tell(|| line);
            self.violation = Some(Violation { rule, what, at: self.now - BEGIN });
        }
    }

    /// Counts a fault where the newest release stands now.
    pub(crate) fn met(&mut self, fault: Fault) {
        if self.chaos {
            self.tell(|| format!("fault {fault:?}"));
            self.visit.fault(fault);
        }
    }

    // === how time moves on ===

    /// Lets the world go on to `target`, while the controller does nothing.
    pub(crate) fn advance(&mut self, target: u64) {
        while self.now < target && self.violation.is_none() {
            let next = [
                self.platform.next_change(),
                self.router.next_change(),
                self.schema.next_change(),
                self.late_routes.iter().map(|(at, _)| *at).min(),
            ];
            let next = next.into_iter().flatten().min().unwrap_or(target);
            self.now = next.clamp(self.now + 1, target);
            self.platform.advance(self.now, &mut self.dice);
            self.router.advance(self.now, &self.platform);
            self.advance_schema();
            self.deliver_late_routes();
            for _ in 0..self.dice.pick(&[0, 0, 1, 2]) {
                self.request();
            }
            self.take_effects();
            self.watch_moment();
        }
    }

    fn advance_schema(&mut self) {
        self.schema.advance(self.now, &mut self.dice);
        let live = self.book.heading().map(|(_, revision)| revision);
        let old = self.platform.instances.iter().any(|instance| Some(instance.revision) != live);
        if old || self.now < self.schema.trouble.used_until {
            self.schema.used_at = self.now;
        }
        if std::mem::take(&mut self.schema.has_failed) {
            self.met(Fault::SchemaFails);
        }
    }

    pub(crate) fn take_effects(&mut self) {
        for fault in std::mem::take(&mut self.platform.effects) {
            self.met(fault);
        }
    }

    fn deliver_late_routes(&mut self) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) = self.late_routes.drain(..).partition(|(at, _)| *at <= now);
        self.late_routes = later;
        for (_, routes) in due {
            if self.router.ensure(&routes, now) {
                self.tell(|| format!("late routes {} take effect", routes.version));
            }
        }
    }

    fn request(&mut self) {
        let fate = self.router.accept(self.now, &self.platform, &mut self.dice);
        let (requests, upgrades) = std::mem::take(&mut self.router.long_begun);
        if requests > 0 {
            self.met(Fault::LongRequest);
        }
        if upgrades > 0 {
            self.met(Fault::UpgradeStays);
        }
        if let Some(fate) = fate {
            self.watch_request(&fate);
        }
    }

    // === what is written ===

    /// Appends as one, applies to the controller's memory and to the book.
    pub(crate) fn append(&mut self, drafts: Vec<Draft>) {
        if drafts.is_empty() {
            return;
        }
        let records = self.journal.append(drafts).to_vec();
        for record in &records {
            self.watch_record(record);
            self.book.write(record);
            if let Some(memory) = &mut self.memory {
                memory.app.apply(record);
            }
            self.tell(|| format!("record {} {}", record.sequence, brief(&format!("{:?}", record.event))));
        }
        let (release, place) = self.book.place();
        if (release, place) != (self.visit.release, self.visit.place) {
            self.coverage.close(self.visit);
            self.visit = Visit::new(release, place);
        }
    }

    /// The revisions that serve at this moment: with a share, or with requests still on them.
    pub(crate) fn serving(&self) -> BTreeSet<switchover_model::RevisionId> {
        let mut serving = self.router.busy_revisions();
        if let Some(table) = &self.router.table {
            serving.extend(table.arms.iter().filter(|arm| arm.share > Share::NONE).map(|arm| arm.revision));
        }
        serving
    }
}

/// A long debug text, cut for a trace line.
pub(crate) fn brief(text: &str) -> String {
    const LONGEST: usize = 330;
    if text.len() <= LONGEST {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(LONGEST).collect::<String>())
    }
}
