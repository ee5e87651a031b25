//! A scrape is what was measured, in a form that stays.

use std::collections::BTreeMap;

use switchover_model::histogram::Histogram;
use switchover_model::receipt::{Ledger, OwnLedger};
use switchover_model::seam::{LeftOut, Measured, RoutedProcess, Routes, ShadowSeen};
use switchover_model::{RevisionId, Slot, Timestamp};

use super::*;

fn arm(slot: Slot, revision: u32, share: u16) -> Arm {
    Arm {
        slot,
        revision: RevisionId(revision),
        share: Share::from_basis_points(share).unwrap(),
        processes: vec![RoutedProcess {
            process: "web".parse().unwrap(),
            paths: vec!["/".to_owned()],
            endpoints: vec![],
        }],
    }
}

fn measured(revision: u32, part: Part) -> ArmMeasured {
    ArmMeasured {
        answered: [1, 6, 0, 2, 1],
        failed: 3,
        aborted: 4,
        upgrades_opened: 1,
        upgrades_cut: 1,
        clients: 9,
        latency: Histogram::from(Vec::new()),
        ..ArmMeasured::none(RevisionId(revision), "web".parse().unwrap(), part)
    }
}

fn shop() -> AppScraped {
    let mut new = measured(2, Part::Share);
    for micros in [900, 1_000, 4_000, 70_000, 90_000_000] {
        new.latency.record(micros);
    }
    let routes = Routes {
        arms: vec![arm(Slot::Green, 2, 500), arm(Slot::Blue, 1, 9_500)],
        drain_ms: 1_000,
        ..Routes::nowhere("shop".parse().unwrap(), 3)
    };
    let seen = TrafficSeen {
        routes: Some(routes),
        in_flight: BTreeMap::from([(RevisionId(2), 7), (RevisionId(0), 5)]),
        ledger: Ledger {
            own: BTreeMap::from([("upstream-closed".to_owned(), OwnLedger { count: 3, lost: 3 })]),
            ..Ledger::default()
        },
        unrouted: BTreeMap::from([("no-route".to_owned(), OwnLedger { count: 2, lost: 0 })]),
        measured: Some(Measured {
            version: Some(3),
            at: Timestamp::from_micros(9),
            epoch: 1_700_000_000_500_000,
            // One that left the table and is still drained.
            arms: vec![new, measured(0, Part::Share)],
            goals: None,
            split: None,
        }),
        ..TrafficSeen::default()
    };
    AppScraped { app: "shop".parse().unwrap(), seen: Some(seen), releases: vec![] }
}

fn samples<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))).collect()
}

#[test]
fn a_scrape_names_the_arms_of_the_table_and_no_other() {
    let text = text(vec![shop()]);
    let green = "app=\"shop\",slot=\"green\",revision=\"r2\",process=\"web\",part=\"share\"";
    let blue = "app=\"shop\",slot=\"blue\",revision=\"r1\",process=\"web\",part=\"share\"";
    let expected = |labels: &str, counts: [u64; 5]| {
        CLASSES
            .iter()
            .zip(counts)
            .map(|(class, count)| format!("switchover_requests_total{{{labels},class=\"{class}\"}} {count}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        samples(&text, "switchover_requests_total"),
        [expected(blue, [0; 5]), expected(green, [1, 6, 0, 2, 1])].concat()
    );
    assert_eq!(
        samples(&text, "switchover_request_failures_total")[1],
        format!("switchover_request_failures_total{{{green}}} 3")
    );
    assert!(!text.contains("r0"), "{text}");
    assert_eq!(samples(&text, "switchover_share").len(), 2);
    assert!(text.contains("switchover_share{app=\"shop\",slot=\"green\",revision=\"r2\"} 0.05\n"), "{text}");
    assert!(
        text.contains("switchover_requests_in_flight{app=\"shop\",slot=\"green\",revision=\"r2\"} 7.0\n"),
        "{text}"
    );
    assert!(text.contains("switchover_router_own_answers_total{app=\"shop\",cause=\"upstream-closed\"} 3\n"), "{text}");
    assert!(text.contains("switchover_router_unrouted_answers_total{cause=\"no-route\"} 2\n"), "{text}");
    assert!(text.contains("switchover_measured_since_seconds{app=\"shop\"} 1700000000.5\n"), "{text}");
}

#[test]
fn the_buckets_of_a_duration_hold_what_is_at_most_their_bound() {
    let text = text(vec![shop()]);
    let green =
        samples(&text, "switchover_request_duration_seconds_bucket").into_iter().filter(|line| line.contains("green"));
    let told: Vec<(String, u64)> = green
        .map(|line| {
            let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            (bound.to_owned(), line.rsplit(' ').next().unwrap().parse().unwrap())
        })
        .collect();
    assert_eq!(told.len(), BOUNDS.len() + 1);
    let at = |bound: &str| told.iter().find(|(of, _)| of == bound).unwrap_or_else(|| panic!("{bound} in {told:?}")).1;
    assert_eq!((at("0.001"), at("0.0025"), at("0.005"), at("0.1"), at("60"), at("+Inf")), (2, 2, 3, 4, 4, 5));
    let sum: f64 =
        samples(&text, "switchover_request_duration_seconds_sum")[1].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((sum / 90.0759 - 1.0).abs() < 0.01, "{sum}");
}

#[test]
fn what_is_unknown_is_told_as_unknown() {
    let away = AppScraped { app: "shop".parse().unwrap(), seen: None, releases: vec![] };
    let told = text(vec![away]);
    assert!(told.contains("switchover_traffic_known{app=\"shop\"} 0.0\n"), "{told}");
    assert!(samples(&told, "switchover_requests_total").is_empty(), "{told}");
    let mut unmeasured = shop();
    unmeasured.seen.as_mut().unwrap().measured = None;
    let told = text(vec![unmeasured]);
    assert!(told.contains("switchover_traffic_known{app=\"shop\"} 1.0\n"), "{told}");
    assert!(samples(&told, "switchover_requests_total").is_empty(), "no number is made up: {told}");
    assert_eq!(samples(&told, "switchover_share").len(), 2);
}

#[test]
fn no_app_at_all_is_no_error() {
    assert_eq!(text(vec![]).lines().filter(|line| !line.starts_with('#')).count(), 0);
}

#[test]
fn copies_are_told_by_what_came_of_them() {
    let mut app = shop();
    let told = |app: AppScraped| samples(&text(vec![app]), "switchover_shadow_requests_total").join("\n");
    let mut shadow = ShadowSeen::none(RevisionId(2));
    (shadow.equal, shadow.differing) = (40, 2);
    shadow.leave_out(LeftOut::Busy);
    app.seen.as_mut().unwrap().shadow = Some(shadow);
    let lines = told(app);
    for (outcome, count) in [("equal", 40), ("different", 2), ("dropped", 0), ("busy", 1), ("encoded", 0)] {
        let line =
            format!("switchover_shadow_requests_total{{app=\"shop\",revision=\"r2\",outcome=\"{outcome}\"}} {count}");
        assert!(lines.contains(&line), "{lines}");
    }
    assert_eq!(lines.lines().count(), 3 + LeftOut::ALL.len());
    assert_eq!(told(shop()), "");
}
