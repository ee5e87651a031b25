//! Copies of live requests for a slot that answers nobody: what is asked for, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Arm, ArmGoal, LeftOut};
use crate::name::{FieldName, FieldPath, RevisionId, Share};

/// The field that marks a copy; its value is `1`.
pub const SHADOW_FIELD: &str = "X-Switchover-Shadow";
/// Most methods that copies are made of.
pub const MIRROR_METHODS_MAX: usize = 8;
/// Most headers that are named, to be compared or not to be.
pub const MIRROR_HEADERS_MAX: usize = 32;
/// Most fields of JSON bodies that are not compared.
pub const MIRROR_IGNORED_MAX: usize = 64;
/// Largest body that a copy may have, or an answer that is compared (bytes), where nothing is said.
pub const MIRROR_BODY_BYTES: u32 = 64 * 1024;
/// The most that may be said.
pub const MIRROR_BODY_BYTES_MAX: u32 = 256 * 1024;
/// Headers of answers that are compared where nothing else is said: those that say what the answer is.
pub const COMPARED_HEADERS: [&str; 6] =
    ["Content-Type", "Content-Language", "Content-Disposition", "Cache-Control", "Location", "WWW-Authenticate"];
/// Most fields in which answers differ that are told apart; what is beyond them is counted together.
pub const SHADOW_FIELDS_MAX: usize = 64;
/// Most fields of which a journal keeps examples.
pub const SHADOW_FIELDS_KEPT: usize = 8;
/// Most examples that are kept of a field.
pub const SHADOW_EXAMPLES_MAX: usize = 3;

/// Copies for a slot, as the traffic makes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Who gets them (its share is not used).
    pub arm: Arm,
    /// Of which requests, and what happens to the answers.
    pub rules: MirrorRules,
}

/// The same as decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorGoal {
    /// Who gets them (its share is not used).
    pub arm: ArmGoal,
    /// Of which requests, and what happens to the answers.
    pub rules: MirrorRules,
}

/// Which requests are copied, and what happens to the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorRules {
    /// How many of the requests that may be copied.
    pub share: Share,
    /// The methods of requests that may be. Others than [`MirrorRules::safe_methods`] change something, twice then.
    pub methods: Vec<String>,
    /// Largest body of a request that is copied and of an answer that is compared (bytes).
    pub body_bytes: u32,
    /// How answers are compared; nothing: they are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareRules>,
}

/// What of two answers is compared beside their status and bodies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompareRules {
    /// Headers beside [`COMPARED_HEADERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldName>,
    /// Headers of either that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_headers: Vec<FieldName>,
    /// Fields of JSON bodies that are not, with all that is in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_fields: Vec<FieldPath>,
}

/// Why a mirror can not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// No method, too many, or one that is none.
    #[error("a mirror copies requests of 1 to {MIRROR_METHODS_MAX} methods, written in capital letters")]
    Methods,
    /// Too large a bound.
    #[error("a mirror keeps bodies of at most {MIRROR_BODY_BYTES_MAX} bytes, not of {0}")]
    Body(u32),
    /// Too many headers or fields are named.
    #[error("a mirror names at most {MIRROR_HEADERS_MAX} headers and {MIRROR_IGNORED_MAX} fields")]
    TooMany,
}

impl MirrorRules {
    /// Rules for copies of this share of safe requests, whose answers are dropped.
    #[must_use]
    pub fn of(share: Share) -> Self {
        Self { share, methods: Self::safe_methods(), body_bytes: MIRROR_BODY_BYTES, compare: None }
    }

    /// Methods that change nothing (RFC 9110 9.2.1); not `TRACE`, which shows a request to whoever sent it.
    #[must_use]
    pub fn safe_methods() -> Vec<String> {
        ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec()
    }

