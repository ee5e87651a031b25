//! A goal whose number somebody else knows: from what was answered for both sides to how many clients reached it since the
//! experiment began.
//!
//! Guarantees: what there was before is left out; an answer that is no count says nothing; a count that can not be true ends it,
//! because nothing that is counted after it is known to be whole.

use std::collections::VecDeque;
use std::fmt::Display;

use switchover_model::config::ANSWERS_BEFORE;
use switchover_model::evidence::{FIRST_GOAL, NumberSeen, Rules, Side};
use switchover_model::experiment::GoalAnswer;
use switchover_model::{Span, Timestamp};

/// The largest number up to which each whole one can be told from the next (2^53).
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// A part of all clients of a side, one in so many: as many, and [`FEW`], may reach a goal between two answers beside those who came
/// since.
const LATE_PART: u64 = 4;
/// So few may always.
const FEW: u64 = 5;
/// Most moments of which is known how many clients had come.
const MOMENTS_MAX: usize = 4_096;

/// How many clients, on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Both {
    pub(super) new: u64,
    pub(super) old: u64,
}

/// Who came, as the router counted: what the numbers are held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// Since when it is counted, and until when.
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
    pub(super) clients: Both,
    /// So many they may be at most: two that look alike are counted as one.
    pub(super) at_most: Both,
    /// It is of the very look that the answers are of: later than those of the look before.
    pub(super) is_fresh: bool,
}

/// The counts of one goal.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    place: usize,
    lag: Span,
    /// After so many answers it is known what there was before.
    settled_after: u32,
    /// So many came.
    settling: u32,
    /// When the last of all that came and were taken was given.
    taken_at: Timestamp,
    /// How many clients had come when, from the last answer's `lag` on.
    moments: VecDeque<(Timestamp, Both)>,
    /// What both sides said at the last of them: of before the experiment.
    before: Option<Both>,
    /// What they said last that can be judged, after those.
    newest: Option<Both>,
    answers: Vec<GoalAnswer>,
    /// What an answer told of more clients than had come by then, and why that can not be, where it holds on.
    excess: Option<(Both, String)>,
    /// Why the newest answers say nothing.
    fault: Option<String>,
    /// Why no later answer will say anything.
    broken: Option<String>,
}

/// Why answers can not be judged: these, or whatever comes after them.
enum Unfit {
    Now(String),
    ForGood(String),
}

impl Counter {
    /// Of the goal at `place` in the file.
    pub(super) const fn new(place: usize, lag: Span) -> Self {
        let place = FIRST_GOAL + place;
        Self {
            place,
            lag,
            settled_after: ANSWERS_BEFORE,
            settling: 0,
            taken_at: Timestamp::from_micros(0),
            moments: VecDeque::new(),
            before: None,
            newest: None,
            answers: Vec::new(),
            excess: None,
            fault: None,
            broken: None,
        }
    }

    /// Is judged by these rules from the first answer on.
    pub(super) fn follow(&mut self, rules: Rules) {
        self.settled_after = match rules {
            Rules::First | Rules::Second => 1,
            Rules::Third => ANSWERS_BEFORE,
        };
    }

    /// Counts from nothing, with what there is at the next answers as what there was before.
    pub(super) fn begin(&mut self) {
        (self.before, self.newest, self.excess, self.fault) = (None, None, None, None);
        self.settling = 0;
        self.answers.clear();
        self.moments.clear();
    }

    /// Takes the answers of a look. Whether there is something new to judge.
    pub(super) fn take(&mut self, numbers: &[NumberSeen], came: Option<Came>) -> bool {
        let (mut is_news, place) = (false, self.place);
        self.hold_against(came);
        self.remember(came);
        for new in numbers.iter().filter(|seen| (seen.check, seen.side) == (place, Side::New)) {
            let is_its = |seen: &&NumberSeen| (seen.check, seen.side, seen.at) == (place, Side::Old, new.at);
            let old = numbers.iter().find(is_its);
            let taken = self.take_one(new, old, came);
            self.answers = std::iter::once(new).chain(old).map(|seen| self.answer(seen)).collect();
            self.fault = None;
            match taken {
                Ok(has_counted) => is_news |= has_counted,
                Err(Unfit::Now(why)) => {
                    self.fault = Some(why);
                    if self.settling < self.settled_after {
                        (self.settling, self.before) = (0, None);
                    }
                }
                Err(Unfit::ForGood(why)) => {
                    self.broken.get_or_insert(why);
                }
            }
        }
        is_news && self.blind().is_none()
    }

    /// More clients than came since are no clients. Who reached it may be counted as one who came a moment later.
    fn hold_against(&mut self, came: Option<Came>) {
        let Some(Came { at_most, is_fresh: true, .. }) = came else { return };
        if let Some((reached, why)) = self.excess.take()
            && (reached.new > at_most.new || reached.old > at_most.old)
        {
            self.broken.get_or_insert(why);
        }
    }

