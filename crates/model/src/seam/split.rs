//! How the split tells clients apart, and the rules that lead requests to a slot whatever the shares are.

use serde::{Deserialize, Serialize};

use crate::name::{CookieName, FieldName, RevisionId, Slot};

/// Most rules of one app: each is looked at for each request.
pub const MATCHES_MAX: usize = 32;
/// Most conditions of one rule.
pub const CONDITIONS_MAX: usize = 4;
/// Longest value that a condition asks for (bytes).
pub const CONDITION_VALUE_BYTES_MAX: usize = 256;
/// Longest name of a query parameter (bytes).
pub const PARAMETER_BYTES_MAX: usize = 64;
/// Longest method (bytes), as the router's own bound.
const METHOD_BYTES_MAX: usize = 32;

/// By what a client is told apart from others, so that it stays on its side of a split.
///
/// Where nothing is written it was by the address: so records and tables of an older version are read as what they meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Sticky {
    /// By a cookie that the traffic sets itself, with a random id.
    Cookie,
    /// By its address; of IPv6 the network of 64 bits, as hosts change the rest as they like (RFC 8981).
    #[default]
    Address,
    /// Not at all: each request is a client of its own.
    None,
    /// By a cookie of the app's; who has none, by its address.
    AppCookie {
        /// The cookie.
        name: CookieName,
    },
    /// By a header; who sends none, by its address.
    Header {
        /// The header.
        name: FieldName,
    },
}

impl Sticky {
    /// Whether it is what holds where nothing is written.
    #[must_use]
    pub fn is_address(&self) -> bool {
        *self == Self::Address
    }

    /// Which of the ways it is.
    #[must_use]
    pub const fn kind(&self) -> StickyKind {
        match self {
            Self::Cookie => StickyKind::Cookie,
            Self::Address => StickyKind::Address,
            Self::None => StickyKind::None,
            Self::AppCookie { .. } => StickyKind::AppCookie,
            Self::Header { .. } => StickyKind::Header,
        }
    }
}

/// A way to tell clients apart, without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StickyKind {
    /// [`Sticky::Cookie`].
    Cookie,
    /// [`Sticky::Address`].
    Address,
    /// [`Sticky::None`].
    None,
    /// [`Sticky::AppCookie`].
    AppCookie,
    /// [`Sticky::Header`].
    Header,
}

impl StickyKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cookie, Self::Address, Self::None, Self::AppCookie, Self::Header];

    /// It, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "by a cookie of its own",
            Self::Address => "by their address",
            Self::None => "not at all",
            Self::AppCookie => "by a cookie of the app's",
            Self::Header => "by a header",
        }
    }
}

/// A rule: requests that meet every condition go to this slot, whatever its share. The first rule that is met counts.
///
/// A slot that nobody of could answer leaves them to the shares; so does an app that nobody is live of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The slot.
    pub slot: Slot,
    /// The revision that must be in it; one of the arms.
    pub revision: RevisionId,
    /// All of them must be met; one to [`CONDITIONS_MAX`].
    pub when: Vec<Condition>,
}

/// What a request must have. Values are compared exactly, byte for byte; of several the first one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Condition {
    /// A header with this value.
    Header {
        /// Its name, in any case.
        name: FieldName,
        /// Its value.
        value: String,
    },
    /// A cookie with this value, as it is written in `Cookie` (nothing is decoded).
    Cookie {
        /// Its name.
        name: CookieName,
        /// Its value.
        value: String,
    },
    /// A query parameter with this value, both after decoding of `%XX` and `+`.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// This method.
    Method {
        /// Its name, in the case that it is sent in.
        method: String,
    },
}

