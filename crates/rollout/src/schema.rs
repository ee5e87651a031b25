//! Questions to the schema that is seen: which revision can run on it, what is still to be done, and whether the data holds.

use switchover_model::config::Database;
use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::revision::RevisionSchema;
use switchover_model::schema::{Found, InvariantSeen, MigrationPhase, RestorePoint, SchemaGoal, SchemaSeen};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot};

use crate::app::App;
use crate::release::Release;
use crate::turn::{Turn, planted};
use crate::{framework, limits, unseen, wait};

/// Why nothing is known of the schema.
const UNASKED: &str = "the database could not be asked";

/// What `revision` needs of the schema; nothing when it has no database.
pub(crate) fn needs(app: &App, revision: RevisionId) -> Option<&RevisionSchema> {
    app.revision(revision)?.schema.as_ref()
}

/// The rules in force; nothing when the app has no database.
pub(crate) fn rules(app: &App) -> Option<&Database> {
    app.config.as_ref()?.database.as_ref()
}

/// Why a revision that needs `wanted` can not run on what is seen; nothing when it can.
pub(crate) fn in_the_way(seen: &SchemaSeen, wanted: &RevisionSchema) -> Option<String> {
    for id in wanted.after(seen.baseline.as_deref()) {
        let known = seen.migrations.iter().find(|known| known.id.name == id.name);
        let Some(known) = known else { return Some(format!("migration {} is not expanded", id.name)) };
        if known.id.checksum != id.checksum {
            return Some(format!("migration {} is there as another file of this name says it", id.name));
        }
        match known.phase {
            MigrationPhase::Expanded | MigrationPhase::Contracting | MigrationPhase::Contracted => {}
            MigrationPhase::Expanding => return Some(format!("migration {} is not wholly expanded", id.name)),
            MigrationPhase::Detached => return Some(format!("migration {} is detached", id.name)),
            MigrationPhase::Undoing => return Some(format!("migration {} is being taken back", id.name)),
        }
    }
    seen.migrations.iter().find_map(|known| match known.phase {
        MigrationPhase::Contracting | MigrationPhase::Contracted if !names(wanted, &known.id.name) => {
            Some(format!("migration {}, which it does not know, is contracted", known.id.name))
        }
        MigrationPhase::Contracting
        | MigrationPhase::Contracted
        | MigrationPhase::Expanding
        | MigrationPhase::Expanded
        | MigrationPhase::Detached
        | MigrationPhase::Undoing => None,
    })
}

/// Why `revision` can not run on what is seen, and on what its framework has left; nothing when it can.
pub(crate) fn obstacle(turn: &Turn<'_>, revision: RevisionId) -> Option<String> {
    let wanted = needs(&turn.app, revision)?;
    if turn.app.has_framework(revision) {
        return framework::in_the_way(&turn.app, revision);
    }
    in_the_way(turn.sight.schema?, wanted)
}

/// Whether nothing is left to contract for the release.
pub(crate) fn is_left(turn: &Turn<'_>, release: &Release, seen: &SchemaSeen, wanted: &RevisionSchema) -> bool {
    if turn.app.has_framework(release.revision) {
        return turn.app.waits_for_contract(release.revision).is_empty();
    }
    is_left_to(seen, wanted)
}

/// Whether nothing is there that only revisions other than one that needs `wanted` would use.
pub(crate) fn is_left_to(seen: &SchemaSeen, wanted: &RevisionSchema) -> bool {
    seen.migrations.iter().all(|known| known.phase == MigrationPhase::Contracted && names(wanted, &known.id.name))
}

/// Whether something of it is seen to be taken away right now.
pub(crate) fn is_being_contracted(seen: &SchemaSeen) -> bool {
    seen.migrations.iter().any(|known| known.phase == MigrationPhase::Contracting)
}

fn names(wanted: &RevisionSchema, name: &str) -> bool {
    wanted.migrations.iter().any(|id| id.name == name)
}

/// Whether the goal of this release was tried and can not be reached.
pub(crate) fn failure(seen: &SchemaSeen, goal: &SchemaGoal) -> Option<Problem> {
    seen.failed.as_ref().filter(|failed| failed.goal == *goal).map(|failed| failed.problem.clone())
}

/// The goal of a release in its stage expand.
pub(crate) fn serve(turn: &Turn<'_>, release: &Release) -> SchemaGoal {
    let mut beside: Vec<RevisionId> = Slot::BOTH.into_iter().filter_map(|slot| turn.occupant(slot)).collect();
    beside.extend(turn.app.heading().map(|live| live.revision));
    beside.sort_unstable();
    beside.dedup();
    SchemaGoal::Serve { release: release.id, revision: release.revision, beside }
}

