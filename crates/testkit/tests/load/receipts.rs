//! The users' account against receipts: alike when they are, and every difference is named.

use std::collections::BTreeMap;
use std::time::Duration;

use switchover_model::receipt::{Between, OwnLedger, Receipt, RevisionLedger};
use switchover_model::seam::Evidence;
use switchover_model::{ReleaseId, RevisionId, Timestamp};
use switchover_testkit::load::{Cause, Plan, Report, compare, start};

use crate::server::{Server, good_answer};

fn receipt(accepted: u64, answered: &[(u32, [u64; 5])], own: u64, aborted: u64) -> Receipt {
    let by_revision = answered.iter().map(|(revision, answered)| {
        (RevisionId(*revision), RevisionLedger { answered: *answered, ..RevisionLedger::default() })
    });
    Receipt {
        release: ReleaseId(1),
        from: Timestamp::from_micros(0),
        to: Timestamp::from_micros(1),
        closed: true,
        evidence: Evidence::EveryRequest,
        accepted_since_last: 0,
        since_last: Between::default(),
        lost_since_last: 0,
        in_flight_before: 0,
        accepted,
        by_revision: by_revision.collect(),
        own: BTreeMap::from([("no-healthy-instance".to_owned(), OwnLedger { count: own, lost: 0 })]),
        aborted,
        lost_with_router: 0,
        in_flight_after: 0,
        balanced: true,
        lost: 0,
        switches: Vec::new(),
        steps: Vec::new(),
        hooks: Vec::new(),
        judged: Vec::new(),
        restore_point: None,
    }
}

/// 10 requests: 4 answered by r1, 5 by r2, and one 503 that nobody signed.
async fn ten_requests() -> Report {
    let server = Server::answering(|id, number| match number {
        0..4 => good_answer(id, "r1"),
        4 => "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => good_answer(id, "r2"),
    })
    .await;
    start(Plan { quick: 1, think: Duration::ZERO, requests: Some(10), ..server.plan() }).finish().await
}

#[tokio::test]
async fn receipts_that_tell_the_same_are_found_the_same() {
    let report = ten_requests().await;
    let receipts =
        [receipt(6, &[(1, [0, 4, 0, 0, 0]), (2, [0, 1, 0, 0, 0])], 1, 0), receipt(4, &[(2, [0, 4, 0, 0, 0])], 0, 0)];
    assert_eq!(compare(&report, &receipts), Vec::<String>::new());
}

#[tokio::test]
async fn what_came_between_two_windows_is_told_by_the_later_one() {
    let report = ten_requests().await;
    let first = receipt(4, &[(1, [0, 4, 0, 0, 0])], 0, 0);
    let between = receipt(2, &[(2, [0, 1, 0, 0, 0])], 1, 0);
    let since_last = Between { by_revision: between.by_revision, own: between.own, ..Between::default() };
    let second = receipt(4, &[(2, [0, 4, 0, 0, 0])], 0, 0);
    let second = Receipt { accepted_since_last: 2, since_last: since_last.clone(), ..second };
    assert_eq!(compare(&report, &[first.clone(), second.clone()]), Vec::<String>::new());
    // It is compared like the windows themselves.
    let without = Receipt { since_last: Between { own: BTreeMap::new(), ..since_last }, ..second.clone() };
    assert_eq!(compare(&report, &[first.clone(), without]), ["answers of the router's own: users count 1, receipts 0"]);
    // What came before the first window was before the users.
    let earlier = Receipt { accepted_since_last: 7, since_last: second.since_last.clone(), ..first };
    assert_eq!(compare(&report, &[earlier, second]), Vec::<String>::new());
}

#[tokio::test]
async fn each_difference_is_named() {
    let report = ten_requests().await;
    let (r1, r2) = ((1, [0, 4, 0, 0, 0]), (2, [0, 5, 0, 0, 0]));
    for (told, difference) in [
        (receipt(11, &[r1, r2], 1, 0), "requests that reached the router: users count 10, receipts 11"),
        (receipt(10, &[r1, r2], 0, 0), "answers of the router's own: users count 1, receipts 0"),
        (receipt(10, &[r1, (2, [0, 4, 0, 0, 0])], 1, 0), "r2, 2xx: users count 5, receipts 4"),
        (receipt(10, &[r1, r2, (3, [0, 0, 0, 0, 1])], 1, 0), "r3, 5xx: users count 0, receipts 1"),
        (Receipt { in_flight_after: 2, ..receipt(10, &[r1, r2], 1, 0) }, "in flight after: users count 0, receipts 2"),
    ] {
        assert_eq!(compare(&report, &[told]), [difference]);
    }
    assert!(!compare(&report, &[]).is_empty());
}

#[tokio::test]
async fn a_request_without_a_connection_reached_no_router_and_one_left_by_its_user_did() {
    let server = Server::sample("r1").await;
    let plan = Plan { aborts: 1, abort_after: Duration::from_millis(20), requests: Some(3), ..server.plan() };
    let report = start(plan.clone()).finish().await;
    assert_eq!(compare(&report, &[receipt(3, &[], 0, 3)]), Vec::<String>::new());
    assert_eq!(
        compare(&report, &[receipt(3, &[], 0, 2)]),
        ["requests that their users left: users count 3, receipts 2"]
    );

    drop(server);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = start(Plan { address: nobody, quick: 1, aborts: 0, ..plan }).finish().await;
    assert_eq!(report.failures[&Cause::Connect], 3);
    assert_eq!(compare(&report, &[receipt(0, &[], 0, 0)]), Vec::<String>::new());
}
