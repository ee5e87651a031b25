//! The receipt of a release: the difference of two readings of the router's counters, and its switches.
//!
//! A release's window begins at the reading with which it was opened and ends at the one with which it was settled, or with
//! which the next one was opened when that came first. What lies between two windows is told by the later one. So a request
//! is counted exactly once.

use std::collections::BTreeMap;

use switchover_model::receipt::{Between, Ledger, OwnLedger, Receipt, RevisionLedger, StepReceipt, SwitchReceipt};
use switchover_model::seam::Evidence;
use switchover_model::{ReleaseId, RevisionId, Slot, Timestamp};

use crate::app::App;
use crate::release::{Release, Switch};
use crate::step_state::StepState;

/// A reading of the counters, and when it was made.
#[derive(Clone, Copy)]
struct Reading<'a> {
    at: Timestamp,
    ledger: &'a Ledger,
}

/// The receipt of `release`; nothing when it is not remembered, or when no reading shows its begin or its end.
///
/// `current` is the counters now, used while the window is open. `evidence` is what the traffic can observe.
#[must_use]
pub fn receipt(
    app: &App,
    release: ReleaseId,
    current: Option<&Ledger>,
    now: Timestamp,
    evidence: Evidence,
) -> Option<Receipt> {
    let nothing = Ledger::default();
    let found = app.any_release(release)?;
    let is_first = !app.all_releases().any(|other| other.id < release) && release.0 <= 1;
    let opened = reading(Some(found.opened_at), found.opened_ledger.as_deref());
    let zero = is_first.then_some(Reading { at: found.opened_at, ledger: &nothing });
    let begin = opened.or(zero).or_else(|| first_reading(app, release))?;
    let next = app.all_releases().find(|other| other.id > release).and_then(|next| first_reading(app, next.id));
    let settled = reading(found.settled_at, found.settled_ledger.as_deref());
    let end = earlier(settled, next);
    let closed = end.is_some();
    let current = current.map(|ledger| trimmed(ledger, app, app.archive.iter()));
    let end = end.or(current.as_ref().map(|ledger| Reading { at: now, ledger }))?;
    let mut receipt = difference(found, begin, end, closed, evidence);
    let before = app.all_releases().rfind(|other| other.id < release);
    if let Some(last) = before.and_then(|before| reading(before.settled_at, before.settled_ledger.as_deref()))
        && last.at <= begin.at
    {
        receipt.accepted_since_last = begin.ledger.accepted.saturating_sub(last.ledger.accepted);
        receipt.lost_since_last = lost(begin.ledger).saturating_sub(lost(last.ledger));
        receipt.since_last = Between {
            by_revision: answered_between(last.ledger, begin.ledger),
            own: own_between(last.ledger, begin.ledger),
            aborted: begin.ledger.aborted.saturating_sub(last.ledger.aborted),
            lost_with_router: begin.ledger.lost_with_router.saturating_sub(last.ledger.lost_with_router),
        };
    }
    name_slots(app, found, &mut receipt.by_revision);
    name_slots(app, found, &mut receipt.since_last.by_revision);
    Some(receipt)
}

/// A reading without the revisions that are forgotten, so can answer nothing any more, and have not since any reading that
/// it is compared with: they tell nothing in a receipt. So what is recorded is as large as what is kept, however many
/// revisions there were.
pub(crate) fn trimmed<'a>(ledger: &Ledger, app: &App, archive: impl Iterator<Item = &'a Release>) -> Ledger {
    let open = app.releases.iter().flat_map(|release| [&release.opened_ledger, &release.switched_ledger]);
    let last = archive.max_by_key(|release| release.id).map(|release| &release.settled_ledger);
    let compared: Vec<&Ledger> = open.chain(last).flatten().map(|ledger| &**ledger).collect();
    let mut trimmed = ledger.clone();
    trimmed.by_revision.retain(|id, counted| {
        // One that is left out there was left out for the same reason.
        let has_rested = |before: &&Ledger| before.by_revision.get(id).is_none_or(|before| before == counted);
        app.revisions.contains_key(id) || !compared.iter().all(has_rested)
    });
    trimmed
}

/// Names the slot of each revision that answered: the one that the newest release up to this one brought it to.
fn name_slots(app: &App, release: &Release, by_revision: &mut BTreeMap<RevisionId, RevisionLedger>) {
    for (revision, counted) in by_revision {
        let brought = app.all_releases().filter(|other| other.id <= release.id && other.revision == *revision);
        let slot = brought.filter_map(|other| other.slot).next_back();
        let is_from = release.from == Some(*revision);
        counted.slot = slot.or_else(|| release.slot.filter(|_| is_from).map(Slot::other));
    }
}

/// Requests lost since the app was first routed.
fn lost(ledger: &Ledger) -> u64 {
    ledger.own.values().map(|counted| counted.lost).sum::<u64>() + ledger.lost_with_router
}

/// The first reading from when `release` was opened on: made with it, or as soon after as the traffic could be asked,
/// for it or for one that was opened meanwhile. So no window reaches into the one after it.
fn first_reading(app: &App, release: ReleaseId) -> Option<Reading<'_>> {
    let mut first = None;
    for later in app.all_releases().filter(|other| other.id >= release) {
        let opened = reading(Some(later.opened_at), later.opened_ledger.as_deref());
        let switched = reading(later.switched_at, later.switched_ledger.as_deref());
        let settled = reading(later.settled_at, later.settled_ledger.as_deref());
        first = earlier(first, opened.or(switched).or(settled));
        if opened.is_some() {
            break;
        }
    }
    first
}

