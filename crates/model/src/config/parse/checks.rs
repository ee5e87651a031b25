//! `[[release.check]]` of the file.

use std::collections::{BTreeMap, BTreeSet};

use super::word;
use crate::config::check::{Mistakes, Node};
use crate::config::names::{MeasureKind, Word};
use crate::config::{
    Bound, Check, CheckSource, During, EvidencePolicy, MAX_CHECKS, Measure, NoEvidence, NumberFrom, Process,
    ProcessKind,
};
use crate::decimal::Decimal;
use crate::name::{ProcessName, Share};
use crate::time::Span;

/// The keys of which one says what is measured.
const SOURCES: OneOf = OneOf {
    keys: ["measure", "prometheus", "command", "url"],
    it: "check",
    does: "says what is measured",
    unsaid: "what is measured",
    write: "write: measure = \"errors\", or prometheus with query, or command, or url",
};
/// The keys of which one says what it is held against.
const BOUNDS: [&str; 3] = ["max", "min", "worse_by"];
/// The keys that only a number of the user's own heeds.
const OF_NUMBERS: [&str; 4] = ["interval", "timeout", "allowed", "worse"];
/// A query of a check, as it may be written.
const QUERY_EXAMPLE: &str = "write: query = \"sum(rate(http_errors_total{slot=\\\"$SLOT\\\"}[1m]))\"";
/// How many values a pass rests on where the file says nothing.
const USUAL_VALUES: u32 = 5;
/// The least part by which a latency can be told to be longer, in millionths: the width of the buckets it is counted in.
const LEAST_LATENCY: i64 = 20_000;
/// The most releases, in basis points, that may be undone by mistake: more of it is no test.
const MOST_FALSE_ALARMS: u16 = 1000;

/// What `[release]` says of evidence.
pub(super) fn evidence(
    release: &Node,
    processes: &BTreeMap<ProcessName, Process>,
    has_secrets: bool,
    has_steps: bool,
    mistakes: &mut Mistakes<'_>,
) -> EvidencePolicy {
    let tables = release.tables("check");
    if let Some(first) = tables.get(MAX_CHECKS) {
        let cause = format!("there are {} checks; an app may have {MAX_CHECKS}", tables.len());
        mistakes.add(first.at.clone(), cause, "leave some of them out");
    }
    for key in ["no_evidence", "false_alarms", "evidence_timeout"] {
        // The ratio of a split is checked by itself, and so are a shadow and an experiment.
        if release.has(key) && tables.is_empty() && !has_steps && !release.was_tried("shadow") {
            let cause = format!("\"{key}\" has no effect: there is no check");
            mistakes.add(release.place(key), cause, "add a [[release.check]], or leave it out");
        }
    }
    refuse_tokens_of_nothing(release, has_secrets, mistakes);
    let mut names = BTreeSet::new();
    let mut checks = Vec::new();
    for node in tables {
        let name = node.text("name").unwrap_or_default();
        if !names.insert(name.clone()) {
            let cause = format!("the check \"{name}\" stands here twice");
            mistakes.add(node.place("name"), cause, "give each a name of its own");
        }
        if let Some(source) = source(node, processes, mistakes)
            && let Some(bound) = bound(node, &source, mistakes)
        {
            let enough = node.has("enough").then(|| node.whole("enough"));
            let enough = enough.or_else(|| matches!(source, CheckSource::Number { .. }).then_some(USUAL_VALUES));
            let during = during(node, &source, &bound, mistakes);
            if during == [During::Shift] && !has_steps {
                let cause = format!(
                    "the check \"{name}\" is never looked at: all traffic moves at once, so there are no steps"
                );
                let write = "write: strategy = \"canary\" in [release], or a check that is looked at during \"bake\"";
                mistakes.add(node.place("during"), cause, write);
            }
            checks.push(Check { name, source, bound, enough, during });
        }
    }
    let defaults = EvidencePolicy::default();
    EvidencePolicy {
        checks,
        false_alarms: false_alarms(release, mistakes).unwrap_or(defaults.false_alarms),
        timeout: release.duration("evidence_timeout"),
        no_evidence: word(release, "no_evidence").unwrap_or(NoEvidence::Undo),
    }
}

