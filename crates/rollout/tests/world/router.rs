//! The simulated router: a table by version, requests and upgrades with ends, a ledger that always balances.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::receipt::Ledger;
use switchover_model::seam::{Arm, Routes, TrafficSeen};
use switchover_model::{InstanceId, RevisionId, Share, Slot, Timestamp};

use super::dice::Dice;
use super::platform::{Instance, Platform};

const MILLIS: u64 = 1_000;

#[derive(Debug, Clone)]
struct Request {
    revision: RevisionId,
    instance: InstanceId,
    ends: u64,
}

#[derive(Debug, Clone)]
struct Upgrade {
    revision: RevisionId,
    instance: InstanceId,
    ends: u64,
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    /// The router had to answer by itself: no endpoint in the table for it was healthy.
    Unanswered {
        revision: Option<RevisionId>,
    },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) long_requests_until: u64,
    pub(crate) long_upgrades_until: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Router {
    /// What is in force; kept on disk, so a kill does not lose it.
    pub(crate) table: Option<Routes>,
    in_force_since: Option<u64>,
    /// When a slot lost its share, until it gets one again.
    pub(crate) lost_share_at: BTreeMap<Slot, u64>,
    requests: Vec<Request>,
    upgrades: Vec<Upgrade>,
    pub(crate) ledger: Ledger,
    /// Away until then.
    pub(crate) down_until: u64,
    pub(crate) trouble: Trouble,
    /// Whether a person edited the table and nobody has set it since.
    pub(crate) edited: bool,
    /// Long requests and upgrades begun since last asked.
    pub(crate) long_begun: (u32, u32),
}

impl Router {
    pub(crate) fn new() -> Self {
        Self {
            table: None,
            in_force_since: None,
            lost_share_at: BTreeMap::new(),
            requests: Vec::new(),
            upgrades: Vec::new(),
            ledger: Ledger::default(),
            down_until: 0,
            trouble: Trouble::default(),
            edited: false,
            long_begun: (0, 0),
        }
    }

    pub(crate) fn is_up(&self, now: u64) -> bool {
        self.down_until <= now
    }

    /// Puts `routes` in force; refused when older than what is.
    pub(crate) fn ensure(&mut self, routes: &Routes, now: u64) -> bool {
        if !self.is_up(now) || self.table.as_ref().is_some_and(|table| table.version > routes.version) {
            return false;
        }
        let same = self.table.as_ref().is_some_and(|table| table.version == routes.version);
        self.replace(routes.clone(), now);
        if !same {
            self.in_force_since = Some(now);
        }
        self.edited = false;
        true
    }

    /// Somebody sets the table by hand.
    pub(crate) fn edit(&mut self, routes: Routes, now: u64) {
        self.replace(routes, now);
        self.in_force_since = Some(now);
        self.edited = true;
    }

    fn replace(&mut self, routes: Routes, now: u64) {
        let has =
            |routes: &Routes, slot: Slot| routes.arms.iter().any(|arm| arm.slot == slot && arm.share > Share::NONE);
        for slot in Slot::BOTH {
            let had = self.table.as_ref().is_some_and(|table| has(table, slot));
            if has(&routes, slot) {
                self.lost_share_at.remove(&slot);
            } else if had {
                self.lost_share_at.insert(slot, now);
            }
        }
        self.table = Some(routes);
    }

    /// Requests on an instance; an ended instance has none.
    pub(crate) fn in_flight_on(&self, instance: &InstanceId) -> usize {
        self.requests.iter().filter(|request| request.instance == *instance).count()
    }

    /// Revisions with requests or upgrades on them.
    pub(crate) fn busy_revisions(&self) -> BTreeSet<RevisionId> {
        let requests = self.requests.iter().map(|request| request.revision);
        requests.chain(self.upgrades.iter().map(|upgrade| upgrade.revision)).collect()
    }

    pub(crate) fn upgrades_on(&self, instance: &InstanceId) -> usize {
        self.upgrades.iter().filter(|upgrade| upgrade.instance == *instance).count()
    }

    /// The arm with all the traffic, or from which a step takes some.
    pub(crate) fn whole_arm(&self) -> Option<&Arm> {
        self.table.as_ref()?.arms.iter().rfind(|arm| arm.share > Share::NONE)
    }

    pub(crate) fn observe(&self, now: u64) -> Option<TrafficSeen> {
        if !self.is_up(now) {
            return None;
        }
        let mut in_flight = BTreeMap::new();
        for request in &self.requests {
            *in_flight.entry(request.revision).or_insert(0) += 1;
        }
        let mut upgrades = BTreeMap::new();
        for upgrade in &self.upgrades {
            *upgrades.entry(upgrade.revision).or_insert(0) += 1;
        }
        let mut busy = BTreeMap::new();
        let requests = self.requests.iter().map(|request| &request.instance);
        for instance in requests.chain(self.upgrades.iter().map(|upgrade| &upgrade.instance)) {
            *busy.entry(instance.clone()).or_insert(0) += 1;
        }
        Some(TrafficSeen {
            at: Timestamp::from_micros(now),
            routes: self.table.clone(),
            in_force_since: self.in_force_since.map(Timestamp::from_micros),
            in_flight,
            upgrades,
            busy: Some(busy),
            ledger: self.ledger.clone(),
            unrouted: BTreeMap::new(),
            ..TrafficSeen::default()
        })
    }

    pub(crate) fn next_change(&self) -> Option<u64> {
        let requests = self.requests.iter().map(|request| request.ends);
        let upgrades = self.upgrades.iter().map(|upgrade| upgrade.ends);
        requests.chain(upgrades).chain(self.drain_deadline()).min()
    }

