//! What must hold, all the way: the promises as checks on every record, action, answer and moment.

use std::rc::Rc;

use switchover_model::record::{Event, IdempotencyKey};
use switchover_model::release::{Command, Outcome, ReleaseKind, Stage};
use switchover_model::seam::{Phase, PlatformSeen, Seen};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Timestamp};
use switchover_rollout::{Admission, App, Decision, limits};

use super::book::{Book, Entry, whole_arm};
use super::platform::State;
use super::router::Fate;
use super::state::{World, brief};

/// How long a slot that is started again after a reboot may take, in microseconds: the slowest boot, and what is allowed beyond it.
const STARTS_AGAIN: u64 = 20_000_000;

/// What the checks remember between moments.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// What the decision that is being written rests on.
    pub(crate) seen: Rc<Seen>,
    /// The app as it was when the controller ended.
    pub(crate) before_crash: Option<App>,
    /// A rollback was admitted while the old slot was warm: the next decision that sees it whole flips.
    expected_flip: Option<(ReleaseId, RevisionId)>,
    /// Since when.
    asked_back_at: u64,
    /// Somebody edited the routes by hand.
    pub(crate) routes_edited: bool,
    /// A release was opened or settled without a reading of the counters.
    pub(crate) traffic_unseen: bool,
    /// Somebody started an instance by hand.
    pub(crate) stray_seen: bool,
    /// Releases whose contract was begun.
    pub(crate) contracts: std::collections::BTreeSet<ReleaseId>,
    /// Requests that nobody answered.
    pub(crate) unanswered: u64,
}

/// How the routed processes of a revision are seen in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Unknown,
    Whole,
    Some,
    None,
}

impl Book {
    pub(crate) fn health(&self, platform: Option<&PlatformSeen>, slot: Slot, revision: RevisionId) -> Health {
        let (Some(platform), Some(sealed)) = (platform, self.sealed.get(&revision)) else { return Health::Unknown };
        if self.has_nobody(slot) {
            return Health::None;
        }
        let mut health = Health::Whole;
        for (name, process) in &sealed.processes {
            let wanted = self.count(slot, revision, name);
            if process.handover.is_some() || wanted == 0 {
                continue;
            }
            let healthy = platform.instances.iter().filter(|instance| {
                instance.slot == slot
                    && instance.revision == revision
                    && instance.process == *name
                    && matches!(instance.phase, Phase::Healthy { .. })
            });
            let healthy = healthy.count();
            if healthy == 0 {
                return Health::None;
            }
            if healthy < wanted as usize {
                health = Health::Some;
            }
        }
        health
    }

    /// The same by those alone that have not been asked for their health in vain for longer than a question may take.
    pub(crate) fn sure_health(
        &self,
        platform: Option<&PlatformSeen>,
        slot: Slot,
        revision: RevisionId,
        now: u64,
    ) -> Health {
        let mut sure = platform.cloned();
        if let (Some(sure), Some(sealed)) = (&mut sure, self.sealed.get(&revision)) {
            sure.instances.retain(|instance| {
                let health = sealed.processes.get(&instance.process).and_then(|process| process.health.as_ref());
                let timeout = health.map_or(u64::MAX, |health| health.timeout.as_micros());
                let is_flash = instance.restarts >= limits::CRASHES
                    && matches!(instance.phase, Phase::Healthy { since } if now < since.as_micros() + limits::DIP.as_micros());
                let answers = instance.unanswered_since.is_none_or(|since| since.as_micros().saturating_add(timeout) >= now);
                answers && !is_flash
            });
        }
        self.health(sure.as_ref(), slot, revision)
    }

    /// How many routed instances a slot with the revision has.
    pub(crate) fn size(&self, revision: RevisionId) -> usize {
        let sealed = self.sealed.get(&revision);
        let routed =
            sealed.iter().flat_map(|sealed| &sealed.processes).filter(|(_, process)| process.handover.is_none());
        routed.map(|(name, _)| self.scale(revision, name) as usize).sum()
    }

    /// Instances wanted of a process type: the file in force, else the file of the revision's own release.
    pub(crate) fn scale(&self, revision: RevisionId, name: &switchover_model::ProcessName) -> u32 {
        let of =
            |config: &switchover_model::config::AppConfig| config.processes.get(name).map(|process| process.instances);
        let own = || {
            let opened = self.releases.values().find(|entry| entry.revision == revision);
            opened.and_then(|entry| entry.config.as_ref()).and_then(of)
        };
        self.config.as_ref().and_then(of).or_else(own).unwrap_or(1)
    }

    /// The slot and revision that shall have all the traffic.
    pub(crate) fn heading(&self) -> Option<(Slot, RevisionId)> {
        let (_, goal) = self.routed.as_ref()?;
        whole_arm(goal)
    }
}

impl World {
    // === at each moment ===

