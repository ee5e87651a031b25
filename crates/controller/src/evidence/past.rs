//! What the live slot did before a release: what full traffic on the new one is held against, when there is no live slot beside it.

use std::collections::VecDeque;

use switchover_model::seam::{ArmMeasured, Measured};
use switchover_model::{RevisionId, Span};

/// How long a piece of the past is.
const PIECE: Span = Span::from_secs(30);
/// How many pieces are kept: two hours.
const PIECES: usize = 240;
/// Of how many revisions: what is live, and what was before.
const REVISIONS: usize = 2;

/// The last hours of the live revisions, in pieces; in memory alone, so that a daemon that is started anew knows less. What was
/// live before stays, to be held against what is live now.
#[derive(Debug, Default)]
pub(super) struct Past {
    last: Option<Measured>,
    /// The newest first; at most [`REVISIONS`].
    lives: VecDeque<Life>,
    /// Requests of the other side that pieces were given out for, and requests in what was given out, in this watch.
    matched: (u64, u64),
    /// How many pieces were given out in this watch.
    given: usize,
}

/// What one revision did while it was live.
#[derive(Debug)]
struct Life {
    revision: RevisionId,
    /// The oldest first.
    pieces: VecDeque<Vec<ArmMeasured>>,
}

impl Past {
    /// A watch begins: of what is given out from now on nothing was given out before.
    pub(super) fn begin(&mut self) {
        (self.matched, self.given) = ((0, 0), 0);
    }

    /// Goes on with a reading while `live` is the live revision.
    pub(super) fn grow(&mut self, live: RevisionId, now: &Measured) {
        if self.lives.front().is_none_or(|life| life.revision != live) {
            let known = self.lives.iter().position(|life| life.revision == live).and_then(|at| self.lives.remove(at));
            self.lives.push_front(known.unwrap_or_else(|| Life { revision: live, pieces: VecDeque::new() }));
            self.lives.truncate(REVISIONS);
            self.last = None;
        }
        let Some(last) = self.last.as_ref().filter(|last| last.epoch == now.epoch) else {
            self.last = Some(now.clone());
            return;
        };
        if now.at.since(last.at) < PIECE {
            return;
        }
        let piece = between(last, now).into_iter().filter(|arm| arm.revision == live).collect();
        if let Some(life) = self.lives.front_mut() {
            life.pieces.push_back(piece);
            if life.pieces.len() > PIECES {
                life.pieces.pop_front();
            }
        }
        self.last = Some(now.clone());
    }

    /// Pieces of `revision`'s past from the newest on, each given out once in a watch: as many as bring it to the number of
    /// requests that the other side has had, so that both sides are of a size.
    pub(super) fn give(&mut self, revision: RevisionId, requests: u64) -> Vec<ArmMeasured> {
        self.matched.0 = self.matched.0.saturating_add(requests);
        let mut given = Vec::new();
        let Some(life) = self.lives.iter().find(|life| life.revision == revision) else { return given };
        for piece in life.pieces.iter().rev().skip(self.given) {
            if self.matched.1 >= self.matched.0 {
                break;
            }
            let requests = piece.iter().map(ArmMeasured::requests).fold(0, u64::saturating_add);
            self.matched.1 = self.matched.1.saturating_add(requests);
            self.given += 1;
            given.extend(piece.iter().cloned());
        }
        given
    }

    /// Whether the other side has had more requests than could be given pieces for.
    pub(super) fn is_used_up(&self) -> bool {
        self.matched.1 < self.matched.0
    }
}

/// What each arm did between two readings of one epoch, with the clients that came first in it; one whose count fell is left
/// out.
pub(super) fn between(earlier: &Measured, later: &Measured) -> Vec<ArmMeasured> {
    let done = later.arms.iter().filter_map(|arm| match earlier.arm(arm.revision, &arm.process, arm.part) {
        Some(before) => {
            // Clients of other routes were counted for those.
            let known = if earlier.version == later.version { before.clients } else { 0 };
            Some(ArmMeasured { clients: arm.clients.checked_sub(known)?, ..arm.since(before)? })
        }
        None => Some(arm.clone()),
    });
    done.filter(|arm| arm.requests() > 0 || arm.aborted > 0 || arm.upgrades_opened > 0 || arm.upgrades_ended > Some(0))
        .collect()
}