    /// Whether the rules keep their bounds.
    ///
    /// # Errors
    /// The first that they do not.
    pub fn check(&self) -> Result<(), MirrorError> {
        let is_method = |method: &String| {
            (1..=32).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        if !(1..=MIRROR_METHODS_MAX).contains(&self.methods.len()) || !self.methods.iter().all(is_method) {
            return Err(MirrorError::Methods);
        }
        if self.body_bytes > MIRROR_BODY_BYTES_MAX {
            return Err(MirrorError::Body(self.body_bytes));
        }
        let is_bounded = self.compare.as_ref().is_none_or(|compare| {
            compare.headers.len() + compare.ignore_headers.len() <= MIRROR_HEADERS_MAX
                && compare.ignore_fields.len() <= MIRROR_IGNORED_MAX
        });
        if is_bounded { Ok(()) } else { Err(MirrorError::TooMany) }
    }
}

impl CompareRules {
    /// The headers that are compared, in lower case and each once.
    #[must_use]
    pub fn compared_headers(&self) -> Vec<String> {
        let named = self.headers.iter().map(FieldName::as_str);
        let mut all: Vec<String> = COMPARED_HEADERS.into_iter().chain(named).map(str::to_ascii_lowercase).collect();
        all.retain(|header| !self.ignore_headers.iter().any(|ignored| ignored.as_str().eq_ignore_ascii_case(header)));
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What came of the copies for one revision, since the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowSeen {
    /// Who got them.
    pub revision: RevisionId,
    /// When the first of them was drawn, in microseconds since 1970: another number means that it was counted from nothing.
    #[serde(default)]
    pub since: u64,
    /// Requests that were drawn to be copied; each ends in one of the next, or is on its way.
    pub sampled: u64,
    /// Whose copy was answered, and the answer was dropped.
    pub dropped: u64,
    /// Whose answers were the same, but for noise.
    pub equal: u64,
    /// Whose answers differed in what two answers of the live slot did not.
    pub differing: u64,
    /// That were left out, by why.
    pub left_out: BTreeMap<LeftOut, u64>,
    /// In what they differed, by name: `status`, `answer`, `header NAME`, `body`, or `body /PATH`.
    pub fields: BTreeMap<String, FieldSeen>,
    /// Differences in fields beyond [`SHADOW_FIELDS_MAX`].
    pub unnamed: u64,
}

/// How often answers differed in one field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FieldSeen {
    /// The new revision's answer differed from the live one's, and a second answer of the live slot did not.
    pub differs: u64,
    /// Two answers of the live slot differed.
    pub noise: u64,
    /// A few of the differences, redacted.
    pub examples: Vec<ShadowExample>,
}

/// One difference, redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowExample {
    /// Method and path, without the query.
    pub request: String,
    /// What the live slot answered.
    pub live: String,
    /// What the new revision answered.
    pub shadow: String,
}

impl FieldSeen {
    /// Whether it differs beyond noise: more often than two answers of the live slot do.
    ///
    /// A value that changes with time is noise each time, as the second live answer is asked for after the new revision's.
    /// One that is drawn from few values may be the same twice and then differ, which happens less often than that two live
    /// answers differ.
    #[must_use]
    pub const fn is_beyond_noise(&self) -> bool {
        self.differs > self.noise
    }
}

impl ShadowSeen {
    /// Nothing was copied yet.
    #[must_use]
    pub const fn none(revision: RevisionId) -> Self {
        Self {
            revision,
            since: 0,
            sampled: 0,
            dropped: 0,
            equal: 0,
            differing: 0,
            left_out: BTreeMap::new(),
            fields: BTreeMap::new(),
            unnamed: 0,
        }
    }

    /// Requests whose answers were compared.
    #[must_use]
    pub const fn compared(&self) -> u64 {
        self.equal + self.differing
    }

    /// The fields that differ beyond noise.
    pub fn differences(&self) -> impl Iterator<Item = (&str, &FieldSeen)> {
        self.fields.iter().filter(|(_, seen)| seen.is_beyond_noise()).map(|(field, seen)| (field.as_str(), seen))
    }

    /// What a journal keeps of it: every count, and examples of [`SHADOW_FIELDS_KEPT`] fields that differ beyond noise, those
    /// that differ most.
    #[must_use]
    pub fn for_the_record(&self) -> Self {
        let mut most: Vec<(&str, u64)> = self.differences().map(|(field, seen)| (field, seen.differs)).collect();
        most.sort_by_key(|(field, differs)| (std::cmp::Reverse(*differs), *field));
        let kept: Vec<String> = most.into_iter().take(SHADOW_FIELDS_KEPT).map(|(field, _)| field.to_owned()).collect();
        let mut record = self.clone();
        for (field, seen) in &mut record.fields {
            if !kept.contains(field) {
                seen.examples.clear();
            }
        }
        record
    }