fn false_alarms(release: &Node, mistakes: &mut Mistakes<'_>) -> Option<Share> {
    let text = release.text("false_alarms").filter(|_| release.has("false_alarms"))?;
    let points = text.strip_suffix('%').and_then(|number| number.parse::<Decimal>().ok());
    // A basis point is a hundredth of a percent: 10,000 of the millionths.
    let whole = points.filter(|points| points.millionths() % 10_000 == 0).map(|points| points.millionths() / 10_000);
    let within =
        whole.and_then(|points| u16::try_from(points).ok()).filter(|points| (1..=MOST_FALSE_ALARMS).contains(points));
    if within.is_none() {
        let cause = format!("\"{text}\" is no rate of false alarms: 0.01% to 10%, in hundredths of a percent");
        mistakes.add(release.place("false_alarms"), cause, "write: false_alarms = \"0.1%\"");
    }
    within.and_then(Share::from_basis_points)
}

/// Keys of which a table has one, and how a table is told that has none of them or two.
pub(super) struct OneOf {
    pub(super) keys: [&'static str; 4],
    /// What has them: `check`.
    pub(super) it: &'static str,
    /// What one of them does: `says what is measured`.
    pub(super) does: &'static str,
    /// What is not said without them: `what is measured`.
    pub(super) unsaid: &'static str,
    pub(super) write: &'static str,
}

impl OneOf {
    /// Those that are written.
    pub(super) fn written(&self, node: &Node) -> Vec<&'static str> {
        self.keys.into_iter().filter(|name| node.has(name)).collect()
    }

