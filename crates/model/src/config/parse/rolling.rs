//! The batches of a rolling release, from `[release]`, and what does not go with them.

use std::collections::BTreeMap;

use crate::config::check::{Mistakes, Node};
use crate::config::{
    During, EvidencePolicy, Fraction, Handover, MAX_STEPS, Process, ProcessKind, Rolling, Strategy, Surge, routed_scale,
};
use crate::name::ProcessName;
use crate::time::Span;

pub(super) fn rolling(node: &Node) -> Strategy {
    let counted = node.count("surge").map(Surge::Instances);
    let percent = || node.text("surge").and_then(|text| text.parse().ok());
    let surge = counted.or_else(percent).unwrap_or(Surge::Percent(25));
    Strategy::Rolling(Rolling { surge, every: node.duration("every") })
}

/// What the processes, the times and the checks of the file have against rolling; nothing for every other strategy.
pub(super) fn refuse_contradictions(
    release: &Node,
    processes: &BTreeMap<ProcessName, Process>,
    rolling: &Strategy,
    mistakes: &mut Mistakes<'_>,
) {
    let Strategy::Rolling(Rolling { surge, .. }) = rolling else { return };
    let surge = *surge;
    if release.has("keep_warm") {
        let cause = "\"keep_warm\" has no effect: the old slot of a rolling release has no instance left to keep warm";
        let write = "leave keep_warm out, or write a strategy that keeps the old slot whole, such as \"linear\"";
        mistakes.add(release.place("keep_warm"), cause, write);
    }
    let routed = routed_scale(processes);
    if routed.is_empty() && !processes.is_empty() {
        let cause = "strategy = \"rolling\" has no effect: no process takes requests, so there is no share to move";
        mistakes.add(release.place("strategy"), cause, "leave the strategy out: the workers are handed over");
    }
    let batches = Fraction::NONE.batches(&routed, surge).len();
    if batches > MAX_STEPS {
        let cause =
            format!("a surge of {surge} makes {batches} batches of these processes; a release has at most {MAX_STEPS}");
        mistakes.add(release.table("rolling").place("surge"), cause, "write a larger surge, such as: surge = \"25%\"");
    }
    for (name, Process { instances, kind, .. }) in processes {
        let ProcessKind::Worker { handover } = kind else { continue };
        let word = match handover {
            Handover::StopFirst => continue,
            Handover::StartFirst => "start-first",
            Handover::Drain => "drain",
            Handover::Lease => "lease",
        };
        let (most, both) = (instances.saturating_add(surge.of(*instances)), instances.saturating_mul(2));
        if both > most {
            let cause = format!(
                "process.{name} has {instances} instances and handover = \"{word}\", so {both} of it run while it is handed \
                 over: more than the {most} that a surge of {surge} allows"
            );
            let write = format!("write: handover = \"stop-first\" in [process.{name}], or surge = \"100%\"");
            mistakes.add(release.place("strategy"), cause, write);
        }
    }
}

/// How long the old slot is kept at full scale: that of a rolling release is not.
pub(super) fn keep_warm(release: &Node, strategy: &Strategy) -> Span {
    match strategy {
        Strategy::Rolling(_) => Span::ZERO,
        Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_) => {
            release.duration("keep_warm")
        }
    }
}

/// A check that is looked at while the old slot is warm alone never is.
pub(super) fn refuse_warm_checks(
    release: &Node,
    strategy: &Strategy,
    evidence: &EvidencePolicy,
    mistakes: &mut Mistakes<'_>,
) {
    if !matches!(strategy, Strategy::Rolling(_)) {
        return;
    }
    let place = release.tables("check").first().map_or_else(|| release.place("strategy"), |first| first.at.clone());
    for check in evidence.checks.iter().filter(|check| check.during == [During::Warm]) {
        let node = release.tables("check").iter().find(|node| node.text("name").as_deref() == Some(&check.name));
        let cause = format!(
            "the check \"{}\" is never looked at: the old slot of a rolling release is not kept warm",
            check.name
        );
        let at = node.map_or_else(|| place.clone(), |node| node.place("during"));
        mistakes.add(at, cause, "write: during = [\"shift\", \"bake\"]");
    }
}
