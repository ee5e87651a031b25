//! Whether the clients of a step came to its two sides as was decided: the check of every split that no file asks for by name.

use serde_json::Value;
use switchover_judge::{
    Counts, Judge, Look as Evidence, Outcome, Probability, Question, Rule, Seen, SplitBy, Verdict as Said,
};
use switchover_model::config::During;
use switchover_model::evidence::{Blind, CheckVerdict, Look, SPLIT_CHECK, Verdict, Watch};
use switchover_model::seam::{ArmMeasured, Part, SplitSeen, Sticky};
use switchover_model::{ProcessName, Share, Timestamp};
use switchover_rollout::App;

use super::built_in::routed;
use super::rules::Sides;

/// The smallest deviation of a split that matters, as a part of its smaller side.
const PART_THAT_MATTERS: f64 = 0.1;

/// The ratio of one step's split, and what was seen of it so far.
pub(super) struct Split {
    share: Share,
    by: SplitBy,
    whole: Whole,
    by_process: ByProcess,
}

/// By who came to the split, all in all.
struct Whole {
    /// When the release decided on its first split: whoever has come since has to be known.
    since: Timestamp,
    judge: Judge,
    /// Of the new side and of the other one. One that a side gives back, as it was led elsewhere meanwhile, stays counted.
    taken: (u64, u64),
    last: Option<SplitSeen>,
    /// Why nothing is added any more.
    over: Option<Over>,
}

/// By what each process type's arms had: each judged by itself, as a client of two of them is one client. So requests are judged
/// where clients are not told apart, and clients as a router of an earlier version tells them.
struct ByProcess {
    judges: Vec<(ProcessName, Judge)>,
    has_counted: bool,
    /// Clients would be counted a second time from here on: what was seen stays.
    is_over: bool,
}

/// Why clients that came later can not be added to those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    CountedAnew,
    DealtAnew,
}

impl Split {
    /// Of the step that `watch` is of; nothing in any other part of a release.
    pub(super) fn new(app: &App, watch: Watch, alpha: Probability) -> Option<Self> {
        let release = app.release(watch.release).filter(|_| watch.during == During::Shift)?;
        let share = release.at_step()?.share;
        let part = f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points());
        // Each request is one by itself where clients are not told apart.
        let by = if app.sticky() == Sticky::None { SplitBy::Requests } else { SplitBy::Clients };
        let tolerance = Probability::new(part.min(1.0 - part) * PART_THAT_MATTERS).ok()?;
        let question = Question::SplitOff { share: Probability::new(part).ok()?, tolerance, by };
        let judge = Judge::new(&Rule::new(question, alpha));
        let judges = routed(app, release.revision).into_iter().map(|process| (process, judge.clone()));
        let by_process = ByProcess { judges: judges.collect(), has_counted: false, is_over: false };
        let since = release.steps.first()?.decided_at;
        Some(Self { share, by, whole: Whole { since, judge, taken: (0, 0), last: None, over: None }, by_process })
    }

    pub(super) fn take(&mut self, sides: Sides, look: &Look) {
        match (&look.split, self.by) {
            (Some(split), SplitBy::Clients) if !self.by_process.has_counted => {
                // Who came while another share was in force was dealt by that one.
                if split.share(sides.new) == self.share {
                    self.whole.take(sides, look, split);
                }
            }
            // A router that tells it went, and another one came.
            (None, SplitBy::Clients) if self.whole.last.is_some() => {
                if look.blind.is_none() {
                    self.whole.over.get_or_insert(Over::CountedAnew);
                }
            }
            (Some(_) | None, _) => self.by_process.take(sides, look),
        }
    }

    pub(super) fn verdict(&self, in_full: bool) -> CheckVerdict {
        let is_told = self.whole.last.is_some() || self.whole.over.is_some();
        let (verdict, why, evidence) =
            if is_told { self.whole.said(self, in_full) } else { self.by_process.said(self, in_full) };
        let name = "sample ratio".to_owned();
        CheckVerdict { check: SPLIT_CHECK, name, verdict, why, detail: Vec::new(), evidence }
    }

    /// `4.93 % of 3210 clients, 5% was decided; neither is proven yet`.
    fn words(&self, process: Option<&ProcessName>, said: &Said) -> String {
        let all = said.seen + said.reference_seen.unwrap_or(0);
        let what = match self.by {
            SplitBy::Clients => "clients",
            SplitBy::Requests => "requests",
        };
        let of = process.map(|process| format!(" of {process}")).unwrap_or_default();
        let part = said.new.map_or_else(|| "nothing".to_owned(), |part| format!("{:.2} %", part * 100.0));
        format!("{part} of {all} {what}{of}, {} was decided; {}", self.share, said.why)
    }
}

