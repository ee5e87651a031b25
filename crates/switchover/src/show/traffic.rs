//! An app's traffic: what each arm did between two readings, and the sums since the app was first routed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use switchover_model::answer::TrafficView;
use switchover_model::seam::{ArmMeasured, GoalsMeasured, Measured, Part, TrafficSeen};
use switchover_model::{ProcessName, RevisionId, Share, Slot, Span};

use super::shadow;
use super::table::Table;
use super::wrap::wrapped;

/// What is said where nothing can be.
const UNKNOWN: &str = "unknown";
/// What stands where there is nothing to make a number of.
const NONE: &str = "-";

/// Two readings as one thing to show.
#[derive(Debug, Serialize)]
pub(crate) struct TrafficShown {
    /// The later reading, without what `arms` tells of it.
    #[serde(flatten)]
    view: TrafficView,
    /// Milliseconds between the two readings; nothing where they can not be compared.
    interval_ms: Option<u64>,
    /// By revision, newest first; nothing where the traffic could not be asked or does not measure.
    arms: Option<Vec<ArmShown>>,
    /// What was counted of an experiment's goals; nothing where none goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    goals: Option<GoalsMeasured>,
}

/// What one arm did.
#[derive(Debug, PartialEq, Serialize)]
struct ArmShown {
    revision: RevisionId,
    /// Nothing when it is out of the table and is drained.
    slot: Option<Slot>,
    process: ProcessName,
    part: Part,
    /// In basis points; nothing when it is out of the table, and where the slot's share is not what led there.
    share: Option<Share>,
    /// Of the interval.
    #[serde(flatten)]
    rate: Option<Rate>,
    /// Of the revision, over all its arms.
    in_flight: u64,
    /// Of the revision, over all its arms.
    upgrades: u64,
    clients: u64,
    /// Since the router began to measure.
    answered: [u64; 5],
    failed: u64,
    aborted: u64,
    upgrades_opened: u64,
    upgrades_cut: u64,
}

/// What happened in the interval. Without a request there is no ratio and no latency.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Rate {
    requests_per_second: f64,
    errors_per_second: f64,
    error_ratio: Option<f64>,
    p50_micros: Option<u64>,
    p99_micros: Option<u64>,
}

impl TrafficShown {
    /// `later` as compared with `earlier`, a reading before it.
    pub(crate) fn between(earlier: &TrafficView, mut later: TrafficView) -> Self {
        let before = earlier.seen.as_ref().and_then(|seen| seen.measured.as_ref());
        let now = later.seen.as_mut().and_then(|seen| seen.measured.take());
        let interval = before.zip(now.as_ref()).and_then(|(before, now)| interval(before, now));
        let arms = match (&later.seen, &now) {
            (Some(seen), Some(now)) => Some(arms(seen, now, before.zip(interval))),
            (None, _) | (_, None) => None,
        };
        let interval_ms = interval.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let goals = now.and_then(|now| now.goals);
        Self { view: later, interval_ms, arms, goals }
    }

    /// For people, in lines of at most `width`.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let Some(seen) = &self.view.seen else { return vec![format!("{UNKNOWN}: the router could not be asked")] };
        let mut lines = match &self.arms {
            None => vec![format!("{UNKNOWN}: what each arm does is not measured")],
            Some(arms) if arms.is_empty() => vec!["no routes are in force".to_owned()],
            Some(arms) => {
                let table = table(arms);
                let fits = table.iter().all(|line| console::measure_text_width(line) <= width);
                if fits { table } else { arms.iter().flat_map(|arm| sentences(arm, width)).collect() }
            }
        };
        if self.arms.is_some() && self.interval_ms.is_none() {
            lines.push(format!("{UNKNOWN}: rates and latencies, as the router began to measure anew"));
        }
        let copies = seen.shadow.iter().flat_map(shadow::lines);
        lines.extend(sums(seen).into_iter().chain(copies).flat_map(|line| wrapped(&line, width)));
        lines
    }
}

/// Between two readings that can be compared.
fn interval(before: &Measured, now: &Measured) -> Option<Duration> {
    let time = Duration::from_micros(now.at.as_micros().checked_sub(before.at.as_micros())?);
    (before.epoch == now.epoch && !time.is_zero()).then_some(time)
}

fn arms(seen: &TrafficSeen, now: &Measured, before: Option<(&Measured, Duration)>) -> Vec<ArmShown> {
    type Key = (RevisionId, ProcessName, Part);
    let known = now.arms.iter().map(|arm| (arm.revision, arm.process.clone(), arm.part));
    let routed = || seen.routes.iter().flat_map(|routes| &routes.arms);
    let of_table =
        routed().flat_map(|arm| arm.processes.iter().map(|routed| (arm.revision, routed.process.clone(), Part::Share)));
    let keys: BTreeSet<Key> = of_table.chain(known).collect();
    let shown = |(revision, process, part): Key| {
        let nothing = ArmMeasured::none(revision, process.clone(), part);
        let arm = now.arm(revision, &process, part).unwrap_or(&nothing);
        let rate = before.and_then(|(before, time)| {
            let earlier = before.arm(revision, &process, part).unwrap_or(&nothing);
            Some(rate(&arm.since(earlier)?, time))
        });
        let in_table = routed().find(|arm| arm.revision == revision);
        let count = |of: &BTreeMap<RevisionId, u64>| of.get(&revision).copied().unwrap_or(0);
        ArmShown {
            revision,
            slot: in_table.map(|arm| arm.slot),
            part,
            share: in_table.filter(|_| part == Part::Share).map(|arm| arm.share),
            rate,
            in_flight: count(&seen.in_flight),
            upgrades: count(&seen.upgrades),
            clients: arm.clients,
            answered: arm.answered,
            failed: arm.failed,
            aborted: arm.aborted,
            upgrades_opened: arm.upgrades_opened,
            upgrades_cut: arm.upgrades_cut,
            process,
        }
    };
    let mut arms: Vec<ArmShown> = keys.into_iter().map(shown).collect();
    arms.sort_by_key(|arm| std::cmp::Reverse(arm.revision));
    arms
}

