//! What is measured, in the words of Prometheus: one family a table, each with a bounded set of labels.
//!
//! Only arms of the table are named: an arm that left it takes its series along. Counters rise within one epoch of the
//! router (`switchover_measured_since_seconds`); one that begins at nothing with the next Prometheus takes for a reset.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use switchover_model::histogram::middle;
use switchover_model::seam::{Arm, ArmMeasured, Part, TrafficSeen};
use switchover_model::view::{ReleaseView, StageState};
use switchover_model::{AppName, Share};

use crate::{scrape_goals, scrape_shadow};

/// Upper bounds of the latency buckets, in seconds: the same for everybody and for ever, so that series can be added up.
const BOUNDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Names of the classes of status, as in [`ArmMeasured::answered`].
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is told of one app.
#[derive(Debug)]
pub(crate) struct AppScraped {
    pub(crate) app: AppName,
    /// Nothing when the router could not be asked.
    pub(crate) seen: Option<TrafficSeen>,
    /// Those that are not settled.
    pub(crate) releases: Vec<ReleaseView>,
}

pub(crate) type Labels = Vec<(&'static str, String)>;

/// The text of a scrape.
pub(crate) fn text(apps: Vec<AppScraped>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { apps }));
    let mut text = String::new();
    match prometheus_client::encoding::prometheus_text::encode(&mut text, &registry) {
        Ok(()) => text,
        // A string takes whatever is written.
        Err(Error) => unreachable!("a string can be written to"),
    }
}

#[derive(Debug)]
struct Scrape {
    apps: Vec<AppScraped>,
}

/// One arm of one app's table.
struct ArmScraped<'a> {
    labels: Labels,
    measured: &'a ArmMeasured,
}

impl Scrape {
    fn seen(&self) -> impl Iterator<Item = (&AppName, &TrafficSeen)> {
        self.apps.iter().filter_map(|app| Some((&app.app, app.seen.as_ref()?)))
    }

    /// Each slot in a table, with its labels.
    fn slots(&self) -> impl Iterator<Item = (&TrafficSeen, &Arm, Labels)> {
        self.seen().flat_map(|(app, seen)| {
            let arms = seen.routes.iter().flat_map(|routes| &routes.arms);
            arms.map(move |arm| (seen, arm, of_slot(app, arm)))
        })
    }
}

fn of_slot(app: &AppName, arm: &Arm) -> Labels {
    vec![("app", app.to_string()), ("slot", arm.slot.to_string()), ("revision", arm.revision.to_string())]
}

fn with(labels: &Labels, more: &[(&'static str, &str)]) -> Labels {
    labels.iter().cloned().chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect()
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        // What was in no reading had no request: it is told as nothing, so that its first one is a rise.
        let nothing: Vec<(Labels, ArmMeasured)> = self.unasked();
        let mut arms: Vec<ArmScraped<'_>> = self.asked();
        arms.extend(nothing.iter().map(|(labels, measured)| ArmScraped { labels: labels.clone(), measured }));
        arms.sort_by(|left, right| left.labels.cmp(&right.labels));
        answers(&mut encoder, &arms)?;
        durations(&mut encoder, &arms)?;
        self.now(&mut encoder)?;
        let shadows = self.seen().filter_map(|(app, seen)| Some((app, seen.shadow.as_ref()?)));
        scrape_shadow::encode(&mut encoder, shadows)?;
        let tried = self.seen().filter_map(|(app, seen)| {
            let goals = seen.routes.as_ref()?.goals.as_ref()?;
            Some((app, goals, seen.measured.as_ref()?.goals.as_ref()?))
        });
        scrape_goals::encode(&mut encoder, tried)?;
        self.own_answers(&mut encoder)?;
        self.apps(&mut encoder)
    }
}

impl Scrape {
    fn asked(&self) -> Vec<ArmScraped<'_>> {
        let mut asked = Vec::new();
        for (seen, arm, labels) in self.slots() {
            for measured in seen.measured.iter().flat_map(|measured| &measured.arms) {
                if measured.revision == arm.revision {
                    let labels =
                        with(&labels, &[("process", measured.process.as_str()), ("part", measured.part.name())]);
                    asked.push(ArmScraped { labels, measured });
                }
            }
        }
        asked
    }

    fn unasked(&self) -> Vec<(Labels, ArmMeasured)> {
        let mut unasked = Vec::new();
        for (seen, arm, labels) in self.slots() {
            let Some(known) = &seen.measured else { continue };
            for routed in &arm.processes {
                if known.arm(arm.revision, &routed.process, Part::Share).is_none() {
                    let labels = with(&labels, &[("process", routed.process.as_str()), ("part", Part::Share.name())]);
                    unasked.push((labels, ArmMeasured::none(arm.revision, routed.process.clone(), Part::Share)));
                }
            }
        }
        unasked
    }

    /// What is there now, by slot.
    fn now(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let count = |of: &std::collections::BTreeMap<_, u64>, arm: &Arm| of.get(&arm.revision).copied().unwrap_or(0);
        gauges(
            encoder,
            "switchover_requests_in_flight",
            "Requests that have no end yet",
            self.slots().map(|(seen, arm, labels)| (labels, count(&seen.in_flight, arm) as f64)),
        )?;
        gauges(
            encoder,
            "switchover_upgrades",
            "Upgraded connections (WebSockets and other tunnels) that are open",
            self.slots().map(|(seen, arm, labels)| (labels, count(&seen.upgrades, arm) as f64)),
        )?;
        gauges(
            encoder,
            "switchover_share",
            "Share of the requests that the slot has, of 1",
            self.slots().map(|(_, arm, labels)| {
                (labels, f64::from(arm.share.basis_points()) / f64::from(Share::ALL.basis_points()))
            }),
        )
    }

    fn own_answers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let own = self.seen().flat_map(|(app, seen)| {
            seen.ledger
                .own
                .iter()
                .map(move |(cause, own)| (vec![("app", app.to_string()), ("cause", cause.clone())], own.count))
        });
        counters(encoder, "switchover_router_own_answers", "Requests of an app that the router answered itself", own)?;
        // The same for every app.
        let unrouted = self.seen().next().into_iter().flat_map(|(_, seen)| &seen.unrouted);
        counters(
            encoder,
            "switchover_router_unrouted_answers",
            "Requests that the router answered itself and can count for no app",
            unrouted.map(|(cause, own)| (vec![("cause", cause.clone())], own.count)),
        )
    }

    fn apps(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let of_app = |app: &AppName| vec![("app", app.to_string())];
        gauges(
            encoder,
            "switchover_traffic_known",
            "1 where the router could be asked for the app, 0 where its numbers are unknown",
            self.apps.iter().map(|app| (of_app(&app.app), f64::from(u8::from(app.seen.is_some())))),
        )?;
        let measured = self.seen().filter_map(|(app, seen)| Some((app, seen.measured.as_ref()?)));
        gauges(
            encoder,
            "switchover_measured_since_seconds",
            "When counters of the app's arms last began at nothing, in seconds since 1970",
            measured.map(|(app, measured)| (of_app(app), measured.epoch as f64 / 1e6)),
        )?;
        let releases = self.apps.iter().flat_map(|app| app.releases.iter().map(move |release| (&app.app, release)));
        let stages = releases.filter_map(|(app, release)| {
            let stage = release.stages.iter().rfind(|stage| stage.state == StageState::Running)?;
            let labels = [
                ("release", &*release.release.to_string()),
                ("revision", &*release.revision.to_string()),
                ("stage", &*stage.stage.to_string()),
            ];
            Some((with(&of_app(app), &labels), 1.0))
        });
        gauges(encoder, "switchover_release_stage", "1 for the stage that an open release is in", stages)
    }
}