    /// Another request was left out.
    pub fn leave_out(&mut self, why: LeftOut) {
        *self.left_out.entry(why).or_default() += 1;
    }

    /// The counts of a field; nothing when there are too many to name it.
    pub fn field(&mut self, field: &str) -> Option<&mut FieldSeen> {
        if !self.fields.contains_key(field) {
            if self.fields.len() >= SHADOW_FIELDS_MAX {
                self.unnamed += 1;
                return None;
            }
            self.fields.insert(field.to_owned(), FieldSeen::default());
        }
        self.fields.get_mut(field)
    }

    /// Adds what another lane saw of the same revision.
    pub fn add(&mut self, other: Self) {
        self.since = self.since.min(other.since);
        self.sampled += other.sampled;
        self.dropped += other.dropped;
        self.equal += other.equal;
        self.differing += other.differing;
        self.unnamed += other.unnamed;
        for (why, count) in other.left_out {
            *self.left_out.entry(why).or_default() += count;
        }
        for (field, seen) in other.fields {
            if let Some(known) = self.field(&field) {
                known.differs += seen.differs;
                known.noise += seen.noise;
                let room = SHADOW_EXAMPLES_MAX.saturating_sub(known.examples.len());
                known.examples.extend(seen.examples.into_iter().take(room));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_bounds_and_by_themselves_copy_what_changes_nothing() {
        let rules = MirrorRules::of(Share::ALL);
        assert_eq!((rules.check(), &rules.methods[..]), (Ok(()), &MirrorRules::safe_methods()[..]));
        let with = |change: fn(&mut MirrorRules)| {
            let mut rules = rules.clone();
            change(&mut rules);
            rules.check()
        };
        assert_eq!(with(|rules| rules.methods.clear()), Err(MirrorError::Methods));
        assert_eq!(with(|rules| rules.methods.push("post".to_owned())), Err(MirrorError::Methods));
        assert!(with(|rules| rules.methods.push("POST".to_owned())).is_ok());
        assert_eq!(with(|rules| rules.body_bytes = u32::MAX), Err(MirrorError::Body(u32::MAX)));
        let many = |rules: &mut MirrorRules| {
            let ignore_fields = vec!["/a".parse().unwrap(); MIRROR_IGNORED_MAX + 1];
            rules.compare = Some(CompareRules { ignore_fields, ..CompareRules::default() });
        };
        assert_eq!(with(many), Err(MirrorError::TooMany));
    }

    #[test]
    fn headers_are_compared_that_say_what_an_answer_is_and_those_that_are_named() {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let rules = CompareRules {
            headers: names(&["ETag", "location"]),
            ignore_headers: names(&["CACHE-control", "Content-Language"]),
            ignore_fields: vec![],
        };
        assert_eq!(
            rules.compared_headers(),
            ["content-disposition", "content-type", "etag", "location", "www-authenticate"]
        );
    }

    #[test]
    fn what_lanes_saw_adds_up_within_the_bounds() {
        let lane = |from: usize| {
            let mut seen = ShadowSeen::none(RevisionId(2));
            (seen.sampled, seen.differing) = (50, 40);
            seen.leave_out(LeftOut::Busy);
            for number in from..from + 40 {
                let example = ShadowExample { request: "GET /".into(), live: "1".into(), shadow: "2".into() };
                let field = seen.field(&format!("body /{number:03}")).unwrap();
                (field.differs, field.examples) = (2, vec![example.clone(), example]);
            }
            seen
        };
        let mut sum = lane(0);
        sum.add(lane(20));
        sum.add(lane(60));
        assert_eq!((sum.sampled, sum.compared(), sum.left_out[&LeftOut::Busy]), (150, 120, 3));
        assert_eq!((sum.fields.len(), sum.unnamed), (SHADOW_FIELDS_MAX, 36));
        let both = &sum.fields["body /030"];
        assert_eq!((both.differs, both.examples.len()), (4, SHADOW_EXAMPLES_MAX));
    }

    #[test]
    fn names_are_those_that_are_written() {
        for why in LeftOut::ALL {
            assert_eq!(serde_json::to_value(why).unwrap(), why.name());
        }
    }
}