/// Whether a release that has the live revision before this one has a contract to do first: this one brings an expand
/// of its own, and at most two versions of the schema serve users.
pub(crate) fn contract_comes_first(turn: &Turn<'_>, id: ReleaseId) -> bool {
    let Some(seen) = turn.sight.schema else { return false };
    let Some(release) = turn.release(id) else { return false };
    // What a framework brings is known when it is asked; what waits for a contract has to come before it.
    if obstacle(turn, release.revision).is_none() {
        return false;
    }
    turn.app.releases.iter().any(|other| other.id < id && has_contract_to_do(turn, other, seen))
}

/// Whether `release` made its revision live and will contract what only older ones needed.
fn has_contract_to_do(turn: &Turn<'_>, release: &Release, seen: &SchemaSeen) -> bool {
    let live = turn.app.heading().is_some_and(|live| live.revision == release.revision);
    let Some(wanted) = needs(&turn.app, release.revision) else { return false };
    live && contracts(release) && !is_left(turn, release, seen, wanted)
}

/// Whether a release contracts once nothing old is left. A return leaves what is there: the mended release goes on with it.
pub(crate) fn contracts(release: &Release) -> bool {
    let deployed = matches!(release.kind, ReleaseKind::Deploy);
    let succeeded = matches!(release.outcome, None | Some(switchover_model::release::Outcome::Succeeded { .. }));
    deployed && succeeded && release.switched_at.is_some() && release.undoing.is_none()
}

/// Whether the schema lets the release's slot take the traffic: it serves the revision, and the data holds. Undoes the
/// release when it does not in time.
pub(crate) fn lets_shift(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(revision) = turn.release(id).map(|release| release.revision) else { return false };
    if needs(&turn.app, revision).is_none() {
        return true;
    }
    if planted!(turn, SchemaIgnored) {
        return true;
    }
    let passes = turn.release(id).is_some_and(|release| unseen::may_be_passed(turn, release));
    let why = match turn.sight.schema {
        None if passes => {
            if !unseen::is_passed(turn, id) {
                return false;
            }
            None
        }
        None => Some(UNASKED.to_owned()),
        Some(_) => obstacle(turn, revision),
    };
    if let Some(why) = why {
        if turn.waited_out(id, wait::SCHEMA_SERVES, limits::UNKNOWN) {
            let cause = format!("{revision} can not run on the schema that is there: {why}.");
            let next = "Look with `switchover db status`, then deploy again: its expand puts this right.";
            turn.undo(id, Problem::new("SCHEMA-NOT-SERVED", cause, next));
        }
        return false;
    }
    data_holds(turn, id)
}

/// Whether each invariant was found to hold a moment ago. A broken one undoes the release, and so does one of which
/// nothing is known for too long; neither holds up a way back.
fn data_holds(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    if is_broken(turn, id) {
        return false;
    }
    if turn.release(id).is_some_and(unseen::is_way_back) {
        return true;
    }
    let unknown = unknown_invariant(turn);
    let Some((name, why)) = unknown else { return true };
    if turn.waited_out(id, wait::INVARIANTS, limits::UNKNOWN) {
        let cause = format!("whether the invariant \"{name}\" holds could not be seen: {why}.");
        let next = "Make its query faster or right, or raise its timeout, then deploy again.";
        turn.undo(id, Problem::new("INVARIANT-UNKNOWN", cause, next));
    }
    false
}

/// The first invariant of which nothing is known now, and why.
pub(crate) fn unknown_invariant(turn: &Turn<'_>) -> Option<(String, String)> {
    let rules = rules(&turn.app)?;
    rules.invariants.iter().find_map(|rule| {
        let found = seen_invariant(turn, &rule.name);
        let why = match found.map(|seen| &seen.found) {
            Some(Found::Holds | Found::Broken { .. }) => return None,
            Some(Found::Unknown { why }) => why.clone(),
            None => "it was not asked within its time".to_owned(),
        };
        Some((rule.name.clone(), why))
    })
}

fn seen_invariant<'a>(turn: &Turn<'a>, name: &str) -> Option<&'a InvariantSeen> {
    let fresh = |seen: &&InvariantSeen| turn.now.since(seen.at) <= limits::INVARIANT_MAX_AGE;
    turn.sight.schema?.invariants.iter().filter(fresh).find(|seen| seen.name == name)
}

/// The first invariant that is seen to be broken, and by which rows.
pub(crate) fn broken_invariant(turn: &Turn<'_>) -> Option<(String, String)> {
    let rules = rules(&turn.app)?;
    rules.invariants.iter().find_map(|rule| match &seen_invariant(turn, &rule.name)?.found {
        Found::Broken { keys } => Some((rule.name.clone(), keys.join(", "))),
        Found::Holds | Found::Unknown { .. } => None,
    })
}