    fn drain_deadline(&self) -> Option<u64> {
        let table = self.table.as_ref()?;
        let has_share = |revision| table.arms.iter().any(|arm| arm.revision == revision && arm.share > Share::NONE);
        if self.upgrades.iter().all(|upgrade| has_share(upgrade.revision)) {
            return None;
        }
        Some(self.in_force_since? + table.drain_ms * MILLIS)
    }

    /// Ends what is due, and what was on instances that are no more.
    pub(crate) fn advance(&mut self, now: u64, platform: &Platform) {
        let alive = |id: &InstanceId| {
            platform
                .instances
                .iter()
                .any(|instance| instance.id == *id && (instance.listens() || instance.is_stopping()))
        };
        let mut index = 0;
        while index < self.requests.len() {
            let request = &self.requests[index];
            if request.ends <= now {
                let revision = request.revision;
                self.requests.swap_remove(index);
                self.ledger.in_flight -= 1;
                self.ledger.by_revision.entry(revision).or_default().answered[1] += 1;
            } else if alive(&request.instance) {
                index += 1;
            } else {
                self.requests.swap_remove(index);
                self.ledger.in_flight -= 1;
                let own = self.ledger.own.entry("upstream-closed".to_owned()).or_default();
                own.count += 1;
            }
        }
        let deadline_passed = self.drain_deadline().is_some_and(|deadline| deadline <= now);
        let table = self.table.as_ref();
        let ledger = &mut self.ledger;
        self.upgrades.retain(|upgrade| {
            let has_share = table.is_some_and(|table| {
                table.arms.iter().any(|arm| arm.revision == upgrade.revision && arm.share > Share::NONE)
            });
            let cut = deadline_passed && !has_share;
            if cut {
                ledger.by_revision.entry(upgrade.revision).or_default().upgrades_cut += 1;
            }
            !cut && upgrade.ends > now && alive(&upgrade.instance)
        });
    }

    /// One request comes in.
    pub(crate) fn accept(&mut self, now: u64, platform: &Platform, dice: &mut Dice) -> Option<Fate> {
        if !self.is_up(now) {
            return None;
        }
        let table = self.table.as_ref()?;
        self.ledger.accepted += 1;
        let bucket = dice.below(10_000);
        let mut below = 0;
        let arm = table.arms.iter().find(|arm| {
            below += u64::from(arm.share.basis_points());
            bucket < below
        });
        let Some(arm) = arm.filter(|arm| !arm.processes.is_empty()) else {
            self.ledger.own.entry("no-healthy-instance".to_owned()).or_default().count += 1;
            return Some(Fate::Unanswered { revision: None });
        };
        let place = dice.index(arm.processes.len());
        let instance_of = |arm: &Arm| -> Option<&Instance> {
            let mut endpoints = arm.processes.get(place)?.endpoints.iter();
            endpoints.find_map(|endpoint| {
                platform.instances.iter().find(|instance| instance.id == endpoint.instance && instance.listens())
            })
        };
        // A slot without anybody leaves its share to the other one that has a share.
        let others = table.arms.iter().filter(|other| other.share > Share::NONE);
        let found = std::iter::once(arm).chain(others).find_map(|arm| Some((arm.revision, instance_of(arm)?)));
        let (revision, instance) = found.map_or((arm.revision, None), |(revision, it)| (revision, Some(it)));
        let Some(instance) = instance else {
            let own = self.ledger.own.entry("no-healthy-instance".to_owned()).or_default();
            own.count += 1;
            return Some(Fate::Unanswered { revision: Some(revision) });
        };
        let counts = self.ledger.by_revision.entry(revision).or_default();
        counts.first_request.get_or_insert(Timestamp::from_micros(now));
        counts.last_request = Some(Timestamp::from_micros(now));
        if dice.chance(60) || now < self.trouble.long_upgrades_until {
            let long = now < self.trouble.long_upgrades_until;
            let takes = if long { dice.between(10_000, 60_000) } else { dice.between(100, 2_000) };
            counts.answered[0] += 1;
            self.long_begun.1 += u32::from(long);
            self.upgrades.push(Upgrade { revision, instance: instance.id.clone(), ends: now + takes * MILLIS });
        } else if dice.chance(30) {
            self.ledger.aborted += 1;
        } else {
            let long = now < self.trouble.long_requests_until && dice.chance(500);
            let takes = if long { dice.between(5_000, 30_000) } else { dice.between(5, 1_000) };
            self.long_begun.0 += u32::from(long);
            self.ledger.in_flight += 1;
            self.requests.push(Request { revision, instance: instance.id.clone(), ends: now + takes * MILLIS });
        }
        Some(Fate::Taken)
    }

    /// The process is killed; the next one has the last table and counts what was in flight as lost.
    pub(crate) fn kill(&mut self, now: u64, away: u64) -> BTreeMap<RevisionId, u64> {
        let mut lost = BTreeMap::new();
        for request in self.requests.drain(..) {
            *lost.entry(request.revision).or_insert(0) += 1;
        }
        self.ledger.lost_with_router += lost.values().sum::<u64>();
        self.ledger.in_flight = 0;
        self.upgrades.clear();
        self.down_until = now + away;
        lost
    }

    /// Whether the ledger's own sum holds.
    pub(crate) fn balances(&self) -> bool {
        let ledger = &self.ledger;
        let answered: u64 = ledger.by_revision.values().flat_map(|counts| counts.answered).sum();
        let own: u64 = ledger.own.values().map(|own| own.count).sum();
        ledger.accepted == answered + own + ledger.aborted + ledger.lost_with_router + ledger.in_flight
    }
}