    /// The one that is written; nothing where that is not said, or not well.
    pub(super) fn read(&self, node: &Node, mistakes: &mut Mistakes<'_>) -> Option<&'static str> {
        let Self { keys, it, does, unsaid, write } = self;
        let written = self.written(node);
        if let [first, second, ..] = written[..] {
            let cause = format!("a {it} has \"{first}\" and \"{second}\": one of them {does}");
            mistakes.add(node.place(second), cause, format!("write two {it}s, or leave one of them out"));
            return None;
        }
        // One that can not be read was told with its own rule.
        if written.is_empty() && !mistakes.is_broken && !keys.iter().any(|name| node.was_tried(name)) {
            mistakes.add(node.at.clone(), format!("the {it} does not say {unsaid}"), *write);
        }
        written.first().copied()
    }
}

/// What is measured: one of four keys says it.
fn source(node: &Node, processes: &BTreeMap<ProcessName, Process>, mistakes: &mut Mistakes<'_>) -> Option<CheckSource> {
    let source = SOURCES.read(node, mistakes)?;
    without_effect(node, source, mistakes);
    if source == "measure" {
        return Some(CheckSource::Traffic {
            process: process(node, processes, mistakes)?,
            measure: measure(node, mistakes)?,
        });
    }
    Some(CheckSource::Number {
        from: number_from(node, source, QUERY_EXAMPLE, mistakes)?,
        interval: node.duration("interval"),
        timeout: node.duration("timeout"),
        allowed: node.whole("allowed"),
        worse: word(node, "worse").unwrap_or_default(),
    })
}

/// Keys that belong to another source than the one that is written.
fn without_effect(node: &Node, source: &str, mistakes: &mut Mistakes<'_>) {
    let mut refuse = |name: &str, why: &str| refuse(node, name, why, mistakes);
    if source == "measure" {
        for name in OF_NUMBERS {
            refuse(name, "what the router counts is read each second, and more of it is worse");
        }
    } else {
        refuse("process", "it belongs to \"measure\"");
        refuse("quantile", "it belongs to measure = \"latency\"");
    }
    if source != "measure" && !node.has("worse_by") {
        refuse("worse", "\"max\" and \"min\" say which way is worse");
    }
    without_asking(node, source, mistakes);
}

/// A key that has no effect beside what else is written.
pub(super) fn refuse(node: &Node, name: &str, why: &str, mistakes: &mut Mistakes<'_>) {
    if node.has(name) {
        mistakes.add(node.place(name), format!("\"{name}\" has no effect: {why}"), "leave it out");
    }
}

/// Keys of who is asked for a number, where another is.
pub(super) fn without_asking(node: &Node, source: &str, mistakes: &mut Mistakes<'_>) {
    if source != "prometheus" && source != "url" {
        refuse(node, "token", "it belongs to \"prometheus\" and \"url\"", mistakes);
    }
    if source != "prometheus" {
        refuse(node, "query", "it belongs to \"prometheus\"", mistakes);
    }
}

/// Who is asked for a number: `source` is the key that says it.
pub(super) fn number_from(
    node: &Node,
    source: &str,
    query_example: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<NumberFrom> {
    let written = || node.text(source).unwrap_or_default();
    let token = || node.text("token");
    Some(match source {
        "prometheus" => {
            let query = query(node, query_example, mistakes)?;
            NumberFrom::Prometheus { url: written(), query, token: token() }
        }
        "command" => NumberFrom::Command { command: written() },
        _ => NumberFrom::Url { url: written(), token: token() },
    })
}

/// A token is a secret by reference, wherever it stands.
fn refuse_tokens_of_nothing(release: &Node, has_secrets: bool, mistakes: &mut Mistakes<'_>) {
    let named = release.tables("check").iter().chain(release.tables("goal"));
    for node in named.filter(|node| node.has("token") && !has_secrets) {
        let cause = "\"token\" names a variable of the secrets file, and the app has none";
        mistakes.add(node.place("token"), cause, "add: [secrets] with file = \"/etc/shop/secrets.env\"");
    }
}

fn query(node: &Node, example: &str, mistakes: &mut Mistakes<'_>) -> Option<String> {
    if !node.has("query") && !node.was_tried("query") && !mistakes.is_broken {
        mistakes.add(node.place("prometheus"), "\"prometheus\" is asked nothing", example);
    }
    node.text("query")
}

/// Nothing when the process is none; inside, nothing when all of them are meant.
fn process(
    node: &Node,
    processes: &BTreeMap<ProcessName, Process>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Option<ProcessName>> {
    let Some(text) = node.text("process") else { return Some(None) };
    let name: ProcessName = text.parse().ok()?;
    let is_routed = |process: &&Process| matches!(process.kind, ProcessKind::Routed { .. });
    if processes.get(&name).filter(is_routed).is_some() {
        return Some(Some(name));
    }
    // A process table that could not be read is told of where it stands.
    if !mistakes.is_broken && mistakes.is_empty() {
        let routed: Vec<String> =
            processes.iter().filter(|(_, process)| is_routed(process)).map(|(name, _)| format!("\"{name}\"")).collect();
        let cause = format!("no process type \"{name}\" takes requests");
        mistakes.add(node.place("process"), cause, format!("write one of: {}", routed.join(", ")));
    }
    None
}

fn measure(node: &Node, mistakes: &mut Mistakes<'_>) -> Option<Measure> {
    let kind: MeasureKind = word(node, "measure")?;
    if kind != MeasureKind::Latency && node.has("quantile") {
        mistakes.add(
            node.place("quantile"),
            "\"quantile\" has no effect: it belongs to measure = \"latency\"",
            "leave it out",
        );
    }
    match kind {
        MeasureKind::Errors => Some(Measure::Errors),
        MeasureKind::Requests => Some(Measure::Requests),
        MeasureKind::UpgradesCut => Some(Measure::UpgradesCut),
        MeasureKind::Latency => {
            let quantile = quantile(node);
            // One that was written wrongly is told of by its own rule.
            let is_told = node.was_tried("quantile") && !node.has("quantile");
            if quantile.is_none() && !mistakes.is_broken && !is_told {
                let cause = "a check of the latency needs a quantile above p0 and below p100";
                mistakes.add(node.place("quantile"), cause, "write: quantile = \"p99\"");
            }
            quantile.map(|quantile| Measure::Latency { quantile })
        }
    }
}

/// `p99` as 0.99; nothing when it is none, or all or nothing of the requests.
fn quantile(node: &Node) -> Option<Decimal> {
    let percent: Decimal = node.text("quantile")?.strip_prefix('p')?.parse().ok()?;
    let quantile = percent.millionths() / 100;
    (percent.millionths() % 100 == 0 && (1..1_000_000).contains(&quantile)).then(|| Decimal::from_millionths(quantile))
}

/// What it is held against: one of three keys says it, in the unit of what is measured.
fn bound(node: &Node, source: &CheckSource, mistakes: &mut Mistakes<'_>) -> Option<Bound> {
    let written: Vec<&str> = BOUNDS.into_iter().filter(|name| node.has(name)).collect();
    if let [first, second, ..] = written[..] {
        let cause = format!("a check has \"{first}\" and \"{second}\": it is held against one thing");
        mistakes.add(node.place(second), cause, "write two checks, or leave one of them out");
        return None;
    }
    let Some(&name) = written.first() else {
        if !mistakes.is_broken && !BOUNDS.into_iter().any(|name| node.was_tried(name)) {
            let write = "write max, min or worse_by, such as: worse_by = \"0.5%\"";
            mistakes.add(node.at.clone(), "the check is held against nothing", write);
        }
        return None;
    };
    let text = node.text(name).unwrap_or_default();
    let mut refuse = |cause: String, write: &str| {
        mistakes.add(node.place(name), cause, write.to_owned());
        None
    };
    let (unit, parsed, example) = match (name, source) {
        ("worse_by", CheckSource::Traffic { measure: Measure::Requests, .. }) => {
            let cause = "how many requests come is the split's doing, not the slot's".to_owned();
            return refuse(cause, "write: min = \"5/s\"");
        }
        ("worse_by", _) => ("a percentage above none", percent(&text), "\"30%\""),
        (_, CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut, .. }) => {
            ("a percentage", percent(&text), "\"1%\"")
        }
        (_, CheckSource::Traffic { measure: Measure::Latency { .. }, .. }) => {
            ("a duration", seconds(&text), "\"300ms\"")
        }
        (_, CheckSource::Traffic { measure: Measure::Requests, .. }) => {
            ("requests a second", text.strip_suffix("/s").and_then(|number| number.parse().ok()), "\"5/s\"")
        }
        (_, CheckSource::Number { .. }) => ("a plain number", text.parse().ok(), "\"100\""),
    };
    let write = format!("write: {name} = {example}");
    let Some(value) = parsed else {
        return refuse(format!("\"{text}\" is not {unit}, which this check is held against"), &write);
    };
    if name == "worse_by" && value.millionths() <= 0 {
        return refuse("an effect of nothing always matters: no release could pass".to_owned(), &write);
    }
    let nonsense = nonsense(node, name, source, value);
    if let Some(why) = nonsense {
        return refuse(format!("{name} = \"{text}\": {why}"), &write.replace("min", "max"));
    }
    Some(match name {
        "max" => Bound::Most { limit: value },
        "min" => Bound::Least { limit: value },
        _ => Bound::WorseBy { effect: value },
    })
}

/// Why a value in the right unit makes no sense all the same.
fn nonsense(node: &Node, name: &str, source: &CheckSource, value: Decimal) -> Option<&'static str> {
    match (name, source) {
        ("worse_by", CheckSource::Traffic { measure: Measure::Latency { .. }, .. })
            if value.millionths() < LEAST_LATENCY =>
        {
            Some("latencies are counted in steps of 1.6 %, so less than 2% can not be told")
        }
        ("worse_by", CheckSource::Number { .. }) if node.has("allowed") => {
            Some("the mean of all values is compared, so none is \"allowed\"")
        }

        (
            "min",
            CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut | Measure::Latency { .. }, .. },
        ) => Some("less of it is better, so a least amount makes no sense"),
        ("max" | "min", CheckSource::Traffic { .. }) if value.millionths() < 0 => Some("it is never below nothing"),
        ("max", CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut, .. })
            if value.millionths() >= 1_000_000 =>
        {
            Some("it is never more than all of them, so this always passes")
        }
        _ => None,
    }
}

