//! What tells how many clients reached a goal: one of four keys of `[[release.goal]]`.

use std::ops::Range;

use super::checks::{OneOf, number_from, refuse, without_asking};
use crate::config::check::{Mistakes, Node};
use crate::config::{ANSWERS_BEFORE, GoalNumber, GoalSource, NumberFrom};
use crate::time::Span;

/// The keys of which one says it.
const SOURCES: OneOf = OneOf {
    keys: ["request", "prometheus", "command", "url"],
    it: "goal",
    does: "tells who reached it",
    unsaid: "what tells who reached it",
    write: "write: request = \"POST /checkout 2xx\", or prometheus with query, or command, or url",
};
/// The keys that only a number heeds.
const OF_NUMBERS: [&str; 3] = ["interval", "timeout", "lag"];
/// So many times the lag an experiment lasts at least.
const LAG_PART: u64 = 10;
/// So often a goal's number is asked for at least: for what there was before, and once for what came since.
const ANSWERS_LEAST: u32 = ANSWERS_BEFORE + 1;
/// A query of a goal, as it may be written.
const QUERY_EXAMPLE: &str = "write: query = \"sum(signed_up_total{revision=\\\"$REVISION\\\"}) or vector(0)\"";

/// Where the goal says what tells it.
pub(super) fn place(node: &Node) -> Range<usize> {
    SOURCES.written(node).first().map_or_else(|| node.at.clone(), |source| node.place(source))
}

/// What tells how many reached it; nothing where that is not said, or not well.
pub(super) fn source(node: &Node, mistakes: &mut Mistakes<'_>) -> Option<GoalSource> {
    let source = SOURCES.read(node, mistakes)?;
    without_effect(node, source, mistakes);
    if source == "request" {
        return node.text(source)?.parse().ok().map(GoalSource::Request);
    }
    let from = number_from(node, source, QUERY_EXAMPLE, mistakes)?;
    refuse_both_sides_together(node, &from, mistakes);
    Some(GoalSource::Number(GoalNumber {
        from,
        interval: node.duration("interval"),
        timeout: node.duration("timeout"),
        lag: node.duration("lag"),
    }))
}

/// Keys that belong to another source than the one that is written.
fn without_effect(node: &Node, source: &str, mistakes: &mut Mistakes<'_>) {
    if source == "request" {
        for name in OF_NUMBERS {
            refuse(node, name, "requests are counted as they come", mistakes);
        }
    }
    without_asking(node, source, mistakes);
}

/// A URL is asked of each side, as a query is: that of a query holds for its text already.
fn refuse_both_sides_together(node: &Node, from: &NumberFrom, mistakes: &mut Mistakes<'_>) {
    let NumberFrom::Url { url, .. } = from else { return };
    if !url.contains("$SLOT") && !url.contains("$REVISION") {
        let cause = "the URL names no slot: it would give the number of both slots together";
        let write = "write: url = \"http://127.0.0.1:9000/buyers?revision=$REVISION\"";
        mistakes.add(node.place("url"), cause, write);
    }
}

/// A number of a revision counts whomever is led to it.
pub(super) fn refuse_those_of_a_match(nodes: &[Node], mistakes: &mut Mistakes<'_>) {
    for node in nodes {
        if let [source @ ("prometheus" | "command" | "url"), ..] = SOURCES.written(node)[..] {
            let cause = "this number counts those of a match too, and nobody chose them by chance";
            mistakes.add(node.place(source), cause, "leave match or share out, or write a request");
        }
    }
}

/// Who comes while nothing is counted yet is among all who came: with many of them every rate would be told too small.
pub(super) fn refuse_long_lags(nodes: &[Node], lasts: Span, mistakes: &mut Mistakes<'_>) {
    for node in nodes {
        let lag = node.duration("lag");
        if let ["prometheus" | "command" | "url", ..] = SOURCES.written(node)[..]
            && lag.as_micros().saturating_mul(LAG_PART) > lasts.as_micros()
        {
            let at = if node.has("lag") { node.place("lag") } else { node.at.clone() };
            let cause = format!("the goal counts only {lag} after the experiment began, and that ends after {lasts}");
            let write = format!(
                "write a lag of at most a tenth of \"for\": lag = \"{}\"",
                Span::from_micros(lasts.as_micros() / LAG_PART)
            );
            mistakes.add(at, cause, write);
        } else if let ["prometheus" | "command" | "url", ..] = SOURCES.written(node)[..] {
            refuse_too_few_answers(node, lasts, mistakes);
        }
    }
}

/// The first answers say what there was before.
fn refuse_too_few_answers(node: &Node, lasts: Span, mistakes: &mut Mistakes<'_>) {
    let (interval, lag) = (node.duration("interval"), node.duration("lag"));
    let needs = lag.as_micros().saturating_add(interval.as_micros().saturating_mul(ANSWERS_LEAST.into()));
    if needs > lasts.as_micros() {
        let at = if node.has("interval") { node.place("interval") } else { node.at.clone() };
        let cause = format!(
            "the goal is asked for each {interval}, and has to be {ANSWERS_LEAST} times before the experiment ends"
        );
        mistakes.add(at, cause, "write a shorter interval, or a longer \"for\"");
    }
}
