//! The report of an experiment as a table.

use jiff::tz::TimeZone;
use switchover_model::config::{Better, Undecided};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{Side, Verdict};
use switchover_model::experiment::{Decided, Ending, ExperimentReport, ExperimentSaid, GoalRule, GoalSaid, SplitSaid};
use switchover_model::{Share, Timestamp};

use super::moment::clock;
use super::release::outcome_word;
use super::table::Table;
use crate::say::printable;

/// The report.
pub(crate) fn lines(report: &ExperimentReport, width: Option<usize>, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut lines = head(report, now, zone);
    lines.push(String::new());
    lines.extend(table(report).lines_within(width));
    lines.push(String::new());
    for (said, rule) in report.said.goals.iter().zip(&report.rules) {
        let primary = if rule.primary { " (primary)" } else { "" };
        lines.push(format!("{}{primary}: {}, {}", printable(&said.name), said.verdict.name(), printable(&said.why)));
        lines.extend(numbers(report, (said, rule), now, zone).iter().map(|line| format!("  {}", printable(line))));
    }
    lines.extend(report.said.split.iter().map(|split| format!("split: {}, {}", holds(split), split.why)));
    if report.share == Share::NONE {
        lines.push(
            "the new revision went to those of a match: they are not chosen by chance, so they may differ".to_owned(),
        );
    }
    if report.said.anew > 0 {
        let times = if report.said.anew == 1 { "once".to_owned() } else { format!("{} times", report.said.anew) };
        lines.push(format!("the router began to count anew {times}: what it had counted before is left out"));
    }
    lines
}

/// What it is, how long it ran, and how it ended.
pub(crate) fn head(report: &ExperimentReport, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let from = report.from.map(|from| format!(" against {from}")).unwrap_or_default();
    let who =
        if report.share == Share::NONE { "by match".to_owned() } else { format!("{} of the clients", report.share) };
    let mut lines =
        vec![format!("experiment of release {} of {}: {}{from}, {who}", report.release, report.app, report.revision)];
    let is_asked = report.ending == Some(Ending::TimeOver) && report.undecided == Undecided::Ask;
    lines.push(match (report.began_at, report.ended_at) {
        (None, _) => "it has not begun".to_owned(),
        (Some(began), None) => {
            let ran = now.since(began).rounded();
            let then = if is_asked { ", now a person is asked" } else { "" };
            format!("runs since {} ({ran} of at most {}{then})", clock(began, now, zone), report.lasts)
        }
        (Some(began), Some(ended)) => {
            let then = if is_asked { ", then a person was asked" } else { "" };
            format!(
                "ran from {} to {} ({} of at most {}{then})",
                clock(began, now, zone),
                clock(ended, now, zone),
                ended.since(began).rounded(),
                report.lasts
            )
        }
    });
    lines.push(match (report.ending.map(|ending| ended_by(ending, report)), &report.outcome) {
        (Some(ending), Some(outcome)) => format!("{ending}; the release ended {}", outcome_word(outcome)),
        (Some(ending), None) => ending,
        (None, Some(outcome)) => format!("it was not decided; the release ended {}", outcome_word(outcome)),
        (None, None) => format!("not decided yet; without proof at its end: {}", undecided(report.undecided)),
    });
    lines
}

/// How it ended, with who had the last word.
fn ended_by(ending: Ending, report: &ExperimentReport) -> String {
    match (ending, report.promoted_by.as_deref().map(printable)) {
        (Ending::TimeOver, Some(who)) => format!("{}; promoted by {who}", ending.words()),
        (Ending::Promoted, Some(who)) => format!("promoted by {who}"),
        (Ending::Won | Ending::Lost, _) | (Ending::TimeOver | Ending::Promoted, None) => ending.words().to_owned(),
    }
}

