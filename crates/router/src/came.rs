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

use crate::goals::Asks;
use crate::lane_table::LaneTable;
use crate::meter::Clients;
use crate::split::{Bucket, Client};
use crate::table::AppTable;

/// Who came to one app's split in a lane.
#[derive(Debug)]
pub(crate) struct Came {
    split: Split,
    /// Since its revisions share the traffic.
    all: Rc<Clients>,
    /// Of them, who were led by this table; as its arms.
    led: Vec<Clients>,
    /// Its sides, the newest first: the place of the arm, and its buckets.
    sides: Vec<(usize, Range<u16>)>,
}

/// What a split is, whatever its shares are: clients who know their side in one know it in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Split {
    newest: RevisionId,
    between: Vec<RevisionId>,
    sticky: Sticky,
}

/// What a lane tells of it.
#[derive(Debug)]
pub(crate) struct CameReading {
    all: Vec<u64>,
    /// The revision, its buckets, and who was led to it by the table in force.
    sides: Vec<(RevisionId, Range<u16>, Vec<u64>)>,
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
        let split = Split { newest: routes.newest(), between, sticky: routes.sticky.clone() };
        let all = before.filter(|before| before.split == split).map(|before| Rc::clone(&before.all));
        let led = routes.arms.iter().map(|_| Clients::none()).collect();
        Some(Self { split, all: all.unwrap_or_else(|| Rc::new(Clients::none())), led, sides })
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
        let read = |((place, buckets), revision): (&(usize, Range<u16>), &RevisionId)| {
            (*revision, buckets.clone(), self.led[*place].read())
        };
        CameReading { all: self.all.read(), sides: sides.map(read).collect() }
    }
}

impl LaneTable {
    /// A request of the app at this place is led to an arm, as a part of what that one gets: its client counts from now on, before
    /// it can know where it is.
    pub(crate) fn is_led(&self, app: usize, (arm, part): (usize, Part), client: Client) {
        let routes = &self.table.apps[app];
        if let Some(came) = &self.apps[app].came {
            came.saw(arm, part, routes.bucket_of(client));
        }
        if let Some(goals) = &routes.goals {
            goals.saw((arm, part), routes.group_of(client), Asks::default(), None);
        }
    }

    /// Who came to an app's split.
    pub(crate) fn came(&self, app: &AppName) -> Option<&Came> {
        let mut apps = self.table.apps.iter().zip(&self.apps);
        apps.find(|(known, _)| known.app == *app).and_then(|(_, lane)| lane.came.as_ref())
    }
}

/// What all lanes tell, added up; nothing where one of them knows of no split, or of another one. `since`: when they began, in
/// microseconds since 1970; `key`: [`SplitKey::fingerprint`](crate::split_key::SplitKey::fingerprint).
pub(crate) fn sum((since, key): (u64, u64), lanes: impl IntoIterator<Item = Option<CameReading>>) -> Option<SplitSeen> {
    let mut lanes = lanes.into_iter();
    let first = lanes.next()??;
    let all = lanes.try_fold(first, |sum, lane| sum.with(&lane?))?;
    Some(SplitSeen { since, key, sides: all.sides() })
}

impl CameReading {
    fn with(mut self, other: &Self) -> Option<Self> {
        merge(&mut self.all, &other.all);
        if self.sides.len() != other.sides.len() {
            return None;
        }
        for ((revision, buckets, led), (others, other_buckets, other_led)) in self.sides.iter_mut().zip(&other.sides) {
            if (&*revision, &*buckets) != (others, other_buckets) {
                return None;
            }
            merge(led, other_led);
        }
        Some(self)
    }

    fn sides(&self) -> Vec<SplitSide> {
        let was_led = |bucket: u16| self.sides.iter().any(|(_, _, led)| is_in(led, bucket));
        let side = |(revision, buckets, led): &(RevisionId, Range<u16>, Vec<u64>)| {
            let led = led.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            let others = buckets.clone().filter(|bucket| is_in(&self.all, *bucket) && !was_led(*bucket)).count();
            let share = Share::from_basis_points(buckets.end - buckets.start).unwrap_or(Share::NONE);
            SplitSide { revision: *revision, share, clients: led + others as u64 }
        };
        self.sides.iter().map(side).collect()
    }
}

fn merge(sum: &mut [u64], other: &[u64]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum |= other);
}

fn is_in(clients: &[u64], bucket: u16) -> bool {
    clients[usize::from(bucket) / 64] & (1 << (bucket % 64)) != 0
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
    fn whoever_is_led_to_the_other_side_counts_there_and_whoever_asked_for_one_nowhere() {
        let came = after(None, 2, 5_000).unwrap();
        come(&came, 1, 0..100);
        came.saw(0, Part::Matched, Bucket(7_000));
        came.saw(1, Part::Baseline, Bucket(5_000));
        assert_eq!(told([&came]), (0, 101));
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
        assert_eq!(sum((1, 1), [Some(one.read()), Some(other.read())]), None);
        assert_eq!(sum((1, 1), [Some(one.read()), None]), None);
    }
}
