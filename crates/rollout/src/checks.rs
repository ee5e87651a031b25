//! What follows from the checks of a release: a breach undoes it, and without evidence it does not get all the traffic.
//!
//! The verdicts themselves come with what is seen. One that is missing, or was reached for another step, is none.

use switchover_model::config::{Check, CheckSource, During, EvidencePolicy, NoEvidence};
use switchover_model::evidence::{CheckVerdict, ChecksSeen, Judged, SHADOW_CHECK, SPLIT_CHECK, Verdict, Watch};
use switchover_model::record::Event;
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::{Problem, ReleaseId, Span, Timestamp};

use crate::app::App;
use crate::experiment::experiment;
use crate::release::Release;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{bake, limits, shadow, steps, wait};

/// What to do where there is nothing to go back to.
const NO_WAY_BACK: &str =
    "Mend the app and deploy again, or `switchover rollback --to` a revision that is known to be good.";

/// What the checks of the app's releases are looked at for now: of the newest release that has any to be looked at.
#[must_use]
pub fn watch(app: &App) -> Option<Watch> {
    app.releases.iter().rev().find_map(|release| watched(app, release))
}

/// What the release is watched for now: by its checks, or as an experiment.
pub(crate) fn watched(app: &App, release: &Release) -> Option<Watch> {
    let tries = || experiment(app, release).and_then(|_| place(app, release)).filter(|at| at.during == During::Shift);
    watch_of(app, release).or_else(tries)
}

fn watch_of(app: &App, release: &Release) -> Option<Watch> {
    let policy = policy(app, release)?;
    place(app, release).filter(|at| looked_at(app, release, policy, at.during).next().is_some())
}

/// Where a release is that may be watched there.
fn place(app: &App, release: &Release) -> Option<Watch> {
    let (during, step, since) = phase(app, release)?;
    Some(Watch { release: release.id, during, step, since, length: length(app, release, during) })
}

/// The checks that are looked at in a part of a release, with their places: those of the file, and what is built in.
fn looked_at<'a>(
    app: &App,
    release: &Release,
    policy: &'a EvidencePolicy,
    during: During,
) -> impl Iterator<Item = (usize, &'a str)> {
    let of_the_file = policy.checks.iter().enumerate().filter(move |(_, check)| check.during.contains(&during));
    let built_in = match during {
        // An experiment looks at its own split, by the clients that it is decided by.
        During::Shift if experiment(app, release).is_some() => None,
        During::Shift => Some((SPLIT_CHECK, "sample ratio")),
        During::Shadow => Some((SHADOW_CHECK, "shadow")),
        During::Bake | During::Warm => None,
    };
    of_the_file.map(|(place, check)| (place, check.name.as_str())).chain(built_in)
}

/// In which part of a release its checks are looked at now, and since when.
fn phase(app: &App, release: &Release) -> Option<(During, Option<u32>, Timestamp)> {
    if release.is_undoing() {
        return None;
    }
    if release.is_in_steps() {
        let step = release.at_step()?;
        return Some((During::Shift, Some(step.step), step.in_force_at?));
    }
    if release.is_in_shadow() {
        return Some((During::Shadow, None, release.shadow.as_ref()?.in_force_at?));
    }
    match (release.stage(), &release.outcome) {
        (Some(Stage::Shift), None) => Some((During::Bake, None, flipped_at(release)?)),
        (Some(Stage::Bake), None) => Some((During::Bake, None, flipped_at(release).unwrap_or(release.entered_at()))),
        (Some(Stage::Retire), Some(Outcome::Succeeded { .. })) => {
            let is_live = app.heading().is_some_and(|live| Some(live.slot) == release.slot);
            let is_warm = is_live && app.origin_of(release).is_some();
            is_warm.then_some((During::Warm, None, release.concluded_at?))
        }
        (_, _) => None,
    }
}

/// Since when all the traffic is on its slot: full traffic is watched from then on, whatever is still waited for before the bake.
fn flipped_at(release: &Release) -> Option<Timestamp> {
    release.switches.last().filter(|switch| !switch.back)?.flipped_at
}

/// How long that part lasts by itself, by the file that the release was opened with: a change of policy is none of the evidence.
fn length(app: &App, release: &Release, during: During) -> Option<Span> {
    let policy = app.config_of(release.id).map(|config| &config.release);
    match during {
        During::Shift => {
            let step = release.at_step()?.step as usize;
            steps::planned(app, release).get(step.checked_sub(1)?).map(|step| step.stays)
        }
        During::Shadow => shadow::planned(app, release).map(|shadow| shadow.stays),
        During::Bake => policy.map(|policy| policy.bake),
        During::Warm => policy.map(|policy| policy.keep_warm),
    }
}

