//! What a person and a script are told of an app's traffic.

use switchover_model::Timestamp;
use switchover_model::histogram::Histogram;
use switchover_model::receipt::{Ledger, OwnLedger};
use switchover_model::seam::{Arm, Evidence, RoutedProcess, Routes};
use switchover_model::view::SCHEMA_VERSION;

use switchover_model::seam::{LeftOut, ShadowExample, ShadowSeen};

use super::*;

fn routes() -> Routes {
    let arm = |slot, revision, share| Arm {
        slot,
        revision: RevisionId(revision),
        share: Share::from_basis_points(share).unwrap(),
        processes: vec![RoutedProcess {
            process: "web".parse().unwrap(),
            paths: vec!["/".to_owned()],
            endpoints: vec![],
        }],
    };
    Routes {
        arms: vec![arm(Slot::Green, 2, 1_250), arm(Slot::Blue, 1, 8_750)],
        ..Routes::nowhere("shop".parse().unwrap(), 2)
    }
}

fn arm(revision: u32, good: u64, failed: u64, micros: u64) -> ArmMeasured {
    let mut latency = Histogram::default();
    latency.record_many(micros, good + failed);
    ArmMeasured {
        answered: [0, good, 0, 0, 0],
        failed,
        clients: 12,
        latency,
        ..ArmMeasured::none(RevisionId(revision), "web".parse().unwrap(), Part::Share)
    }
}

fn view(at_ms: u64, epoch: u64, arms: Vec<ArmMeasured>) -> TrafficView {
    let seen = TrafficSeen {
        routes: Some(routes()),
        in_flight: BTreeMap::from([(RevisionId(1), 3)]),
        upgrades: BTreeMap::from([(RevisionId(2), 1)]),
        ledger: Ledger { accepted: 412, in_flight: 3, aborted: 2, ..Ledger::default() },
        measured: Some(Measured {
            at: Timestamp::from_micros(at_ms * 1_000),
            epoch,
            version: Some(2),
            arms,
            goals: None,
            split: None,
        }),
        ..TrafficSeen::default()
    };
    let (schema_version, app) = (SCHEMA_VERSION, "shop".parse().unwrap());
    TrafficView { schema_version, app, evidence: Evidence::EveryRequest, seen: Some(seen), sequence: 9 }
}

fn shown(earlier: &TrafficView, later: &TrafficView, width: usize) -> Vec<String> {
    TrafficShown::between(earlier, later.clone()).lines(width)
}

#[test]
fn rates_and_quantiles_are_of_the_interval_alone() {
    let earlier = view(1_000, 7, vec![arm(1, 1_000, 0, 900_000)]);
    let mut now = arm(1, 1_000, 0, 900_000);
    let rise = arm(1, 197, 3, 4_000);
    now.answered[1] += rise.answered[1];
    now.failed += rise.failed;
    now.latency.merge(&rise.latency);
    let later = view(3_000, 7, vec![now, arm(2, 50, 0, 2_500)]);
    assert_eq!(
        shown(&earlier, &later, 120),
        [
            "revision  slot     share  requests/s  errors/s  errors     p50     p99  in flight  upgrades  clients",
            "r2        green  12.50 %        25.0         0     0 %  2.5 ms  2.5 ms          0         1       12",
            "r1        blue   87.50 %       100.0       1.5  1.50 %  4.0 ms  4.0 ms          3         0       12",
            "accepted 412, answered 0 (5xx 0), in flight 3, left by clients 2, answered by the router itself 0",
        ]
    );
}

#[test]
fn a_narrow_terminal_gets_the_same_in_sentences() {
    let earlier = view(1_000, 7, vec![]);
    let later = view(2_000, 7, vec![arm(2, 50, 0, 2_500)]);
    let lines = shown(&earlier, &later, 80);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert_eq!(
        lines[..4],
        [
            "r2 green web, share 12.50 %: 50.0 requests/s, 0 errors/s (0 %), p50 2.5 ms, p99",
            "    2.5 ms, in flight 0, upgrades 1, clients 12",
            "r1 blue web, share 87.50 %: 0 requests/s, 0 errors/s (-), p50 -, p99 -, in",
            "    flight 3, upgrades 0, clients 0",
        ]
    );
}

#[test]
fn another_epoch_makes_no_rate_and_says_so() {
    let told = shown(&view(1_000, 7, vec![arm(1, 90, 0, 5)]), &view(2_000, 8, vec![arm(1, 4, 0, 5)]), 120);
    assert!(told[2].starts_with("r1        blue   87.50 %     unknown   unknown"), "{told:#?}");
    assert!(told[3].starts_with("unknown: rates and latencies"), "{told:#?}");
    assert!(!told.join("\n").contains("-8"), "{told:#?}");
}

