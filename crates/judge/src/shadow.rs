//! Does the new revision answer copies of live requests as the live one does, beyond what two live answers differ by?
//!
//! Each compared request has three answers: the user's, the new revision's, and a second one of the live slot. A field *differs*
//! when the new one is alone with its value, and is *noise* when the two live answers are not the same. Where the new revision
//! answers as the live one does, the three are exchangeable: whichever of them is alone with its value in a field, it is the new
//! one in one case of three at most. So of all requests in which a field was not the same three times, at most a third differ, and
//! more is proven by a bet on it that may be looked at any time (Ville's inequality), with the chance of a false alarm shared by
//! all fields.

use serde::{Deserialize, Serialize};
use switchover_model::seam::{FieldSeen, LeftOut, SHADOW_FIELDS_KEPT, SHADOW_FIELDS_MAX, ShadowExample, ShadowSeen};

use crate::number::Probability;
use crate::verdict::Outcome;

/// Of the requests in which a field was not the same three times, the part that differs at most where it is all noise.
const BY_NOISE: f64 = 1.0 / 3.0;
/// What is bet on: that they are so many, each with the same part of the stake.
const BETS: [f64; 7] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98];

/// When a shadow comparison passes, and when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShadowRule {
    /// The chance to fail a revision that answers as the live one does, over all fields and looks.
    pub alpha: Probability,
    /// So many requests have to be compared for a pass.
    pub enough: u64,
    /// Such a part of the compared requests may differ in a field beyond noise, in basis points.
    pub tolerate: u16,
}

/// What came out, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowVerdict {
    /// The answer. A pass says what was seen so far: whoever asks has to have waited for the whole time.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub why: String,
    /// The rule that decided, in words.
    pub rule: String,
    /// Requests whose answers were compared.
    pub compared: u64,
    /// Of them, those that were the same but for noise.
    pub equal: u64,
    /// Requests that were drawn and not compared.
    pub left_out: u64,
    /// The fields that differ beyond noise and beyond what is tolerated, those that differ most first; at most
    /// [`SHADOW_FIELDS_KEPT`].
    pub fields: Vec<FieldVerdict>,
    /// How many more there are.
    pub more: u64,
}

/// One field in which answers differ beyond noise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldVerdict {
    /// Its name.
    pub field: String,
    /// Requests in which the new revision was alone with its value.
    pub differs: u64,
    /// Requests in which two live answers were not the same.
    pub noise: u64,
    /// Whether chance is ruled out.
    pub is_proven: bool,
    /// Some of the differences, redacted.
    pub examples: Vec<ShadowExample>,
}

/// The verdict of `rule` on all that was `seen` until now.
///
/// Guarantees: deterministic; nothing compared is never a pass. Assumes: `seen` counts what was compared since the beginning.
#[must_use]
pub fn shadow(rule: &ShadowRule, seen: &ShadowSeen) -> ShadowVerdict {
    let compared = seen.compared();
    // A busy router leaves out by chance, and so does the end. Every other reason is one of the request: what was compared does
    // not speak for it.
    let is_unlike = |why: &LeftOut| !matches!(why, LeftOut::Busy | LeftOut::Ended);
    let unlike = seen.left_out.iter().filter(|(why, _)| is_unlike(why)).map(|(_, count)| count).sum::<u64>();
    let proof = rule.proof();
    let mut fields: Vec<FieldVerdict> = seen
        .differences()
        .filter(|(_, field)| field.differs - field.noise > rule.tolerated(compared))
        .map(|(name, field)| FieldVerdict {
            field: name.to_owned(),
            differs: field.differs,
            noise: field.noise,
            is_proven: evidence(field) >= proof,
            examples: field.examples.clone(),
        })
        .collect();
    // Early, when little was compared, a part of what will be counts as tolerated already.
    let allowed = rule.tolerated(compared.max(rule.enough));
    let is_worse = |field: &FieldVerdict| field.is_proven && field.differs - field.noise > allowed;
    let failed = fields.iter().filter(|field| is_worse(field)).count();
    fields.sort_by_key(|field| (!is_worse(field), std::cmp::Reverse(field.differs)));
    let (outcome, why) = if failed > 0 {
        let fields = if failed == 1 { "1 field differs".to_owned() } else { format!("{failed} fields differ") };
        (Outcome::Fail, format!("{fields} beyond noise"))
    } else if compared < rule.enough {
        (Outcome::Inconclusive, format!("fewer than {} were compared", rule.enough))
    } else if let Some(field) = fields.first() {
        (Outcome::Inconclusive, format!("{} differs beyond noise, and that may be chance yet", field.field))
    } else if seen.unnamed > rule.tolerated(compared) {
        let why =
            format!("answers differ in more than {SHADOW_FIELDS_MAX} fields, so that not all of them were told apart");
        (Outcome::Inconclusive, why)
    } else if unlike > compared {
        (Outcome::Inconclusive, "more requests could not be compared than were".to_owned())
    } else {
        (Outcome::Pass, "nothing differs beyond noise".to_owned())
    };
    let more = fields.len().saturating_sub(SHADOW_FIELDS_KEPT) as u64;
    fields.truncate(SHADOW_FIELDS_KEPT);
    let left_out = seen.left_out.values().sum();
    ShadowVerdict { outcome, why, rule: rule.words(), compared, equal: seen.equal, left_out, fields, more }
}

