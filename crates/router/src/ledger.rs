//! Counting: what each lane took on, how it ended, and by whom.
//!
//! In flight is never counted, it follows: `accepted` minus every kind of end. So the sum closes in every reading, and a
//! process killed between any two stores leaves nothing that could contradict itself. What a killed predecessor had in
//! flight is what its file lacks in ends; it becomes `lost_with_router` when the file is opened.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use switchover_model::receipt::{Ledger, OwnLedger, RevisionLedger};
use switchover_model::{AppName, RevisionId, Timestamp};

use crate::causes::OwnCause;
use crate::ledger_file::{COUNTERS, LedgerFile, Place, RawKey};

// Counters of an app's record.
const ACCEPTED: usize = 0;
const ABORTED: usize = 1;
const LOST_WITH_ROUTER: usize = 2;
/// Two for each cause: how many, and how many of them lost.
const OWN: usize = 3;
// Counters of a revision's record.
const ANSWERED: usize = 0;
const UPGRADES_CUT: usize = 5;
const UPGRADES_OPENED: usize = 6;
const UPGRADES_CLOSED: usize = 7;
const FIRST_REQUEST: usize = 8;
const LAST_REQUEST: usize = 9;
/// What is there now, for a successor that asks; nothing when the lane that wrote it is gone.
const REQUESTS_NOW: usize = 10;
const UPGRADES_NOW: usize = 11;
const _: () = assert!(OWN + 2 * OwnCause::ALL.len() <= COUNTERS, "every cause has its two counters");

/// Which traffic is counted: users', or what goes to the preview address, which is in no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Users' requests.
    Live,
    /// Requests to the preview address.
    Preview,
}

/// Whose counters: an app's, or those of what came for no app at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner {
    /// The app; nothing: refused, or for a host that nobody answers for.
    pub(crate) app: Option<AppName>,
    /// Which traffic.
    pub(crate) kind: Kind,
}

impl Owner {
    /// Requests that came for no app.
    pub(crate) const NOBODY: Self = Self { app: None, kind: Kind::Live };

    fn key(&self, revision: Option<RevisionId>) -> RawKey {
        let class = match (self.kind, revision) {
            (Kind::Live, None) => 1_u64,
            (Kind::Live, Some(_)) => 2,
            (Kind::Preview, None) => 3,
            (Kind::Preview, Some(_)) => 4,
        };
        let mut name = [0; 40];
        let text = self.app.as_ref().map_or("", |app| app.as_str()).as_bytes();
        name[..text.len()].copy_from_slice(text);
        let mut key = [0; 6];
        key[0] = class | u64::from(revision.map_or(0, |revision| revision.0)) << 32;
        for (word, bytes) in key[1..].iter_mut().zip(name.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        key
    }

    /// The reverse; nothing for what no version of this program wrote.
    fn of_key(key: &RawKey) -> Option<(Self, Option<RevisionId>)> {
        let number = RevisionId(u32::try_from(key[0] >> 32).ok()?);
        let (kind, revision) = match key[0] & 0xffff_ffff {
            1 => (Kind::Live, None),
            2 => (Kind::Live, Some(number)),
            3 => (Kind::Preview, None),
            4 => (Kind::Preview, Some(number)),
            _ => return None,
        };
        let bytes: Vec<u8> =
            key[1..].iter().flat_map(|word| word.to_be_bytes()).take_while(|byte| *byte != 0).collect();
        let app = match bytes.as_slice() {
            [] => None,
            name => Some(std::str::from_utf8(name).ok()?.parse().ok()?),
        };
        Some((Self { app, kind }, revision))
    }
}

/// One lane's counters.
#[derive(Debug)]
pub(crate) struct LaneLedger {
    file: Rc<LedgerFile>,
    places: RefCell<HashMap<(Owner, Option<RevisionId>), Place>>,
}

/// Counters of an app (or of nobody), of one kind of traffic.
#[derive(Debug, Clone)]
pub(crate) struct OwnerCounters {
    file: Rc<LedgerFile>,
    place: Place,
}

/// Counters of a revision.
#[derive(Debug, Clone)]
pub(crate) struct RevisionCounters {
    file: Rc<LedgerFile>,
    place: Place,
}

impl LaneLedger {
    /// Goes on from what a predecessor left at `path`. What it had in flight is lost with it.
    pub(crate) fn open(path: &Path) -> Self {
        let ledger = Self::with(LedgerFile::open(path));
        ledger.close_the_sums();
        ledger
    }

    /// The counters of a router that still counts: read, never written.
    pub(crate) fn of_another(path: &Path) -> Option<Self> {
        match LedgerFile::of_another(path) {
            Ok(file) => file.map(Self::with),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the counters of the router before can not be read");
                None
            }
        }
    }

