//! The checks that no file asks for by name: how many they are, and whether answers to copies of live requests are the same.

use serde_json::Value;
use switchover_judge::{Outcome, Probability, ShadowRule, ShadowVerdict, shadow};
use switchover_model::config::{AppConfig, During};
use switchover_model::evidence::{CheckVerdict, DETAIL_LINES, Look, SHADOW_CHECK, Verdict, Watch};
use switchover_model::seam::ShadowSeen;
use switchover_model::{ProcessName, RevisionId};
use switchover_rollout::App;

use super::trying;

/// Lines of a field: how often it differs, with one example, and two examples more.
const LINES_OF_A_FIELD: usize = 3;

/// How many tests that may raise a false alarm are built into a release: of each step, one for each process type that takes
/// requests (so many are `routed`), or those of its experiment; and its shadow comparison.
pub(super) fn tests(config: &AppConfig, routed: usize, steps: u32) -> u32 {
    let of_the_split = match config.release.strategy.experiment() {
        Some(_) => trying::TESTS,
        None => steps.saturating_mul(u32::try_from(routed).unwrap_or(u32::MAX)),
    };
    of_the_split.saturating_add(u32::from(config.release.shadow.is_some()))
}

/// The process types of a revision that take requests.
pub(super) fn routed(app: &App, revision: RevisionId) -> Vec<ProcessName> {
    let processes = app.revision(revision).into_iter().flat_map(|revision| &revision.processes);
    processes.filter(|(_, process)| process.handover.is_none()).map(|(name, _)| name.clone()).collect()
}

// === Answers to copies ===

/// What was compared in a shadow, by the looks that were taken.
pub(super) struct Compared {
    rule: ShadowRule,
    revision: RevisionId,
    /// What routers before the present one had compared.
    before: ShadowSeen,
    last: Option<ShadowSeen>,
}

impl Compared {
    /// Of the comparison that `watch` is of; nothing in any other part of a release.
    pub(super) fn new(app: &App, watch: Watch, alpha: Probability) -> Option<Self> {
        let release = app.release(watch.release).filter(|_| watch.during == During::Shadow)?;
        let shadow = app.config_of(watch.release)?.release.shadow.as_ref()?;
        let rule = ShadowRule { alpha, enough: u64::from(shadow.enough), tolerate: shadow.tolerate.basis_points() };
        let revision = release.revision;
        Some(Self { rule, revision, before: ShadowSeen::none(revision), last: None })
    }

    pub(super) fn take(&mut self, look: &Look) {
        let Some(seen) = look.shadow.as_deref().filter(|seen| seen.revision == self.revision) else { return };
        if let Some(last) = self.last.take().filter(|last| begins_anew(last, seen)) {
            self.before.add(last);
        }
        self.last = Some(seen.clone());
    }

    /// What of `seen` is to be looked at, and whether another answer follows from it than from the looks so far; nothing where
    /// nothing came since.
    pub(super) fn news(&self, seen: Option<&ShadowSeen>) -> Option<(ShadowSeen, bool)> {
        let seen = seen.filter(|seen| seen.revision == self.revision)?.for_the_record();
        if self.last.as_ref() == Some(&seen) {
            return None;
        }
        let mut with = self.before.clone();
        if let Some(last) = self.last.as_ref().filter(|last| begins_anew(last, &seen)) {
            with.add(last.clone());
        }
        with.add(seen.clone());
        let is_another = shadow(&self.rule, &with).outcome != self.said().outcome;
        Some((seen, is_another))
    }

    fn said(&self) -> ShadowVerdict {
        let mut sum = self.before.clone();
        self.last.iter().for_each(|last| sum.add(last.clone()));
        shadow(&self.rule, &sum)
    }

    pub(super) fn verdict(&self, in_full: bool) -> CheckVerdict {
        let said = self.said();
        let verdict = match said.outcome {
            Outcome::Pass => Verdict::Pass,
            Outcome::Fail => Verdict::Fail,
            Outcome::Inconclusive => Verdict::Inconclusive,
        };
        let ShadowVerdict { compared, equal, left_out, .. } = &said;
        let why = format!("{compared} compared, {equal} equal but for noise, {left_out} left out; {}", said.why);
        let detail = detail(self.revision, &said);
        let evidence = if in_full { serde_json::to_value(&said).unwrap_or(Value::Null) } else { Value::Null };
        CheckVerdict { check: SHADOW_CHECK, name: "shadow".to_owned(), verdict, why, detail, evidence }
    }
}

/// Whether another router than the one of `last` has counted `seen`. An older one did not say when it began.
fn begins_anew(last: &ShadowSeen, seen: &ShadowSeen) -> bool {
    last.since != seen.since || last.sampled > seen.sampled
}

/// The fields that differ beyond noise, with examples.
fn detail(revision: RevisionId, said: &ShadowVerdict) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for field in &said.fields {
        let example = |at: usize| {
            field.examples.get(at).map(|of| format!("{}: {}, {revision} {}", of.request, of.live, of.shadow))
        };
        let first = example(0).map(|example| format!(", such as {example}")).unwrap_or_default();
        lines.push(format!("{}: {} differ, {} by noise{first}", field.field, field.differs, field.noise));
        lines.extend((1..LINES_OF_A_FIELD).filter_map(example).map(|example| format!("  {example}")));
    }
    if said.more > 0 {
        lines.truncate(DETAIL_LINES - 1);
        lines.push(format!("and {} fields more", said.more));
    }
    lines.truncate(DETAIL_LINES);
    lines
}

#[cfg(test)]
#[path = "built_in_tests.rs"]
mod tests;
