//! A receipt as tables.

use jiff::tz::TimeZone;
use switchover_model::receipt::{Receipt, StepReceipt, SwitchReceipt};
use switchover_model::seam::Evidence;
use switchover_model::{AppName, RevisionId, Timestamp};

use super::moment::clock;
use super::table::Table;

/// The receipt, with its sum written out.
pub(crate) fn tables(app: &AppName, receipt: &Receipt, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let window = if receipt.closed { "closed" } else { "still open" };
    let mut lines = vec![
        format!(
            "receipt of release {} of {app}: {} to {} ({}), {window}",
            receipt.release,
            clock(receipt.from, now, zone),
            clock(receipt.to, now, zone),
            receipt.to.since(receipt.from).rounded(),
        ),
        format!("rests on {}", evidence(receipt.evidence)),
        String::new(),
    ];
    lines.extend(sum(receipt));
    lines.push(String::new());
    let verdict = if receipt.balanced { "the sum closes" } else { "THE SUM DOES NOT CLOSE" };
    let requests = if receipt.lost == 1 { "request" } else { "requests" };
    lines.push(format!("{verdict}; {} {requests} lost", receipt.lost));
    if receipt.accepted_since_last > 0 {
        lines.push(format!(
            "between the release before and this one: {} accepted, {} lost",
            receipt.accepted_since_last, receipt.lost_since_last
        ));
    }
    if let Some(point) = &receipt.restore_point {
        let place = match (&point.lsn, &point.why_not) {
            (Some(lsn), _) => format!("{} at {lsn}", point.name),
            (None, Some(why)) => format!("none: {why}"),
            (None, None) => "none".to_owned(),
        };
        lines.push(format!("restore point in the database before the switch: {place}"));
    }
    if !receipt.steps.is_empty() {
        lines.push(String::new());
        lines.extend(steps(&receipt.steps, now, zone));
    }
    if !receipt.hooks.is_empty() {
        lines.push(String::new());
        lines.extend(super::hooks::lines(&receipt.hooks));
    }
    for judged in &receipt.judged {
        lines.push(String::new());
        lines.extend(judged.experiment.iter().flat_map(|decided| super::experiment::decided_lines(decided)));
        if judged.verdicts.is_empty() {
            continue;
        }
        if judged.experiment.is_some() {
            lines.push(String::new());
        }
        lines.push(format!("checks of {}, as last looked at:", super::checks::place(&judged.watch)));
        lines.extend(super::checks::lines(&judged.verdicts).iter().map(|line| format!("  {line}")));
    }
    for switch in &receipt.switches {
        lines.push(String::new());
        lines.extend(one_switch(switch, receipt, now, zone));
    }
    lines
}

fn sum(receipt: &Receipt) -> Vec<String> {
    let mut table = Table::new(&["requests", "", "2xx", "3xx", "4xx", "5xx", "upgrades"], &[1, 2, 3, 4, 5, 6]);
    table.row(["in flight before".to_owned(), receipt.in_flight_before.to_string()]);
    table.row(["accepted".to_owned(), receipt.accepted.to_string()]);
    for (revision, ledger) in &receipt.by_revision {
        let total: u64 = ledger.answered.iter().sum();
        let [upgrades, second, third, fourth, fifth] = ledger.answered;
        let place = ledger.slot.map(|slot| format!(" in {slot}")).unwrap_or_default();
        let mut cells = vec![format!("answered by {revision}{place}"), total.to_string()];
        cells.extend([second, third, fourth, fifth, upgrades].map(|count| count.to_string()));
        table.row(cells);
    }
    for (cause, own) in &receipt.own {
        let lost = if own.lost > 0 { format!(" ({} lost)", own.lost) } else { String::new() };
        table.row([format!("answered by the router: {cause}{lost}"), own.count.to_string()]);
    }
    table.row(["left by the client".to_owned(), receipt.aborted.to_string()]);
    table.row(["lost with a killed router".to_owned(), receipt.lost_with_router.to_string()]);
    table.row(["in flight after".to_owned(), receipt.in_flight_after.to_string()]);
    table.lines()
}

fn steps(steps: &[StepReceipt], now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut table = Table::new(&["step", "share", "in force", "for", ""], &[0]);
    for step in steps {
        let in_force = step.in_force_at.map_or_else(|| "never seen".to_owned(), |at| clock(at, now, zone));
        let length = step.in_force_at.map(|at| step.left_at.unwrap_or(now).since(at).rounded()).unwrap_or_default();
        let batch = step.batch.map(|batch| format!("{} new, {} old", batch.new, batch.old));
        let promoted = step.promoted.then(|| "ended by a person".to_owned());
        let how = batch.into_iter().chain(promoted).collect::<Vec<_>>().join("; ");
        table.row([step.step.to_string(), super::steps::share(step.share), in_force, length, how]);
    }
    table.lines()
}

fn one_switch(switch: &SwitchReceipt, receipt: &Receipt, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let from = switch.from.map_or_else(|| "nothing".to_owned(), |from| from.to_string());
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "none seen".to_owned(), |at| clock(at, now, zone));
    let span = |span: Option<switchover_model::Span>| {
        span.map_or_else(|| "not seen yet".to_owned(), switchover_model::Span::rounded)
    };
    let mut table = Table::new(&[&format!("switch {from} -> {}", switch.to), &moment(switch.flipped_at)], &[]);
    table.row(["  from decision to flip".to_owned(), span(switch.decision_to_flip)]);
    let answered = |of: RevisionId| {
        receipt.by_revision.get(&of).is_some_and(|ledger| ledger.answered.iter().any(|count| *count > 0))
    };
    // A revision's counters know its first and its last request, not those around a switch in between.
    let first = match switch.first_on_new {
        None if answered(switch.to) => "not known: it took requests before".to_owned(),
        first => after(first, switch),
    };
    let last = match switch.last_on_old {
        None if switch.from.is_some_and(answered) => "not known: it took requests again".to_owned(),
        last => after(last, switch),
    };
    table.row(["  first request on the new".to_owned(), first]);
    table.row(["  last request on the old".to_owned(), last]);
    let is_taken_back = |from| receipt.switches.iter().any(|later| later.version > switch.version && later.to == from);
    let drain = match switch.from {
        None => "nothing to drain".to_owned(),
        Some(from) if switch.drain.is_none() && is_taken_back(from) => "not seen: it got its traffic back".to_owned(),
        Some(_) => span(switch.drain),
    };
    table.row(["  drain".to_owned(), drain]);
    table.row(["  upgrades cut".to_owned(), switch.upgrades_cut.to_string()]);
    if switch.left > 0 {
        table.row(["  left when the drain's time was over".to_owned(), switch.left.to_string()]);
    }
    table.lines()
}

/// A moment as its distance from the flip.
fn after(at: Option<Timestamp>, switch: &SwitchReceipt) -> String {
    match (at, switch.flipped_at) {
        (None, _) => "none".to_owned(),
        (Some(_), None) => "before the flip".to_owned(),
        (Some(at), Some(flip)) if at >= flip => format!("{} after the flip", at.since(flip).rounded()),
        (Some(at), Some(flip)) => format!("{} before the flip", flip.since(at).rounded()),
    }
}

fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::EveryRequest => {
            "every request of users, counted by the router; those to the preview are not among them"
        }
        Evidence::SampledMetrics => "sampled metrics",
        Evidence::SettingOnly => "the traffic's own setting alone: no request was seen",
    }
}