/// What the file that the release was opened with asks of its evidence. A way back is not judged: what it leads to has served.
fn policy<'a>(app: &'a App, release: &Release) -> Option<&'a EvidencePolicy> {
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    let policy = app.config_of(release.id).map(|config| &config.release.evidence);
    policy.filter(|_| !is_way_back)
}

/// Whether the traffic's own measures of the release are compared with the live slot's, so that a baseline is set aside.
pub(crate) fn compare(turn: &Turn<'_>, id: ReleaseId) -> bool {
    let policy = turn.release(id).and_then(|release| policy(&turn.app, release));
    policy.is_some_and(EvidencePolicy::compares_in_steps)
}

/// What is seen of the checks that the release is watched by now.
fn standing<'a>(turn: &Turn<'a>, watch: &Watch) -> Option<&'a ChecksSeen> {
    turn.sight.checks.filter(|seen| seen.watch == *watch || planted!(turn, OldEvidenceCounts))
}

/// Undoes the release when one of its checks has failed; says whether it is so.
pub(crate) fn are_breached(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(watch) = turn.release(id).and_then(|release| watch_of(&turn.app, release)) else { return false };
    let Some(seen) = standing(turn, &watch) else { return false };
    // A split that is off says nothing against the new revision.
    let speaks = |said: &&CheckVerdict| said.verdict == Verdict::Fail && said.check != SPLIT_CHECK;
    let failed: Vec<&CheckVerdict> = seen.verdicts.iter().filter(speaks).collect();
    if failed.is_empty() || planted!(turn, BreachIgnored) {
        return false;
    }
    let names: Vec<String> = failed.iter().map(|said| format!("\"{}\"", said.name)).collect();
    let place = turn.place(id).map(|(slot, revision)| format!("{revision} in {slot}")).unwrap_or_default();
    let check = if names.len() == 1 { "check" } else { "checks" };
    let cause = format!("{check} {} failed on {place} {}.", names.join(", "), when(&watch));
    let lines = failed.iter().flat_map(|said| told(said)).collect();
    let verdicts = seen.verdicts.clone();
    // Whoever has no way back is told, and keeps what it has.
    let has_way_back = matches!(watch.during, During::Shift | During::Shadow)
        || turn.place(id).is_some_and(|(slot, _)| bake::old_can_serve(turn, slot));
    if !has_way_back {
        tell_once(turn, id, watch, verdicts, &cause, lines);
        return false;
    }
    turn.record(Event::Judged { watch, verdicts });
    let problem = match watch.during {
        During::Shadow => shadow::differs(turn, id),
        During::Shift | During::Bake | During::Warm => {
            let next = "Read what it was held against (`switchover receipt`), mend the app, then deploy again.";
            Problem::new("CHECK-FAILED", cause, next)
        }
    };
    turn.undo(id, problem.with_detail(lines));
    true
}

/// What a check says, line by line.
fn told(said: &CheckVerdict) -> Vec<String> {
    std::iter::once(format!("{}: {}", said.name, said.why)).chain(said.detail.iter().cloned()).collect()
}

/// A breach that can not be answered by going back.
fn tell_once(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    watch: Watch,
    verdicts: Vec<CheckVerdict>,
    cause: &str,
    lines: Vec<String>,
) {
    let code = "CHECK-FAILED";
    if turn.release(id).is_some_and(|release| release.noted.contains(code)) {
        return;
    }
    turn.record(Event::Judged { watch, verdicts });
    let cause = format!("{cause} The old slot can not serve, so the traffic was left where it is.");
    let problem = Problem::new(code, cause, NO_WAY_BACK).with_detail(lines);
    turn.record(Event::Noted { release: Some(id), problem });
}

/// A check that has failed where nothing could be gone back to: what the release ends with, for it is known to be bad.
pub(crate) fn standing_breach(turn: &Turn<'_>, id: ReleaseId) -> Option<Problem> {
    let watch = turn.release(id).and_then(|release| watch_of(&turn.app, release))?;
    let failed = standing(turn, &watch)?.verdicts.iter().filter(|said| said.verdict == Verdict::Fail);
    let lines: Vec<String> = failed.map(|said| format!("{}: {}", said.name, said.why)).collect();
    if lines.is_empty() || planted!(turn, BreachIgnored) {
        return None;
    }
    let cause = "a check failed with all the traffic on the new slot, and the old one can not serve: the traffic was left where it is.";
    Some(Problem::new("CHECK-FAILED", cause, NO_WAY_BACK).with_detail(lines))
}

