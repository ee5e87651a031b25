//! The users' account against the receipts'.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::receipt::Receipt;

use super::outcome::Cause;
use super::report::Report;

/// Where the users' account and the receipts' differ, one line each; nothing when they tell the same story.
///
/// Flow: called after [`super::Running::stop`] with the receipts of the releases that the run went through, in order,
/// read after it.
/// Guarantees: every number that both sides know is compared: requests that reached the router, whole answers by
/// revision and status class, the router's own answers and, where nothing failed, the requests that users left. An answer that the router had written whole
/// when its user left is the router's answer and the user's leaving: their sums have to agree.
/// Assumes: the first receipt's window was open before the first request, no receipt between the first and the last is
/// left out (what came between two windows is told by the later one), and nobody else asked the app anything through the router. The revisions are those of the sample app's answers; for
/// an app whose answers do not name theirs, classes are compared over all revisions together.
#[must_use]
pub fn compare(report: &Report, receipts: &[Receipt]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, users: u64, told: u64| {
        if users != told {
            differences.push(format!("{what}: users count {users}, receipts {told}"));
        }
    };
    let never_connected = report.failures.get(&Cause::Connect).copied().unwrap_or_default();
    // What came before the first window is nobody's here.
    let between = || receipts.iter().skip(1).map(|receipt| &receipt.since_last);
    let accepted_between: u64 = receipts.iter().skip(1).map(|receipt| receipt.accepted_since_last).sum();
    let accepted = receipts.iter().map(|receipt| receipt.accepted).sum::<u64>() + accepted_between;
    differ("requests that reached the router", report.sent - never_connected, accepted);
    differ("in flight before", 0, receipts.first().map_or(0, |receipt| receipt.in_flight_before));
    differ("in flight after", 0, receipts.last().map_or(0, |receipt| receipt.in_flight_after));

    let told = answered_by_revision(receipts);
    let own = receipts.iter().map(|receipt| &receipt.own).chain(between().map(|between| &between.own));
    let own: u64 = own.flat_map(BTreeMap::values).map(|own| own.count).sum();
    let whole: u64 = report.by_status.values().sum();
    let mut too_late = 0;
    if report.by_revision.is_empty() {
        let told: u64 = told.values().flatten().sum();
        too_late = (told + own).saturating_sub(whole);
        differ("whole answers", whole + too_late, told + own);
    } else {
        let of_apps: u64 = report.by_revision.values().map(|seen| seen.answered).sum();
        differ("answers of the router's own", whole - of_apps, own);
        let revisions: BTreeSet<&String> = told.keys().chain(report.by_revision.keys()).collect();
        for revision in revisions {
            let by_users = report.by_revision.get(revision).map(|seen| seen.by_class).unwrap_or_default();
            let by_router = told.get(revision).copied().unwrap_or_default();
            for (class, (users, told)) in (1..).zip(by_users.into_iter().zip(by_router)) {
                // An answer that was written whole before its user left is one to the router and none to the user.
                let whole_too_late = if class == 2 { told.saturating_sub(users) } else { 0 };
                differ(&format!("{revision}, {class}xx"), users + whole_too_late, told);
                too_late += whole_too_late;
            }
        }
    }
    if report.failed == 0 {
        let aborted: u64 = receipts.iter().map(|receipt| receipt.aborted).sum();
        let aborted = aborted + between().map(|between| between.aborted).sum::<u64>();
        differ("requests that their users left", report.aborted, aborted + too_late);
    } else {
        differ("answers that were whole before their users left", too_late, too_late.min(report.aborted));
    }
    differences
}

fn answered_by_revision(receipts: &[Receipt]) -> BTreeMap<String, [u64; 5]> {
    let mut sums: BTreeMap<String, [u64; 5]> = BTreeMap::new();
    let between = receipts.iter().skip(1).map(|receipt| &receipt.since_last.by_revision);
    let told = receipts.iter().map(|receipt| &receipt.by_revision).chain(between);
    for (revision, ledger) in told.flatten() {
        let sum = sums.entry(revision.to_string()).or_default();
        for (sum, count) in sum.iter_mut().zip(ledger.answered) {
            *sum += count;
        }
    }
    sums
}