    pub(crate) fn watch_moment(&mut self) {
        let mut both = None;
        for one in self.platform.instances.iter().filter(|one| one.slot == Slot::Blue && one.works()) {
            both = both.or_else(|| {
                self.platform.instances.iter().find(|other| {
                    other.slot == Slot::Green
                        && other.process == one.process
                        && other.works()
                        && Book::exclusive(one.handover)
                        && Book::exclusive(other.handover)
                })
            });
        }
        if let Some(id) = both.map(|instance| instance.id.clone()) {
            self.violate("old and new worker never work at once", || format!("{id} works while the other slot's does"));
        }
        if !self.router.edited && self.serving().len() > 2 {
            let serving = self.serving();
            self.violate("at most two revisions serve", || format!("{serving:?}"));
        }
        self.watch_served();
        if !self.router.balances() {
            let ledger = self.router.ledger.clone();
            self.violate("the ledger's sum closes", || format!("{ledger:?}"));
        }
    }

    pub(crate) fn watch_request(&mut self, fate: &Fate) {
        match fate {
            Fate::Taken => {}
            Fate::Unanswered { .. } => self.watch.unanswered += 1,
        }
    }

    // === commands ===

    pub(crate) fn watch_answer(
        &mut self,
        key: &IdempotencyKey,
        command: &Command,
        answer: &Result<Admission, Problem>,
    ) {
        let known = self.book.keys.contains_key(key);
        match answer {
            Ok(Admission::New { .. }) if known => {
                self.violate("a key is carried out once", || format!("{key:?} again"));
            }
            Ok(Admission::Repeated { .. }) if !known => {
                self.violate("a key is carried out once", || format!("{key:?} counts as known"));
            }
            Ok(Admission::New { .. }) => self.watch_admitted(command),
            Err(problem) => self.watch_refused(command, &problem.code.clone()),
            Ok(Admission::Repeated { .. }) => {}
        }
    }

    fn watch_admitted(&mut self, command: &Command) {
        match command {
            Command::Promote { release, stage, step, full: _ } => {
                let entry = self.book.releases.get(release);
                let is_current = |entry: &Entry| {
                    let at = entry.at_step();
                    (*stage != Stage::Shift || at.is_some()) && step.is_none_or(|step| at == Some(step))
                };
                let right = entry.is_some_and(|entry| {
                    let goes_on = !entry.undoing && entry.outcome.is_none() && !entry.stages.is_empty();
                    entry.stage == *stage && goes_on && is_current(entry)
                });
                if !right {
                    self.violate("a stale promote is refused", || format!("promote {release} {stage} was admitted"));
                }
            }
            Command::Pause { release } | Command::Resume { release } | Command::Abort { release } => {
                if self.book.releases.get(release).is_none_or(|entry| entry.settled) {
                    self.violate("a command for no release is refused", || format!("{command:?} was admitted"));
                }
            }
            Command::Rollback { to: None, release, detach: _ } => {
                let newest = self.book.releases.keys().next_back();
                if release.is_some() && release.as_ref() != newest {
                    self.violate("a stale rollback is refused", || format!("{command:?} was admitted"));
                }
                if self.book.went_back() {
                    self.violate("a rollback is not gone on with", || format!("{command:?} was admitted"));
                }
                self.watch.expected_flip = self.warm_way_back();
                self.watch.asked_back_at = self.now;
            }
            Command::Apply { .. } | Command::Deploy { .. } | Command::Rollback { to: Some(_), .. } => {}
        }
    }

    fn watch_refused(&mut self, command: &Command, code: &str) {
        if let (Command::Rollback { to: None, release: None, detach: false }, Some((release, _))) =
            (command, self.warm_way_back())
        {
            self.violate("a rollback is admitted while the old slot is warm", || format!("{release}: {code}"));
        }
    }

    /// The release that a rollback undoes at once, and the revision it goes back to.
    fn warm_way_back(&self) -> Option<(ReleaseId, RevisionId)> {
        let entry = self.book.releases.values().next_back()?;
        let from = entry.from?;
        let slot = entry.slot?.other();
        if self.book.sized.is_some_and(|(release, _)| release == entry.release) {
            // It goes back by batches.
            return None;
        }
        let switched = entry.switched_at.is_some() && !entry.undoing && !entry.settled;
        let succeeded = matches!(entry.outcome, None | Some(Outcome::Succeeded { .. }));
        if matches!(entry.kind, ReleaseKind::Return { plain: true, .. }) {
            return None;
        }
        let heading = self.book.heading() == Some((entry.slot?, entry.revision));
        let whole = self.is_surely_whole(Some(&self.platform.observe(self.now)), slot, from);
        let kept = !self.book.emptying.contains(&slot);
        (switched && succeeded && heading && whole && kept).then_some((entry.release, from))
    }