/// The earlier of two readings; the first when they are of one moment.
fn earlier<'a>(one: Option<Reading<'a>>, other: Option<Reading<'a>>) -> Option<Reading<'a>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.at < one.at { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn reading(at: Option<Timestamp>, ledger: Option<&Ledger>) -> Option<Reading<'_>> {
    Some(Reading { at: at?, ledger: ledger? })
}

fn difference(release: &Release, begin: Reading<'_>, end: Reading<'_>, closed: bool, evidence: Evidence) -> Receipt {
    let (before, after) = (begin.ledger, end.ledger);
    let by_revision = answered_between(before, after);
    let own = own_between(before, after);
    let accepted = after.accepted.saturating_sub(before.accepted);
    let aborted = after.aborted.saturating_sub(before.aborted);
    let lost_with_router = after.lost_with_router.saturating_sub(before.lost_with_router);
    let answered: u64 = by_revision.values().map(|counted| counted.answered.iter().sum::<u64>()).sum();
    let own_count: u64 = own.values().map(|counted| counted.count).sum();
    let ended = answered + own_count + aborted + lost_with_router;
    Receipt {
        release: release.id,
        from: begin.at,
        to: end.at,
        closed,
        evidence,
        accepted_since_last: 0,
        lost_since_last: 0,
        since_last: Between::default(),
        in_flight_before: before.in_flight,
        accepted,
        aborted,
        lost_with_router,
        in_flight_after: after.in_flight,
        balanced: before.in_flight + accepted == ended + after.in_flight && before.accepted <= after.accepted,
        lost: own.values().map(|counted| counted.lost).sum::<u64>() + lost_with_router,
        switches: switches(release, before, after),
        steps: release.steps.iter().map(step_receipt).collect(),
        by_revision,
        own,
        restore_point: release.restore_point.clone(),
        hooks: release.hooks.clone(),
        judged: release.judged.clone(),
    }
}

fn answered_between(before: &Ledger, after: &Ledger) -> BTreeMap<RevisionId, RevisionLedger> {
    let nothing = RevisionLedger::default();
    let counted = after.by_revision.iter().map(|(id, after)| {
        let before = before.by_revision.get(id).unwrap_or(&nothing);
        let mut answered = after.answered;
        for (count, earlier) in answered.iter_mut().zip(before.answered) {
            *count = count.saturating_sub(earlier);
        }
        let upgrades_cut = after.upgrades_cut.saturating_sub(before.upgrades_cut);
        let first_request = after.first_request;
        (*id, RevisionLedger { slot: None, answered, upgrades_cut, first_request, last_request: after.last_request })
    });
    counted.filter(|(_, counted)| counted.answered.iter().sum::<u64>() + counted.upgrades_cut > 0).collect()
}

fn own_between(before: &Ledger, after: &Ledger) -> BTreeMap<String, OwnLedger> {
    let nothing = OwnLedger::default();
    let counted = after.own.iter().map(|(cause, after)| {
        let before = before.own.get(cause).unwrap_or(&nothing);
        let count = after.count.saturating_sub(before.count);
        (cause.clone(), OwnLedger { count, lost: after.lost.saturating_sub(before.lost) })
    });
    counted.filter(|(_, counted)| counted.count > 0).collect()
}

fn switches(release: &Release, before: &Ledger, after: &Ledger) -> Vec<SwitchReceipt> {
    let next = release.switches.iter().skip(1).map(|next| Some(next.decided_at)).chain([None]);
    // Through steps the new slot had its first request long before it had all of them.
    let first_step = release.steps.first().map(|step| step.decided_at);
    let since =
        |switch: &Switch| first_step.filter(|_| !switch.back).unwrap_or(switch.decided_at).min(switch.decided_at);
    let told = release.switches.iter().zip(next);
    told.filter_map(|(switch, until)| switch_receipt(switch, (since(switch), until), before, after)).collect()
}

fn step_receipt(step: &StepState) -> StepReceipt {
    StepReceipt {
        step: step.step,
        share: step.share,
        decided_at: step.decided_at,
        in_force_at: step.in_force_at,
        left_at: step.left_at,
        promoted: step.promoted.is_some(),
        batch: step.batch,
    }
}

/// A switch to nobody, which undoes a first release, is none that a client could see from one revision to another.
///
/// Counters keep the first and last request of a revision over its life: what lies before `since`, or after `until`, when the way
/// back was decided, says nothing of it.
fn switch_receipt(
    switch: &Switch,
    (since, until): (Timestamp, Option<Timestamp>),
    before: &Ledger,
    after: &Ledger,
) -> Option<SwitchReceipt> {
    let to = switch.to?;
    let is_of_this = |at: &Timestamp| until.is_none_or(|until| *at < until);
    let first_on_new = after.by_revision.get(&to).and_then(|counted| counted.first_request);
    let old = switch.from.and_then(|from| after.by_revision.get(&from));
    let cut_before = switch.from.and_then(|from| before.by_revision.get(&from)).map_or(0, |old| old.upgrades_cut);
    Some(SwitchReceipt {
        version: switch.version,
        from: switch.from,
        to,
        decided_at: switch.decided_at,
        flipped_at: switch.flipped_at,
        decision_to_flip: switch.flipped_at.map(|flipped_at| flipped_at.since(switch.decided_at)),
        drain: switch.drained_at.zip(switch.flipped_at).map(|(drained, flipped)| drained.since(flipped)),
        // The drain may end after the window; what it cut is told with its switch all the same.
        upgrades_cut: switch
            .upgrades_cut
            .unwrap_or_else(|| old.map_or(0, |old| old.upgrades_cut))
            .saturating_sub(cut_before),
        left: switch.left,
        first_on_new: first_on_new.filter(|first| *first >= since && is_of_this(first)),
        last_on_old: old.and_then(|old| old.last_request).filter(is_of_this),
    })
}
