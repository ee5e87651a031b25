//! Goals of an experiment: what a client shall do, as the traffic can see it, and what was counted of it.

use serde::{Deserialize, Serialize};

use super::Part;
use crate::name::RevisionId;

/// Most goals of one app: each is looked at for each request.
pub const GOALS_MAX: usize = 8;
/// Groups that clients fall into, by what tells them apart: those of one group are one client to a goal.
pub const GOAL_GROUPS: u64 = 2_560_000;
/// Longest path that a goal asks for (bytes).
const GOAL_PATH_BYTES_MAX: usize = 256;
/// Longest method (bytes), as the router's own bound.
const METHOD_BYTES_MAX: usize = 32;
/// What an app answers for itself is of one of these classes.
const CLASSES: std::ops::RangeInclusive<u16> = 1..=5;

/// What is counted of an app's clients, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goals {
    /// Who counts: another number counts from nothing, the same one goes on, whatever else of the routes changes.
    pub experiment: u64,
    /// The goals that are requests, at most [`GOALS_MAX`]; without any of them only who came is counted.
    pub requests: Vec<GoalRequest>,
}

/// A request that reaches a goal, once it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalRequest {
    /// Its method, compared with its case.
    pub method: String,
    /// Its path, without the query: all of it, byte for byte, or what it begins with where a `*` stands at the end.
    pub path: String,
    /// The status of the answer.
    pub status: GoalStatus,
}

/// A status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalStatus {
    /// `2xx`: the first digit.
    Class(u16),
    /// `201`.
    Exactly(u16),
}

impl GoalStatus {
    /// Whether an answer has it.
    #[must_use]
    pub const fn is(self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == class,
            Self::Exactly(exactly) => status == exactly,
        }
    }
}

impl std::fmt::Display for GoalStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Exactly(status) => write!(f, "{status}"),
        }
    }
}

impl std::fmt::Display for GoalRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, path, status } = self;
        write!(f, "{method} {path} {status}")
    }
}

/// Why a goal can not be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoalError {
    /// It is not of three words.
    #[error("\"{0}\" is not a method, a path and a status")]
    Words(String),
    /// A method that is none.
    #[error("\"{0}\" is not a method: 1 to {METHOD_BYTES_MAX} capital letters and \"-\"")]
    Method(String),
    /// A path that no request has, or that is too long.
    #[error(
        "\"{0}\" is not a path: it begins with \"/\", has at most {GOAL_PATH_BYTES_MAX} bytes that a request's path may have, \
         no query, and a \"*\" only at its end"
    )]
    Path(String),
    /// A status that no answer has.
    #[error("\"{0}\" is not a status: write a class such as 2xx, or a number such as 201")]
    Status(String),
    /// More than [`GOALS_MAX`].
    #[error("there are {0} goals; it may have at most {GOALS_MAX}")]
    Count(usize),
}

impl std::str::FromStr for GoalRequest {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [method, path, status] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(GoalError::Words(text.to_owned()));
        };
        let wrong = || GoalError::Status(status.to_owned());
        let is_digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let status = match status.strip_suffix("xx") {
            Some(class) if class.len() == 1 => GoalStatus::Class(class.parse().map_err(|_| wrong())?),
            _ if is_digits => GoalStatus::Exactly(status.parse().map_err(|_| wrong())?),
            Some(_) | None => return Err(wrong()),
        };
        let goal = Self { method: method.to_owned(), path: path.to_owned(), status };
        goal.check()?;
        Ok(goal)
    }
}

impl GoalRequest {
    /// Whether a request is one that may reach it; `path` is without the query.
    #[must_use]
    pub fn is_asked_by(&self, method: &[u8], path: &[u8]) -> bool {
        let has_path = match self.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning.as_bytes()),
            None => path == self.path.as_bytes(),
        };
        has_path && method == self.method.as_bytes()
    }

    /// Whether it keeps its bounds.
    ///
    /// # Errors
    /// The first that it does not.
    pub fn check(&self) -> Result<(), GoalError> {
        let Self { method, path, status } = self;
        let is_method = (1..=METHOD_BYTES_MAX).contains(&method.len())
            && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if !is_method {
            return Err(GoalError::Method(method.chars().take(METHOD_BYTES_MAX).collect()));
        }
        let plain = path.strip_suffix('*').unwrap_or(path);
        let is_path = plain.starts_with('/')
            && path.len() <= GOAL_PATH_BYTES_MAX
            && plain.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'?' | b'#'));
        if !is_path {
            return Err(GoalError::Path(path.chars().take(GOAL_PATH_BYTES_MAX).collect()));
        }
        let is_status = match status {
            GoalStatus::Class(class) => CLASSES.contains(class),
            GoalStatus::Exactly(status) => CLASSES.contains(&(status / 100)),
        };
        if is_status { Ok(()) } else { Err(GoalError::Status(status.to_string())) }
    }
}