    pub(super) fn is_surely_whole(&self, platform: Option<&PlatformSeen>, slot: Slot, revision: RevisionId) -> bool {
        self.book.sure_health(platform, slot, revision, self.now) == Health::Whole
    }

    /// Everybody in the slot has answered after the way back to it was asked for.
    pub(super) fn has_answered(&self, platform: Option<&PlatformSeen>, slot: Slot, asked_at: u64) -> bool {
        let asked = Some(Timestamp::from_micros(asked_at));
        let seen = platform.iter().flat_map(|platform| &platform.instances);
        let mut here = seen.filter(|seen| seen.slot == slot && seen.address.is_some());
        here.all(|seen| seen.answered_since >= asked)
    }

    /// A routed process of the slot has nobody healthy but those who, in truth, answered nothing any more at that moment.
    pub(super) fn has_hung_before(&self, slot: Slot, revision: RevisionId, at: u64) -> bool {
        let mut alive = self.platform.observe(self.now);
        alive.instances.retain(|seen| {
            let instance = self.platform.instances.iter().find(|instance| instance.id == seen.id);
            !instance.is_some_and(|instance| matches!(instance.state, State::Hung { since, .. } if since < at))
        });
        let hung =
            self.platform.instances.iter().any(|instance| {
                instance.slot == slot && matches!(instance.state, State::Hung { since, .. } if since < at)
            });
        hung && self.book.health(Some(&alive), slot, revision) == Health::None
    }

    // === decisions ===

    pub(crate) fn watch_decision(&mut self, seen: &Rc<Seen>, decision: &Decision) {
        self.watch.seen = Rc::clone(seen);
        let fresh = seen.platform.as_ref().is_some_and(|platform| platform.at == self.moment());
        if let Some((release, from)) = self.watch.expected_flip {
            let slot = self.book.releases.get(&release).and_then(|entry| entry.slot).map(Slot::other);
            let whole = slot.is_some_and(|slot| self.is_surely_whole(seen.platform.as_ref(), slot, from));
            let answered =
                slot.is_some_and(|slot| self.has_answered(seen.platform.as_ref(), slot, self.watch.asked_back_at));
            let flips = decision.drafts.iter().any(|draft| match &draft.event {
                Event::Routed { goal, .. } => whole_arm(goal) == slot.map(|slot| (slot, from)),
                _ => false,
            });
            if fresh && (answered || !whole) || flips {
                self.watch.expected_flip = None;
            }
            if fresh && whole && answered && !flips {
                self.violate("a warm rollback flips with the decision that sees its answer", || {
                    brief(&format!("{:?}", decision.drafts))
                });
            }
        }
        if fresh {
            self.watch_breach(seen, decision);
        }
        self.watch_split(seen, decision);
        self.watch_mirror(decision);
        self.watch_sizes();
        if fresh {
            self.watch_checks(seen, decision);
        }
        self.watch_invariants(seen, decision);
        if decision.wake.is_some_and(|wake| wake <= self.moment()) {
            self.violate("a decision looks again later, not at once", || format!("{:?}", decision.wake));
        }
    }

    /// Nobody was there when the controller began to look, and they are being started.
    fn comes_back(&self, platform: Option<&PlatformSeen>, slot: Slot) -> bool {
        let is_young = platform.is_some_and(|platform| self.now < platform.since.as_micros() + STARTS_AGAIN);
        let mut here = platform.iter().flat_map(|platform| &platform.instances).filter(|seen| seen.slot == slot);
        is_young
            && here
                .all(|seen| matches!(seen.phase, Phase::Starting { .. } | Phase::Healthy { .. }) && seen.restarts == 0)
    }

    /// A slot that can answer nothing is left at once while the old one can serve.
    fn watch_breach(&mut self, seen: &Seen, decision: &Decision) {
        let exposed: Vec<(ReleaseId, Slot, RevisionId, RevisionId)> = self
            .book
            .releases
            .values()
            .filter(|entry| entry.outcome.is_none() && !entry.undoing)
            .filter(|entry| matches!(entry.stage, Stage::Shift | Stage::Bake) && !entry.cut_short)
            .filter_map(|entry| Some((entry.release, entry.slot?, entry.revision, entry.from?)))
            .collect();
        for (release, slot, revision, from) in exposed {
            let down = self.book.health(seen.platform.as_ref(), slot, revision) == Health::None
                && !self.comes_back(seen.platform.as_ref(), slot);
            let old = self.book.health(seen.platform.as_ref(), slot.other(), from);
            let can_go = matches!(old, Health::Whole | Health::Some) && !self.book.emptying.contains(&slot.other());
            let leaves = decision.drafts.iter().any(|draft| match &draft.event {
                Event::Undoing { release: undone, .. } => *undone == release,
                _ => false,
            });
            if down && can_go && !leaves {
                self.violate("traffic leaves a dead slot while the other can serve", || format!("release {release}"));
            }
        }
    }
}