/// Why rules can not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// More than [`MATCHES_MAX`].
    #[error("there are {0} rules, at most {MATCHES_MAX} are looked at")]
    TooMany(usize),
    /// None, or more than [`CONDITIONS_MAX`].
    #[error("a rule has {0} conditions, it may have 1 to {CONDITIONS_MAX}")]
    Conditions(usize),
    /// A name that no request has, or that is too long.
    #[error(
        "\"{0}\" is not the name of a query parameter: 1 to {PARAMETER_BYTES_MAX} bytes without control characters"
    )]
    Parameter(String),
    /// A value that no request has, or that is too long.
    #[error("the value for {0} must have at most {CONDITION_VALUE_BYTES_MAX} bytes and no control characters")]
    Value(String),
    /// A method that is none.
    #[error("\"{0}\" is not a method: 1 to {METHOD_BYTES_MAX} capital letters and \"-\"")]
    Method(String),
}

/// Whether rules keep their bounds.
///
/// # Errors
/// The first that does not.
pub fn check_matches(matches: &[Match]) -> Result<(), MatchError> {
    if matches.len() > MATCHES_MAX {
        return Err(MatchError::TooMany(matches.len()));
    }
    for rule in matches {
        if !(1..=CONDITIONS_MAX).contains(&rule.when.len()) {
            return Err(MatchError::Conditions(rule.when.len()));
        }
        rule.when.iter().try_for_each(check_condition)?;
    }
    Ok(())
}

fn check_condition(condition: &Condition) -> Result<(), MatchError> {
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let check_value = |of: &str, value: &str| {
        let is_good = value.len() <= CONDITION_VALUE_BYTES_MAX && is_plain(value);
        if is_good { Ok(()) } else { Err(MatchError::Value(of.to_owned())) }
    };
    match condition {
        Condition::Header { name, value } => check_value(name.as_str(), value),
        Condition::Cookie { name, value } => check_value(name.as_str(), value),
        Condition::Query { name, value } => {
            if name.is_empty() || name.len() > PARAMETER_BYTES_MAX || !is_plain(name) {
                return Err(MatchError::Parameter(name.chars().take(PARAMETER_BYTES_MAX).collect()));
            }
            check_value(name, value)
        }
        Condition::Method { method } => {
            let is_method = (1..=METHOD_BYTES_MAX).contains(&method.len())
                && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
            if is_method { Ok(()) } else { Err(MatchError::Method(method.chars().take(METHOD_BYTES_MAX).collect())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: Vec<Condition>) -> Match {
        Match { slot: Slot::Green, revision: RevisionId(2), when }
    }

    fn header(value: &str) -> Condition {
        Condition::Header { name: "X-Beta".parse().unwrap(), value: value.to_owned() }
    }

    #[test]
    fn rules_have_bounds() {
        let query = |name: &str| Condition::Query { name: name.to_owned(), value: String::new() };
        let method = |method: &str| Condition::Method { method: method.to_owned() };
        let long = "a".repeat(CONDITION_VALUE_BYTES_MAX + 1);
        for (when, is_good) in [
            (vec![header("yes"), query("beta"), method("GET")], true),
            (vec![header(&long[1..])], true),
            (vec![], false),
            (vec![header("a"); CONDITIONS_MAX + 1], false),
            (vec![header(&long)], false),
            (vec![header("a\nb")], false),
            (vec![query("")], false),
            (vec![query(&long)], false),
            (vec![method("get")], false),
            (vec![method("")], false),
        ] {
            assert_eq!(check_matches(&[rule(when.clone())]).is_ok(), is_good, "{when:?}");
        }
        let many = |count| vec![rule(vec![header("a")]); count];
        assert!(check_matches(&many(MATCHES_MAX)).is_ok());
        assert_eq!(check_matches(&many(MATCHES_MAX + 1)), Err(MatchError::TooMany(MATCHES_MAX + 1)));
    }

    #[test]
    fn what_was_written_before_there_were_ways_to_choose_is_by_the_address() {
        assert_eq!(Sticky::default(), Sticky::Address);
        let written = serde_json::to_string(&Sticky::Header { name: "X-User".parse().unwrap() }).unwrap();
        assert_eq!(written, r#"{"by":"header","name":"X-User"}"#);
        assert_eq!(serde_json::from_str::<Sticky>(&written).unwrap().kind(), StickyKind::Header);
    }
}
