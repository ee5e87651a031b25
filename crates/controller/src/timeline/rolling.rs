//! The timeline of a rolling release: each batch with the instances of both slots, and how long going back would take.

use switchover_model::answer::PlanStage;
use switchover_model::config::{AppConfig, During, Fraction, Rolling, Shadow, Strategy};
use switchover_model::release::Stage;
use switchover_model::sizes::Batch;
use switchover_model::timeline::{Timeline, TimelinePoint};
use switchover_model::{Share, Slot, Span};
use switchover_rollout::limits;

use super::{Old, compared, instances, longer, minutes, passes, watched};

/// How long the old slot stays warm where a file of another strategy says nothing.
const KEEP_WARM: Span = Span::from_secs(3600);

/// How the file has a release roll; nothing for every other strategy.
pub(crate) fn of(config: &AppConfig) -> Option<Rolling> {
    match &config.release.strategy {
        Strategy::Rolling(rolling) => Some(*rolling),
        Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_) => None,
    }
}

/// The timeline of a release by `config` from `old`, through `shadow` and by batches. `stays`: how long each of them is held.
pub(super) fn timeline(
    config: &AppConfig,
    old: Old,
    (shadow, rolling, stays): (Option<&Shadow>, Rolling, Span),
) -> Timeline {
    let scale = config.routed_scale();
    let both = |new: Fraction, old: Fraction| {
        let sum = |part: Fraction| scale.iter().map(|scale| part.count(*scale)).sum::<u32>();
        Batch { new: sum(new), old: sum(old) }
    };
    let (routed, drain) = (both(Fraction::ALL, Fraction::NONE).new, leaving(config));
    let (twice, once) = instances(config);
    // Workers by lease run in both slots until the old one has nobody.
    let workers = twice.saturating_sub(routed);
    let batches = Fraction::NONE.batches(&scale, rolling.surge);
    let (mut points, mut after, mut extra) = (Vec::new(), Span::ZERO, 0);
    let mut held = Fraction::NONE;
    if let (Some(shadow), Some(first)) = (shadow, batches.first()) {
        let slots = both(*first, Fraction::ALL);
        points.push(compared(shadow, old, (slots.new + slots.old + 2 * workers + once, Some(slots))));
        extra += minutes_of(shadow.stays, slots.new + workers);
        after = shadow.stays;
    }
    for (number, part) in (1..).zip(&batches) {
        let slots = both(*part, held.rest());
        let is_last = part.is_all();
        let what = if is_last { "all traffic".to_owned() } else { format!("batch {number}") };
        let mut waits_for = Vec::new();
        if is_last {
            waits_for.push(format!("the old slot drained, then the bake of {}", config.release.bake));
            waits_for.extend(watched(config, During::Bake));
        } else {
            if stays > Span::ZERO {
                waits_for.push(stays.to_string());
            }
            waits_for.extend(passes(config));
            let leave = slots.old - both(*part, part.rest()).old;
            waits_for.push(format!("{leave} of the old drained and gone, all of batch {} healthy", number + 1));
        }
        let lasts = longer(if is_last { Span::ZERO } else { stays }, drain);
        extra += minutes_of(lasts, (slots.new + slots.old + workers).saturating_sub(routed));
        let way_back = way_back(old, held, &scale, rolling, config);
        points.push(TimelinePoint {
            what,
            after,
            share: part.share(),
            instances: slots.new + slots.old + 2 * workers + once,
            slots: Some(slots),
            waits_for,
            way_back,
        });
        after = longer(after, lasts);
        held = *part;
    }
    let way_back = way_back(old, Fraction::ALL, &scale, rolling, config);
    points.push(TimelinePoint {
        what: "old slot empty".to_owned(),
        after,
        share: Share::ALL,
        instances: twice + once,
        slots: Some(both(Fraction::ALL, Fraction::NONE)),
        waits_for: Vec::new(),
        way_back,
    });
    let at_once = minutes(longer(config.release.bake, KEEP_WARM), twice);
    Timeline { points, extra_instance_minutes: (extra + 30_000_000) / 60_000_000, extra_at_once: at_once }
}