/// Whether a reading goes on from another one, so that they can be subtracted.
pub(super) fn goes_on(earlier: &Measured, later: &Measured) -> bool {
    let has_risen = |before: &ArmMeasured| {
        let now = later.arm(before.revision, &before.process, before.part);
        // One that is gone had ended what it had: only its last moments are not known.
        now.is_none_or(|now| now.since(before).is_some())
    };
    earlier.epoch == later.epoch && earlier.arms.iter().all(has_risen)
}

#[cfg(test)]
mod tests {
    use switchover_model::Timestamp;
    use switchover_model::seam::Part;

    use super::*;

    fn reading(at: u64, requests: u64) -> Measured {
        let mut arm = ArmMeasured::none(RevisionId(1), "web".parse().unwrap(), Part::Share);
        arm.answered[1] = requests;
        Measured {
            at: Timestamp::from_micros(at * 1_000_000),
            epoch: 1,
            version: None,
            arms: vec![arm],
            goals: None,
            split: None,
        }
    }

    fn requests(arms: &[ArmMeasured]) -> u64 {
        arms.iter().map(ArmMeasured::requests).sum()
    }

    #[test]
    fn as_much_of_the_past_is_given_as_the_other_side_has_had_and_none_of_it_twice() {
        let mut past = Past::default();
        for piece in 0..=10 {
            past.grow(RevisionId(1), &reading(piece * 30, piece * 100));
        }
        assert_eq!(requests(&past.give(RevisionId(1), 150)), 200);
        assert_eq!(requests(&past.give(RevisionId(1), 40)), 0, "what was given reaches that far");
        assert!(!past.is_used_up());
        assert_eq!(requests(&past.give(RevisionId(1), 2_000)), 800, "all that is left");
        assert!(past.is_used_up());
        assert_eq!(requests(&past.give(RevisionId(1), 10)), 0);
    }

    #[test]
    fn the_past_is_of_one_revision_and_bounded() {
        let mut past = Past::default();
        for piece in 0..=(PIECES as u64 + 20) {
            past.grow(RevisionId(1), &reading(piece * 30, piece));
        }
        assert_eq!(past.lives[0].pieces.len(), PIECES);
        assert!(past.give(RevisionId(2), 10).is_empty(), "of another one nothing is known");
        for other in 2..=3 {
            past.grow(RevisionId(other), &reading(10_000, 1));
        }
        assert_eq!(past.lives.iter().map(|life| life.revision).collect::<Vec<_>>(), [RevisionId(3), RevisionId(2)]);
    }

    #[test]
    fn each_watch_is_held_against_the_whole_past_with_an_account_of_its_own() {
        let mut past = Past::default();
        for piece in 0..=10 {
            past.grow(RevisionId(1), &reading(piece * 30, piece * 100));
        }
        // A watch that has had more than there is of the past.
        assert_eq!(requests(&past.give(RevisionId(1), 100_000)), 1_000);
        past.begin();
        assert_eq!(requests(&past.give(RevisionId(1), 150)), 200, "no more than it needs itself");
    }

    #[test]
    fn what_was_live_is_still_known_while_the_next_one_grows() {
        let mut past = Past::default();
        for piece in 0..=10 {
            past.grow(RevisionId(1), &reading(piece * 30, piece * 100));
        }
        past.grow(RevisionId(2), &reading(400, 1_000));
        assert_eq!(requests(&past.give(RevisionId(1), 5_000)), 1_000);
        past.grow(RevisionId(1), &reading(500, 1_000));
        past.grow(RevisionId(1), &reading(600, 1_300));
        past.begin();
        assert_eq!(requests(&past.give(RevisionId(1), 100)), 300, "the newest first");
    }
}
