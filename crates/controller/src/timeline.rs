//! The timeline of a plan: each step with its share, what it waits for, what runs, and the way back from it.

pub(crate) mod rolling;

use switchover_model::config::{AppConfig, During, Experiment, Handover, ProcessKind, Shadow, Step, Undecided};
use switchover_model::sizes::Batch;
use switchover_model::timeline::{Timeline, TimelinePoint};
use switchover_model::{RevisionId, Share, Span};

/// What is known of the old revision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Old {
    pub(crate) revision: RevisionId,
    /// How long its last boot took.
    pub(crate) boot: Option<Span>,
}

/// The timeline of a release by `config` from `old`, through `shadow` and `steps` before all traffic.
pub(crate) fn timeline(config: &AppConfig, old: Old, shadow: Option<&Shadow>, steps: &[Step]) -> Timeline {
    if let Some(rolling) = rolling::of(config) {
        let stays = steps.first().map_or(Span::ZERO, |step| step.stays);
        return rolling::timeline(config, old, (shadow, rolling, stays));
    }
    let release = &config.release;
    let (twice, once) = instances(config);
    let both = twice * 2 + once;
    let back = format!("all traffic to {} at once", old.revision);
    let mut after = Span::ZERO;
    let mut points = Vec::new();
    if let Some(shadow) = shadow {
        points.push(compared(shadow, old, (both, None)));
        after = shadow.stays;
    }
    for (number, step) in (1..).zip(steps) {
        let mut waits_for = Vec::new();
        let tried = release.strategy.experiment();
        match tried {
            Some(experiment) => waits_for.push(proof(experiment)),
            None if step.stays > Span::ZERO => waits_for.push(step.stays.to_string()),
            None => {}
        }
        waits_for.push("all of the new slot healthy".to_owned());
        if step.approve {
            waits_for.push(format!("`switchover promote`, at most {}", release.approve_timeout));
        }
        waits_for.extend(passes(config));
        let what = if tried.is_some() { TimelinePoint::EXPERIMENT.to_owned() } else { format!("step {number}") };
        let way_back = back.clone();
        points.push(TimelinePoint {
            what,
            after,
            share: step.share,
            instances: both,
            slots: None,
            waits_for,
            way_back,
        });
        after = longer(after, step.stays);
    }
    let until_all = after;
    let started = match old.boot {
        Some(boot) => format!("{} is started first, which took {} last time", old.revision, boot.rounded()),
        None => format!("{} is started first", old.revision),
    };
    let all = match release.strategy.experiment().filter(|_| !steps.is_empty()).map(|tried| tried.undecided) {
        None => "all traffic",
        Some(Undecided::Drop | Undecided::Ask) => "if it is won: all traffic",
        Some(Undecided::Promote) => "unless it is lost: all traffic",
    };
    let baked = format!("the bake of {}", release.bake);
    let kept = format!("{} (keep_warm)", release.keep_warm);
    let (bakes, warms) = (watched(config, During::Bake), watched(config, During::Warm));
    for (what, stays, waits_for, instances, way_back) in [
        (all, release.bake, [vec![baked], bakes].concat(), both, back.clone()),
        ("warm", release.keep_warm, [vec![kept], warms].concat(), both, back),
        ("retired", Span::ZERO, Vec::new(), twice + once, started),
    ] {
        let (what, slots) = (what.to_owned(), None);
        points.push(TimelinePoint { what, after, share: Share::ALL, instances, slots, waits_for, way_back });
        after = longer(after, stays);
    }
    let at_once = longer(release.bake, release.keep_warm);
    Timeline {
        points,
        extra_instance_minutes: minutes(longer(until_all, at_once), twice),
        extra_at_once: minutes(at_once, twice),
    }
}

