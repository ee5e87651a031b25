//! Places of samples: how many of a lane's requests are kept at once.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use switchover_model::seam::LeftOut;

/// Samples of a lane at once, from the draw to the count: bounds the memory that they hold.
pub(super) const SAMPLES_MAX: usize = 128;
/// How long a user's request and answer may pass by while others wait for the place: after that, it is another sample's.
const PASSING_TIME: Duration = Duration::from_secs(1);

/// All places of a lane.
#[derive(Debug, Default)]
pub(super) struct Places(RefCell<Vec<Weak<Place>>>);

/// One of [`SAMPLES_MAX`], until it is given back or dropped.
#[derive(Debug)]
pub(super) struct Place {
    since: Instant,
    held: Cell<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The user's answer is passing by.
    Passing,
    /// The copies are waiting or on their way.
    Copying,
    /// Another sample may have it, and this one is left out.
    GivenBack(LeftOut),
}

impl Places {
    /// A place, where there is one. When all are taken, those of answers that never end are given to others.
    pub(super) fn take(&self, now: Instant) -> Option<Rc<Place>> {
        let mut taken = self.0.borrow_mut();
        if taken.len() >= SAMPLES_MAX {
            taken.retain(|place| place.upgrade().is_some_and(|place| place.stays(now)));
        }
        if taken.len() >= SAMPLES_MAX {
            return None;
        }
        let place = Rc::new(Place { since: now, held: Cell::new(Held::Passing) });
        taken.push(Rc::downgrade(&place));
        Some(place)
    }
}

impl Place {
    /// Its sample is not copied: another one may have it. The first reason is told.
    pub(super) fn give_back(&self, why: LeftOut) {
        if self.given_back().is_none() {
            self.held.set(Held::GivenBack(why));
        }
    }

    /// Why its sample is left out.
    pub(super) fn given_back(&self) -> Option<LeftOut> {
        match self.held.get() {
            Held::Passing | Held::Copying => None,
            Held::GivenBack(why) => Some(why),
        }
    }

    /// The user has the answer. Errors: its sample is left out.
    pub(super) fn begin_copying(&self) -> Result<(), LeftOut> {
        self.given_back().map_or(Ok(()), Err)?;
        self.held.set(Held::Copying);
        Ok(())
    }

    fn stays(&self, now: Instant) -> bool {
        if self.held.get() == Held::Passing && now.duration_since(self.since) >= PASSING_TIME {
            self.give_back(LeftOut::Slow);
        }
        self.given_back().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(places: &Places, now: Instant) -> Vec<Rc<Place>> {
        let held: Vec<_> = (0..SAMPLES_MAX).map(|_| places.take(now).unwrap()).collect();
        assert!(places.take(now).is_none());
        held
    }

    #[test]
    fn a_place_is_free_once_it_is_dropped_or_given_back() {
        let (places, now) = (Places::default(), Instant::now());
        let mut held = full(&places, now);
        held.pop();
        let one = places.take(now).unwrap();
        assert!(places.take(now).is_none());
        one.give_back(LeftOut::AnswerTooLarge);
        one.give_back(LeftOut::Slow);
        assert!(places.take(now).is_some());
        assert_eq!(one.begin_copying(), Err(LeftOut::AnswerTooLarge), "it is another's now");
    }

    #[test]
    fn an_answer_that_never_ends_loses_its_place_to_the_next_sample_and_copies_do_not() {
        let (places, now) = (Places::default(), Instant::now());
        let held = full(&places, now);
        let (endless, copied) = held.split_at(2);
        assert!(copied.iter().all(|place| place.begin_copying().is_ok()));
        assert!(places.take(now + PASSING_TIME - Duration::from_millis(1)).is_none());
        let later = now + PASSING_TIME;
        let next = [places.take(later), places.take(later)];
        assert!(next.iter().all(Option::is_some) && places.take(later).is_none());
        assert!(endless.iter().all(|place| place.begin_copying() == Err(LeftOut::Slow)));
    }
}