/// Undoes the release when an invariant is seen to be broken; what keeps the versions in step is detached first. On a way
/// back people are told: undoing it would lead to the release that most likely broke it.
pub(crate) fn is_broken(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    const CODE: &str = "INVARIANT-BROKEN";
    if planted!(turn, InvariantLooksAway) {
        return false;
    }
    let Some((name, rows)) = broken_invariant(turn) else { return false };
    let cause = format!("the invariant \"{name}\" is broken by the rows {rows}.");
    if turn.release(id).is_some_and(unseen::is_way_back) && !planted!(turn, InvariantUndoesReturn) {
        let told = turn.release(id).is_some_and(|release| release.noted.contains(CODE));
        if !told {
            let next = "Look at these rows and mend them; the way back goes on.";
            turn.record(Event::Noted { release: Some(id), problem: Problem::new(CODE, cause, next) });
        }
        return false;
    }
    let next = "Look at these rows; mend them and what made them, then deploy again.";
    turn.record(Event::Undoing { release: id, cause: Some(Problem::new(CODE, cause, next)), detach: true });
    true
}

/// Whether the restore point of the release is noted, or the wait for it is over; asks for it as long as it is not.
pub(crate) fn restore_point_is_set(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let has_schema = turn.release(id).is_some_and(|release| needs(&turn.app, release.revision).is_some());
    let wanted = has_schema && rules(&turn.app).is_some_and(|rules| rules.restore_point);
    let noted = turn.release(id).is_some_and(|release| release.restore_point.is_some());
    if !wanted || noted || planted!(turn, SchemaIgnored) {
        return true;
    }
    let point = turn.sight.schema.and_then(|seen| seen.restore_points.get(&id)).cloned();
    let point = match point {
        Some(point) => point,
        // Only a way back comes here without a look at the schema.
        None if turn.sight.schema.is_none() => not_set(UNASKED.to_owned()),
        None if turn.waited_out(id, wait::RESTORE_POINT, limits::RESTORE_POINT) => {
            not_set(format!("it was not seen to be set within {}", limits::RESTORE_POINT))
        }
        None => return false,
    };
    turn.record(Event::Marked { release: id, point });
    true
}

fn not_set(why_not: String) -> RestorePoint {
    RestorePoint { name: String::new(), lsn: None, why_not: Some(why_not) }
}

/// Whether the release waits for its restore point now.
pub(crate) fn awaits_restore_point(release: &Release) -> bool {
    let waits = release.waiting.as_ref().is_some_and(|waiting| waiting.reason == wait::RESTORE_POINT);
    waits && release.restore_point.is_none() && release.is_open() && !release.is_undoing()
}

/// The goal that detaches what stands in the old revision's way, while a release whose database fails is undone.
pub(crate) fn detach(turn: &Turn<'_>, release: &Release) -> Option<SchemaGoal> {
    release.undoing.as_ref().filter(|undoing| undoing.detach && release.is_open())?;
    let beside = release.from.filter(|_| release.has_shifted())?;
    needs(&turn.app, release.revision)?;
    if turn.app.has_framework(release.revision) {
        // A framework keeps nothing in step that could be detached.
        return None;
    }
    Some(SchemaGoal::Detach { release: release.id, revision: release.revision, beside })
}

/// Whether what had to be detached is seen to be, or the wait for it is over: the traffic goes back in any case.
pub(crate) fn is_detached(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id).cloned() else { return true };
    let Some(goal) = detach(turn, &release) else { return true };
    let old = release.from.and_then(|from| needs(&turn.app, from)).cloned();
    let own = needs(&turn.app, release.revision).cloned();
    let seen = turn.sight.schema.is_some_and(|seen| {
        failure(seen, &goal).is_some()
            || seen.migrations.iter().all(|known| {
                let is_own = own.as_ref().is_some_and(|own| names(own, &known.id.name))
                    && !old.as_ref().is_some_and(|old| names(old, &known.id.name));
                !is_own || !matches!(known.phase, MigrationPhase::Expanded)
            })
    });
    seen || turn.waited_out(id, wait::DETACH, limits::DETACH)
}

/// Why the revision in the old slot could not run on the schema that is seen. What is not known forbids no way back.
pub(crate) fn forbids(turn: &Turn<'_>, revision: RevisionId) -> Option<String> {
    if let Some(name) = turn.app.contracted_without(revision) {
        return Some(format!("migration {name}, which it does not know, is contracted"));
    }
    let wanted = needs(&turn.app, revision).filter(|_| !turn.app.has_framework(revision))?;
    in_the_way(turn.sight.schema?, wanted)
}
