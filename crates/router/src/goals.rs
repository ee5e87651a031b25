//! Who of an app's clients reached a goal: what an experiment is judged by.
//!
//! Flow: a table names the goals of each app; [`Kept::give`] hands it what is counted already of the same experiment; a client is
//! counted when its request is led somewhere, and a goal when that is answered; the control thread reads it.
//! Guarantees: counting takes no lock and no memory; a client counts once, whichever lane and process type it came through.
//! Shared by all lanes, because one client comes through several of them: a lane writes to it once a client and goal, else it
//! reads a word. Costs [`ARM_BYTES`] of memory an arm of the split and set of clients, while the experiment is in the routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use switchover_model::seam::{GOAL_GROUPS, GOALS_MAX, GoalArm, GoalCount, GoalRequest, Goals, GoalsMeasured, Part};
use switchover_model::{AppName, RevisionId, Share};

use crate::lane::Lane;
use crate::meter::place;
use crate::split::Group;
use crate::table::Table;

/// Groups of clients that are told apart in each of the split's buckets. They are parts of a bucket, so that clients fall
/// together equally often on both sides of a split, whatever its share.
pub(crate) const GROUPS: u32 = 256;
const WORDS: usize = Share::ALL.basis_points() as usize * GROUPS as usize / 64;
const _: () = assert!(GROUPS as u64 * Share::ALL.basis_points() as u64 == GOAL_GROUPS);
/// What one set of clients takes.
#[cfg(test)]
const ARM_BYTES: usize = WORDS * 8;

/// The goals that a request may reach by its method and path: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asks(u8);

const _: () = assert!(GOALS_MAX <= u8::BITS as usize);

/// What an app's table knows of an experiment.
#[derive(Debug)]
pub(crate) struct GoalsTable {
    requests: Vec<GoalRequest>,
    counts: Arc<Counts>,
    /// As the table's arms, by part.
    arms: Vec<[Arc<ArmCounts>; Part::ALL.len()]>,
}

/// What is counted of one experiment.
#[derive(Debug)]
struct Counts {
    experiment: u64,
    goals: usize,
    /// When it began to be counted.
    since: u64,
}

/// A set of clients, and how many are in it.
#[derive(Debug)]
struct Clients {
    groups: Box<[AtomicU64]>,
    count: AtomicU64,
}

#[derive(Debug)]
struct ArmCounts {
    clients: Clients,
    /// By goal: who reached it, and by how many requests.
    goals: Vec<(Clients, AtomicU64)>,
}

impl Clients {
    fn none() -> Self {
        Self { groups: std::iter::repeat_with(AtomicU64::default).take(WORDS).collect(), count: AtomicU64::new(0) }
    }

