//! Numbers of a person's own: exact, comparable, never NaN.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A decimal number with at most six digits behind its point, kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(i64);

/// The most digits behind the point.
const PLACES: usize = 6;
const MILLION: i64 = 1_000_000;
/// The most digits before the point: what is longer is a mistake in the unit.
const WHOLE_DIGITS: usize = 12;

impl Decimal {
    /// The number of `millionths` millionths.
    #[must_use]
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// It in millionths.
    #[must_use]
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// The nearest binary number, for arithmetic.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / MILLION as f64
    }
}

/// Why a text is not a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is written otherwise.
    #[error("\"{0}\" is not a number: write digits, and behind a point more of them, such as \"0.25\"")]
    NotANumber(String),
    /// It has more digits than are kept.
    #[error("\"{0}\" has too many digits: at most {WHOLE_DIGITS} before its point and {PLACES} behind it")]
    TooLong(String),
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(fraction) {
            return Err(DecimalError::NotANumber(text.to_owned()));
        }
        if whole.len() > WHOLE_DIGITS || fraction.len() > PLACES {
            return Err(DecimalError::TooLong(text.to_owned()));
        }
        let parsed = |digits: &str| digits.parse::<i64>().map_err(|_| DecimalError::TooLong(text.to_owned()));
        let millionths = parsed(whole)? * MILLION + parsed(&format!("{fraction:0<PLACES$}"))?;
        Ok(Self(sign * millionths))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / MILLION as u64, self.0.unsigned_abs() % MILLION as u64);
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if fraction > 0 {
            write!(f, ".{}", format!("{fraction:0>PLACES$}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_as_it_was_meant() {
        for (text, shown) in [("0.25", "0.25"), ("7", "7"), ("-1.50", "-1.5"), ("0.000001", "0.000001"), ("-0", "0")] {
            assert_eq!(text.parse::<Decimal>().map(|number| number.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!("0.25".parse::<Decimal>().map(Decimal::to_f64), Ok(0.25));
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for bad in ["", "-", ".5", "5.", "1e3", "NaN", "inf", "+1", "1,5", " 1", "1.0000001", "1234567890123", "--1"] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad}");
        }
    }
}
