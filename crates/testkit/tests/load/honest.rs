//! Honest servers: nothing may be called a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use switchover_testkit::load::{Cause, Expect, Kind, Plan, Report, Snapshot, start};

use crate::server::{Server, answer, good_answer};

const LIMIT: Duration = Duration::from_secs(20);

fn assert_content(report: &Report) {
    assert!(report.complaints().is_empty(), "{:#?}", report.complaints());
    assert!(report.sum_closes());
}

#[tokio::test]
async fn every_kind_of_request_is_answered_and_accounted_for() {
    let server = Server::sample("r1").await;
    let plan = Plan {
        quick: 4,
        single: 2,
        slow: 2,
        slow_takes: Duration::from_millis(100),
        streams: 2,
        events: 2,
        stream_takes: Duration::from_millis(100),
        stream_every: Duration::from_millis(10),
        uploads: 2,
        upload_bytes: 200_000,
        websockets: 3,
        websocket_every: Duration::from_millis(10),
        aborts: 1,
        abort_after: Duration::from_millis(20),
        rest: Duration::from_millis(5),
        ..server.plan()
    };
    let running = start(plan);
    running
        .wait_until(LIMIT, |seen| seen.answered > 400 && seen.aborted > 2 && seen.open_websockets == 3)
        .await
        .expect("it answers");
    let report = running.stop().await;

    assert_content(&report);
    let kinds = [Kind::Quick, Kind::Single, Kind::Slow, Kind::Stream, Kind::Events, Kind::Upload, Kind::WebSocket];
    for kind in kinds {
        let totals = &report.by_kind[&kind];
        assert!(totals.answered > 0 && totals.answered == totals.sent, "{kind:?}: {totals:?}");
    }
    assert_eq!(report.aborted, report.by_kind[&Kind::Abort].aborted);
    assert_eq!(report.by_revision["r1"].answered, report.answered);
    assert_eq!(report.by_status.values().sum::<u64>(), report.answered);
    assert_eq!(report.by_status[&101], 3);
    assert_eq!(report.websockets.ended.get("ours"), Some(&3));
    assert!(report.websockets.echoed > 0);
    assert!(report.by_kind[&Kind::Slow].latency.as_ref().unwrap().p50_us >= 100_000);
}

