//! Switch after switch under load, all through the command line: no request fails, and the receipts' sums equal the
//! client's own count.
//!
//! `SWITCHES` sets how many (a quarter of them full deploys); the long run of the proofs asks for 200.

mod house;

use std::time::Duration;

use house::House;
use house::crowd::Crowd;
use switchover_model::answer::ReceiptView;
use switchover_model::receipt::Receipt;
use switchover_testkit::load::{self, Plan};

/// Switches of the everyday run.
const SWITCHES: u64 = 16;
/// Every so many switches one is a full deploy; the others go back, return to it, and go back again.
const DEPLOY_EVERY: u64 = 4;

#[test]
fn no_request_is_lost_and_the_receipts_agree_with_the_client() {
    let switches = std::env::var("SWITCHES").ok().and_then(|text| text.parse().ok()).unwrap_or(SWITCHES);
    let house = House::start();
    house.sample("instances = 2", "[route]\ndrain = \"10s\"\n\n[release]\nbake = \"1h\"\nkeep_warm = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);

    let mut plan = Plan::nobody(house.address, "localhost");
    plan.quick = 32;
    plan.slow = 8;
    plan.slow_takes = Duration::from_millis(1500);
    plan.streams = 4;
    plan.uploads = 4;
    plan.upload_bytes = 1024 * 1024;
    plan.websockets = 20;
    plan.aborts = 2;
    let crowd = Crowd::gather(plan);

    let mut newest = String::new();
    for number in 1..=switches {
        let before = house.live_revision();
        match number % DEPLOY_EVERY {
            1 => {
                house.write("VERSION", &format!("v{}", number + 1));
                house.cli(&["deploy", "--wait"]).ended(0);
                newest = house.live_revision().expect("a live revision");
            }
            3 => {
                house.cli(&["rollback", "--to", &newest, "--wait"]).ended(0);
            }
            _ => {
                house.cli(&["rollback", "--wait"]).ended(0);
            }
        }
        assert_ne!(before, house.live_revision(), "switch {number} has moved nothing");
    }

    let report = crowd.leave();
    // One more release closes the account of what came after the last one.
    house.write("VERSION", "last");
    house.cli(&["deploy", "--wait"]).ended(0);
    assert_eq!(report.complaints(), Vec::<String>::new(), "after {switches} switches");
    assert!(report.answered > switches * 50, "only {} requests: this was no load", report.answered);

    let history = house.cli(&["history", "--json"]).ended(0).json();
    let mut receipts: Vec<Receipt> = Vec::new();
    for release in history["releases"].as_array().unwrap() {
        let told = house.receipt(release["release"].as_u64());
        let receipt: ReceiptView = serde_json::from_value(told.clone()).unwrap();
        let receipt = receipt.receipt;
        assert!(receipt.balanced, "{told:#}");
        assert_eq!(receipt.lost + receipt.lost_since_last, 0, "{told:#}");
        let slots = receipt.by_revision.values().chain(receipt.since_last.by_revision.values());
        assert!(slots.clone().all(|counted| counted.slot.is_some()), "who answered from which slot: {told:#}");
        receipts.push(receipt);
    }
    // By revision and class, with what users left and what the router answered itself.
    assert_eq!(load::compare(&report, &receipts), Vec::<String>::new(), "the receipts beside the client's own count");
    assert!(report.aborted > switches, "too few users left to compare: {}", report.aborted);
    println!(
        "{switches} switches, {} requests, none failed; p99 {:?}",
        report.sent,
        report.latency_between(0, u64::MAX)
    );
}
