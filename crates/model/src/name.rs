//! Names and small numbers that carry their own rules: parsed once, never checked again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Characters or length outside the rule for this kind of name.
    #[error("\"{text}\" is not a valid {kind}: {rule}")]
    Invalid {
        /// What kind of name was meant.
        kind: &'static str,
        /// The text that was given.
        text: String,
        /// The rule it breaks.
        rule: &'static str,
    },
}

macro_rules! text_serde {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError::Invalid { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        text_serde!($name);
    };
}

fn is_label(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
        })
}

/// Of the characters of a token (RFC 9110 5.6.2) those that somebody writes.
fn is_field_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.')
}

name! {
    /// The name under which an app is released.
    AppName, "app name",
    "1 to 40 of a-z, 0-9 and \"-\", a letter first, no \"-\" at the end",
    |text| is_label(text, 40)
}
name! {
    /// The name of a process type of an app, such as `web` or `mailer`.
    ProcessName, "process name",
    "1 to 30 of a-z, 0-9 and \"-\", a letter first, no \"-\" at the end",
    |text| is_label(text, 30)
}
name! {
    /// A host name in lower case, without a port (RFC 1123 section 2.1; `_` is allowed, as browsers do).
    Host, "host name",
    "lower-case labels of a-z, 0-9, \"-\" and \"_\" joined by dots, without a port",
    is_host
}
name! {
    /// The name of a header, in the case it was written in; compared without it (RFC 9110 5.1).
    FieldName, "header name",
    "1 to 64 letters, digits and \"-\", \"_\", \".\"",
    is_field_name
}
name! {
    /// The name of a cookie, compared with its case (RFC 6265 4.1.1).
    CookieName, "cookie name",
    "1 to 64 letters, digits and \"-\", \"_\", \".\"",
    is_field_name
}
name! {
    /// A field of a JSON body: the names on the way to it, `*` for any one of them and for the places of a list.
    FieldPath, "field of a JSON body",
    "\"/\" and a name for each step, \"*\" for any, such as \"/items/*/updated_at\"; at most 200 characters",
    |text| {
        text.len() <= 200
            && text.strip_prefix('/').is_some_and(|steps| steps.split('/').all(|step| !step.is_empty()))
            && !text.chars().any(char::is_control)
    }
}
name! {
    /// The identity of one running copy of a process type: never used twice, not even after a reboot.
    InstanceId, "instance id",
    "1 to 120 of a-z, 0-9, \"-\" and \".\", a letter first",
    |text| {
        (1..=120).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.')
    }
}

/// One of the two environments of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The blue one; an app's first release goes here.
    Blue,
    /// The green one.
    Green,
}

impl Slot {
    /// Both slots, blue first.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The slot that this one is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// `blue` or `green`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A revision of an app: `r1`, `r2`, …; `r0` is what was there before us (adopted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId(pub u32);

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl FromStr for RevisionId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        text.strip_prefix('r')
            .filter(|digits| {
                digits.bytes().all(|byte| byte.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
            })
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| NameError::Invalid {
                kind: "revision",
                text: text.to_owned(),
                rule: "\"r\" and a number, such as \"r3\"",
            })
    }
}

text_serde!(RevisionId);

/// A release of an app: 1, 2, … in the order in which they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(pub u32);

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A part of the traffic, in basis points: 0..=10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Share(u16);

impl Share {
    /// None of it.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(10_000);

    /// A share of `basis_points`, or nothing when that is more than all.
    #[must_use]
    pub const fn from_basis_points(basis_points: u16) -> Option<Self> {
        if basis_points <= Self::ALL.0 { Some(Self(basis_points)) } else { None }
    }

    /// The share in basis points.
    #[must_use]
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }
}

impl TryFrom<u16> for Share {
    type Error = &'static str;
    fn try_from(basis_points: u16) -> Result<Self, Self::Error> {
        Self::from_basis_points(basis_points).ok_or("a share is at most 10000 basis points")
    }
}

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_rule_are_refused() {
        for good in ["shop", "s", "shop-2"] {
            assert!(good.parse::<AppName>().is_ok(), "{good}");
        }
        for bad in ["", "Shop", "2shop", "shop-", "sh_op", "../x", "a/b", &"a".repeat(41)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad}");
        }
        for bad in ["", "Shop.example", "a..b", "a:80", "-a.b", "a.b/"] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_revision_has_one_spelling() {
        assert_eq!("r3".parse(), Ok(RevisionId(3)));
        for bad in ["3", "r", "r03", "R3", "r-1", "r4294967296", "r+1"] {
            assert!(bad.parse::<RevisionId>().is_err(), "{bad}");
        }
    }
}
