//! `[release.experiment]` and `[[release.goal]]` of the file.

use std::collections::BTreeSet;

use super::{goal_source, word};
use crate::config::check::{Mistakes, Node};
use crate::config::{Better, Experiment, Goal, GoalSource, Undecided};
use crate::decimal::Decimal;
use crate::name::Share;
use crate::seam::{Condition, GOALS_MAX, MATCHES_MAX};
use crate::time::Span;

const WHO: &str = "write: share = \"50%\", or match = [{ header = \"X-Beta\", value = \"1\" }]";

/// The experiment of `[release]`; contradictions are told.
pub(super) fn experiment(release: &Node, mistakes: &mut Mistakes<'_>) -> Experiment {
    if !release.was_tried("experiment") && !mistakes.is_broken {
        let write = "write:\n[release.experiment]\nshare = \"50%\"\nfor = \"7d\"";
        mistakes.add(release.place("strategy"), "strategy = \"ab\" does not say who gets the new revision", write);
    }
    let node = release.table("experiment");
    let matches = matches(node.tables("match"), mistakes);
    let share = share(&node, mistakes);
    let says_who = node.was_tried("share") || node.was_tried("match") && !node.tables("match").is_empty();
    if node_is_there(release) && !says_who && !mistakes.is_broken {
        mistakes.add(release.place("experiment"), "nobody gets the new revision: there is no match and no share", WHO);
    }
    // One that is missing was told with its own rule.
    let lasts = if node.has("for") { node.duration("for") } else { Span::ZERO };
    let at_least = node.duration("at_least");
    if node.has("for") && at_least > lasts {
        let cause = format!("the experiment ends after {lasts}, before it may be decided");
        mistakes.add(node.place("at_least"), cause, "write an at_least that is no longer than \"for\"");
    }
    let undecided = word(&node, "undecided").unwrap_or(Undecided::Drop);
    let goals = goals(release, mistakes);
    if node.has("for") {
        goal_source::refuse_long_lags(release.tables("goal"), lasts, mistakes);
    }
    if share != Share::NONE && !matches.is_empty() {
        goal_source::refuse_those_of_a_match(release.tables("goal"), mistakes);
    }
    Experiment { share, matches, lasts, at_least, undecided, goals }
}

fn node_is_there(release: &Node) -> bool {
    release.was_tried("experiment")
}

fn share(node: &Node, mistakes: &mut Mistakes<'_>) -> Share {
    // A share that is none was told with its own rule.
    let Some(share) = node.text("share").and_then(|text| text.parse::<Share>().ok()) else { return Share::NONE };
    let fault = match share {
        Share::NONE => Some("a share of 0% gives the new revision to nobody"),
        Share::ALL => Some("with a share of 100% there is nobody to compare with"),
        _ => None,
    };
    if let Some(cause) = fault {
        mistakes.add(node.place("share"), cause, "write: share = \"50%\", or leave it out where match says who");
    }
    share
}

fn matches(nodes: &[Node], mistakes: &mut Mistakes<'_>) -> Vec<Condition> {
    if let Some(surplus) = nodes.get(MATCHES_MAX) {
        let cause = format!("these are {} matches; an experiment has at most {MATCHES_MAX}", nodes.len());
        mistakes.add(surplus.at.clone(), cause, "write fewer of them");
    }
    let mut found: Vec<Condition> = Vec::new();
    for node in nodes {
        let written: Vec<&str> = ["header", "cookie", "query"].into_iter().filter(|name| node.has(name)).collect();
        let value = node.text("value").unwrap_or_default();
        let condition = match written[..] {
            ["header"] => {
                node.text("header").and_then(|name| name.parse().ok()).map(|name| Condition::Header { name, value })
            }
            ["cookie"] => {
                node.text("cookie").and_then(|name| name.parse().ok()).map(|name| Condition::Cookie { name, value })
            }
            ["query"] => node.text("query").map(|name| Condition::Query { name, value }),
            [_, second, ..] => {
                let cause = "a match looks at one thing, and this one names two";
                mistakes.add(node.place(second), cause, "write two matches: either of them will do");
                None
            }
            _ => {
                if !mistakes.is_broken && !["header", "cookie", "query"].into_iter().any(|name| node.was_tried(name)) {
                    let write = "write: { header = \"X-Beta\", value = \"1\" }, or cookie or query in its place";
                    mistakes.add(node.at.clone(), "this match does not say what it looks at", write);
                }
                None
            }
        };
        let Some(condition) = condition else { continue };
        if found.contains(&condition) {
            mistakes.add(node.at.clone(), "this match stands here twice", "leave one of them out");
        }
        found.push(condition);
    }
    found
}

