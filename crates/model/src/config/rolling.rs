//! Rolling: the new slot grows by batches as the old one shrinks. How many instances each slot has, and which share of the
//! requests goes with it, is arithmetic on the scale and the surge alone.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::strategy::Step;
use crate::name::Share;
use crate::time::Span;

/// `[release] rolling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// How many instances of a process type may run beyond its scale, both slots together.
    pub surge: Surge,
    /// How long each batch stays at least, counted from when its share is seen in force.
    pub every: Span,
}

impl Rolling {
    /// The steps before all traffic from `held` on, one a batch.
    #[must_use]
    pub fn steps(&self, held: Fraction, scale: &[u32]) -> Vec<Step> {
        let batches = held.batches(scale, self.surge).into_iter().filter(|part| !part.is_all());
        batches.map(|part| Step { share: part.share(), stays: self.every, approve: false }).collect()
    }
}

/// Instances beyond the scale of a process type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surge {
    /// So many; of a smaller process type as many as it has.
    Instances(u32),
    /// So many percent of its scale, rounded up.
    Percent(u32),
}

/// Why a text is not a [`Surge`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurgeError {
    /// A number without the sign, in quotes.
    #[error("\"{0}\" could be instances or percent: write {0} for instances, \"{0}%\" for percent")]
    NoSign(String),
    /// Nothing, or more than a second environment.
    #[error("\"{0}\" is not from 1% to 100%: at 100% both slots run at full scale")]
    OutOfBounds(String),
    /// Anything else.
    #[error("\"{0}\" is not a surge: write a whole number of percent, such as \"25%\", or of instances, such as 1")]
    Malformed(String),
}

impl Surge {
    /// How many instances of a process type with `scale` may run beyond it: at least one, at most as many again.
    #[must_use]
    pub fn of(self, scale: u32) -> u32 {
        let beyond = match self {
            Self::Instances(count) => count,
            Self::Percent(percent) => scale.saturating_mul(percent).div_ceil(100),
        };
        beyond.min(scale).max(1)
    }
}

impl fmt::Display for Surge {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instances(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Surge {
    type Err = SurgeError;

    /// Parses a percentage; a number of instances is no text in the file.
    fn from_str(text: &str) -> Result<Self, SurgeError> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_suffix('%') {
            None if is_number(text) => Err(SurgeError::NoSign(text.to_owned())),
            Some(number) if is_number(number) => {
                let percent = number.parse().ok().filter(|percent| (1..=100).contains(percent));
                percent.map(Self::Percent).ok_or_else(|| SurgeError::OutOfBounds(text.to_owned()))
            }
            Some(_) | None => Err(SurgeError::Malformed(text.to_owned())),
        }
    }
}

/// A part of the scale: `has` of `of`, from nothing to all of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Fraction {
    /// The numerator, at most `of`.
    has: u32,
    /// The denominator, at least 1.
    of: u32,
}

impl Fraction {
    /// Nothing.
    pub const NONE: Self = Self { has: 0, of: 1 };
    /// All of it.
    pub const ALL: Self = Self { has: 1, of: 1 };

    /// `has` of `of`; all of it where that is more, or nothing is asked for.
    #[must_use]
    pub const fn new(has: u32, of: u32) -> Self {
        if has >= of { Self::ALL } else { Self { has, of } }
    }