impl Whole {
    fn take(&mut self, sides: Sides, look: &Look, now: &SplitSeen) {
        if self.over.is_none() && Timestamp::from_micros(now.since) > self.since {
            // Whoever came before and knows his side could choose now whether to be counted.
            let has_another_key = self.last.as_ref().is_some_and(|last| last.key != now.key);
            self.over = Some(if has_another_key { Over::DealtAnew } else { Over::CountedAnew });
        }
        if self.over.is_some() {
            return;
        }
        let since = |taken: &mut u64, clients: u64| {
            let before = std::mem::replace(taken, clients.max(*taken));
            Counts { clients: *taken - before, ..Counts::default() }
        };
        let new = since(&mut self.taken.0, now.clients(sides.new));
        let reference = since(&mut self.taken.1, sides.old.map_or(0, |old| now.clients(old)));
        let seen = Seen::Counts { new, reference: Some(reference) };
        self.judge.take(&Evidence { from: look.from, until: look.until, seen });
        self.last = Some(now.clone());
    }

    fn said(&self, split: &Split, in_full: bool) -> (Verdict, String, Value) {
        let said = self.judge.verdict();
        let mut why = split.words(None, &said);
        why.push_str(match self.over {
            None => "",
            Some(Over::CountedAnew) => "; the router began to count anew, and nothing is added in this release",
            Some(Over::DealtAnew) => {
                "; the router deals clients by another key since, so some changed sides, and nothing was added"
            }
        });
        let evidence = if in_full { serde_json::to_value(&said).unwrap_or(Value::Null) } else { Value::Null };
        (verdict(said.outcome), why, evidence)
    }
}

impl ByProcess {
    fn take(&mut self, sides: Sides, look: &Look) {
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

    fn said(&self, split: &Split, in_full: bool) -> (Verdict, String, Value) {
        let all: Vec<(&ProcessName, Said)> = self.judges.iter().map(|(name, judge)| (name, judge.verdict())).collect();
        // The one that is off, or the one that most is known of.
        let rank = |said: &Said| (said.outcome == Outcome::Fail, said.seen + said.reference_seen.unwrap_or(0));
        let told = all.iter().max_by_key(|(_, said)| rank(said));
        let outcome = told.map_or(Outcome::Inconclusive, |(_, said)| said.outcome);
        let words = |(name, said): &(&ProcessName, Said)| split.words(Some(name), said);
        let mut why = told.map_or_else(|| "nothing was seen".to_owned(), words);
        if self.is_over {
            why.push_str("; the router began to count anew, and nothing was added since");
        }
        let whole =
            || all.iter().map(|(name, said)| (name.to_string(), serde_json::to_value(said).unwrap_or_default()));
        let evidence = if in_full { Value::Object(whole().collect()) } else { Value::Null };
        (verdict(outcome), why, evidence)
    }
}

const fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Pass => Verdict::Pass,
        Outcome::Fail => Verdict::Fail,
        Outcome::Inconclusive => Verdict::Inconclusive,
    }
}

/// Who came by this arm: also those who left before their answer was whole.
fn add(sum: &mut Counts, arm: &ArmMeasured) {
    sum.requests = sum.requests.saturating_add(arm.requests()).saturating_add(arm.aborted);
    sum.clients = sum.clients.saturating_add(arm.clients);
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
