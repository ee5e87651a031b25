//! The meeting of place, command and fault that a run goes for, so that the rare ones are met as well.

use super::coverage::{Order, Place, impossible};
use super::dice::Dice;
use super::fault::Fault;

/// Seeds from here on carry the number of the meeting they go for: what the seeds in turn have missed.
const DIRECTED: u64 = 1 << 40;

/// One wished meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Focus {
    pub(crate) place: Place,
    pub(crate) order: Order,
    pub(crate) fault: Fault,
}

impl Focus {
    /// Every possible meeting comes up in turn as the seeds go on.
    pub(crate) fn of_seed(seed: u64) -> Self {
        if let Some(directed) = seed.checked_sub(DIRECTED) {
            return Self::numbered(directed >> 16);
        }
        let mut number = seed;
        loop {
            let focus = Self::numbered(number);
            if impossible(focus.place, focus.fault).is_none() {
                return focus;
            }
            number = Dice::new(number.wrapping_add(seed)).throw();
        }
    }

    /// The seeds of runs that go for this meeting alone.
    pub(crate) fn directed_seeds(self, tries: u64) -> impl Iterator<Item = u64> {
        let place = Place::ALL.iter().position(|place| *place == self.place).unwrap_or(0) as u64;
        let order = self.order as u64;
        let fault = self.fault as u64;
        let number = place + Place::ALL.len() as u64 * (order + Order::ALL.len() as u64 * fault);
        (0..tries).map(move |nth| DIRECTED + (number << 16) + nth)
    }

    fn numbered(mut number: u64) -> Self {
        let mut next = |length: usize| {
            let index = usize::try_from(number % length as u64).unwrap_or(0);
            number /= length as u64;
            index
        };
        Self {
            place: Place::ALL[next(Place::ALL.len())],
            order: Order::ALL[next(Order::ALL.len())],
            fault: Fault::ALL[next(Fault::ALL.len())],
        }
    }
}
