//! The checks that no file asks for by name: whether a split is as large as it was decided, and whether answers to copies of live
//! requests are the same.

use serde_json::Value;
use switchover_judge::{
    Counts, Judge, Look as Evidence, Outcome, Probability, Question, Rule, Seen, ShadowRule, ShadowVerdict, SplitBy,
    Verdict as Said, shadow,
};
use switchover_model::config::{AppConfig, During};
use switchover_model::evidence::{Blind, CheckVerdict, DETAIL_LINES, Look, SHADOW_CHECK, SPLIT_CHECK, Verdict, Watch};
use switchover_model::seam::{ArmMeasured, Part, ShadowSeen, Sticky};
use switchover_model::{ProcessName, RevisionId, Share};
use switchover_rollout::App;

use super::rules::Sides;
use super::trying;

/// The smallest deviation of a split that matters, as a part of its smaller side.
const PART_THAT_MATTERS: f64 = 0.1;
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

// === The ratio of a split ===

/// Whether the clients of a step came to its two sides as was decided. Each process type is judged by itself: a client of two of
/// them is one client.
pub(super) struct Split {
    share: Share,
    by: SplitBy,
    judges: Vec<(ProcessName, Judge)>,
    has_counted: bool,
    /// Clients would be counted a second time from here on: what was seen stays.
    is_over: bool,
}

impl Split {
    /// Of the step that `watch` is of; nothing in any other part of a release.
    pub(super) fn new(app: &App, watch: Watch, alpha: Probability) -> Option<Self> {
        let release = app.release(watch.release).filter(|_| watch.during == During::Shift)?;
        let share = release.at_step()?.share;
        let part = f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points());
        // Each request is one by itself where clients are not told apart.
        let is_by_request = app.config.as_ref().is_some_and(|config| config.route.sticky == Sticky::None);
        let by = if is_by_request { SplitBy::Requests } else { SplitBy::Clients };
        let tolerance = Probability::new(part.min(1.0 - part) * PART_THAT_MATTERS).ok()?;
        let question = Question::SplitOff { share: Probability::new(part).ok()?, tolerance, by };
        let rule = Rule::new(question, alpha);
        let judges = routed(app, release.revision).into_iter().map(|process| (process, Judge::new(&rule)));
        Some(Self { share, by, judges: judges.collect(), has_counted: false, is_over: false })
    }

    pub(super) fn take(&mut self, sides: Sides, look: &Look) {
        self.is_over |= self.has_counted && (look.recounted || look.blind == Some(Blind::BeganAnew));
        if self.is_over || look.blind.is_some() {
            return;
        }
        for (process, judge) in &mut self.judges {
            let of_it = look.arms.iter().filter(|arm| arm.process == *process && arm.part != Part::Matched);
            let (mut new, mut reference) = (Counts::default(), Counts::default());
            for arm in of_it {
                if arm.revision == sides.new {
                    add(&mut new, arm);
                } else if Some(arm.revision) == sides.old {
                    add(&mut reference, arm);
                }
            }
            self.has_counted |= new.requests + reference.requests + new.clients + reference.clients > 0;
            let seen = Seen::Counts { new, reference: Some(reference) };
            judge.take(&Evidence { from: look.from, until: look.until, seen });
        }
    }

    pub(super) fn verdict(&self, in_full: bool) -> CheckVerdict {
        let all: Vec<(&ProcessName, Said)> = self.judges.iter().map(|(name, judge)| (name, judge.verdict())).collect();
        // The one that is off, or the one that most is known of.
        let rank = |said: &Said| (said.outcome == Outcome::Fail, said.seen + said.reference_seen.unwrap_or(0));
        let told = all.iter().max_by_key(|(_, said)| rank(said));
        let verdict = match told.map(|(_, said)| said.outcome) {
            Some(Outcome::Fail) => Verdict::Fail,
            Some(Outcome::Pass) => Verdict::Pass,
            Some(Outcome::Inconclusive) | None => Verdict::Inconclusive,
        };
        let mut why = told.map_or_else(|| "nothing was seen".to_owned(), |(name, said)| self.words(name, said));
        if self.is_over {
            why.push_str("; the router began to count anew, and nothing was added since");
        }
        let whole: serde_json::Map<String, Value> = all
            .iter()
            .map(|(name, said)| (name.to_string(), serde_json::to_value(said).unwrap_or(Value::Null)))
            .collect();
        let evidence = if in_full { Value::Object(whole) } else { Value::Null };
        let name = "sample ratio".to_owned();
        CheckVerdict { check: SPLIT_CHECK, name, verdict, why, detail: Vec::new(), evidence }
    }

    /// `4.93 % of 3210 clients of web, 5% was decided; neither is proven yet`.
    fn words(&self, process: &ProcessName, said: &Said) -> String {
        let all = said.seen + said.reference_seen.unwrap_or(0);
        let what = match self.by {
            SplitBy::Clients => "clients",
            SplitBy::Requests => "requests",
        };
        let part = said.new.map_or_else(|| "nothing".to_owned(), |part| format!("{:.2} %", part * 100.0));
        format!("{part} of {all} {what} of {process}, {} was decided; {}", self.share, said.why)
    }
}

/// Who came by this arm: also those who left before their answer was whole.
fn add(sum: &mut Counts, arm: &ArmMeasured) {
    sum.requests = sum.requests.saturating_add(arm.requests()).saturating_add(arm.aborted);
    sum.clients = sum.clients.saturating_add(arm.clients);
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