    fn saw(&self, client: Group) {
        let (word, bit) = (client.0 as usize / 64, 1 << (client.0 % 64));
        // A group's number is below the number of bits. Nothing else is told by a bit, so its order does not matter.
        let word = &self.groups[word];
        if word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl ArmCounts {
    fn none(goals: usize) -> Self {
        let goals = std::iter::repeat_with(|| (Clients::none(), AtomicU64::new(0))).take(goals).collect();
        Self { clients: Clients::none(), goals }
    }
}

impl GoalsTable {
    /// The goals that a request may reach.
    pub(crate) fn asked_by(&self, method: &[u8], path: &[u8]) -> Asks {
        let asks = self.requests.iter().enumerate().filter(|(_, goal)| goal.is_asked_by(method, path));
        Asks(asks.fold(0, |asks, (number, _)| asks | 1 << number))
    }

    /// A request of this client is led to the arm at this place: before it can know where it is.
    pub(crate) fn came(&self, (arm, part): (usize, Part), client: Group) {
        self.arms[arm][place(part)].clients.saw(client);
    }

    /// It was answered there with this status.
    pub(crate) fn answered(&self, (arm, part): (usize, Part), client: Group, asks: Asks, status: u16) {
        let counts = &self.arms[arm][place(part)];
        for (number, (goal, (clients, requests))) in self.requests.iter().zip(&counts.goals).enumerate() {
            if asks.0 & (1 << number) != 0 && goal.status.is(status) {
                clients.saw(client);
                requests.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether both ask for the same, of the same experiment.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.counts, &other.counts)
    }
}

// === Over all tables ===

type ArmKey = (RevisionId, usize);

/// What is counted of all experiments that are in the table.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<AppName, KeptApp>);

#[derive(Debug)]
struct KeptApp {
    counts: Arc<Counts>,
    arms: BTreeMap<ArmKey, Arc<ArmCounts>>,
}

impl Kept {
    /// What is counted from now on, given to the first table.
    pub(crate) fn of<'a>(table: &mut Table, goals: impl Fn(&AppName) -> Option<&'a Goals>) -> Self {
        let mut kept = Self::default();
        kept.give(table, goals);
        kept
    }

    /// Gives each app of `table` what is counted of its experiment; what is in it no more is forgotten.
    pub(crate) fn give<'a>(&mut self, table: &mut Table, goals: impl Fn(&AppName) -> Option<&'a Goals>) {
        self.0.retain(|app, _| table.apps.iter().any(|known| known.app == *app && goals(app).is_some()));
        for app in &mut table.apps {
            let Some(Goals { experiment, requests }) = goals(&app.app) else { continue };
            let is_same =
                |known: &KeptApp| (known.counts.experiment, known.counts.goals) == (*experiment, requests.len());
            if !self.0.get(&app.app).is_some_and(is_same) {
                let since = Lane::exact_now().as_micros();
                let counts = Arc::new(Counts { experiment: *experiment, goals: requests.len(), since });
                self.0.insert(app.app.clone(), KeptApp { counts, arms: BTreeMap::new() });
            }
            let Some(known) = self.0.get_mut(&app.app) else { continue };
            let mut counted = |revision, part| {
                let arm = known.arms.entry((revision, place(part)));
                Arc::clone(arm.or_insert_with(|| Arc::new(ArmCounts::none(requests.len()))))
            };
            let arms = app.arms.iter().map(|arm| Part::ALL.map(|part| counted(arm.revision, part))).collect();
            app.goals = Some(GoalsTable { requests: requests.clone(), counts: Arc::clone(&known.counts), arms });
        }
    }

    /// What was counted of an app's experiment, where it has one; by clients as the split `key` deals them.
    pub(crate) fn read(&self, app: &AppName, key: u64) -> Option<GoalsMeasured> {
        let KeptApp { counts, arms } = self.0.get(app)?;
        let read = |((revision, part), arm): (&ArmKey, &Arc<ArmCounts>)| {
            // Read first: whoever reached a goal was counted as a client before.
            let goals = arm.goals.iter().map(|(clients, requests)| GoalCount {
                clients: clients.count(),
                requests: requests.load(Ordering::Relaxed),
            });
            let goals = goals.collect();
            GoalArm { revision: *revision, part: Part::ALL[*part], clients: arm.clients.count(), goals }
        };
        let on_both = on_both(arms);
        let arms = arms.iter().map(read).filter(|arm| arm.clients > 0).collect();
        Some(GoalsMeasured { experiment: counts.experiment, since: counts.since, key, arms, on_both })
    }
}

/// How many clients were counted for more than one revision. Each arm is read once, word by word. Where the split leads to both,
/// those that a rule leads are not compared with anybody, and do not count.
fn on_both(arms: &BTreeMap<ArmKey, Arc<ArmCounts>>) -> u64 {
    let arms = || arms.iter().filter(|(_, arm)| arm.clients.count() > 0);
    let is_by_rule = |part: usize| part == place(Part::Matched);
    let split: BTreeSet<RevisionId> =
        arms().filter(|((_, part), _)| !is_by_rule(*part)).map(|((of, _), _)| *of).collect();
    let compared = arms().filter(|((_, part), _)| split.len() < 2 || !is_by_rule(*part));
    let (mut before, mut here, mut twice) = (vec![0_u64; WORDS], vec![0_u64; WORDS], vec![0_u64; WORDS]);
    let mut revision = None;
    for ((of, _), arm) in compared {
        if revision.replace(*of) != Some(*of) {
            before.iter_mut().zip(&mut here).for_each(|(before, here)| *before |= std::mem::take(here));
        }
        let words = before.iter().zip(&mut here).zip(&mut twice).zip(&arm.clients.groups);
        for (((before, here), twice), groups) in words {
            *here |= groups.load(Ordering::Relaxed);
            *twice |= before & *here;
        }
    }
    twice.iter().map(|word| u64::from(word.count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_once_and_the_last_group_has_its_place() {
        let clients = Clients::none();
        let last = u32::try_from(WORDS * 64 - 1).unwrap();
        for group in [0, 63, 64, last, 0, last] {
            clients.saw(Group(group));
        }
        assert_eq!(clients.count(), 4);
        assert_eq!(ARM_BYTES, 320_000);
    }

    #[test]
    fn a_client_counted_by_many_threads_counts_once() {
        let clients = Clients::none();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|group| clients.saw(Group(group % 20_000))));
            }
        });
        assert_eq!(clients.count(), 20_000);
    }
}
