//! What the checks of a release are seen to say in the world, and what must follow from it.

use std::rc::Rc;

use switchover_model::config::{Bound, Check, CheckSource, During, EvidencePolicy, Measure, NoEvidence};
use switchover_model::evidence::{CheckVerdict, ChecksSeen, SHADOW_CHECK, SPLIT_CHECK, Verdict, Watch};
use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::seam::Seen;
use switchover_model::{ReleaseId, Slot, Span, Timestamp};
use switchover_rollout::{Decision, experiment, limits, watch};

use super::book::Entry;
use super::dice::Dice;
use super::state::World;
use super::watch::Health;

/// The longest that a check takes to say something, in microseconds.
const SLOWEST: u64 = 4_000_000;

/// What some files ask of the evidence.
pub(crate) fn policy(dice: &mut Dice) -> EvidencePolicy {
    let checks = (0..dice.pick(&[0, 0, 1, 2])).map(|number: u32| Check {
        name: format!("check {number}"),
        source: CheckSource::Traffic { process: None, measure: Measure::Errors },
        bound: if dice.chance(500) {
            Bound::WorseBy { effect: switchover_model::decimal::Decimal::from_millionths(5_000) }
        } else {
            Bound::Most { limit: switchover_model::decimal::Decimal::from_millionths(10_000) }
        },
        enough: None,
        during: During::ALL.into_iter().filter(|during| *during == During::Bake || dice.chance(700)).collect(),
    });
    EvidencePolicy {
        checks: checks.collect(),
        timeout: Span::from_millis(dice.pick(&[500, 3_000, 8_000])),
        no_evidence: dice.pick(&[NoEvidence::Undo, NoEvidence::Undo, NoEvidence::Pause]),
        ..EvidencePolicy::default()
    }
}

/// What a check will say in a watch, and how long after its beginning: most pass, some fail, some never say anything.
fn fate(watch: &Watch, check: usize) -> (Verdict, u64) {
    let seed =
        watch.since.as_micros() ^ (u64::from(watch.release.0) << 40) ^ ((check as u64) << 8) ^ watch.during as u64;
    let mut dice = Dice::new(seed);
    let verdict = match dice.below(20) {
        0 => Verdict::Fail,
        1 | 2 => Verdict::Inconclusive,
        _ => Verdict::Pass,
    };
    (verdict, dice.below(SLOWEST))
}

fn says(watch: &Watch, check: usize, name: &str, now: u64) -> CheckVerdict {
    let (verdict, after) = fate(watch, check);
    let is_reached = now >= watch.since.as_micros() + after;
    CheckVerdict {
        check,
        name: name.to_owned(),
        verdict: if is_reached { verdict } else { Verdict::Inconclusive },
        why: String::new(),
        detail: Vec::new(),
        evidence: serde_json::Value::Null,
    }
}

/// When something was last heard of a check: of some, only so long ago that what they say is none of now.
fn heard(watch: &Watch, check: usize, now: u64) -> Timestamp {
    let mut dice = Dice::new(watch.since.as_micros() ^ (u64::from(watch.release.0) << 32) ^ check as u64);
    let silent_since = watch.since.as_micros().saturating_sub(limits::ANSWER_AGE.as_micros() + 1);
    Timestamp::from_micros(if dice.below(10) == 0 { silent_since } else { now })
}

impl World {
    /// What the checks say now; now and then nobody looks, or what was said of an older watch is told once more.
    pub(crate) fn observe_checks(&mut self) -> Option<ChecksSeen> {
        let app = &self.memory.as_ref()?.app;
        let seen = watch(app).and_then(|watch| {
            let checks = app.config_of(watch.release)?.release.evidence.checks.iter().enumerate();
            let looked_at = checks.filter(|(_, check)| check.during.contains(&watch.during));
            let of_the_file = looked_at.map(|(place, check)| says(&watch, place, &check.name, self.now));
            let tries = app.release(watch.release).is_some_and(|release| experiment(app, release).is_some());
            let built_in = match watch.during {
                During::Shift if tries => None,
                During::Shift => Some(says(&watch, SPLIT_CHECK, "sample ratio", self.now)),
                During::Shadow => Some(says(&watch, SHADOW_CHECK, "shadow", self.now)),
                During::Bake | During::Warm => None,
            };
            let verdicts: Vec<CheckVerdict> = of_the_file.chain(built_in).collect();
            let places: Vec<usize> = verdicts.iter().map(|said| said.check).collect();
            let answered = places.into_iter().map(|place| (place, heard(&watch, place, self.now))).collect();
            let experiment = self.says_of_experiment(&watch);
            Some(ChecksSeen { watch, at: Timestamp::from_micros(self.now), verdicts, answered, experiment })
        });
        match self.dice.below(20) {
            0 => None,
            1 | 2 => self.recent.iter().find_map(|seen| seen.checks.clone()).or(seen),
            _ => seen,
        }
    }

