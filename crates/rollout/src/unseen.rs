//! A schema that can not be seen, on the way back: what the records tell of it stands in for the look. Where they tell
//! that nothing was done since which the revision could not run on, a way back goes on without.

use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::revision::{MigrationId, RevisionSchema};
use switchover_model::{ReleaseId, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::schema;
use crate::turn::Turn;
use crate::{framework, limits, wait};

/// Whether it leads back to a revision that was there before: what the release before it did to the data is no reason to
/// stay with that one.
pub(crate) fn is_way_back(release: &Release) -> bool {
    matches!(release.kind, ReleaseKind::Return { .. })
}

/// Whether a schema that is not seen is no reason any more to hold `id` up; waits for it to be seen, for a bounded time.
pub(crate) fn is_passed(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id) else { return false };
    let (stage, entered_at) = (release.stage(), release.entered_at());
    if stage == Some(Stage::Expand) && turn.over(entered_at, limits::SCHEMA_UNSEEN) {
        // What it waits for here afterwards has a clock of its own, which this one must not begin anew.
        return true;
    }
    turn.waited_out(id, wait::SCHEMA, limits::SCHEMA_UNSEEN)
}

/// Whether `release` is a way back, and the records tell that its revision can run on what is there.
pub(crate) fn may_be_passed(turn: &Turn<'_>, release: &Release) -> bool {
    is_way_back(release) && !release.schema_lacks && serves(turn, release)
}

/// Whether the live revision needs the same as that of `release`; or such a one was shifted to, and no release since has
/// done anything to the schema that is in its way.
fn serves(turn: &Turn<'_>, release: &Release) -> bool {
    let app = &turn.app;
    if app.has_framework(release.revision) {
        // Its records tell all of it at any time.
        return framework::in_the_way(app, release.revision).is_none();
    }
    let Some(wanted) = schema::needs(app, release.revision) else { return true };
    let is_same =
        |revision| schema::needs(app, revision).is_some_and(|own: &RevisionSchema| own.migrations == wanted.migrations);
    if app.heading().is_some_and(|live| is_same(live.revision)) {
        // Nothing that the live revision needs is ever taken away.
        return true;
    }
    let shifts = turn.remembered().filter(|other| is_same(other.revision)).flat_map(|other| &other.stages);
    let shifts = shifts.filter(|stage| stage.stage == Stage::Shift).map(|stage| stage.entered_at);
    shifts.max().is_some_and(|since| !turn.remembered().any(|other| has_changed(app, other, wanted, since)))
}

/// Whether `release` may have done something to the schema after `since` that is in the way of what needs `wanted`.
fn has_changed(app: &App, release: &Release, wanted: &RevisionSchema, since: Timestamp) -> bool {
    let expanded = was_in(release, Stage::Expand, since);
    let contracted = release.contract_begun && was_in(release, Stage::Contract, since);
    let detached = release.undoing.as_ref().is_some_and(|undoing| undoing.detach && undoing.at >= since);
    if !(expanded || contracted || detached) {
        return false;
    }
    // Of a revision that is forgotten nobody knows what it brought.
    let Some(own) = schema::needs(app, release.revision) else { return true };
    let old = release.from.and_then(|from| schema::needs(app, from));
    let took_back = lacks(own, wanted);
    let took_away = contracted && lacks(wanted, own);
    let takes_apart =
        |id: &MigrationId| wanted.migrations.contains(id) && !old.is_some_and(|old| old.migrations.contains(id));
    took_back && (expanded || contracted) || took_away || detached && own.migrations.iter().any(takes_apart)
}

fn lacks(schema: &RevisionSchema, other: &RevisionSchema) -> bool {
    other.migrations.iter().any(|id| !schema.migrations.contains(id))
}

fn was_in(release: &Release, stage: Stage, since: Timestamp) -> bool {
    let ended_after = |left: Option<Timestamp>| left.is_none_or(|left| left >= since);
    release.stages.iter().any(|gone| gone.stage == stage && ended_after(gone.left_at))
}