impl Goals {
    /// Whether they keep their bounds.
    ///
    /// # Errors
    /// The first that they do not.
    pub fn check(&self) -> Result<(), GoalError> {
        if self.requests.len() > GOALS_MAX {
            return Err(GoalError::Count(self.requests.len()));
        }
        self.requests.iter().try_for_each(GoalRequest::check)
    }
}

// === What was counted ===

/// What was counted of the goals, all in all since they are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GoalsMeasured {
    /// Who counts ([`Goals::experiment`]).
    pub experiment: u64,
    /// When it began to be counted, in microseconds since 1970: another number means that it was counted from nothing.
    pub since: u64,
    /// What clients are dealt by: another number means that each may be on another side. Zero where a router does not tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub key: u64,
    /// By arm; one that is not named had no client.
    pub arms: Vec<GoalArm>,
    /// Clients that were counted for more than one revision. Where a rule and not the split leads them, that may be two that
    /// fall into one of the [`GOAL_GROUPS`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub on_both: u64,
}

/// What was counted of one arm's clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalArm {
    /// Who they were led to.
    pub revision: RevisionId,
    /// Why.
    pub part: Part,
    /// Different clients, as the split tells them apart. Two that fall into one of the [`GOAL_GROUPS`] are one: groups are parts
    /// of the split's buckets, so that they are as often shared on either side of it.
    pub clients: u64,
    /// By goal, in the order of [`Goals::requests`].
    pub goals: Vec<GoalCount>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How often a goal was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GoalCount {
    /// By so many different clients, each once.
    pub clients: u64,
    /// By so many requests.
    pub requests: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_a_method_a_path_and_a_status() {
        for text in ["POST /checkout 2xx", "GET / 200", "GET /thanks/* 2xx", "M-SEARCH /a/b%20c 304", "GET /* 5xx"] {
            assert_eq!(text.parse::<GoalRequest>().map(|goal| goal.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "POST",
            "POST /checkout",
            "post /checkout 2xx",
            "POST checkout 2xx",
            "POST /checkout 2x",
            "POST /checkout xx",
            "POST /checkout 6xx",
            "POST /checkout 99",
            "POST /checkout 600",
            "POST /a?b=c 2xx",
            "POST /a*b 2xx",
            "POST  /checkout 2xx",
            "POST /checkout 2xx ",
            "POST /é 2xx",
            "POST /checkout +20",
            "POST /a#b 2xx",
            "POST * 2xx",
        ] {
            assert!(text.parse::<GoalRequest>().is_err(), "{text}");
        }
        let long = format!("GET /{} 2xx", "a".repeat(GOAL_PATH_BYTES_MAX));
        assert!(long.parse::<GoalRequest>().is_err());
    }

    #[test]
    fn a_goal_is_reached_by_its_own_requests_alone() {
        let goal: GoalRequest = "POST /checkout 2xx".parse().unwrap();
        assert!(goal.is_asked_by(b"POST", b"/checkout") && goal.status.is(204));
        assert!(!goal.is_asked_by(b"GET", b"/checkout") && !goal.is_asked_by(b"POST", b"/checkout/2"));
        assert!(!goal.status.is(302) && !goal.status.is(500));
        let all: GoalRequest = "GET /thanks/* 200".parse().unwrap();
        assert!(all.is_asked_by(b"GET", b"/thanks/") && all.is_asked_by(b"GET", b"/thanks/7"));
        assert!(!all.is_asked_by(b"GET", b"/thanks") && !all.status.is(201));
    }

    #[test]
    fn goals_have_bounds() {
        let goals = |count: usize| Goals { experiment: 1, requests: vec!["GET / 200".parse().unwrap(); count] };
        assert_eq!(goals(0).check(), Ok(()));
        assert_eq!(goals(GOALS_MAX).check(), Ok(()));
        assert_eq!(goals(GOALS_MAX + 1).check(), Err(GoalError::Count(GOALS_MAX + 1)));
    }
}
