//! Dishonest servers: each lie is a failure, with its own cause.

use std::time::Duration;

use switchover_testkit::load::{Cause, Expect, Plan, Report, start};

use crate::server::{Peer, Server, answer, good_answer};

/// One request of a quick user.
fn one(server: &Server) -> Plan {
    Plan { quick: 1, requests: Some(1), ..server.plan() }
}

async fn report(plan: Plan) -> Report {
    let report = start(plan).finish().await;
    assert!(report.sum_closes());
    report
}

#[track_caller]
fn assert_failed(report: &Report, cause: Cause) {
    assert_eq!((report.sent, report.failed), (1, 1), "{report:#?}");
    assert_eq!(report.failures.get(&cause), Some(&1), "{:#?}", report.failure_samples);
    assert!(!report.complaints().is_empty());
}

/// What comes of one request whose connection is given to `script` once its head was read.
async fn asked<F>(script: impl Fn(Peer, String) -> F + Copy + Send + Sync + 'static) -> Report
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = Server::scripted(move |_, mut peer| async move {
        if let Some(id) = peer.request().await {
            script(peer, id).await;
        }
    })
    .await;
    report(one(&server)).await
}

/// What comes of one request that is answered so, before the connection is closed.
async fn answered(text: impl Fn(&str) -> String + Copy + Send + Sync + 'static) -> Report {
    asked(move |mut peer, id| async move { peer.say(text(&id).as_bytes()).await }).await
}

#[tokio::test]
async fn nobody_listens() {
    let server = Server::sample("r1").await;
    let plan = one(&server);
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_failed(&report(Plan { address: refused, ..plan }).await, Cause::Connect);
}

#[tokio::test]
async fn closed_without_a_byte() {
    assert_failed(&asked(|peer, _| async move { drop(peer) }).await, Cause::EofBeforeHead);
}

#[tokio::test]
async fn closed_within_the_head() {
    assert_failed(&answered(|_| "HTTP/1.1 200 OK\r\nContent-Le".into()).await, Cause::EofBeforeHead);
}

#[tokio::test]
async fn reset_without_a_byte() {
    assert_failed(&asked(|peer, _| async move { peer.reset() }).await, Cause::Reset);
}

#[tokio::test]
async fn something_that_is_no_answer() {
    assert_failed(&answered(|_| "SSH-2.0-OpenSSH_9.2\r\n\r\n".into()).await, Cause::BadHead);
}

#[tokio::test]
async fn less_than_the_length_said() {
    let report = answered(|id| {
        let whole = good_answer(id, "r1");
        whole[..whole.len() - 1].to_owned()
    })
    .await;
    assert_failed(&report, Cause::TruncatedBody);
    assert!(report.by_status.is_empty(), "half an answer is none");
}

#[tokio::test]
async fn reset_within_the_body() {
    let report = asked(|mut peer, _| async move {
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await;
        // Once the driver has read this much, so that the reset does not overtake it.
        tokio::task::yield_now().await;
        peer.reset();
    })
    .await;
    assert_eq!(report.failed, 1);
    let cause = report.failures.keys().next().copied().unwrap();
    // A reset may take back bytes that were not read yet; what it may never do is pass for an answer.
    assert!(matches!(cause, Cause::TruncatedBody | Cause::Reset), "{cause:?}");
}

#[tokio::test]
async fn chunks_without_an_end() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_failed(&answered(move |_| format!("{head}5\r\nhello\r\n")).await, Cause::TruncatedBody);
    assert_failed(&answered(move |_| format!("{head}5\r\nhel")).await, Cause::TruncatedBody);
    assert_failed(&answered(move |_| format!("{head}5\r\nhello\r\n0\r\n")).await, Cause::TruncatedBody);
    assert_failed(&answered(move |_| format!("{head}5\r\nhello, you\r\n0\r\n\r\n")).await, Cause::BadBody);
}

#[tokio::test]
async fn the_answer_to_another_request() {
    assert_failed(&answered(|_| good_answer("u0-99", "r1")).await, Cause::BadBody);
    assert_failed(&answered(|id| answer(id, "r1", "", "{\"id\":\"u0-99\",\"revision\":\"r1\"}")).await, Cause::BadBody);
    let without_id = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert_failed(&answered(move |_| without_id.into()).await, Cause::BadBody);
}

