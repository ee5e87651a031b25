//! A share of the requests as people write it and read it: in percent.

use std::fmt;
use std::str::FromStr;

use crate::name::Share;

/// Why a text is not a [`Share`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A number without the sign: nobody could tell 5 % from 500 %.
    #[error("a share needs its sign: write \"{0}%\"")]
    NoSign(String),
    /// More than everything.
    #[error("\"{0}\" is more than all the traffic: a share is at most \"100%\"")]
    TooMuch(String),
    /// Anything else that is not a share.
    #[error("\"{0}\" is not a share: write a number of percent with at most two decimals, such as \"5%\" or \"0.5%\"")]
    Malformed(String),
}

impl FromStr for Share {
    type Err = ShareError;

    /// Parses `5%`, `12.5%` or `0.05%`: at most two decimals, as a share has hundredths of a percent.
    fn from_str(text: &str) -> Result<Self, ShareError> {
        let malformed = || ShareError::Malformed(text.to_owned());
        let Some(number) = text.strip_suffix('%') else {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number { ShareError::NoSign(text.to_owned()) } else { malformed() });
        };
        let (whole, decimals) = match number.split_once('.') {
            Some((whole, decimals)) if (1..=2).contains(&decimals.len()) => (whole, decimals),
            Some(_) => return Err(malformed()),
            None => (number, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(malformed());
        }
        let too_much = || ShareError::TooMuch(text.to_owned());
        let hundredths: u16 = format!("{decimals:0<2}").parse().map_err(|_| malformed())?;
        let whole: u16 = whole.parse().map_err(|_| too_much())?;
        let points = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
        points.and_then(Self::from_basis_points).ok_or_else(too_much)
    }
}

impl fmt::Display for Share {
    /// As it is written in the file: `5%`, `12.5%`, `0.05%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.basis_points() / 100, self.basis_points() % 100);
        match hundredths {
            0 => write!(f, "{whole}%"),
            tenths if tenths % 10 == 0 => write!(f, "{whole}.{}%", tenths / 10),
            hundredths => write!(f, "{whole}.{hundredths:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_reads_back_as_it_was_written() {
        for (text, points) in [("0%", 0), ("5%", 500), ("0.5%", 50), ("0.05%", 5), ("12.25%", 1225), ("100%", 10_000)] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.basis_points(), share.to_string().as_str()), (points, text));
        }
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_no_share() {
        assert_eq!("5".parse::<Share>(), Err(ShareError::NoSign("5".into())));
        for text in ["100.01%", "101%", "65536%", "99999999999%"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError::TooMuch(text.into())), "{text}");
        }
        for text in ["", "%", "-5%", "+5%", "5 %", ".5%", "5.%", "5.123%", "0,5%", "0.05", "5%%", "half"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError::Malformed(text.into())), "{text}");
        }
    }
}
