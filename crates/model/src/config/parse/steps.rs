//! How the traffic moves, from `[release]`.

use super::{experiment, rolling, word};
use crate::config::check::{Mistakes, Node};
use crate::config::names::StrategyKind;
use crate::config::{Canary, MAX_STEPS, Preset, Step, Strategy};
use crate::name::Share;
use crate::time::Span;

/// The keys that say by which steps, each with the strategy that has it.
const KEYS: [(&str, StrategyKind, &str); 6] = [
    ("step", StrategyKind::Canary, "canary"),
    ("canary", StrategyKind::Canary, "canary"),
    ("linear", StrategyKind::Linear, "linear"),
    ("experiment", StrategyKind::Ab, "ab"),
    ("goal", StrategyKind::Ab, "ab"),
    ("rolling", StrategyKind::Rolling, "rolling"),
];

/// The strategy of `[release]`; contradictions are told.
pub(super) fn strategy(release: &Node, mistakes: &mut Mistakes<'_>) -> Strategy {
    let Some(kind) = word::<StrategyKind>(release, "strategy") else { return Strategy::BlueGreen };
    let is_misread = release.was_tried("strategy") && !release.has("strategy");
    let stray = KEYS.into_iter().filter(|(name, of, _)| release.has(name) && *of != kind && !is_misread);
    for (name, _, strategy) in stray {
        let cause = if release.has("strategy") {
            format!("\"{name}\" has no effect: it belongs to strategy = \"{strategy}\"")
        } else {
            format!("\"{name}\" has no effect: without a strategy all traffic moves at once")
        };
        mistakes.add(release.place(name), cause, format!("write: strategy = \"{strategy}\", or leave {name} out"));
    }
    match kind {
        StrategyKind::BlueGreen => Strategy::BlueGreen,
        StrategyKind::Canary => canary(release, mistakes),
        StrategyKind::Ab => Strategy::Ab(Box::new(experiment::experiment(release, mistakes))),
        StrategyKind::Linear => linear(&release.table("linear"), mistakes),
        StrategyKind::Rolling => rolling::rolling(&release.table("rolling")),
    }
}

fn canary(release: &Node, mistakes: &mut Mistakes<'_>) -> Strategy {
    if release.has("step") && release.has("canary") {
        let cause = "[release] has \"canary\" and steps of its own: one of them says how the traffic moves";
        mistakes.add(release.place("canary"), cause, "leave canary out, or the steps");
    }
    if let Some(preset) = word::<Preset>(release, "canary").filter(|_| release.has("canary")) {
        return Strategy::Canary(Canary::Preset(preset));
    }
    if !release.was_tried("step") && !release.was_tried("canary") && !mistakes.is_broken {
        let cause = "strategy = \"canary\" does not say by which steps";
        let write = "write: canary = \"careful\", or:\n[[release.step]]\nshare = \"5%\"\nfor = \"10m\"";
        mistakes.add(release.place("strategy"), cause, write);
    }
    Strategy::Canary(Canary::Steps(steps(release.tables("step"), mistakes)))
}

fn steps(nodes: &[Node], mistakes: &mut Mistakes<'_>) -> Vec<Step> {
    if let Some(surplus) = nodes.get(MAX_STEPS) {
        let cause = format!("these are {} steps; a release has at most {MAX_STEPS}", nodes.len());
        mistakes.add(surplus.at.clone(), cause, "write fewer steps");
    }
    let mut before: Option<Share> = None;
    let mut steps = Vec::new();
    for node in nodes {
        let approve = node.flag("approve");
        if !node.was_tried("for") && !approve {
            let cause = "this step would end as soon as it begins: it says neither how long it stays nor that it waits for a person";
            mistakes.add(node.at.clone(), cause, "write: for = \"10m\", or approve = true");
        }
        let stays = if node.has("for") { node.duration("for") } else { Span::ZERO };
        // A share that is none was told with its own rule.
        let Some(share) = node.text("share").and_then(|text| text.parse::<Share>().ok()) else { continue };
        let fault = match before {
            _ if share == Share::NONE => {
                Some(("a step with a share of 0% moves nothing".to_owned(), "write: share = \"5%\"".to_owned()))
            }
            _ if share == Share::ALL => Some((
                "a step with a share of 100% is no step: all traffic comes by itself after the last one".to_owned(),
                "leave this step out".to_owned(),
            )),
            Some(before) if share <= before => Some((
                format!("the share goes from {before} to {share}: each step is larger than the one before"),
                format!("write a share above {before}, or leave the step out"),
            )),
            Some(_) | None => None,
        };
        match fault {
            Some((cause, write)) => mistakes.add(node.place("share"), cause, write),
            None => before = Some(share),
        }
        steps.push(Step { share, stays, approve });
    }
    steps
}

fn linear(node: &Node, mistakes: &mut Mistakes<'_>) -> Strategy {
    let by = node.text("by").and_then(|text| text.parse::<Share>().ok()).unwrap_or(Share::NONE);
    let every = node.duration("every");
    let least = Share::ALL.basis_points() / u16::try_from(MAX_STEPS).unwrap_or(u16::MAX);
    let fault = if by == Share::NONE {
        Some(("steps of 0% never come to an end".to_owned(), "by = \"20%\""))
    } else if by == Share::ALL {
        Some(("a step of 100% is all at once".to_owned(), "by = \"20%\""))
    } else if by.basis_points() < least {
        let least = Share::from_basis_points(least).unwrap_or(Share::NONE);
        Some((format!("steps of {by} are more than {MAX_STEPS}: each is at least {least}"), "by = \"5%\""))
    } else {
        None
    };
    if let Some((cause, example)) = fault.filter(|_| node.has("by")) {
        mistakes.add(
            node.place("by"),
            cause,
            format!("write: {example}, or strategy = \"blue-green\" for all at once"),
        );
    }
    Strategy::Linear { by, every }
}