#[tokio::test]
async fn connections_are_kept_and_only_single_requests_open_one_each() {
    let server = Server::sample("r1").await;
    let report = start(Plan { quick: 3, requests: Some(300), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    assert_eq!((report.sent, report.connections.opened, report.connections.reused), (300, 3, 297));

    let report = start(Plan { single: 3, requests: Some(30), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    assert_eq!((report.sent, report.connections.opened, report.connections.reused), (30, 30, 0));
}

#[tokio::test]
async fn a_connection_closed_after_an_announcement_is_no_failure() {
    let server = Server::scripted(|_, mut peer| async move {
        if let Some(id) = peer.request().await {
            let body = format!("{{\"id\":\"{id}\",\"revision\":\"r1\"}}");
            peer.say(answer(&id, "r1", "Connection: close\r\n", &body).as_bytes()).await;
        }
    })
    .await;
    let report = start(Plan { quick: 1, requests: Some(20), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    assert_eq!((report.answered, report.connections.closed_announced, report.connections.closed_idle), (20, 20, 0));
}

#[tokio::test]
async fn a_connection_closed_between_requests_is_no_failure() {
    let server = Server::scripted(|_, mut peer| async move {
        if let Some(id) = peer.request().await {
            // In one go with the close, so that the driver cannot come in between.
            peer.stream.try_write(good_answer(&id, "r1").as_bytes()).unwrap();
        }
    })
    .await;
    let report = start(Plan { quick: 1, requests: Some(20), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    assert_eq!((report.answered, report.connections.closed_idle), (20, 19));
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let server =
        Server::answering(|id, _| format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", good_answer(id, "r1")))
            .await;
    let report = start(Plan { quick: 1, requests: Some(5), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    assert_eq!(report.by_status.into_iter().collect::<Vec<_>>(), [(200, 5)]);
}

#[tokio::test]
async fn a_switch_and_a_rollback_are_two_changes_and_one_return_a_connection() {
    let is_green = Arc::new(AtomicBool::new(false));
    let seen_by_server = Arc::clone(&is_green);
    let server = Server::answering(move |id, _| {
        good_answer(id, if seen_by_server.load(Ordering::SeqCst) { "r2" } else { "r1" })
    })
    .await;
    let running = start(Plan { quick: 5, think: Duration::from_millis(1), ..server.plan() });
    for (green, changes) in [(true, 1), (false, 2)] {
        let before = running.snapshot().answered;
        running.wait_until(LIMIT, |seen| seen.answered > before + 50).await.expect("it answers");
        is_green.store(green, Ordering::SeqCst);
        running.wait_until(LIMIT, |seen| seen.changes == changes).await.expect("the change is seen");
    }
    let before = running.snapshot().answered;
    running.wait_until(LIMIT, |seen| seen.answered > before + 50).await.expect("it answers");
    let report = running.stop().await;

    assert_content(&report);
    let changes: Vec<_> = report.changes.iter().map(|change| (change.from.as_str(), change.to.as_str())).collect();
    assert_eq!(changes, [("r1", "r2"), ("r2", "r1")]);
    assert!((1..=5).contains(&report.returns), "{}", report.returns);
    let (old, new) = (&report.by_revision["r1"], &report.by_revision["r2"]);
    assert!(old.first_ms <= new.first_ms && new.last_ms <= old.last_ms);
}

#[tokio::test]
async fn flapping_between_revisions_shows_as_too_many_changes() {
    let server = Server::answering(|id, number| good_answer(id, if number % 10 == 9 { "r1" } else { "r2" })).await;
    let report = start(Plan { quick: 1, requests: Some(100), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert!(report.change_count >= 18, "{}", report.change_count);
}

#[tokio::test]
async fn the_latency_of_a_slow_second_stands_out() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let seen_by_server = Arc::clone(&is_slow);
    let server = Server::scripted(move |_, mut peer| {
        let is_slow = Arc::clone(&seen_by_server);
        async move {
            while let Some(id) = peer.request().await {
                if is_slow.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                peer.say(good_answer(&id, "r1").as_bytes()).await;
            }
        }
    })
    .await;
    let running = start(Plan { quick: 4, think: Duration::from_millis(5), ..server.plan() });
    running.wait_until(LIMIT, |seen| seen.at_ms > 1100).await.unwrap();
    is_slow.store(true, Ordering::SeqCst);
    let slow_from = running.snapshot().at_ms;
    running.wait_until(LIMIT, |seen| seen.at_ms > slow_from + 1100).await.unwrap();
    let report = running.stop().await;
    assert_content(&report);
    let during = report.latency_between(slow_from + 10, slow_from + 1000).unwrap();
    assert!(during.p50_us >= 190_000, "{during:?}");
    assert!(report.p99_ratio_at(slow_from).unwrap() > 2.0, "{:?}", report.seconds);
}

#[tokio::test]
async fn stopping_waits_for_the_answer_that_is_on_its_way() {
    let server = Server::sample("r1").await;
    let plan = Plan { slow: 3, slow_takes: Duration::from_millis(300), ..server.plan() };
    let running = start(plan);
    running.wait_until(LIMIT, |seen| seen.sent == 3).await.unwrap();
    let report = running.stop().await;
    assert_content(&report);
    assert_eq!((report.answered, report.aborted), (3, 0));
}

#[tokio::test]
async fn a_plan_ends_by_its_time() {
    let server = Server::sample("r1").await;
    let plan = Plan { quick: 2, websockets: 1, lasts: Some(Duration::from_millis(200)), ..server.plan() };
    let report = tokio::time::timeout(LIMIT, start(plan).finish()).await.expect("it ends");
    assert_content(&report);
    assert!(report.lasted_ms >= 200);
}

#[tokio::test]
async fn any_app_may_answer_what_it_likes_below_500() {
    let server = Server::answering(|_, _| "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_owned()).await;
    let plan = Plan { quick: 1, expects: Expect::AnyApp, requests: Some(5), ..server.plan() };
    let report = start(plan).finish().await;
    assert_content(&report);
    assert_eq!(report.by_status.into_iter().collect::<Vec<_>>(), [(404, 5)]);
}

#[tokio::test]
async fn the_report_is_the_same_after_json() {
    let server = Server::sample("r1").await;
    let report = start(Plan { quick: 2, websockets: 1, requests: Some(20), ..server.plan() }).finish().await;
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert!(json.starts_with("{\"schema_version\":1,"));
}

#[tokio::test]
async fn a_single_request_leaves_its_connection_whatever_the_server_says() {
    let server = Server::answering(|id, _| good_answer(id, "r1")).await;
    let report = start(Plan { single: 1, requests: Some(10), think: Duration::ZERO, ..server.plan() }).finish().await;
    assert_content(&report);
    let connections = &report.connections;
    assert_eq!((connections.opened, connections.reused, connections.closed_idle), (10, 0, 0));
}

#[tokio::test]
async fn a_server_that_dies_under_load_is_lost_requests_and_cut_sessions() {
    let server = Server::sample("r1").await;
    let plan = Plan { quick: 4, slow: 2, websockets: 2, think: Duration::from_millis(1), ..server.plan() };
    let running = start(plan);
    let is_busy = |seen: &Snapshot| seen.answered > 50 && seen.open_websockets == 2;
    running.wait_until(LIMIT, is_busy).await.expect("it answers");
    drop(server);
    running.wait_until(LIMIT, |seen| seen.complaints >= 10).await.expect("it is noticed");
    let report = running.stop().await;
    assert!(report.sum_closes());
    assert_eq!(report.by_kind[&Kind::Slow].answered, 0, "both were on when it died");
    let of_a_death = [Cause::Connect, Cause::Reset, Cause::EofBeforeHead, Cause::TruncatedBody];
    assert!(report.failures.keys().all(|cause| of_a_death.contains(cause)), "{:?}", report.failures);
    assert!(report.failures[&Cause::Connect] > 0);
    let cut: u64 = ["eof", "reset"].iter().filter_map(|how| report.websockets.ended.get(*how)).sum();
    assert_eq!(cut, 2);
}