    /// What is seen of the checks of a part of a release: of this very part, or nothing.
    pub(crate) fn said_of(
        &self,
        release: ReleaseId,
        during: During,
        step: Option<u32>,
        since: u64,
    ) -> Option<&ChecksSeen> {
        let seen = self.watch.seen.checks.as_ref()?;
        let is_of = (seen.watch.release, seen.watch.during, seen.watch.step) == (release, during, step);
        (is_of && seen.watch.since.as_micros() == since).then_some(seen)
    }

    /// The checks of a release that are looked at in this part of it, by their places; none of a way back.
    fn looked_at(entry: &Entry, during: During) -> Vec<usize> {
        let deploys = entry.kind == ReleaseKind::Deploy;
        let checks = entry.config.iter().filter(|_| deploys).flat_map(|config| config.release.evidence.checks.iter());
        checks.enumerate().filter(|(_, check)| check.during.contains(&during)).map(|(place, _)| place).collect()
    }

    /// Why the evidence does not let the release leave the step that it is at.
    pub(crate) fn broken_by_missing_evidence(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let last = entry.steps.last().filter(|last| !last.promoted)?;
        let said = self.said_of(entry.release, During::Shift, Some(last.step), last.in_force_at?);
        let split = said.and_then(|seen| seen.verdicts.iter().find(|said| said.check == SPLIT_CHECK));
        let is_asked = entry.kind == ReleaseKind::Deploy && !entry.full;
        if let Some(off) = split.filter(|said| said.verdict == Verdict::Fail && is_asked) {
            return Some(("a step is not left while its split is off", format!("{off:?}")));
        }
        let without = Self::looked_at(entry, During::Shift).into_iter().find(|place| !self.has_passed(said, *place));
        without.map(|place| ("a step is left when all its checks have passed", format!("check {place}: {said:?}")))
    }

    /// Why the evidence of its bake does not prove the release.
    pub(crate) fn broken_by_unproven(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let said = self.said_of(entry.release, During::Bake, None, entry.all_since.unwrap_or(entry.entered_at));
        let without = Self::looked_at(entry, During::Bake).into_iter().find(|place| !self.has_passed(said, *place));
        without.map(|place| ("no evidence is never a proof", format!("check {place}: {said:?}")))
    }

    /// A failed check undoes its release with the decision that hears of it, where there is somebody to go back to.
    pub(crate) fn watch_checks(&mut self, seen: &Rc<Seen>, decision: &Decision) {
        let Some(memory) = &self.memory else { return };
        let Some(said) = seen.checks.as_ref().filter(|said| watch(&memory.app) == Some(said.watch)) else { return };
        let speaks = |said: &&CheckVerdict| said.check != SPLIT_CHECK;
        let failed = said.verdicts.iter().filter(speaks).any(|said| said.verdict == Verdict::Fail);
        let Some(entry) = self.book.releases.get(&said.watch.release).filter(|_| failed) else { return };
        let Some((old, from)) = entry.slot.map(Slot::other).zip(entry.from) else { return };
        let is_there = self.book.occupant(old) == Some(from)
            && self.book.health(seen.platform.as_ref(), old, from) == Health::Whole;
        let is_undone = decision.drafts.iter().any(|draft| match &draft.event {
            Event::Undoing { release, .. } | Event::Concluded { release, .. } => *release == said.watch.release,
            _ => false,
        });
        if (is_there || said.watch.during == During::Shift) && !entry.undoing && !is_undone {
            let release = said.watch.release;
            self.violate("a failed check undoes its release", || format!("release {release}: {:?}", decision.drafts));
        }
    }

    /// It has, and something was heard of it lately.
    fn has_passed(&self, said: Option<&ChecksSeen>, place: usize) -> bool {
        let Some(seen) = said else { return false };
        let is_passed = seen.verdicts.iter().any(|said| said.check == place && said.verdict == Verdict::Pass);
        let answered = seen.answered.get(&place).map(|answered| answered.as_micros());
        is_passed && answered.is_some_and(|answered| self.now <= answered + limits::ANSWER_AGE.as_micros())
    }
}