/// Whether the step, or the shadow comparison, may be left: each check that is looked at in it has passed, and the split is not
/// seen to be off. Waits for that, for a bounded time from `since` on.
pub(crate) fn let_go_on(turn: &mut Turn<'_>, id: ReleaseId, since: Timestamp) -> bool {
    let Some(watch) = turn.release(id).and_then(|release| watch_of(&turn.app, release)) else { return true };
    let verdicts = verdicts(turn, id, &watch);
    let missing = missing(turn, id, &watch, &verdicts);
    if missing.is_empty() || planted!(turn, NoDataPasses) {
        record_once(turn, id, watch, verdicts);
        return true;
    }
    let Some(policy) = turn.release(id).and_then(|release| policy(&turn.app, release)).cloned() else { return true };
    if !turn.over(since, policy.timeout) {
        turn.waited_out(id, wait::VERDICTS, policy.timeout);
        return false;
    }
    let told = |judged: &Judged| judged.watch == watch && judged.at >= since + policy.timeout;
    let asked_person = turn.release(id).is_some_and(|release| release.judged.iter().any(told));
    let problem = no_verdict(id, &watch, &missing, policy.timeout);
    match policy.no_evidence {
        NoEvidence::Undo => {
            turn.record(Event::Judged { watch, verdicts });
            turn.undo(id, problem);
        }
        NoEvidence::Pause if asked_person => {
            let limit = turn.app.config.as_ref().map_or(limits::APPROVE, |config| config.release.approve_timeout);
            turn.waited_out(id, wait::UNPROVEN, limit);
            if turn.over(since, longer(policy.timeout, limit)) {
                turn.undo(id, problem);
            }
        }
        NoEvidence::Pause => {
            turn.record(Event::Judged { watch, verdicts });
            if problem.code != SPLIT_OFF {
                let next = "`switchover promote` goes on without it, `switchover abort` goes back; should it come, it goes on by itself.";
                turn.record(Event::Noted { release: Some(id), problem: Problem { next: next.to_owned(), ..problem } });
            }
            turn.waited_out(id, wait::UNPROVEN, limits::APPROVE);
        }
    }
    false
}

/// What is in the way of going on: of a split only that it is off, of all else that it has not passed.
fn holds_up(said: &CheckVerdict) -> bool {
    match said.check {
        SPLIT_CHECK => said.verdict == Verdict::Fail,
        _ => said.verdict != Verdict::Pass,
    }
}

/// It may go on and still wait for something else: what the checks said is recorded once, where anything was seen of them.
fn record_once(turn: &mut Turn<'_>, id: ReleaseId, watch: Watch, verdicts: Vec<CheckVerdict>) {
    let is_told =
        |judged: &Judged| judged.watch == watch && !judged.verdicts.is_empty() && !judged.verdicts.iter().any(holds_up);
    let is_known = turn.release(id).is_some_and(|release| release.judged.iter().any(is_told));
    let says_anything = verdicts.iter().any(|said| said.check < SPLIT_CHECK) || standing(turn, &watch).is_some();
    if !is_known && says_anything {
        turn.record(Event::Judged { watch, verdicts });
    }
}

/// Records what the checks say where a person does not wait for it: once, as long as they say the same.
pub(crate) fn record_verdicts(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    let Some(watch) = watch_of(&turn.app, release) else { return };
    let verdicts = verdicts(turn, id, &watch);
    let words = |said: &[CheckVerdict]| said.iter().map(|said| (said.check, said.verdict)).collect::<Vec<_>>();
    let is_told = |judged: &Judged| judged.watch == watch && words(&judged.verdicts) == words(&verdicts);
    if !verdicts.is_empty() && !release.judged.iter().any(is_told) {
        turn.record(Event::Judged { watch, verdicts });
    }
}

/// Tells people that the split is off, once a release: the step is not left by itself then.
pub(crate) fn tell_split_off(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(watch) = turn.release(id).and_then(|release| watch_of(&turn.app, release)) else { return };
    let off = standing(turn, &watch).and_then(|seen| seen.verdicts.iter().find(|said| said.check == SPLIT_CHECK));
    let Some(said) = off.filter(|said| holds_up(said)) else { return };
    if turn.release(id).is_some_and(|release| release.noted.contains(SPLIT_OFF)) {
        return;
    }
    let problem = split_off(id, &watch, said);
    turn.record(Event::Noted { release: Some(id), problem });
}

/// What people are told of a split that is off.
pub(crate) const SPLIT_OFF: &str = "SAMPLE-RATIO";

fn split_off(id: ReleaseId, watch: &Watch, said: &CheckVerdict) -> Problem {
    let cause = format!(
        "the two sides of the split {} of release {id} are not as large as was decided, so nothing that is compared between them \
         can be trusted: {}",
        when(watch),
        said.why
    );
    let next = "Look whether one side had nobody who could answer for a while, so that the other one got its clients; \
                `switchover promote` goes on all the same, `switchover abort` goes back.";
    Problem::new(SPLIT_OFF, cause, next).with_detail(said.detail.clone())
}