    fn with(file: LedgerFile) -> Self {
        let places: HashMap<_, _> =
            file.used().filter_map(|(place, key)| Some((Owner::of_key(&key)?, place))).collect();
        Self { file: Rc::new(file), places: RefCell::new(places) }
    }

    /// What a router that still counts has in flight for `owner`: revision, requests, tunnels.
    pub(crate) fn held(&self, owner: &Owner) -> Vec<(RevisionId, u64, u64)> {
        let places = self.places.borrow();
        let of_owner = places.iter().filter(|((of, _), _)| of == owner);
        of_owner
            .filter_map(|((_, revision), place)| {
                Some(((*revision)?, self.file.read(*place, REQUESTS_NOW), self.file.read(*place, UPGRADES_NOW)))
            })
            .collect()
    }

    /// Whether the counters outlive this process.
    pub(crate) fn is_persistent(&self) -> bool {
        self.file.is_persistent()
    }

    /// Whoever counted here is gone: what it had in flight is lost.
    pub(crate) fn close_the_sums(&self) {
        for place in self.places.borrow().iter().filter(|((_, revision), _)| revision.is_some()).map(|(_, place)| place)
        {
            self.file.write(*place, REQUESTS_NOW, 0);
            self.file.write(*place, UPGRADES_NOW, 0);
        }
        let owners: Vec<_> = self
            .places
            .borrow()
            .keys()
            .filter(|(_, revision)| revision.is_none())
            .map(|(owner, _)| owner.clone())
            .collect();
        for owner in owners {
            let place = self.place(&owner, None);
            let lost = self.file.read(place, LOST_WITH_ROUTER) + self.read(&owner).in_flight;
            self.file.write(place, LOST_WITH_ROUTER, lost);
        }
    }

    /// The counters of `owner`.
    pub(crate) fn owner(&self, owner: &Owner) -> OwnerCounters {
        OwnerCounters { file: Rc::clone(&self.file), place: self.place(owner, None) }
    }

    /// The counters of a revision. Not for a request's way: it may look for room.
    pub(crate) fn revision(&self, owner: &Owner, revision: RevisionId) -> RevisionCounters {
        RevisionCounters { file: Rc::clone(&self.file), place: self.place(owner, Some(revision)) }
    }

    fn place(&self, owner: &Owner, revision: Option<RevisionId>) -> Place {
        let id = (owner.clone(), revision);
        if let Some(place) = self.places.borrow().get(&id) {
            return *place;
        }
        let key = owner.key(revision);
        let place = loop {
            match self.file.take(&key) {
                Some(place) => break place,
                None => self.make_room(),
            }
        };
        self.places.borrow_mut().insert(id, place);
        place
    }

    /// Counts the oldest revision of whoever has the most together with its next one.
    ///
    /// Assumes: among [`RECORDS_MAX`](crate::ledger_file::RECORDS_MAX) records somebody has revisions that are long gone
    /// (fewer apps than that are routed, each by two or three revisions at a time), so the oldest are not in use.
    fn make_room(&self) {
        let mut places = self.places.borrow_mut();
        let mut revisions: BTreeMap<&Owner, Vec<RevisionId>> = BTreeMap::new();
        for (owner, revision) in places.keys() {
            if let Some(revision) = revision {
                revisions.entry(owner).or_default().push(*revision);
            }
        }
        let (owner, mut numbers) = revisions
            .into_iter()
            .max_by_key(|(_, numbers)| numbers.len())
            .map(|(owner, numbers)| (owner.clone(), numbers))
            .filter(|(_, numbers)| numbers.len() >= 2)
            .expect("the routed apps are fewer than the records");
        numbers.sort_unstable();
        let from = places.remove(&(owner.clone(), Some(numbers[0]))).expect("it was just listed");
        let into = places[&(owner, Some(numbers[1]))];
        self.file.fold(from, into, |counter, from, into| match counter {
            FIRST_REQUEST => [from, into].into_iter().filter(|time| *time != 0).min().unwrap_or(0),
            LAST_REQUEST => from.max(into),
            _ => from + into,
        });
    }

    /// The apps that anything was counted for.
    pub(crate) fn apps(&self) -> Vec<AppName> {
        let mut apps: Vec<_> = self.places.borrow().keys().filter_map(|(owner, _)| owner.app.clone()).collect();
        apps.sort_unstable();
        apps.dedup();
        apps
    }

