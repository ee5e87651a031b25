//! Who reached the goals of an experiment, in the words of Prometheus. The labels are bounded by its goals and the arms of a split.

use std::fmt::Error;

use prometheus_client::encoding::DescriptorEncoder;
use switchover_model::AppName;
use switchover_model::seam::{GoalArm, Goals, GoalsMeasured};

use crate::scrape::{Labels, counters, gauges};

/// Clients of each arm, and of each goal those who reached it and their requests. A goal is labelled as its request is written.
pub(crate) fn encode<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    seen: impl Iterator<Item = (&'a AppName, &'a Goals, &'a GoalsMeasured)>,
) -> Result<(), Error> {
    let mut came = Vec::new();
    let mut reached = Vec::new();
    let mut requests = Vec::new();
    for (app, goals, measured) in seen {
        for arm in &measured.arms {
            came.push((labels(app, arm), arm.clients as f64));
            for (goal, count) in goals.requests.iter().zip(&arm.goals) {
                let mut labels = labels(app, arm);
                labels.push(("goal", goal.to_string()));
                reached.push((labels.clone(), count.clients as f64));
                requests.push((labels, count.requests));
            }
        }
    }
    let help = "Different clients since the experiment began, at most 2,560,000";
    gauges(encoder, "switchover_experiment_clients", help, came)?;
    let help = "Of them, those who reached the goal";
    gauges(encoder, "switchover_goal_clients", help, reached)?;
    counters(encoder, "switchover_goal_requests", "Requests that reached the goal", requests)
}

fn labels(app: &AppName, arm: &GoalArm) -> Labels {
    vec![("app", app.to_string()), ("revision", arm.revision.to_string()), ("part", arm.part.name().to_owned())]
}
