//! How a release is opened while others are not over: what it supersedes, what it waits for, which way back it closes.

use switchover_model::record::Event;
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::revision::Source;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot};

use crate::admit::{Desk, is_live};
use crate::release::Release;
use crate::turn::planted;
use crate::{framework, refusal};

/// Opens a release of a new revision.
pub(crate) fn deploy(desk: &mut Desk<'_>, source: Source, replace: bool) -> ReleaseId {
    let revision = RevisionId(desk.app.next_revision);
    open(desk, ReleaseKind::Deploy, revision, source, replace)
}

/// Goes to a revision that is on disk: at once where that is a switch back, else by a release of it.
pub(crate) fn return_to(desk: &mut Desk<'_>, to: RevisionId, plain: bool) -> Result<ReleaseId, Problem> {
    let app = desk.app;
    let heading = app.heading().map(|live| live.revision);
    let moved = |release: &&Release| release.is_in_steps() || release.has_shifted() && is_live(app, release);
    let last = app.releases.iter().rev().find(moved);
    if let Some(last) = last.filter(|last| last.undoing.is_none())
        && app.origin_of(last).is_some_and(|(_, from)| from == to)
    {
        let newer = || app.releases.iter().filter(|other| other.is_open() && other.id > last.id);
        // One that has taken a slot, or goes to the same revision, may have done more than this would.
        let has_done_little = |other: &Release| other.slot.is_none() && !other.has_shifted() && other.revision != to;
        if newer().all(|other| has_done_little(other) && (other.is_undoing() || makes_room(desk, other))) {
            newer().filter(|other| !other.is_undoing()).for_each(|other| give_way(desk, other, last));
            return desk.undo(last);
        }
    }
    if heading == Some(to) {
        return match app.moving().filter(|moving| !moving.has_shifted()) {
            Some(moving) => desk.undo(moving),
            None => Err(refusal::already_live(to)),
        };
    }
    if app.releases.iter().any(|release| release.is_open() && !release.is_undoing() && release.revision == to) {
        return Err(refusal::already_live(to));
    }
    if !app.revisions.contains_key(&to) {
        return Err(refusal::unknown_revision(app, to));
    }
    if let Some(name) = app.contracted_without(to) {
        return Err(framework::gone_on(to, &name));
    }
    Ok(open(desk, ReleaseKind::Return { to, plain }, to, Source::Revision { id: to }, false))
}

/// What had moved no traffic would go on in the opposite direction.
fn give_way(desk: &mut Desk<'_>, other: &Release, undone: &Release) {
    let (id, revision) = (other.id, other.revision);
    desk.write(Event::Undoing { release: id, cause: None, detach: false });
    let cause = format!(
        "release {id} of {revision}, which had moved no traffic, gives way to the rollback of release {}.",
        undone.id
    );
    desk.notice(Some(id), Problem::new("RELEASE-SUPERSEDED", cause, "Nothing is left to do."));
}

fn open(desk: &mut Desk<'_>, kind: ReleaseKind, revision: RevisionId, source: Source, replace: bool) -> ReleaseId {
    let app = desk.app;
    let release = ReleaseId(app.next_release);
    let mut waits_for = None;
    for other in app.releases.iter().filter(|other| other.is_open()) {
        if other.is_undoing() {
            waits_for = Some(other.id);
        } else if makes_room(desk, other) {
            desk.write(Event::Concluded { release: other.id, outcome: Outcome::Superseded { by: release } });
            desk.notice(Some(other.id), superseded(desk, other, release));
        } else if other.stage() == Some(Stage::Shift) {
            if replace {
                let cause = format!("release {release} was to replace it.");
                let cause = Problem::new("REPLACED", cause, "The newer release goes on by itself.");
                desk.write(Event::Undoing { release: other.id, cause: Some(cause), detach: false });
            }
            waits_for = Some(other.id);
        }
    }
    let from = app.heading().map(|live| live.revision);
    let closes = way_back_that_closes(desk, release, &kind);
    desk.write(Event::Opened { release, kind, revision, from, source, ledger: None });
    if let Some(other) = waits_for {
        let cause = format!("release {release} begins when release {other} has ended its shift or its undoing.");
        let next = format!("`switchover abort` takes it back; a newer deploy takes its place ({release}).");
        desk.notice(Some(release), Problem::new("WAITS", cause, next));
    }
    if let (Some(problem), false) = (closes, replace && waits_for.is_some()) {
        desk.notice(Some(release), problem);
    }
    release
}

/// What is said of a release that had moved no traffic when a newer one took its place.
fn superseded(desk: &Desk<'_>, other: &Release, by: ReleaseId) -> Problem {
    let (id, revision) = (other.id, other.revision);
    let cause = format!("release {id} of {revision}, which had moved no traffic, gives way to release {by}.");
    let live = desk.app.heading().map(|live| live.revision);
    match (&other.kind, live) {
        (ReleaseKind::Return { to, .. }, Some(live)) => Problem::new(
            "RELEASE-SUPERSEDED",
            format!("{cause} It was the way back to {to}: {live} keeps the traffic until release {by} is switched."),
            format!("To go back after all: `switchover abort`, then `switchover rollback --to {to}`."),
        ),
        (ReleaseKind::Return { .. } | ReleaseKind::Deploy, _) => {
            Problem::new("RELEASE-SUPERSEDED", cause, "Nothing is left to do.")
        }
    }
}

/// A newer release takes the place of one whose traffic was not told to move.
fn makes_room(desk: &Desk<'_>, other: &Release) -> bool {
    match other.stage() {
        None | Some(Stage::Build | Stage::Expand | Stage::Provision | Stage::Verify | Stage::Approve) => true,
        Some(Stage::Shift) => planted!(desk, SupersedeDuringShift),
        Some(Stage::Bake | Stage::Retire | Stage::Contract) => false,
    }
}

/// The idle slot is warm with the revision before: the new release will need that slot.
fn way_back_that_closes(desk: &Desk<'_>, release: ReleaseId, kind: &ReleaseKind) -> Option<Problem> {
    let app = desk.app;
    let live = app.heading()?;
    let idle: Slot = live.slot.other();
    let state = app.slot(idle);
    let warm = state.revision.filter(|_| !app.has_nobody(idle)).filter(|warm| {
        if matches!(kind, ReleaseKind::Return { to, .. } if to == warm) {
            return false;
        }
        let owner = state.release.and_then(|owner| app.any_release(owner));
        owner.is_none_or(|owner| matches!(owner.outcome, Some(Outcome::Succeeded { .. })))
    })?;
    let when = match kind {
        ReleaseKind::Deploy => format!("once release {release} is built, and is not what is live already"),
        ReleaseKind::Return { .. } => format!("once release {release} begins"),
    };
    let cause = format!(
        "slot {idle} is still warm with {warm}; {when}, that slot is cleared for it, the bake of {} ends if it still \
         runs, and going back to {warm} is no longer one switch.",
        live.revision
    );
    let next = format!("`switchover rollback --to {warm}` will start it again.");
    Some(Problem::new("WAY-BACK-CLOSES", cause, next))
}
