//! Who came to a split by shares: what its sample ratio is judged by.
//!
//! Flow: a table that splits goes on with what the one in force has seen of the same split; the lane counts a client in when it
//! knows where its request is led, before anything is answered; the control thread asks each lane and adds up.
//! Guarantees: counting takes no lock and no memory. A client counts from its first request on until the split is over, also
//! one that stays away once it knows its side: whoever chose by that would choose the ratio.

use std::ops::Range;
use std::rc::Rc;

use switchover_model::seam::{Part, SplitSeen, SplitSide, Sticky};
use switchover_model::{AppName, RevisionId, Share};

use crate::lane_table::LaneTable;
use crate::meter::Clients;
use crate::split::{Bucket, Deal};
use crate::table::AppTable;

/// Who came to one app's split in a lane.
#[derive(Debug)]
pub(crate) struct Came {
    split: Split,
    /// Since its revisions share the traffic.
    all: Rc<Clients>,
    /// Of them, who were led while its sides are these; as the table's arms.
    led: Vec<Rc<Clients>>,
    /// The newest first: the place of the arm, and its buckets.
    sides: Vec<(usize, Range<u16>)>,
}

/// What a split is, whatever its shares are: clients who know their side in one know it in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Split {
    deal: Deal,
    between: Vec<RevisionId>,
    sticky: Sticky,
}

/// What a lane tells of it.
#[derive(Debug)]
pub(crate) struct CameReading {
    all: Vec<u64>,
    sides: Vec<SideReading>,
}

#[derive(Debug)]
struct SideReading {
    revision: RevisionId,
    buckets: Range<u16>,
    led: Vec<u64>,
}

impl Came {
    /// Of a table that splits `routes` by shares and tells clients apart, after one in which `before` was counted.
    pub(crate) fn after(before: Option<&Self>, routes: &AppTable) -> Option<Self> {
        let mut end = 0;
        let dealt = routes.arms.iter().enumerate().map(|(place, arm)| {
            let begin = end;
            end += arm.share.basis_points();
            (place, begin..end)
        });
        let sides: Vec<_> = dealt.filter(|(_, buckets)| !buckets.is_empty()).collect();
        if sides.len() < 2 || routes.sticky == Sticky::None {
            return None;
        }
        let between = sides.iter().map(|(place, _)| routes.arms[*place].revision).collect();
        let split = Split { deal: routes.deal, between, sticky: routes.sticky.clone() };
        let before = before.filter(|before| before.split == split);
        let same = before.filter(|before| before.sides == sides && before.led.len() == routes.arms.len());
        let none = || Rc::new(Clients::none());
        let led = same.map_or_else(|| routes.arms.iter().map(|_| none()).collect(), |same| same.led.clone());
        Some(Self { split, all: before.map_or_else(none, |before| Rc::clone(&before.all)), led, sides })
    }

    /// A request of `client` is led to the arm at this place, as `part` of what it gets.
    pub(crate) fn saw(&self, arm: usize, part: Part, client: Bucket) {
        match part {
            Part::Share | Part::Baseline => {
                self.all.saw(client);
                self.led[arm].saw(client);
            }
            // It asked for that side.
            Part::Matched => {}
        }
    }

    pub(crate) fn read(&self) -> CameReading {
        let sides = self.sides.iter().zip(&self.split.between);
        let read = |((place, buckets), revision): (&(usize, Range<u16>), &RevisionId)| SideReading {
            revision: *revision,
            buckets: buckets.clone(),
            led: self.led[*place].read(),
        };
        CameReading { all: self.all.read(), sides: sides.map(read).collect() }
    }
}

impl LaneTable {
    /// Who came to an app's split.
    pub(crate) fn came(&self, app: &AppName) -> Option<&Came> {
        let mut apps = self.table.apps.iter().zip(&self.apps);
        apps.find(|(known, _)| known.app == *app).and_then(|(_, lane)| lane.came.as_ref())
    }
}

/// What all lanes tell, added up; nothing where none knows of a split, and no sides where they know of different ones. `since`: when
/// they began, in microseconds since 1970; `key`: [`SplitKey::fingerprint`](crate::split_key::SplitKey::fingerprint).
pub(crate) fn sum((since, key): (u64, u64), lanes: impl IntoIterator<Item = Option<CameReading>>) -> Option<SplitSeen> {
    let lanes: Vec<Option<CameReading>> = lanes.into_iter().collect();
    let knows = lanes.iter().any(Option::is_some);
    let mut lanes = lanes.into_iter();
    let first = lanes.next().flatten();
    let all = lanes.try_fold(first, |sum, lane| Some(Some(sum?.with(&lane?)?))).flatten();
    knows.then(|| SplitSeen { since, key, sides: all.map_or_else(Vec::new, |all| all.count()) })
}

impl CameReading {
    fn with(mut self, other: &Self) -> Option<Self> {
        let is_same = |(one, other): (&SideReading, &SideReading)| {
            (one.revision, &one.buckets) == (other.revision, &other.buckets)
        };
        if self.sides.len() != other.sides.len() || !self.sides.iter().zip(&other.sides).all(is_same) {
            return None;
        }
        merge(&mut self.all, &other.all);
        self.sides.iter_mut().zip(&other.sides).for_each(|(side, other)| merge(&mut side.led, &other.led));
        Some(self)
    }

    /// Each client on its side; but where it was led to another one alone, on that one.
    fn count(&self) -> Vec<SplitSide> {
        let mut sides: Vec<SplitSide> = self.sides.iter().map(SideReading::share).collect();
        for (word, all) in self.all.iter().enumerate() {
            let led_home = self.sides.iter().fold(0, |led, side| led | side.led[word] & side.mask(word));
            let led = self.sides.iter().fold(0, |led, side| led | side.led[word]);
            for (side, told) in self.sides.iter().zip(&mut sides) {
                let home = all & side.mask(word) & (led_home | !led);
                let astray = side.led[word] & !led_home;
                told.clients += u64::from((home | astray).count_ones());
            }
        }
        sides
    }
}

