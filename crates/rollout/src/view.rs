//! What is shown of an app: status and history, computed from its fold and what is seen now.

use std::collections::BTreeMap;

use switchover_model::release::{Outcome, Stage};
use switchover_model::schema::SchemaSeen;
use switchover_model::seam::{Phase, Seen};
use switchover_model::view::{ReleaseView, SCHEMA_VERSION, SlotView, StageState, StageView, StatusView, WayBack};
use switchover_model::{Problem, RevisionId, Share, Slot, Timestamp};

use crate::admit::{goes_back, gone_back, is_live};
use crate::app::{App, KnownDrift};
use crate::release::Release;
use crate::sight::{Fitness, Sight};
use crate::{framework, limits, provision, rolling, rolling_back, shadow, step_state, wait, windows};

/// The status of `app`. `url` and `preview` are the controller's to fill in.
#[must_use]
pub fn status(app: &App, seen: &Seen, now: Timestamp) -> StatusView {
    let sight = Sight::new(seen, now);
    StatusView {
        schema_version: SCHEMA_VERSION,
        app: app.name.clone(),
        sequence: app.sequence,
        live: app.live().map(|arm| arm.slot),
        slots: Slot::BOTH.into_iter().map(|slot| (slot, slot_view(app, sight, slot))).collect(),
        releases: app.releases.iter().map(|release| live_view(app, sight, release, now)).collect(),
        way_back: way_back(app, seen, now),
        hosts: app.config.as_ref().map(|config| config.route.hosts.clone()).unwrap_or_default(),
        url: None,
        preview: None,
        schema: sight.schema.map(|seen| SchemaSeen { framework: framework::seen(app), ..seen.clone() }),
        problems: problems(app, sight, now),
        unknown: unknown(app, sight),
        notes: put_right(app, now),
    }
}

/// Every remembered release, oldest first.
#[must_use]
pub fn history(app: &App) -> Vec<ReleaseView> {
    app.all_releases().map(|release| release_view(app, release)).collect()
}

/// What a rollback would do right now, and how long it would take.
#[must_use]
pub fn way_back(app: &App, seen: &Seen, now: Timestamp) -> WayBack {
    let sight = Sight::new(seen, now);
    if let Some(moving) = app.moving().filter(|moving| !moving.has_shifted() && !moving.is_undoing())
        && goes_back(app).is_none()
        && !is_behind_a_shift(app, moving)
    {
        return WayBack::Abort { release: moving.id };
    }
    let Some(live) = app.heading() else {
        return WayBack::None { why: "nothing has the traffic yet".to_owned() };
    };
    let is_rolled_back = |release: &&Release| release.is_undoing() && app.sizes_of(release.id).is_some();
    if let Some(undone) = app.releases.iter().find(is_rolled_back) {
        let why = rolling_back::told(app, undone)
            .unwrap_or_else(|| format!("release {} is being undone already, by batches", undone.id));
        return WayBack::None { why };
    }
    if let Some(last) = goes_back(app).or_else(|| gone_back(app).filter(|_| app.moving().is_none())) {
        let way = match last.stage().filter(|_| !last.has_shifted()) {
            _ if last.is_in_steps() => {
                let at = last.at_step().map(step_state::told).unwrap_or_default();
                format!("release {} goes back to {} already, at {at}", last.id, last.revision)
            }
            Some(stage) => {
                format!("release {} goes back to {} already, and is in stage {stage}", last.id, last.revision)
            }
            None => format!("the traffic went back with release {} already", last.id),
        };
        let why = format!("{way}; `switchover rollback --to` leads elsewhere");
        return WayBack::None { why };
    }
    let moved = |release: &&Release| release.is_in_steps() || release.has_shifted() && is_live(app, release);
    let newest = app.releases.iter().rev().find(moved);
    if let Some(release) = newest.filter(|release| release.undoing.is_none())
        && let Some((old, to)) = app.origin_of(release)
    {
        return warm_way_back(app, sight, release, old, to);
    }
    match app.before_live() {
        Some(to) if app.contracted_without(to).is_some() => {
            let name = app.contracted_without(to).unwrap_or_default();
            WayBack::None { why: format!("{to} does not know migration {name}, which is contracted") }
        }
        Some(to) if app.revisions.contains_key(&to) => {
            let idle = live.slot.other();
            let why = if app.slot(idle).revision == Some(to) {
                format!("by a release that finds it running in {idle}")
            } else {
                "the old slot was stopped".to_owned()
            };
            WayBack::Start { to, estimate: boot(app, to), why, batches: rolling::batches_to(app, to) }
        }
        Some(to) => WayBack::None { why: format!("{to} is no longer on disk") },
        None => {
            let is_first = app.all_releases().all(|other| other.revision == live.revision || other.switches.is_empty());
            let why = if is_first { "is the first revision" } else { "is all that can be live" };
            WayBack::None { why: format!("{} {why}", live.revision) }
        }
    }
}

