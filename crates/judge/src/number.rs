//! Numbers that were checked once: what a rule is made of.

use serde::{Deserialize, Serialize};

/// A number that a rule cannot be made of.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NumberError {
    /// A share or a rate is not between its ends.
    #[error("{0} is not above 0 and below 1")]
    Probability(f64),
    /// A value is infinite or not a number.
    #[error("{0} is no finite number")]
    Finite(f64),
    /// A margin of latencies is finer than what they are counted in.
    #[error("{0} is no margin of latencies: it is at least {least} (2 %), the width of their buckets", least = LatencyMargin::LEAST)]
    LatencyMargin(f64),
}

/// A share or a rate: above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Probability(f64);

impl Probability {
    /// Checks it.
    pub fn new(value: f64) -> Result<Self, NumberError> {
        if value > 0.0 && value < 1.0 { Ok(Self(value)) } else { Err(NumberError::Probability(value)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// A part of it; stays above 0.
    pub(crate) fn divided(self, by: f64) -> Self {
        Self((self.0 / by).max(f64::MIN_POSITIVE))
    }
}

impl TryFrom<f64> for Probability {
    type Error = NumberError;

    fn try_from(value: f64) -> Result<Self, NumberError> {
        Self::new(value)
    }
}

impl From<Probability> for f64 {
    fn from(value: Probability) -> Self {
        value.0
    }
}

/// A finite number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Finite(f64);

impl Finite {
    /// Checks it.
    pub fn new(value: f64) -> Result<Self, NumberError> {
        if value.is_finite() { Ok(Self(value)) } else { Err(NumberError::Finite(value)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = NumberError;

    fn try_from(value: f64) -> Result<Self, NumberError> {
        Self::new(value)
    }
}

impl From<Finite> for f64 {
    fn from(value: Finite) -> Self {
        value.0
    }
}

/// By how much a latency must be longer to matter, as a part of it: 0.2 is 20 %.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct LatencyMargin(f64);

impl LatencyMargin {
    /// A bucket is up to 1.6 % wide: what is finer cannot be told from the same latency.
    pub const LEAST: f64 = 0.02;

    /// Checks it.
    pub fn new(value: f64) -> Result<Self, NumberError> {
        let is_margin = value.is_finite() && value >= Self::LEAST;
        if is_margin { Ok(Self(value)) } else { Err(NumberError::LatencyMargin(value)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for LatencyMargin {
    type Error = NumberError;

    fn try_from(value: f64) -> Result<Self, NumberError> {
        Self::new(value)
    }
}

impl From<LatencyMargin> for f64 {
    fn from(value: LatencyMargin) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_number_is_refused() {
        for wrong in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            assert!(Probability::new(wrong).is_err(), "{wrong}");
        }
        assert!(Finite::new(f64::NAN).is_err() && Finite::new(f64::NEG_INFINITY).is_err());
        assert!(LatencyMargin::new(0.01).is_err() && LatencyMargin::new(f64::NAN).is_err());
        assert!(serde_json::from_str::<Probability>("1.5").is_err());
    }
}
