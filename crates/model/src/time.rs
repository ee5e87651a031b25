//! Moments and lengths of time. The pure rooms get them as arguments; nothing here reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A moment: microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A length of time, in microseconds; written with its unit (`500ms`, `2s`, `10m`, `1h`, `7d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of `seconds` seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Its length in microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The same as the standard library's type.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }
}

/// Why a text is not a [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number without its unit: nobody could tell seconds from minutes.
    #[error("a duration needs a unit: write \"{0}s\", \"{0}ms\", \"{0}m\", \"{0}h\" or \"{0}d\"")]
    NoUnit(String),
    /// Anything else that is not a duration.
    #[error(
        "\"{0}\" is not a duration: write a whole number and a unit, such as \"500ms\", \"30s\", \"10m\" or \"1h\""
    )]
    Malformed(String),
    /// Longer than the program can count.
    #[error("\"{0}\" is too long a duration")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;

    /// Parses one number and unit, or several in falling order (`1h30m`).
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let malformed = || SpanError::Malformed(text.to_owned());
        if text.is_empty() {
            return Err(malformed());
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(malformed());
            }
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let unit_micros: u64 = match unit {
                "us" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                "d" => 86_400_000_000,
                "" if number.len() == text.len() => return Err(SpanError::NoUnit(text.to_owned())),
                _ => return Err(malformed()),
            };
            if unit_micros >= last_unit {
                return Err(malformed());
            }
            last_unit = unit_micros;
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(unit_micros))
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| SpanError::TooLong(text.to_owned()))?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl Span {
    /// For people, with two or three telling digits: `3 ms`, `1.2 s`, `4m 3s`.
    #[must_use]
    pub fn rounded(self) -> String {
        let micros = self.0;
        match micros {
            0..1_000 => format!("{micros} us"),
            1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
            10_000..1_000_000 => format!("{} ms", micros / 1_000),
            1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
            60_000_000..3_600_000_000 => format!("{}m {}s", micros / 60_000_000, micros % 60_000_000 / 1_000_000),
            3_600_000_000..86_400_000_000 => {
                format!("{}h {}m", micros / 3_600_000_000, micros % 3_600_000_000 / 60_000_000)
            }
            _ => format!("{}d {}h", micros / 86_400_000_000, micros % 86_400_000_000 / 3_600_000_000),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        let units = [
            (86_400_000_000, "d"),
            (3_600_000_000, "h"),
            (60_000_000, "m"),
            (1_000_000, "s"),
            (1_000, "ms"),
            (1, "us"),
        ];
        for (micros, unit) in units {
            let count = rest / micros;
            rest %= micros;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_unit_that_fits() {
        let shown: Vec<String> = [0, 17, 3_400, 38_000, 1_250_000, 63_000_000, 3_600_000_000, 90_000_000_000]
            .map(|micros| Span::from_micros(micros).rounded())
            .into();
        assert_eq!(shown, ["0 us", "17 us", "3.4 ms", "38 ms", "1.2 s", "1m 3s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn a_span_reads_back_as_it_was_written() {
        for text in ["0s", "500ms", "30s", "10m", "1h", "7d", "1h30m", "1s500ms", "17us"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn a_number_without_unit_is_refused_with_the_way_to_write_it() {
        assert_eq!("10".parse::<Span>(), Err(SpanError::NoUnit("10".into())));
        for text in ["", "s", "1.5s", "-1s", "1m1h", "1s1s", "10 s", "5w"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Malformed(_))), "{text}");
        }
        assert!(matches!("99999999999999999999d".parse::<Span>(), Err(SpanError::TooLong(_))));
    }
}