fn goals(release: &Node, mistakes: &mut Mistakes<'_>) -> Vec<Goal> {
    let nodes = release.tables("goal");
    if !release.was_tried("goal") && !mistakes.is_broken {
        let write = "write:\n[[release.goal]]\nname = \"checkout\"\nrequest = \"POST /checkout 2xx\"";
        mistakes.add(release.place("strategy"), "an experiment without a goal proves nothing", write);
    }
    if let Some(surplus) = nodes.get(GOALS_MAX) {
        let cause = format!("there are {} goals; an experiment has at most {GOALS_MAX}", nodes.len());
        mistakes.add(surplus.at.clone(), cause, "leave some of them out");
    }
    let mut names = BTreeSet::new();
    let mut sources: Vec<GoalSource> = Vec::new();
    let mut goals = Vec::new();
    for node in nodes {
        let name = node.text("name").unwrap_or_default();
        if node.has("name") && !names.insert(name.clone()) {
            let cause = format!("the goal \"{name}\" stands here twice");
            mistakes.add(node.place("name"), cause, "give each a name of its own");
        }
        let Some(source) = goal_source::source(node, mistakes) else { continue };
        if sources.contains(&source) {
            let cause = format!("\"{source}\" is two goals");
            mistakes.add(goal_source::place(node), cause, "leave one of them out");
        }
        sources.push(source.clone());
        let better = word(node, "better").unwrap_or(Better::Higher);
        goals.push(Goal { name, source, primary: node.flag("primary"), better, effect: effect(node, mistakes) });
    }
    only_one_decides(nodes, &mut goals, mistakes);
    goals
}

fn effect(node: &Node, mistakes: &mut Mistakes<'_>) -> Decimal {
    let Some(text) = node.text("effect") else { return Decimal::default() };
    let points = text.strip_suffix('%').and_then(|number| number.parse::<Decimal>().ok());
    // A point is a hundredth.
    let part = points.map(|points| points.millionths() / 100).filter(|part| (1..1_000_000).contains(part));
    if part.is_none() {
        let cause = format!("\"{text}\" is no difference that can matter: it is above 0% and below 100%");
        mistakes.add(
            node.place("effect"),
            cause,
            "write: effect = \"1%\", or leave it out: then any difference matters",
        );
    }
    Decimal::from_millionths(part.unwrap_or_default())
}

/// Exactly one goal is primary: the only one is so by itself.
fn only_one_decides(nodes: &[Node], goals: &mut [Goal], mistakes: &mut Mistakes<'_>) {
    if let [only] = goals {
        if nodes.len() == 1 {
            only.primary = true;
        }
        return;
    }
    let mut primary = nodes.iter().filter(|node| node.flag("primary"));
    match (primary.next(), primary.next()) {
        (Some(_), Some(second)) => {
            let cause = "two goals are primary: an experiment is decided by one";
            mistakes.add(second.place("primary"), cause, "write primary = true in one of them alone");
        }
        (None, _) => {
            if let Some(first) = nodes.first().filter(|_| !mistakes.is_broken && mistakes.is_empty()) {
                let cause = "none of the goals is primary: it is not said by which the experiment is decided";
                mistakes.add(first.at.clone(), cause, "add to one of them: primary = true");
            }
        }
        (Some(_), None) => {}
    }
}

/// Clients of an experiment have to stay on their side.
pub(super) fn refuse_unsticky(route: &Node, mistakes: &mut Mistakes<'_>) {
    if route.text("sticky").as_deref() == Some("none") && !route.has_table("sticky") {
        let cause = "sticky = \"none\" leads each request its own way: a client of an experiment stays on its side";
        mistakes.add(route.place("sticky"), cause, "leave sticky out, or write: sticky = { cookie = \"session\" }");
    }
}
