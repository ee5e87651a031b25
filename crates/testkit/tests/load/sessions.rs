//! WebSocket sessions: how they are opened, and how they end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use switchover_testkit::load::{Cause, Plan, Report, start};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::server::{Peer, Server, field};

const LIMIT: Duration = Duration::from_secs(20);

async fn opened(mut peer: Peer) -> Option<WebSocketStream<TcpStream>> {
    let head = peer.head().await?;
    let accept = derive_accept_key(field(&head, "Sec-WebSocket-Key").as_bytes());
    let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n");
    peer.say(format!("HTTP/1.1 101 Go\r\nX-Sample-Revision: r1\r\n{fields}\r\n").as_bytes()).await;
    let mut socket = WebSocketStream::from_raw_socket(peer.stream, Role::Server, None).await;
    socket.send(Message::text("hello from r1")).await.ok()?;
    Some(socket)
}

fn plan(server: &Server) -> Plan {
    Plan { websockets: 1, websocket_every: Duration::from_millis(5), reconnect_within: Duration::ZERO, ..server.plan() }
}

/// What comes of sessions that the server ends with `end` after three echoes, once there were two of them.
async fn ended_by<F>(end: impl Fn(WebSocketStream<TcpStream>) -> F + Copy + Send + Sync + 'static) -> Report
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = Server::scripted(move |_, peer| async move {
        let Some(mut socket) = opened(peer).await else { return };
        for _ in 0..3 {
            let Some(Ok(message)) = socket.next().await else { return };
            socket.send(message).await.unwrap();
        }
        end(socket).await;
    })
    .await;
    let report = start(Plan { requests: Some(2), ..plan(&server) }).finish().await;
    assert!(report.sum_closes());
    assert_eq!((report.websockets.opened, report.websockets.open), (2, 0));
    assert_eq!((report.websockets.echoed, report.websockets.wrong), (6, 0));
    assert!(report.websockets.sessions.iter().all(|session| session.revision.as_deref() == Some("r1")));
    report
}

#[tokio::test]
async fn a_close_code_is_recorded_and_the_user_comes_back() {
    for (code, name) in [(1012u16, "1012"), (1001, "1001")] {
        let report = ended_by(move |mut socket| async move {
            let frame = CloseFrame { code: code.into(), reason: "bye".into() };
            socket.close(Some(frame)).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        })
        .await;
        assert_eq!(report.websockets.ended.get(name), Some(&2));
        assert!(report.complaints().is_empty(), "{:?}", report.complaints());
    }
}

#[tokio::test]
async fn a_connection_that_just_ends_is_a_complaint() {
    let report = ended_by(|socket| async move { drop(socket) }).await;
    assert_eq!(report.websockets.ended.get("eof"), Some(&2));
    assert_eq!(report.complaints().len(), 1);
}

#[tokio::test]
async fn a_reset_connection_is_a_complaint() {
    let report = ended_by(|socket| async move { socket.get_ref().set_zero_linger().unwrap() }).await;
    assert_eq!(report.websockets.ended.get("reset"), Some(&2));
    assert_eq!(report.complaints().len(), 1);
}

#[tokio::test]
async fn a_wrong_echo_is_noticed() {
    let server = Server::scripted(|_, peer| async move {
        let Some(mut socket) = opened(peer).await else { return };
        while let Some(Ok(Message::Text(_))) = socket.next().await {
            let _ = socket.send(Message::text("something else")).await;
        }
    })
    .await;
    let running = start(plan(&server));
    running.wait_until(LIMIT, |seen| seen.complaints > 0).await.expect("it is noticed");
    let report = running.stop().await;
    assert!(report.websockets.wrong > 0 && !report.complaints().is_empty(), "{:?}", report.websockets);
}

#[tokio::test]
async fn a_session_that_falls_silent_is_noticed() {
    let server = Server::scripted(|_, peer| async move {
        let Some(mut socket) = opened(peer).await else { return };
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let report = start(Plan { requests: Some(1), timeout: Duration::from_millis(50), ..plan(&server) }).finish().await;
    assert_eq!((report.websockets.silent, report.websockets.unanswered), (1, 1));
    assert!(!report.complaints().is_empty());
}

#[tokio::test]
async fn an_opening_that_is_refused_or_not_meant_is_a_failed_request() {
    let refused = Server::answering(|_, _| "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".into()).await;
    let report = start(Plan { requests: Some(1), ..plan(&refused) }).finish().await;
    assert_eq!((report.failures.get(&Cause::Status), report.websockets.opened), (Some(&1), 0));

    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm90IHRoZSBrZXk=\r\n";
    let not_meant = Server::answering(move |_, _| format!("HTTP/1.1 101 Go\r\n{fields}\r\n")).await;
    let report = start(Plan { requests: Some(1), ..plan(&not_meant) }).finish().await;
    assert_eq!((report.failures.get(&Cause::BadHead), report.websockets.opened), (Some(&1), 0));
}