fn no_verdict(id: ReleaseId, watch: &Watch, missing: &[CheckVerdict], limit: Span) -> Problem {
    if let Some(said) = missing.iter().find(|said| said.check == SPLIT_CHECK) {
        return split_off(id, watch, said);
    }
    let names: Vec<String> = missing.iter().map(|said| format!("\"{}\"", said.name)).collect();
    let lines: Vec<String> = missing.iter().flat_map(told).collect();
    let place = watch.step.map_or_else(|| "the shadow comparison".to_owned(), |step| format!("step {step}"));
    let cause = format!(
        "within {limit} after its own time, {place} of release {id} had no verdict of {}. No evidence is never a pass.",
        names.join(", ")
    );
    let next = "Look at what the checks were answered (`switchover receipt`), then deploy again.";
    Problem::new("NO-EVIDENCE", cause, next).with_detail(lines)
}

/// At the end of a bake: whether each check that is looked at in it has passed. What they say is recorded.
pub(crate) fn have_proven(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(watch) = turn.release(id).and_then(|release| watch_of(&turn.app, release)) else { return true };
    let verdicts = verdicts(turn, id, &watch);
    let missing = missing(turn, id, &watch, &verdicts);
    turn.record(Event::Judged { watch, verdicts });
    if !missing.is_empty() && !planted!(turn, NoDataPasses) {
        let lines: Vec<String> = missing.iter().flat_map(told).collect();
        let cause = format!("the bake of release {id} ended without a verdict of each of its checks.");
        let next = "Look at what the checks were answered (`switchover receipt`); watch the app yourself.";
        let problem = Problem::new("NO-EVIDENCE", cause, next).with_detail(lines);
        turn.record(Event::Noted { release: Some(id), problem });
        return false;
    }
    true
}

/// Those that have not passed, or of which nothing was heard lately.
fn missing(turn: &Turn<'_>, id: ReleaseId, watch: &Watch, verdicts: &[CheckVerdict]) -> Vec<CheckVerdict> {
    let Some(policy) = turn.release(id).and_then(|release| policy(&turn.app, release)) else { return Vec::new() };
    let heard = standing(turn, watch).map(|seen| &seen.answered);
    let without = verdicts.iter().filter_map(|said| {
        if said.check == SPLIT_CHECK {
            return (holds_up(said) && !planted!(turn, SplitIsTrusted)).then(|| said.clone());
        }
        if said.verdict != Verdict::Pass {
            return Some(said.clone());
        }
        let answered = heard.and_then(|heard| heard.get(&said.check)).copied();
        let limit = policy.checks.get(said.check).map_or(limits::ANSWER_AGE, answer_age);
        let is_of_now = answered.is_some_and(|answered| turn.now.since(answered) <= limit);
        if is_of_now || planted!(turn, PassNeverAges) {
            return None;
        }
        let why = match answered {
            Some(answered) => {
                format!("it has passed, and nothing was heard of it for {}", turn.now.since(answered).rounded())
            }
            None => "it has passed, and nothing was heard of it".to_owned(),
        };
        Some(CheckVerdict { verdict: Verdict::Inconclusive, why, ..said.clone() })
    });
    without.collect()
}

/// How long nothing may be heard of a check until its pass says nothing of now.
fn answer_age(check: &Check) -> Span {
    match &check.source {
        CheckSource::Traffic { .. } => limits::ANSWER_AGE,
        CheckSource::Number { interval, timeout, .. } => {
            let once = longer(*interval, *timeout);
            limits::ANSWER_AGE.max(Span::from_micros(once.as_micros().saturating_mul(limits::ANSWERS_MISSED)))
        }
    }
}

/// What each check of the watch says; one of which nothing was seen says nothing.
fn verdicts(turn: &Turn<'_>, id: ReleaseId, watch: &Watch) -> Vec<CheckVerdict> {
    let seen = standing(turn, watch);
    let Some(release) = turn.release(id) else { return Vec::new() };
    let Some(policy) = policy(&turn.app, release) else { return Vec::new() };
    let said = looked_at(&turn.app, release, policy, watch.during).map(|(place, name)| {
        let known = seen.and_then(|seen| seen.verdicts.iter().find(|said| said.check == place));
        known.cloned().unwrap_or_else(|| CheckVerdict {
            check: place,
            name: name.to_owned(),
            verdict: Verdict::Inconclusive,
            why: "nothing was seen".to_owned(),
            detail: Vec::new(),
            evidence: serde_json::Value::Null,
        })
    });
    said.collect()
}

fn when(watch: &Watch) -> String {
    match (watch.during, watch.step) {
        (During::Shift, Some(step)) => format!("at step {step} of its shift"),
        (During::Shift, None) => "in its shift".to_owned(),
        (During::Shadow, _) => "in its shadow comparison".to_owned(),
        (During::Bake, _) => "with all the traffic on it".to_owned(),
        (During::Warm, _) => "while the old slot was still warm".to_owned(),
    }
}