    /// Takes the answers of one moment. Whether they count.
    fn take_one(&mut self, new: &NumberSeen, old: Option<&NumberSeen>, came: Option<Came>) -> Result<bool, Unfit> {
        let old = old.ok_or_else(|| Unfit::Now("the old revision was not asked".to_owned()))?;
        let now = Both { new: count(new)?, old: count(old)? };
        let came = came.filter(|came| new.at >= came.since + self.lag);
        let (Some(came), true) = (came, self.broken.is_none()) else { return Ok(false) };
        let last = self.newest.or(self.before).unwrap_or_default();
        for (seen, last, now) in [(new, last.new, now.new), (old, last.old, now.old)] {
            if now < last {
                return Err(Unfit::ForGood(faulty(seen, format_args!("it went down from {last} to {now}"))));
            }
        }
        if self.settling < self.settled_after {
            self.settling += 1;
            (self.before, self.taken_at) = (Some(now), new.at);
            return Ok(false);
        }
        let before = self.before.unwrap_or_default();
        let reached_by = Both { new: now.new - before.new, old: now.old - before.old };
        let sides = [(new, reached_by.new, came.clients.new), (old, reached_by.old, came.clients.old)];
        for (seen, reached, clients) in sides {
            if reached > clients {
                let why = faulty(seen, format_args!("{reached} clients reached it and only {clients} came"));
                self.excess = Some((reached_by, why.clone()));
                return Err(Unfit::Now(why));
            }
        }
        if self.settled_after > 1 {
            let arrived = self.arrived(came);
            let grown = [
                (new, now.new - last.new, arrived.new, came.clients.new),
                (old, now.old - last.old, arrived.old, came.clients.old),
            ];
            for (seen, grown, arrived, all) in grown {
                if grown > arrived.saturating_add(FEW.max(all / LATE_PART)) {
                    let what = format_args!("it jumped by {grown} while {arrived} of its {all} clients came");
                    return Err(Unfit::ForGood(faulty(seen, what)));
                }
            }
        }
        (self.newest, self.taken_at) = (Some(now), new.at);
        Ok(true)
    }

    /// Remembers how many had come, as far back as it will be asked for.
    fn remember(&mut self, came: Option<Came>) {
        let Some(came) = came else { return };
        let is_before = |(at, _): &(Timestamp, Both)| *at + self.lag <= self.taken_at;
        while self.moments.len() >= MOMENTS_MAX || self.moments.get(1).is_some_and(is_before) {
            self.moments.pop_front();
        }
        self.moments.push_back((came.at, came.clients));
    }

    /// Who came since the last answer, and in the lag before it: whoever came earlier has reached it by then, as a rule.
    fn arrived(&self, came: Came) -> Both {
        let then = self.moments.iter().rev().find(|(at, _)| *at + self.lag <= self.taken_at);
        let then = then.map_or_else(Both::default, |(_, then)| *then);
        Both { new: came.clients.new.saturating_sub(then.new), old: came.clients.old.saturating_sub(then.old) }
    }

    /// How many clients reached it since it is counted.
    pub(super) fn reached(&self) -> Both {
        let between = |before: Both, now: Both| Both { new: now.new - before.new, old: now.old - before.old };
        self.before.zip(self.newest).map(|(before, now)| between(before, now)).unwrap_or_default()
    }

    /// Why nothing is known now; nothing where something is.
    pub(super) fn blind(&self) -> Option<String> {
        if let Some(why) = &self.broken {
            return Some(format!("its number is no evidence any more: {why}"));
        }
        if let Some(why) = &self.fault {
            return Some(format!("its number is not known: {why}"));
        }
        match (self.before, self.newest) {
            (Some(_), Some(_)) => None,
            (Some(_), None) if self.settled_after == 1 => {
                Some("its number was asked for once, which is what there was before".to_owned())
            }
            (Some(_), None) => {
                let answers = self.settling;
                Some(format!(
                    "its number was answered {answers} times; the first {ANSWERS_BEFORE} in a row say what there was before"
                ))
            }
            (None, _) if self.answers.is_empty() => Some("its number was not answered yet".to_owned()),
            (None, _) => Some(format!("its number counts {} after the experiment began", self.lag)),
        }
    }

    /// What was answered last.
    pub(super) fn answers(&self) -> &[GoalAnswer] {
        &self.answers
    }

    fn answer(&self, seen: &NumberSeen) -> GoalAnswer {
        let NumberSeen { side, at, asked, answer, .. } = seen;
        let before = self.before.filter(|_| self.settling >= self.settled_after);
        let before = before.map(|before| match side {
            Side::New => before.new,
            Side::Old => before.old,
        });
        GoalAnswer { side: *side, at: *at, asked: asked.clone(), answer: answer.clone(), before }
    }
}

/// How many clients there may be at most where so many were counted in so many groups, of which two that fall into one are one
/// (the expected number of groups that `n` clients fall into is `groups * (1 - exp(-n / groups))`).
pub(super) fn at_most(counted: u64, groups: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 2,560,000")]
    let counted = counted as f64;
    let there = -groups * (-counted / groups).ln_1p();
    // By chance a few more.
    let most = 4.0f64.mul_add(there.sqrt(), there);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, or all that there can be")]
    if most.is_finite() { most.ceil() as u64 } else { u64::MAX }
}

/// An answer as a number of clients.
fn count(seen: &NumberSeen) -> Result<u64, Unfit> {
    let Some(value) = seen.value else { return Err(Unfit::Now(format!("{}: {}", seen.asked, seen.answer))) };
    if value.fract() != 0.0 || !(0.0..=LARGEST).contains(&value) {
        return Err(Unfit::Now(faulty(seen, format_args!("that is no number of clients"))));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within its bounds")]
    Ok(value as u64)
}

/// What is wrong, of whom, with what was asked and how it was answered.
fn faulty(seen: &NumberSeen, what: impl Display) -> String {
    let of = match seen.side {
        Side::New => "new",
        Side::Old => "old",
    };
    format!("{what} on the {of} revision. Asked: {}. It answered: {}", seen.asked, seen.answer)
}

#[cfg(test)]
#[path = "counter_tests.rs"]
mod tests;