    /// A reading. Taken on the lane's own thread it is of one moment.
    pub(crate) fn read(&self, owner: &Owner) -> Ledger {
        let mut ledger = Ledger::default();
        for ((of, revision), place) in self.places.borrow().iter() {
            if of != owner {
                continue;
            }
            let read = |counter| self.file.read(*place, counter);
            match revision {
                None => {
                    ledger.accepted = read(ACCEPTED);
                    ledger.aborted = read(ABORTED);
                    ledger.lost_with_router = read(LOST_WITH_ROUTER);
                    for cause in OwnCause::ALL {
                        let (count, lost) = (read(OWN + 2 * cause.place()), read(OWN + 2 * cause.place() + 1));
                        if count > 0 {
                            ledger.own.insert(cause.name().to_owned(), OwnLedger { count, lost });
                        }
                    }
                }
                Some(revision) => {
                    let time = |counter| Some(read(counter)).filter(|time| *time != 0).map(Timestamp::from_micros);
                    let counted = RevisionLedger {
                        slot: None,
                        answered: std::array::from_fn(|class| read(ANSWERED + class)),
                        upgrades_cut: read(UPGRADES_CUT),
                        first_request: time(FIRST_REQUEST),
                        last_request: time(LAST_REQUEST),
                    };
                    if counted != RevisionLedger::default() {
                        ledger.by_revision.insert(*revision, counted);
                    }
                }
            }
        }
        let answered: u64 = ledger.by_revision.values().flat_map(|revision| revision.answered).sum();
        let own: u64 = ledger.own.values().map(|own| own.count).sum();
        ledger.in_flight = ledger.accepted.saturating_sub(answered + own + ledger.aborted + ledger.lost_with_router);
        ledger
    }
}

impl OwnerCounters {
    /// A request was taken on.
    pub(crate) fn accepted(&self) {
        self.file.count(self.place, ACCEPTED);
    }

    /// Its client went away.
    pub(crate) fn aborted(&self) {
        self.file.count(self.place, ABORTED);
    }

    /// The router answered it.
    pub(crate) fn own(&self, cause: OwnCause, is_lost: bool) {
        if is_lost {
            self.file.count(self.place, OWN + 2 * cause.place() + 1);
        }
        self.file.count(self.place, OWN + 2 * cause.place());
    }
}

impl RevisionCounters {
    /// A whole answer with this status was passed on.
    pub(crate) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.file.count(self.place, ANSWERED + class);
    }

    /// A request was sent to it now. `exactly` is asked for the first one alone, because it costs more.
    pub(crate) fn sent(&self, now: Timestamp, exactly: impl FnOnce() -> Timestamp) {
        if self.file.read(self.place, FIRST_REQUEST) == 0 {
            let exact = exactly().as_micros();
            self.file.write(self.place, FIRST_REQUEST, exact);
            self.file.write(self.place, LAST_REQUEST, exact);
        } else {
            let last = self.file.read(self.place, LAST_REQUEST);
            self.file.write(self.place, LAST_REQUEST, now.as_micros().max(last));
        }
    }

    /// It gets traffic anew: its first request is one still to come.
    pub(crate) fn begin_anew(&self) {
        self.file.write(self.place, FIRST_REQUEST, 0);
    }

    /// So many requests and tunnels are there now.
    pub(crate) fn holds(&self, requests: u64, tunnels: u64) {
        self.file.write(self.place, REQUESTS_NOW, requests);
        self.file.write(self.place, UPGRADES_NOW, tunnels);
    }

    /// A tunnel was opened.
    pub(crate) fn upgrade_opened(&self) {
        self.file.count(self.place, UPGRADES_OPENED);
    }

    /// A tunnel ended, or was cut by us.
    pub(crate) fn upgrade_closed(&self, was_cut: bool) {
        self.file.count(self.place, if was_cut { UPGRADES_CUT } else { UPGRADES_CLOSED });
    }
}

/// Adds one lane's reading to the sum of others.
pub(crate) fn add(sum: &mut Ledger, part: Ledger) {
    sum.accepted += part.accepted;
    sum.in_flight += part.in_flight;
    sum.aborted += part.aborted;
    sum.lost_with_router += part.lost_with_router;
    for (cause, own) in part.own {
        let known = sum.own.entry(cause).or_default();
        known.count += own.count;
        known.lost += own.lost;
    }
    for (revision, counted) in part.by_revision {
        let known = sum.by_revision.entry(revision).or_default();
        for (sum, part) in known.answered.iter_mut().zip(counted.answered) {
            *sum += part;
        }
        known.upgrades_cut += counted.upgrades_cut;
        known.first_request = [known.first_request, counted.first_request].into_iter().flatten().min();
        known.last_request = known.last_request.max(counted.last_request);
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