/// Where the numbers of a goal come from that is no request: who is asked, and what was answered last.
pub(crate) fn numbers(
    report: &ExperimentReport,
    (said, rule): (&GoalSaid, &GoalRule),
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    let asks = rule.number.iter().map(|number| format!("its number: {number}"));
    let answers = said.answers.iter().map(|answer| {
        let of = match answer.side {
            Side::New => report.revision.to_string(),
            Side::Old => old(report),
        };
        let before = answer.before.map_or_else(String::new, |before| format!("; {before} of them from before"));
        format!("{of}, asked at {}: {} answered {}{before}", clock(answer.at, now, zone), answer.asked, answer.answer)
    });
    asks.chain(answers).collect()
}

/// The name of the old side.
pub(crate) fn old(report: &ExperimentReport) -> String {
    report.from.map_or_else(|| "old".to_owned(), |from| from.to_string())
}

/// Requests that reached a goal, where they are counted.
pub(crate) fn requests(rule: &GoalRule, requests: u64) -> String {
    if rule.request.is_some() { requests.to_string() } else { "-".to_owned() }
}

/// Whether a split is as it was set, as far as is known.
pub(crate) fn holds(split: &SplitSaid) -> &'static str {
    match split.verdict {
        Verdict::Fail => "off",
        Verdict::Pass => "holds",
        Verdict::Inconclusive => "not seen to be off",
    }
}

fn undecided(undecided: Undecided) -> &'static str {
    match undecided {
        Undecided::Drop => "all clients return to the old revision",
        Undecided::Promote => "all clients go to the new revision",
        Undecided::Ask => "it waits for a person",
    }
}

fn table(report: &ExperimentReport) -> Table {
    let head = [
        "goal",
        "better",
        "variant",
        "clients",
        "reached it",
        "rate",
        "requests",
        "effect",
        "interval (95 %)",
        "verdict",
    ];
    let mut table = Table::new(&head, &[3, 4, 5, 6, 7]);
    for (said, rule) in report.said.goals.iter().zip(&report.rules) {
        let better = match rule.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        };
        for (variant, clients, counted, is_new) in [
            (old(report), report.said.old, said.old, false),
            (report.revision.to_string(), report.said.new, said.new, true),
        ] {
            let mut cells = if is_new {
                vec![String::new(), String::new()]
            } else {
                let request = rule.request.as_ref().map(|request| format!(" ({request})")).unwrap_or_default();
                vec![printable(&format!("{}{request}", said.name)), better.to_owned()]
            };
            cells.extend([variant, clients.to_string(), counted.clients.to_string(), rate(counted.clients, clients)]);
            cells.push(requests(rule, counted.requests));
            if is_new {
                cells.push(said.effect.map_or_else(|| "-".to_owned(), points));
                cells.push(format!("{} to {}", points(said.low), points(said.high)));
                cells.push(said.verdict.name().to_owned());
            }
            table.row(cells);
        }
    }
    table
}

fn rate(reached: u64, clients: u64) -> String {
    if clients == 0 {
        return "-".to_owned();
    }
    format!("{:.2} %", reached as f64 / clients as f64 * 100.0)
}

/// A part of all clients in points.
pub(crate) fn points(part: Decimal) -> String {
    format!("{:+.2}", part.to_f64() * 100.0)
}

/// What an experiment says now, for a status.
pub(crate) fn said_lines(said: &ExperimentSaid) -> Vec<String> {
    let goals = said.goals.iter();
    let mut lines: Vec<String> = goals
        .map(|goal| format!("goal {}  {}  {}", printable(&goal.name), goal.verdict.name(), printable(&goal.why)))
        .collect();
    lines.extend(said.split.iter().map(|split| format!("split  {}  {}", holds(split), split.why)));
    lines
}

/// How an experiment ended, for a receipt.
pub(crate) fn decided_lines(decided: &Decided) -> Vec<String> {
    let mut lines = vec![format!("experiment: {}", decided.ending.words())];
    lines.extend(said_lines(&decided.said).iter().map(|line| format!("  {line}")));
    lines
}