/// Answers to copies of live requests are compared: nobody is answered by the new slot.
fn compared(shadow: &Shadow, old: Old, (instances, slots): (u32, Option<Batch>)) -> TimelinePoint {
    let Shadow { rules, stays, enough, .. } = shadow;
    let alike = format!("{enough} answers to copies of {} of the requests compared and alike", rules.share);
    TimelinePoint {
        what: "shadow".to_owned(),
        after: Span::ZERO,
        share: Share::NONE,
        instances,
        slots,
        waits_for: vec![stays.to_string(), alike],
        way_back: format!("{} has all the traffic as before", old.revision),
    }
}

/// The checks that have to pass before a step is left.
fn passes(config: &AppConfig) -> impl Iterator<Item = String> {
    let timeout = config.release.evidence.timeout;
    named(config, During::Shift).map(move |name| format!("a pass of check \"{name}\" within {timeout} more"))
}

/// The checks that are looked at in a part of a release which ends by its time, or by one that fails.
fn watched(config: &AppConfig, during: During) -> Vec<String> {
    named(config, during).map(|name| format!("check \"{name}\" watched")).collect()
}

fn named(config: &AppConfig, during: During) -> impl Iterator<Item = &str> {
    let checks = config.release.evidence.checks.iter();
    checks.filter(move |check| check.during.contains(&during)).map(|check| check.name.as_str())
}

/// What ends an experiment.
fn proof(experiment: &Experiment) -> String {
    let goal = experiment.goals.get(experiment.primary()).map_or("", |goal| goal.name.as_str());
    let least = if experiment.at_least > Span::ZERO {
        format!(" after {} at least", experiment.at_least)
    } else {
        String::new()
    };
    let ends = match experiment.undecided {
        Undecided::Drop => "all back",
        Undecided::Promote => "all traffic",
        Undecided::Ask => "a person is asked",
    };
    format!("proof of \"{goal}\"{least}, at most {}: then {ends}", experiment.lasts)
}

/// How many instances each slot has while both run, and how many there are once: workers that do not stand by running.
fn instances(config: &AppConfig) -> (u32, u32) {
    config.processes.values().fold((0, 0), |(twice, once), process| match process.kind {
        ProcessKind::Routed { .. } | ProcessKind::Worker { handover: Handover::Lease } => {
            (twice + process.instances, once)
        }
        ProcessKind::Worker { handover: Handover::StopFirst | Handover::StartFirst | Handover::Drain } => {
            (twice, once + process.instances)
        }
    })
}

fn longer(span: Span, by: Span) -> Span {
    Span::from_micros(span.as_micros().saturating_add(by.as_micros()))
}