#[tokio::test]
async fn a_body_of_another_revision_than_its_head() {
    let report = answered(|id| answer(id, "r2", "", &format!("{{\"id\":\"{id}\",\"revision\":\"r1\"}}"))).await;
    assert_failed(&report, Cause::BadBody);
}

#[tokio::test]
async fn a_whole_answer_that_says_no() {
    for status in [404, 500, 502, 503] {
        let report = answered(move |_| format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")).await;
        assert_failed(&report, Cause::Status);
        assert_eq!(report.by_status.get(&status), Some(&1));
    }
    let server = Server::answering(|_, _| "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n".into()).await;
    let any_app = Plan { expects: Expect::AnyApp, ..one(&server) };
    assert_failed(&report(any_app).await, Cause::Status);
}

#[tokio::test]
async fn silence() {
    let server = Server::scripted(|_, mut peer| async move { peer.hold().await }).await;
    let plan = Plan { timeout: Duration::from_millis(100), ..one(&server) };
    assert_failed(&report(plan).await, Cause::Timeout);
}

#[tokio::test]
async fn silence_within_the_body() {
    let server = Server::scripted(|_, mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await;
        peer.hold().await;
    })
    .await;
    let plan = Plan { timeout: Duration::from_millis(100), ..one(&server) };
    assert_failed(&report(plan).await, Cause::Timeout);
}

#[tokio::test]
async fn a_kept_connection_that_swallows_the_next_request() {
    let server = Server::scripted(|_, mut peer| async move {
        let id = peer.request().await.unwrap();
        peer.say(good_answer(&id, "r1").as_bytes()).await;
        peer.request().await;
    })
    .await;
    let report = report(Plan { requests: Some(2), ..one(&server) }).await;
    assert_eq!((report.answered, report.failed), (1, 1));
    let sample = &report.failure_samples[0];
    assert_eq!((sample.cause, sample.reused, sample.request), (Cause::EofBeforeHead, true, 2));
}

#[tokio::test]
async fn more_bytes_than_the_answer_has() {
    let server = Server::answering(|id, _| good_answer(id, "r1") + "HTTP/1.1 200 OK\r\n").await;
    let report = report(Plan { requests: Some(2), ..one(&server) }).await;
    assert_eq!((report.answered, report.failed), (1, 1));
    assert_eq!(report.failures.get(&Cause::BadHead), Some(&1));
}

#[tokio::test]
async fn a_stream_that_skips_a_part() {
    let server = Server::answering(|id, _| answer(id, "r1", "", "chunk 1 of 3\nchunk 3 of 3\nend\n")).await;
    let report = report(Plan { quick: 0, streams: 1, ..one(&server) }).await;
    assert_failed(&report, Cause::BadBody);
}

#[tokio::test]
async fn events_that_stop_early_with_a_proper_end() {
    let server =
        Server::answering(|id, _| answer(id, "r1", "", "id: 1\ndata: 1 of 2\n\nevent: end\ndata: end\n\n")).await;
    let report = report(Plan { quick: 0, events: 1, ..one(&server) }).await;
    assert_failed(&report, Cause::BadBody);
}

#[tokio::test]
async fn an_upload_that_arrived_damaged() {
    let server = Server::scripted(|_, mut peer| async move {
        let id = peer.request().await.unwrap();
        peer.body(1000).await;
        let told = format!("{{\"id\":\"{id}\",\"length\":1000,\"sha256\":\"{}\",\"revision\":\"r1\"}}", "0".repeat(64));
        peer.say(answer(&id, "r1", "", &told).as_bytes()).await;
    })
    .await;
    let report = report(Plan { quick: 0, uploads: 1, upload_bytes: 1000, ..one(&server) }).await;
    assert_failed(&report, Cause::BadBody);
}

#[tokio::test]
async fn an_upload_refused_before_it_was_read_is_an_answer_that_says_no() {
    let server = Server::scripted(|_, mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        peer.hold().await;
    })
    .await;
    let plan = Plan { quick: 0, uploads: 1, upload_bytes: 8 << 20, ..one(&server) };
    let report = report(plan).await;
    assert_failed(&report, Cause::Status);
    assert_eq!(report.by_status.get(&413), Some(&1));
}