#[test]
fn what_nobody_measured_or_could_ask_is_unknown() {
    let mut unmeasured = view(2_000, 7, vec![]);
    unmeasured.seen.as_mut().unwrap().measured = None;
    let told = shown(&view(1_000, 7, vec![]), &unmeasured, 120);
    assert_eq!(told[0], "unknown: what each arm does is not measured");
    let json = serde_json::to_value(TrafficShown::between(&view(1_000, 7, vec![]), unmeasured)).unwrap();
    assert_eq!((&json["arms"], &json["interval_ms"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    let away = TrafficView { seen: None, ..view(2_000, 7, vec![]) };
    assert_eq!(shown(&view(1_000, 7, vec![]), &away, 120), ["unknown: the router could not be asked"]);
}

#[test]
fn parts_and_processes_are_columns_where_they_differ_and_a_draining_revision_says_so() {
    let mut baseline = arm(1, 10, 0, 700);
    baseline.part = Part::Baseline;
    let later = view(2_000, 7, vec![arm(0, 5, 0, 300), arm(1, 10, 0, 800), baseline]);
    let told = shown(&view(1_000, 7, vec![]), &later, 200);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&told[0])[..4], ["revision", "slot", "part", "share"]);
    assert_eq!(cells(&told[2])[..3], ["r1", "blue", "share"]);
    assert_eq!(cells(&told[3])[..4], ["r1", "blue", "baseline", "-"]);
    // In flight is the revision's, and said once.
    assert!(told[2].ends_with(" us          3         0       12"), "{told:#?}");
    assert!(told[3].ends_with(" us                            12"), "{told:#?}");
    assert_eq!(cells(&told[4])[..4], ["r0", "-", "share", "drains"]);
}

#[test]
fn json_has_names_that_stay_and_no_histogram() {
    let later = view(3_000, 7, vec![arm(2, 50, 50, 2_500)]);
    let json = serde_json::to_string(&TrafficShown::between(&view(1_000, 7, vec![]), later)).unwrap();
    assert!(json.starts_with("{\"schema_version\":"), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["interval_ms"], 2_000);
    assert_eq!(value["seen"]["measured"], serde_json::Value::Null);
    let expected = serde_json::json!({
        "revision": "r2", "slot": "green", "process": "web", "part": "share", "share": 1250,
        "requests_per_second": 50.0, "errors_per_second": 25.0, "error_ratio": 0.5,
        "p50_micros": 2512, "p99_micros": 2512,
        "in_flight": 0, "upgrades": 1, "clients": 12,
        "answered": [0, 50, 0, 0, 0], "failed": 50, "aborted": 0, "upgrades_opened": 0, "upgrades_cut": 0,
    });
    assert_eq!(value["arms"][0], expected);
}

#[test]
fn what_came_for_no_app_is_told_and_nothing_is_said_where_nothing_came() {
    let mut seen = TrafficSeen::default();
    assert!(!sums(&seen).join("\n").contains("no app"));
    seen.unrouted.insert("too-many-connections".to_owned(), OwnLedger { count: 3, lost: 3 });
    let told = sums(&seen).join("\n");
    assert!(told.ends_with("for no app:\n  too-many-connections: 3 (3 lost)"), "{told}");
}

#[test]
fn what_copies_told_stands_below_the_sums() {
    let mut later = view(2_000, 7, vec![]);
    let mut seen = ShadowSeen::none(RevisionId(2));
    (seen.sampled, seen.equal, seen.differing) = (1_213, 1_200, 10);
    seen.leave_out(LeftOut::Busy);
    let price = seen.field("body /items/*/price").unwrap();
    price.differs = 10;
    let (request, live, shadow) = ("GET /items".to_owned(), "5".to_owned(), "6".to_owned());
    price.examples.push(ShadowExample { request, live, shadow });
    seen.field("body /at").unwrap().noise = 1_210;
    later.seen.as_mut().unwrap().shadow = Some(seen);
    let told = shown(&view(1_000, 7, vec![]), &later, 120);
    assert_eq!(
        told[4..],
        [
            "copied to r2: 1213 sampled, 1210 compared (1200 equal, 10 different), left out 1 (busy 1), 2 on their way",
            "  body /items/*/price: 10 differ, such as GET /items: 5, r2 6",
        ],
        "{told:#?}"
    );
}