/// It waits for a shift that is going on: a rollback takes that one back too.
fn is_behind_a_shift(app: &App, moving: &Release) -> bool {
    let shifts = |release: &Release| release.is_open() && release.stage() == Some(Stage::Shift);
    moving.stage().is_none() && app.releases.iter().any(|release| release.id < moving.id && shifts(release))
}

fn warm_way_back(app: &App, sight: Sight<'_>, release: &Release, old: Slot, to: RevisionId) -> WayBack {
    if let Some((batches, why)) = rolling::told_way_back(app, release) {
        return WayBack::Start { to, estimate: boot(app, to), why, batches: Some(batches) };
    }
    match sight.sure_fitness(app, old, to) {
        fitness @ (Fitness::Whole | Fitness::Partial) => {
            let warm = app.config.as_ref().map(|config| config.release.keep_warm);
            let retiring = release.stage() == Some(Stage::Retire) && !release.waits_to_retire();
            let until = warm.filter(|_| retiring).map(|warm| release.entered_at() + warm);
            // Who asks gets what can serve.
            let ailing = (fitness == Fitness::Partial).then(|| sight.ailments(app, old, to).0);
            WayBack::Instant { to, until, ailing }
        }
        Fitness::Down => {
            let (why, _) = sight.ailments(app, old, to);
            WayBack::Start {
                to,
                estimate: boot(app, to),
                why: format!("{to} in {old} is not healthy: {why}"),
                batches: None,
            }
        }
        Fitness::Unknown => {
            let why = format!("whether {to} in {old} is healthy can not be seen now");
            WayBack::Start { to, estimate: boot(app, to), why, batches: None }
        }
    }
}

fn boot(app: &App, revision: RevisionId) -> Option<switchover_model::Span> {
    app.revisions.get(&revision).and_then(|state| state.boot)
}

fn slot_view(app: &App, sight: Sight<'_>, slot: Slot) -> SlotView {
    let state = app.slot(slot);
    let revision = state.revision.or(state.stopping.and_then(|stopping| stopping.revision));
    let count = |counts: &BTreeMap<RevisionId, u64>| revision.and_then(|id| counts.get(&id).copied()).unwrap_or(0);
    let share = sight
        .traffic
        .and_then(|traffic| traffic.routes.as_ref())
        .map(|routes| routes.arms.iter().find(|arm| arm.slot == slot).map_or(Share::NONE, |arm| arm.share));
    SlotView {
        revision,
        artifact: revision.and_then(|id| app.revision(id)).map(|revision| revision.artifact.clone()),
        share,
        instances: sight.in_slot(slot).cloned().collect(),
        in_flight: sight.traffic.map_or(0, |traffic| count(&traffic.in_flight)),
        upgrades: sight.traffic.map_or(0, |traffic| count(&traffic.upgrades)),
    }
}

/// A release that goes on, with what is seen of its instances while they boot.
fn live_view(app: &App, sight: Sight<'_>, release: &Release, now: Timestamp) -> ReleaseView {
    let mut view = release_view(app, release);
    view.checks = sight.checks.filter(|seen| seen.watch.release == release.id).cloned();
    view.waits_for_window = release.waits_for_window();
    view.opens_at = if view.waits_for_window { windows::opening(app, now) } else { None };
    let doing = sight.schema.and_then(|schema| schema.doing.as_ref()).filter(|work| work.goal.release() == release.id);
    if let (Some(work), Some(stage)) = (doing, view.stages.last_mut().filter(|stage| stage.stage.is_of_the_schema())) {
        let rows = work.rows.map(|rows| format!(", {rows}")).unwrap_or_default();
        let waits = work.blockers.first().map(|who| format!(", waits for {who}")).unwrap_or_default();
        stage.note = Some(format!("{}{rows}{waits}", work.step));
    }
    let length = app.config.as_ref().and_then(|config| match release.stage()? {
        Stage::Bake => Some(config.release.bake),
        Stage::Retire if app.slot(release.slot?.other()).revision.is_some() => Some(config.release.keep_warm),
        _ => None,
    });
    if let (Some(length), Some(stage)) = (length, view.stages.last_mut().filter(|stage| stage.note.is_none())) {
        stage.note = Some(format!("lasts {length}"));
    }
    if let (Some(step), Some(stage)) = (release.at_step(), view.stages.last_mut().filter(|stage| stage.note.is_none()))
    {
        stage.note = Some(step_state::told(step));
    }
    if let (true, Some(stage), Some(rule)) =
        (release.is_in_shadow(), view.stages.last_mut(), shadow::planned(app, release))
    {
        stage.note = Some(format!("answers to copies of {} of the requests are compared", rule.rules.share));
    }
    let Some(slot) = release.slot.filter(|_| release.stage() == Some(Stage::Provision)) else { return view };
    let waited_for = provision::waited_for(app, slot, release.revision);
    let wanted: u32 = waited_for.values().sum();
    let healthy = sight
        .in_slot(slot)
        .filter(|seen| seen.revision == release.revision && waited_for.contains_key(&seen.process))
        .filter(|seen| matches!(seen.phase, Phase::Healthy { .. }))
        .count();
    let running = view.stages.last_mut().filter(|stage| stage.state == StageState::Running);
    if let Some(stage) = running.filter(|stage| stage.note.is_none()) {
        stage.note = Some(format!("{healthy} of {wanted} instances healthy"));
    }
    view
}