/// What is told of the stages of a rolling release that differs from other strategies.
pub(crate) fn tell_stages(stages: &mut [PlanStage], config: &AppConfig, rolling: Rolling, slot: Slot, old: &str) {
    let scale = config.routed_scale();
    let Some(first) = Fraction::NONE.batches(&scale, rolling.surge).first().copied() else { return };
    for stage in stages {
        match stage.stage {
            Stage::Provision => {
                let count: u32 = scale.iter().map(|scale| first.count(*scale)).sum();
                let does = format!(
                    "starts its first batch, {count} of {} instances, in {slot} and waits until healthy; ",
                    scale.iter().sum::<u32>()
                );
                stage.does = format!("{does}a surge of {} bounds both slots", rolling.surge);
            }
            Stage::Shift => "by batches backwards: at once in the first one".clone_into(&mut stage.way_back),
            Stage::Bake => format!("{old} is started again, by batches").clone_into(&mut stage.way_back),
            Stage::Retire => {
                format!("stops {old}, of which no instance is left").clone_into(&mut stage.does);
                format!("{old} is started again, by batches").clone_into(&mut stage.way_back);
            }
            Stage::Build | Stage::Expand | Stage::Verify | Stage::Approve | Stage::Contract => {}
        }
    }
}

/// How a rollback would go while the new slot holds `held` for certain.
fn way_back(old: Old, held: Fraction, scale: &[u32], rolling: Rolling, config: &AppConfig) -> String {
    let Old { revision, boot } = old;
    if held.is_none() {
        return format!("all traffic to {revision} at once");
    }
    let batches = match held.rest().batches(scale, rolling.surge).len() {
        1 => "one batch".to_owned(),
        count => format!("{count} batches"),
    };
    let boot = boot.map(|boot| format!(" ({} last time)", boot.rounded())).unwrap_or_default();
    let drain = config.route.drain;
    if held.is_all() {
        return format!("{revision} is started first, in {batches}, each a boot{boot} and a drain of at most {drain}");
    }
    format!("some to {revision} at once, the rest in {batches}, each a boot{boot} and a drain of at most {drain}")
}

/// How long those who leave a slot are given before they are told to stop.
fn leaving(config: &AppConfig) -> Span {
    longer(config.route.drain, limits::DRAIN_ALLOWANCE)
}

/// Instances for this long, in instances times microseconds.
fn minutes_of(span: Span, instances: u32) -> u64 {
    span.as_micros().saturating_mul(u64::from(instances))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchover_model::RevisionId;
    use switchover_model::config::parse;

    use super::super::timeline;
    use super::*;

    const FILE: &str = "name = \"shop\"\n[process.web]\ncommand = \"x\"\ninstances = 4\n[process.mailer]\ncommand = \"y\"\n[route]\ndrain = \"26s\"\n\
                        [release]\nstrategy = \"rolling\"\nbake = \"10m\"\nrolling = { surge = 1, every = \"30s\" }\n";

    #[test]
    fn a_timeline_tells_batches_capacity_and_the_way_back_at_each_point() {
        let config = parse(FILE, "switchover.toml", Path::new("/app")).expect("the file is right");
        let old = Old { revision: RevisionId(4), boot: Some(Span::from_secs(3)) };
        let told = timeline(&config, old, None, &config.release.strategy.steps(&config.routed_scale()));
        let lines: Vec<String> = told
            .points
            .iter()
            .map(|point| {
                let TimelinePoint { what, after, share, instances, slots, waits_for, way_back } = point;
                let Batch { new, old } = slots.expect("a rolling release tells both slots");
                format!("{what} | {after} | {share} | {instances}: {new}+{old} | {} | {way_back}", waits_for.join(", "))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "batch 1 | 0s | 25% | 6: 1+4 | 30s, 1 of the old drained and gone, all of batch 2 healthy | all traffic to r4 at once",
                "batch 2 | 1m | 50% | 6: 2+3 | 30s, 1 of the old drained and gone, all of batch 3 healthy | some to r4 at once, the rest in one batch, each a boot (3.0 s last time) and a drain of at most 26s",
                "batch 3 | 2m | 75% | 6: 3+2 | 30s, 1 of the old drained and gone, all of batch 4 healthy | some to r4 at once, the rest in 2 batches, each a boot (3.0 s last time) and a drain of at most 26s",
                "all traffic | 3m | 100% | 6: 4+1 | the old slot drained, then the bake of 10m | some to r4 at once, the rest in 3 batches, each a boot (3.0 s last time) and a drain of at most 26s",
                "old slot empty | 3m30s | 100% | 5: 4+0 |  | r4 is started first, in 4 batches, each a boot (3.0 s last time) and a drain of at most 26s",
            ]
        );
        assert_eq!((told.extra_instance_minutes, told.extra_at_once), (4, 280));
    }

    #[test]
    fn a_file_without_keep_warm_keeps_the_old_slot_for_so_long() {
        let file = "name = \"shop\"\n[process.web]\ncommand = \"x\"\n";
        let config = parse(file, "switchover.toml", Path::new("/app")).expect("the file is right");
        assert_eq!(config.release.keep_warm, KEEP_WARM);
    }
}