/// A percentage as a part of one.
fn percent(text: &str) -> Option<Decimal> {
    let number: Decimal = text.strip_suffix('%')?.parse().ok()?;
    (number.millionths() % 100 == 0).then(|| Decimal::from_millionths(number.millionths() / 100))
}

/// A duration in seconds.
fn seconds(text: &str) -> Option<Decimal> {
    let span: Span = text.parse().ok()?;
    i64::try_from(span.as_micros()).ok().filter(|micros| *micros > 0).map(Decimal::from_millionths)
}

fn during(node: &Node, source: &CheckSource, bound: &Bound, mistakes: &mut Mistakes<'_>) -> Vec<During> {
    // Who answers for a moment that is over is a Prometheus server, or the router.
    let needs_both = matches!(bound, Bound::WorseBy { .. })
        && matches!(source, CheckSource::Number { from: NumberFrom::Command { .. } | NumberFrom::Url { .. }, .. });
    if !node.has("during") {
        return if needs_both { vec![During::Shift] } else { During::ALL.to_vec() };
    }
    let mut found = BTreeSet::new();
    for (text, at) in node.list("during") {
        let during = During::from_word(text);
        if during.is_some_and(|during| !found.insert(during)) {
            mistakes.add(at.clone(), format!("\"{text}\" stands here twice"), "leave one of them out");
        } else if needs_both && during.is_some_and(|during| during != During::Shift) {
            let cause =
                format!("during \"{text}\" the old slot has no requests, and what it was before is not known by then");
            mistakes.add(at.clone(), cause, "write: during = \"shift\", or max or min instead of worse_by");
        }
    }
    found.into_iter().collect()
}
