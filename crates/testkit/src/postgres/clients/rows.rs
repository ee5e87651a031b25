//! What one client knows about its rows.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{Side, Write};

/// The rows of one client: the seeded ones of its share, and those that it inserted.
#[derive(Debug)]
pub(super) struct Rows {
    seeded: Range<i64>,
    place: i64,
    clients: i64,
    /// What may be there, for rows that were touched; nothing for a row that is not there.
    touched: BTreeMap<i64, Vec<Option<Write>>>,
    inserted: Vec<i64>,
}

impl Rows {
    /// Of the client at `place` among `clients`.
    pub(super) fn of(place: usize, clients: usize, seeded: Range<i64>) -> Self {
        let small = |number: usize| i64::try_from(number).expect("clients are few");
        Self { seeded, place: small(place), clients: small(clients), touched: BTreeMap::new(), inserted: Vec::new() }
    }

    /// Some own key, chosen by `random`; a row that was deleted is not one.
    pub(super) fn some(&self, random: u64) -> Option<i64> {
        let length = self.seeded.end - self.seeded.start;
        let own = ((length - self.place + self.clients - 1) / self.clients).max(0);
        let own = usize::try_from(own).expect("not negative");
        let all = own + self.inserted.len();
        if all == 0 {
            return None;
        }
        let chosen = usize::try_from(random % u64::try_from(all).ok()?).ok()?;
        let key = match chosen.checked_sub(own) {
            None => self.seeded.start + self.place + i64::try_from(chosen).ok()? * self.clients,
            Some(inserted) => self.inserted[inserted],
        };
        self.expected(key).iter().any(Option::is_some).then_some(key)
    }

    /// What may be in the row.
    pub(super) fn expected(&self, key: i64) -> Vec<Option<Write>> {
        self.touched.get(&key).cloned().unwrap_or_else(|| {
            let number = u64::try_from(key).unwrap_or_default();
            let is_seeded = self.seeded.contains(&key);
            vec![is_seeded.then_some(Write { by: Side::Old, number })]
        })
    }

    /// This is what the row holds, by the server's own word.
    pub(super) fn is_now(&mut self, key: i64, row: Option<Write>) {
        self.remember(key, vec![row]);
    }

    /// The row may hold this now, or what it held: the answer was lost.
    pub(super) fn may_be(&mut self, key: i64, row: Option<Write>) {
        let mut expected = self.expected(key);
        if !expected.contains(&row) {
            expected.push(row);
        }
        self.remember(key, expected);
    }

    /// The keys that were touched.
    pub(super) fn touched(&self) -> impl Iterator<Item = i64> {
        self.touched.keys().copied()
    }

    fn remember(&mut self, key: i64, expected: Vec<Option<Write>>) {
        if self.touched.insert(key, expected).is_none() && !self.seeded.contains(&key) {
            self.inserted.push(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seeded_row_has_one_owner() {
        let mut found = Vec::new();
        for place in 0..3 {
            let rows = Rows::of(place, 3, 10..15);
            found.extend((0..if place < 2 { 2 } else { 1 }).filter_map(|random| rows.some(random)));
        }
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13, 14]);
        assert_eq!(Rows::of(1, 3, 0..1).some(7), None);
    }

    #[test]
    fn a_lost_answer_leaves_both_possible_until_a_read() {
        let mut rows = Rows::of(0, 1, 0..0);
        let write = Some(Write { by: Side::New, number: 9 });
        rows.may_be(4, write);
        assert_eq!(rows.expected(4), [None, write]);
        rows.is_now(4, None);
        assert_eq!((rows.expected(4), rows.some(0)), (vec![None], None));
    }
}