fn answers(encoder: &mut DescriptorEncoder<'_>, arms: &[ArmScraped<'_>]) -> Result<(), Error> {
    let classes = arms.iter().flat_map(|arm| {
        let classes = CLASSES.iter().zip(arm.measured.answered);
        classes.map(|(class, count)| (with(&arm.labels, &[("class", class)]), count))
    });
    counters(encoder, "switchover_requests", "Requests that the app answered whole, by class of status", classes)?;
    let each = |count: fn(&ArmMeasured) -> u64| arms.iter().map(move |arm| (arm.labels.clone(), count(arm.measured)));
    counters(
        encoder,
        "switchover_request_failures",
        "Requests that ended without a whole answer of the app, by its fault",
        each(|arm| arm.failed),
    )?;
    counters(
        encoder,
        "switchover_request_aborts",
        "Requests whose client went away before the end",
        each(|arm| arm.aborted),
    )?;
    counters(
        encoder,
        "switchover_upgrades_opened",
        "Upgraded connections that were opened",
        each(|arm| arm.upgrades_opened),
    )?;
    counters(
        encoder,
        "switchover_upgrades_cut",
        "Upgraded connections that the router cut after a switch",
        each(|arm| arm.upgrades_cut),
    )?;
    gauges(
        encoder,
        "switchover_clients",
        "Different clients since the routes in force, as the split tells them apart: at most 10000",
        arms.iter().map(|arm| (arm.labels.clone(), arm.measured.clients as f64)),
    )
}

fn durations(encoder: &mut DescriptorEncoder<'_>, arms: &[ArmScraped<'_>]) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(
        "switchover_request_duration_seconds",
        "From the whole request head to the end of the answer, or until its client gave up on it",
        None,
        MetricType::Histogram,
    )?;
    for arm in arms {
        let latency = &arm.measured.latency;
        let (mut below, total) = (0, latency.total());
        let mut buckets = Vec::with_capacity(BOUNDS.len() + 1);
        for bound in BOUNDS {
            let until = total - latency.above((bound * 1e6) as u64);
            buckets.push((bound, until - below));
            below = until;
        }
        buckets.push((f64::INFINITY, total - below));
        // The sum of the buckets' middles: within 0.8 % of the true one.
        let sum: f64 = latency.counts().iter().map(|(bucket, count)| middle(*bucket) / 1e6 * *count as f64).sum();
        family.encode_family(&arm.labels)?.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)?;
    }
    Ok(())
}

pub(crate) fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in samples {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
    }
    Ok(())
}

pub(crate) fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "scrape_tests.rs"]
mod tests;