/// Instances for this long, in minutes, rounded.
fn minutes(span: Span, instances: u32) -> u64 {
    let micros = u128::from(span.as_micros()) * u128::from(instances);
    u64::try_from((micros + 30_000_000) / 60_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchover_model::config::parse;

    use super::*;

    #[test]
    fn a_timeline_tells_shares_capacity_and_the_way_back_at_each_point() {
        let file = "name = \"shop\"\n[release.shadow]\nfor = \"5m\"\n[process.web]\ncommand = \"x\"\ninstances = 3\n[process.mailer]\ncommand = \"y\"\n\
                    [release]\nstrategy = \"canary\"\nbake = \"10m\"\nkeep_warm = \"1h\"\n\
                    [[release.step]]\nshare = \"5%\"\nfor = \"10m\"\n[[release.step]]\nshare = \"50%\"\napprove = true\n";
        let config = parse(file, "switchover.toml", Path::new("/app")).expect("the file is right");
        let old = Old { revision: RevisionId(4), boot: Some(Span::from_secs(3)) };
        let told = timeline(&config, old, config.release.shadow.as_ref(), &config.release.strategy.steps(&[]));
        let lines: Vec<String> = told
            .points
            .iter()
            .map(|point| {
                let TimelinePoint { what, after, share, instances, waits_for, way_back, slots: _ } = point;
                format!("{what} | {after} | {share} | {instances} | {} | {way_back}", waits_for.join(", "))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "shadow | 0s | 0% | 7 | 5m, 500 answers to copies of 10% of the requests compared and alike | r4 has all the traffic as before",
                "step 1 | 5m | 5% | 7 | 10m, all of the new slot healthy | all traffic to r4 at once",
                "step 2 | 15m | 50% | 7 | all of the new slot healthy, `switchover promote`, at most 1d | all traffic to r4 at once",
                "all traffic | 15m | 100% | 7 | the bake of 10m | all traffic to r4 at once",
                "warm | 25m | 100% | 7 | 1h (keep_warm) | all traffic to r4 at once",
                "retired | 1h25m | 100% | 4 |  | r4 is started first, which took 3.0 s last time",
            ]
        );
        assert_eq!((told.extra_instance_minutes, told.extra_at_once), (255, 210));
    }

    #[test]
    fn a_timeline_names_the_checks_that_are_waited_for_or_watched() {
        let check = |name: &str, during: &str| {
            format!("[[release.check]]\nname = \"{name}\"\nmeasure = \"errors\"\nmax = \"1%\"\nduring = [{during}]\n")
        };
        let (errors, late) = (check("errors", "\"shift\", \"bake\""), check("late", "\"warm\""));
        let told = |strategy: &str| {
            let file = format!(
                "name = \"shop\"\n[process.web]\ncommand = \"x\"\ninstances = 2\n[release]\nbake = \"10m\"\n{strategy}{errors}"
            );
            let config = parse(&file, "switchover.toml", Path::new("/app")).expect("the file is right");
            let old = Old { revision: RevisionId(4), boot: None };
            let steps = config.release.strategy.steps(&config.routed_scale());
            let told = timeline(&config, old, None, &steps);
            let points =
                told.points.into_iter().map(|point| format!("{} | {}", point.what, point.waits_for.join(", ")));
            points.collect::<Vec<_>>()
        };
        let pass = "a pass of check \"errors\" within 10m more";
        let canary = told(&format!("strategy = \"canary\"\n[[release.step]]\nshare = \"5%\"\nfor = \"1m\"\n{late}"));
        assert_eq!(
            canary,
            [
                format!("step 1 | 1m, all of the new slot healthy, {pass}"),
                "all traffic | the bake of 10m, check \"errors\" watched".to_owned(),
                "warm | 1h (keep_warm), check \"late\" watched".to_owned(),
                "retired | ".to_owned(),
            ]
        );
        let rolling = told("strategy = \"rolling\"\n");
        assert!(rolling[0].starts_with(&format!("batch 1 | 10s, {pass}, ")), "{rolling:?}");
        assert!(rolling[1].ends_with("the bake of 10m, check \"errors\" watched"), "{rolling:?}");
        let tried = told(
            "strategy = \"ab\"\n[release.experiment]\nshare = \"50%\"\nfor = \"1h\"\n[[release.goal]]\nname = \"buys\"\nrequest = \"POST /buy 2xx\"\n",
        );
        assert!(tried[0].ends_with(pass), "{tried:?}");
    }

    #[test]
    fn an_experiment_is_one_point_that_ends_by_its_proof_or_its_time() {
        let file = "name = \"shop\"\n[process.web]\ncommand = \"x\"\n[release]\nstrategy = \"ab\"\n\
                    [release.experiment]\nshare = \"20%\"\nfor = \"7d\"\nat_least = \"1d\"\n\
                    [[release.goal]]\nname = \"buys\"\nrequest = \"POST /buy 2xx\"\n";
        let config = parse(file, "switchover.toml", Path::new("/app")).expect("the file is right");
        let old = Old { revision: RevisionId(4), boot: None };
        let told = timeline(&config, old, None, &config.release.strategy.steps(&[]));
        let [first, next, ..] = &told.points[..] else { panic!("{told:?}") };
        assert_eq!(
            (first.what.as_str(), first.share.to_string(), first.instances),
            ("experiment", "20%".to_owned(), 2)
        );
        assert_eq!(first.waits_for[0], "proof of \"buys\" after 1d at least, at most 7d: then all back");
        assert_eq!((next.what.as_str(), next.after.to_string()), ("if it is won: all traffic", "7d".to_owned()));
    }
}