/// How much a bet on "it differs more often than by noise" has won, as a natural logarithm.
fn evidence(field: &FieldSeen) -> f64 {
    let (differs, noise) = (field.differs as f64, field.noise as f64);
    let won = |part: f64| differs * (part / BY_NOISE).ln() + noise * ((1.0 - part) / (1.0 - BY_NOISE)).ln();
    let all = BETS.map(won);
    let most = all.into_iter().fold(f64::NEG_INFINITY, f64::max);
    most + (all.into_iter().map(|won| (won - most).exp()).sum::<f64>() / BETS.len() as f64).ln()
}

impl ShadowRule {
    fn tolerated(&self, compared: u64) -> u64 {
        let part = u128::from(compared) * u128::from(self.tolerate) / 10_000;
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// The evidence from which on a field is proven to differ.
    fn proof(&self) -> f64 {
        -self.alpha.divided(SHADOW_FIELDS_MAX as f64).get().ln()
    }

    /// The rule as a person reads it.
    #[must_use]
    pub fn words(&self) -> String {
        let tolerate = crate::rule::percent(f64::from(self.tolerate) / 1e4);
        let alpha = crate::rule::percent(self.alpha.get());
        format!(
            "Fails when it is proven that a field differs beyond noise, in more than {tolerate} of what is compared. Passes when {} \
             were compared and none does. Over all fields and looks, a false alarm has a chance of at most {alpha}.",
            self.enough
        )
    }
}

#[cfg(test)]
mod tests {
    use switchover_model::RevisionId;

    use super::*;

    fn rule() -> ShadowRule {
        ShadowRule { alpha: Probability::new(0.001).unwrap(), enough: 500, tolerate: 0 }
    }

    fn seen(equal: u64, differing: u64, fields: &[(&str, u64, u64)]) -> ShadowSeen {
        let mut seen = ShadowSeen::none(RevisionId(2));
        (seen.sampled, seen.equal, seen.differing) = (equal + differing, equal, differing);
        for (name, differs, noise) in fields {
            let field = seen.field(name).unwrap();
            (field.differs, field.noise) = (*differs, *noise);
        }
        seen
    }

    fn said(seen: &ShadowSeen) -> (Outcome, String) {
        let verdict = shadow(&rule(), seen);
        (verdict.outcome, verdict.why)
    }

    #[test]
    fn nothing_and_too_little_are_never_a_pass() {
        assert_eq!(said(&ShadowSeen::none(RevisionId(2))).0, Outcome::Inconclusive);
        assert_eq!(said(&seen(499, 0, &[])).0, Outcome::Inconclusive);
        assert_eq!(said(&seen(500, 0, &[])), (Outcome::Pass, "nothing differs beyond noise".to_owned()));
    }

    #[test]
    fn a_field_that_differs_each_time_fails_within_a_few_requests_and_noise_never() {
        let first = (1..).find(|count| said(&seen(0, *count, &[("body /price", *count, 0)])).0 == Outcome::Fail);
        assert_eq!(first, Some(12));
        assert_eq!(said(&seen(1_000, 0, &[("body /time", 0, 900)])).0, Outcome::Pass);
        assert_eq!(said(&seen(1_000, 250, &[("body /coin", 250, 500)])).0, Outcome::Pass, "a coin is noise");
        assert_eq!(said(&seen(1_000, 600, &[("body /both", 600, 400)])).0, Outcome::Fail);
    }

    #[test]
    fn a_difference_that_may_be_chance_neither_fails_nor_passes() {
        let verdict = shadow(&rule(), &seen(999, 1, &[("status", 1, 0)]));
        assert_eq!((verdict.outcome, verdict.fields[0].is_proven), (Outcome::Inconclusive, false));
        assert!(verdict.why.starts_with("status differs"), "{verdict:?}");
        let tolerant = ShadowRule { tolerate: 10, ..rule() };
        assert_eq!(shadow(&tolerant, &seen(999, 1, &[("status", 1, 0)])).outcome, Outcome::Pass);
        assert_eq!(shadow(&tolerant, &seen(9_000, 20, &[("status", 20, 0)])).outcome, Outcome::Fail);
        assert_eq!(shadow(&tolerant, &seen(29_000, 20, &[("status", 20, 0)])).outcome, Outcome::Pass);
    }

    #[test]
    fn what_could_not_be_compared_does_not_pass_for_what_could() {
        let mut seen = seen(600, 0, &[]);
        seen.left_out.insert(LeftOut::Busy, 10_000);
        seen.left_out.insert(LeftOut::Ended, 10_000);
        assert_eq!(said(&seen).0, Outcome::Pass, "the router was busy: by chance");
        seen.left_out.insert(LeftOut::AnswerTooLarge, 601);
        assert_eq!(said(&seen).0, Outcome::Inconclusive);
        seen.left_out.clear();
        seen.unnamed = 1;
        assert_eq!(said(&seen).0, Outcome::Inconclusive);
    }
}