fn rate(since: &ArmMeasured, time: Duration) -> Rate {
    let (requests, errors) = (since.requests(), since.errors());
    let quantile = |of| since.latency.quantile(of).map(|micros| micros.round() as u64);
    Rate {
        requests_per_second: requests as f64 / time.as_secs_f64(),
        errors_per_second: errors as f64 / time.as_secs_f64(),
        error_ratio: (requests > 0).then(|| errors as f64 / requests as f64),
        p50_micros: quantile(0.5),
        p99_micros: quantile(0.99),
    }
}

// === For people ===

fn share(arm: &ArmShown) -> String {
    match arm.share {
        Some(share) => percent(f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points())),
        None if arm.slot.is_some() => NONE.to_owned(),
        None => "drains".to_owned(),
    }
}

/// As many places as tell something.
fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == percent.round() { format!("{percent:.0} %") } else { format!("{percent:.2} %") }
}

fn per_second(count: f64) -> String {
    if count == 0.0 { "0".to_owned() } else { format!("{count:.1}") }
}

/// Of the interval: requests and errors a second, errors of all, p50, p99.
fn interval_cells(rate: Option<&Rate>) -> [String; 5] {
    let Some(rate) = rate else { return std::array::from_fn(|_| UNKNOWN.to_owned()) };
    let time =
        |micros: Option<u64>| micros.map_or_else(|| NONE.to_owned(), |micros| Span::from_micros(micros).rounded());
    [
        per_second(rate.requests_per_second),
        per_second(rate.errors_per_second),
        rate.error_ratio.map_or_else(|| NONE.to_owned(), percent),
        time(rate.p50_micros),
        time(rate.p99_micros),
    ]
}

fn table(arms: &[ArmShown]) -> Vec<String> {
    // Columns that say the same of every arm say nothing.
    let has_processes = arms.iter().any(|arm| arm.process != arms[0].process);
    let has_parts = arms.iter().any(|arm| arm.part != Part::Share);
    let mut head = vec!["revision", "slot"];
    head.extend(has_processes.then_some("process"));
    head.extend(has_parts.then_some("part"));
    let left = head.len();
    head.extend(["share", "requests/s", "errors/s", "errors", "p50", "p99", "in flight", "upgrades", "clients"]);
    let mut table = Table::new(&head, &(left..head.len()).collect::<Vec<_>>());
    let mut told = None;
    for arm in arms {
        let mut cells = vec![arm.revision.to_string(), arm.slot.map_or(NONE.to_owned(), |slot| slot.to_string())];
        cells.extend(has_processes.then(|| arm.process.to_string()));
        cells.extend(has_parts.then(|| arm.part.name().to_owned()));
        cells.push(share(arm));
        cells.extend(interval_cells(arm.rate.as_ref()));
        // They are the revision's: said once.
        let is_first = told.replace(arm.revision) != Some(arm.revision);
        let once = |count: u64| if is_first { count.to_string() } else { String::new() };
        cells.extend([once(arm.in_flight), once(arm.upgrades), arm.clients.to_string()]);
        table.row(cells);
    }
    table.lines()
}

/// The same where a table has no room.
fn sentences(arm: &ArmShown, width: usize) -> Vec<String> {
    let slot = arm.slot.map(|slot| format!(" {slot}")).unwrap_or_default();
    let part = if arm.part == Part::Share { String::new() } else { format!(", {}", arm.part.name()) };
    let [requests, errors, ratio, p50, p99] = interval_cells(arm.rate.as_ref());
    let line = format!(
        "{}{slot} {}{part}, share {}: {requests} requests/s, {errors} errors/s ({ratio}), p50 {p50}, p99 {p99}, in flight {}, \
         upgrades {}, clients {}",
        arm.revision,
        arm.process,
        share(arm),
        arm.in_flight,
        arm.upgrades,
        arm.clients
    );
    wrapped(&line, width)
}

fn sums(seen: &TrafficSeen) -> Vec<String> {
    let ledger = &seen.ledger;
    let answered: u64 = ledger.by_revision.values().flat_map(|revision| revision.answered).sum();
    let failed: u64 = ledger.by_revision.values().map(|revision| revision.answered[4]).sum();
    let own: u64 = ledger.own.values().map(|own| own.count).sum();
    let mut lines = vec![format!(
        "accepted {}, answered {answered} (5xx {failed}), in flight {}, left by clients {}, answered by the router itself {own}",
        ledger.accepted, ledger.in_flight, ledger.aborted
    )];
    for (cause, own) in &ledger.own {
        lines.push(format!("  {cause}: {} ({} lost)", own.count, own.lost));
    }
    if !seen.unrouted.is_empty() {
        lines.push("answered by the router itself, for no app:".to_owned());
        lines.extend(seen.unrouted.iter().map(|(cause, own)| format!("  {cause}: {} ({} lost)", own.count, own.lost)));
    }
    lines
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