fn release_view(app: &App, release: &Release) -> ReleaseView {
    let stages = release.stages.iter().map(|stage| StageView {
        stage: stage.stage,
        entered_at: stage.entered_at,
        left_at: stage.left_at,
        state: stage.state,
        note: stage.note.clone(),
    });
    ReleaseView {
        release: release.id,
        kind: release.kind.clone(),
        revision: release.revision,
        from: release.from,
        slot: release.slot,
        by: release.by.clone(),
        opened_at: release.opened_at,
        stages: stages.collect(),
        steps: step_state::shown(app, release),
        shadow: shadow::shown(app, release),
        waiting: release.waiting.as_ref().map(|waiting| waiting.reason.clone()),
        at_gate: matches!(
            release.waiting.as_ref().map(|waiting| waiting.reason.as_str()),
            Some(
                wait::PROMOTE
                    | wait::PROMOTE_STEP
                    | wait::WINDOW
                    | wait::UNPROVEN
                    | wait::RETIRE_GATE
                    | wait::EXPERIMENT_ENDED
            )
        ),
        waits_for_window: false,
        opens_at: None,
        paused: release.paused.is_some(),
        undoing: release.is_undoing(),
        switched_at: release.switched_at,
        outcome: release.outcome.clone(),
        settled_at: release.settled_at,
        hooks: release.hooks.clone(),
        checks: None,
        judged: release.judged.clone(),
    }
}

/// What is wrong now: the last release when it needs a person, and instances that are not healthy.
fn problems(app: &App, sight: Sight<'_>, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    let last = app.all_releases().rev().find(|release| release.outcome.is_some());
    if let Some(Outcome::Failed { cause }) = last.and_then(|release| release.outcome.as_ref()) {
        problems.push(cause.clone());
    }
    for slot in Slot::BOTH.into_iter().filter(|slot| app.slot(*slot).revision.is_some()) {
        for seen in sight.in_slot(slot) {
            if let Phase::Unhealthy { cause, .. } | Phase::Crashed { cause, .. } = &seen.phase {
                problems.push(cause.clone());
            }
        }
    }
    for drift in drifts(app, now).filter(|drift| !drift.corrected) {
        let next = "Put it right by hand, or set drift = \"correct\" in the file.";
        problems.push(Problem::new("DRIFT-SEEN", drift.what.clone(), next));
    }
    problems
}

/// What was put right a short while ago.
fn put_right(app: &App, now: Timestamp) -> Vec<Problem> {
    let corrected = drifts(app, now).filter(|drift| drift.corrected);
    corrected.map(|drift| Problem::new("DRIFT-SEEN", drift.what.clone(), "It was put right.")).collect()
}

/// What was recorded since it would have been recorded again.
fn drifts(app: &App, now: Timestamp) -> impl Iterator<Item = &KnownDrift> {
    app.drifts.iter().filter(move |drift| now.since(drift.at) <= limits::DRIFT_QUIET)
}

fn unknown(app: &App, sight: Sight<'_>) -> Vec<String> {
    let mut unknown = Vec::new();
    if sight.platform.is_none() {
        unknown.push("platform".to_owned());
    }
    if sight.traffic.is_none() {
        unknown.push("traffic".to_owned());
    }
    let needs = app.heading().is_some_and(|live| crate::schema::needs(app, live.revision).is_some());
    if needs && sight.schema.is_none() {
        unknown.push("database".to_owned());
    }
    unknown
}