impl SideReading {
    fn share(&self) -> SplitSide {
        let share = Share::from_basis_points(self.buckets.end - self.buckets.start).unwrap_or(Share::NONE);
        SplitSide { revision: self.revision, share, clients: 0 }
    }

    /// Its buckets in a word.
    fn mask(&self, word: usize) -> u64 {
        let below = |end: u16| match usize::from(end).saturating_sub(word * 64) {
            bits if bits < 64 => (1 << bits) - 1,
            _ => u64::MAX,
        };
        below(self.buckets.end) & !below(self.buckets.start)
    }
}

fn merge(sum: &mut [u64], other: &[u64]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum |= other);
}

#[cfg(test)]
mod tests {
    use switchover_model::Slot;
    use switchover_model::seam::{Arm, Routes};

    use super::*;
    use crate::table::Table;

    /// The app's routes with `new` of 10,000 for `newest`, and the rest for revision 1.
    fn table(newest: u32, new: u16, sticky: Sticky) -> Table {
        let share = |part| Share::from_basis_points(part).unwrap();
        let arm = |slot, revision, share| Arm { slot, revision: RevisionId(revision), share, processes: Vec::new() };
        let arms = vec![arm(Slot::Blue, 1, share(10_000 - new)), arm(Slot::Green, newest, share(new))];
        let routes = Routes { arms, sticky, ..Routes::nowhere("shop".parse().unwrap(), 1) };
        Table::compile(1, [&routes], false).unwrap()
    }

    fn after(before: Option<&Came>, newest: u32, new: u16) -> Option<Came> {
        Came::after(before, &table(newest, new, Sticky::Cookie).apps[0])
    }

    /// New, old.
    fn told<const LANES: usize>(lanes: [&Came; LANES]) -> (u64, u64) {
        let seen = sum((1, 1), lanes.map(|came| Some(came.read()))).unwrap();
        (seen.clients(RevisionId(2)), seen.clients(RevisionId(1)))
    }

    fn come(came: &Came, arm: usize, clients: impl IntoIterator<Item = u16>) {
        clients.into_iter().for_each(|client| came.saw(arm, Part::Share, Bucket(client)));
    }

    #[test]
    fn who_came_is_dealt_by_the_share_in_force_and_counted_once() {
        let first = after(None, 2, 2_000).unwrap();
        come(&first, 0, 0..200);
        come(&first, 1, 2_000..2_800);
        assert_eq!(told([&first]), (200, 800));
        let second = after(Some(&first), 2, 2_500).unwrap();
        assert_eq!(told([&second]), (700, 300), "those up to 2,500 are the new side's now");
        // Those of the new side alone come again, one of them through two lanes, and one that was never there.
        let other = after(None, 2, 2_500).unwrap();
        come(&second, 0, (0..200).chain([2_499]));
        come(&other, 0, [5, 300]);
        assert_eq!(told([&second, &other]), (701, 300));
        // A request that the table before has led is not finished yet, and its client is known all the same.
        come(&first, 1, [9_999]);
        assert_eq!(told([&second, &other]), (701, 301));
    }

    #[test]
    fn whoever_is_led_to_the_other_side_alone_counts_there_and_whoever_asked_for_one_nowhere() {
        let came = after(None, 2, 5_000).unwrap();
        come(&came, 1, 0..100);
        came.saw(0, Part::Matched, Bucket(7_000));
        came.saw(1, Part::Baseline, Bucket(5_000));
        assert_eq!(told([&came]), (0, 101));
        // The next table of the same shares goes on, whatever else is in it; there, and in another lane, some come home.
        let next = after(Some(&came), 2, 5_000).unwrap();
        let other = after(None, 2, 5_000).unwrap();
        come(&next, 0, 0..30);
        come(&other, 0, 30..40);
        assert_eq!(told([&next, &other]), (40, 61));
    }

    #[test]
    fn another_split_knows_nobody_and_where_nothing_is_split_nobody_is_counted() {
        let first = after(None, 2, 2_000).unwrap();
        come(&first, 0, 0..200);
        let whole = |came: &Came| came.read().all.iter().map(|word| word.count_ones()).sum::<u32>();
        assert_eq!(whole(&after(Some(&first), 2, 9_000).unwrap()), 200);
        assert_eq!(whole(&after(Some(&first), 3, 2_000).unwrap()), 0, "the next release deals its clients anew");
        let by_address = Came::after(Some(&first), &table(2, 2_000, Sticky::Address).apps[0]).unwrap();
        assert_eq!(whole(&by_address), 0, "told apart by something else");
        assert!(after(Some(&first), 2, 0).is_none() && after(Some(&first), 2, 10_000).is_none());
        assert!(Came::after(None, &table(2, 2_000, Sticky::None).apps[0]).is_none());
    }

    #[test]
    fn lanes_that_do_not_have_the_same_table_tell_nothing_together() {
        let [one, other] = [2_000, 3_000].map(|share| after(None, 2, share).unwrap());
        let nobody = SplitSeen { since: 1, key: 1, sides: Vec::new() };
        assert_eq!(sum((1, 1), [Some(one.read()), Some(other.read())]), Some(nobody.clone()));
        assert_eq!(sum((1, 1), [None, Some(one.read())]), Some(nobody.clone()));
        assert_eq!(sum((1, 1), [Some(one.read()), None]), Some(nobody));
        assert_eq!(sum((1, 1), [None, None]), None, "nothing is split");
    }
}