    /// What is left of the scale.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self { has: self.of.saturating_sub(self.has), of: self.of }
    }

    /// Instances of a process type with `scale`, rounded up: as many as this part of the requests needs.
    #[must_use]
    pub fn count(self, scale: u32) -> u32 {
        let count = (u64::from(scale) * u64::from(self.has)).div_ceil(u64::from(self.of.max(1)));
        u32::try_from(count).unwrap_or(scale)
    }

    /// As a share of the requests, rounded down.
    #[must_use]
    pub fn share(self) -> Share {
        let all = u64::from(Share::ALL.basis_points());
        let points = all * u64::from(self.has) / u64::from(self.of.max(1));
        u16::try_from(points).ok().and_then(Share::from_basis_points).unwrap_or(Share::ALL)
    }

    /// Whether it is all of it.
    #[must_use]
    pub const fn is_all(self) -> bool {
        self.has >= self.of
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.has == 0
    }

    /// What the slot that grows has after its next batch, where it holds this part now and the other slot the rest.
    ///
    /// Guarantees, for each process type of `scale`: what both have together is at most its scale and the surge, and each slot
    /// has at least as many as its part of the requests needs. Rises each time, so it comes to all of it.
    #[must_use]
    pub fn next(self, scale: &[u32], surge: Surge) -> Self {
        let room = scale.iter().filter(|scale| **scale > 0).map(|scale| {
            let others = self.rest().count(*scale);
            Self::new((*scale).saturating_add(surge.of(*scale)).saturating_sub(others), *scale)
        });
        room.min().unwrap_or(Self::ALL)
    }

    /// The parts after each batch from here on; the last one is all of it.
    #[must_use]
    pub fn batches(self, scale: &[u32], surge: Surge) -> Vec<Self> {
        let mut batches = Vec::new();
        let mut held = self;
        while !held.is_all() {
            held = held.next(scale, surge);
            batches.push(held);
        }
        batches
    }

    fn cross(self, other: Self) -> (u64, u64) {
        (u64::from(self.has) * u64::from(other.of), u64::from(other.has) * u64::from(self.of))
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Fraction {}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = self.cross(*other);
        own.cmp(&others)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.has, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(scale: &[u32], surge: Surge) -> String {
        let told = Fraction::NONE.batches(scale, surge).into_iter().map(|part| {
            let counts: Vec<String> = scale.iter().map(|scale| part.count(*scale).to_string()).collect();
            format!("{} {}", counts.join("+"), part.share())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn batches_are_as_large_as_the_surge_lets_them_be() {
        assert_eq!(batches(&[4], Surge::Instances(1)), "1 25%, 2 50%, 3 75%, 4 100%");
        assert_eq!(batches(&[10], Surge::Percent(25)), "3 30%, 6 60%, 9 90%, 10 100%");
        assert_eq!(batches(&[3], Surge::Instances(1)), "1 33.33%, 2 66.66%, 3 100%");
        assert_eq!(batches(&[1], Surge::Percent(25)), "1 100%");
        assert_eq!(batches(&[4], Surge::Percent(100)), "4 100%");
        assert_eq!(batches(&[2], Surge::Instances(7)), "2 100%");
        assert_eq!(batches(&[4, 1], Surge::Instances(1)), "1+1 25%, 2+1 50%, 3+1 75%, 4+1 100%");
        assert_eq!(batches(&[], Surge::Instances(1)), " 100%");
    }

    #[test]
    fn no_batch_goes_beyond_the_surge_and_each_slot_carries_its_part() {
        let surges =
            [Surge::Instances(1), Surge::Instances(2), Surge::Percent(10), Surge::Percent(25), Surge::Percent(60)];
        let scales = (1..=12).flat_map(|web| (0..=7).map(move |api| [web, api, 5]));
        for (scale, surge) in scales.flat_map(|scale| surges.map(|surge| (scale, surge))) {
            let mut held = Fraction::NONE;
            for next in held.batches(&scale, surge) {
                assert!(next > held && next.share() >= held.share(), "{scale:?} {surge}: {held} to {next}");
                for scale in scale {
                    let both = held.rest().count(scale) + next.count(scale);
                    assert!(scale == 0 || both <= scale + surge.of(scale), "{scale} {surge}: {held} to {next}");
                    let needs = |share: Share| u64::from(scale) * u64::from(share.basis_points());
                    assert!(u64::from(next.count(scale)) * 10_000 >= needs(next.share()));
                    assert!(
                        u64::from(held.rest().count(scale)) * 10_000 + u64::from(scale) >= needs(held.share().rest())
                    );
                }
                held = next;
            }
            assert!(held.is_all());
        }
    }

    #[test]
    fn a_surge_is_one_thing_or_refused() {
        assert_eq!("25%".parse(), Ok(Surge::Percent(25)));
        assert_eq!("25".parse::<Surge>(), Err(SurgeError::NoSign("25".into())));
        for text in ["0%", "101%", "99999999999%"] {
            assert_eq!(text.parse::<Surge>(), Err(SurgeError::OutOfBounds(text.into())));
        }
        for text in ["", "%", "-5%", "2.5%", "a few", "5 %"] {
            assert_eq!(text.parse::<Surge>(), Err(SurgeError::Malformed(text.into())));
        }
    }
}
