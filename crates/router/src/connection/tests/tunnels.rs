//! Connections that change their protocol.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::bed::{Bed, Client, Upstream, header, run, until};
use crate::connection::bounds::{TUNNEL_CLOSE_SPREAD, TUNNEL_HALF_CLOSED_TIME};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

async fn switching() -> Upstream {
    Upstream::new(|mut client, _, notes| async move {
        let head = client.head().await;
        assert_eq!(header(&head, "upgrade"), Some("websocket"));
        assert_eq!(header(&head, "connection"), Some("upgrade"));
        // The first bytes of the new protocol come with the head.
        client.send(format!("{SWITCH}welcome;").as_bytes()).await;
        loop {
            let mut word = [0; 1024];
            match tokio::io::AsyncReadExt::read(&mut client.stream, &mut word).await {
                Ok(count) if count > 0 => client.send(&word[..count]).await,
                Ok(_) | Err(_) => break,
            }
        }
        notes.borrow_mut().push("ended".to_owned());
        client.send(b"bye;").await;
    })
    .await
}

async fn open(bed: &Bed) -> Client {
    let mut client = bed.client().await;
    client.send(ASK.as_bytes()).await;
    let head = client.head().await;
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    assert_eq!(header(&head, "sec-websocket-accept"), Some("x"));
    client
}

#[test]
fn a_tunnel_carries_bytes_both_ways_until_both_sides_have_ended() {
    run(async {
        let upstream = switching().await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = open(&bed).await;
        assert_eq!(client.until(";").await, "welcome;");
        for word in ["one;", "two;", &format!("{};", "x".repeat(100_000))] {
            client.send(word.as_bytes()).await;
            assert_eq!(client.until(";").await, *word);
        }
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "bye;", "what comes after our end still arrives");
        bed.ended(&["answered 1xx"]).await;
    });
}

#[test]
fn bytes_sent_right_behind_the_request_go_into_the_tunnel() {
    run(async {
        let upstream = switching().await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(format!("{ASK}early;").as_bytes()).await;
        client.head().await;
        assert_eq!(client.until("early;").await, "welcome;early;");
    });
}

#[test]
fn an_idle_tunnel_holds_no_buffer() {
    run(async {
        let upstream = switching().await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = open(&bed).await;
            client.until("welcome;").await;
            clients.push(client);
        }
        until(|| bed.lane.io().held_buffers() == 0).await;
    });
}

#[test]
fn an_upgrade_that_is_not_taken_is_a_request_like_others() {
    run(async {
        let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for _ in 0..2 {
            client.send(ASK.as_bytes()).await;
            assert_eq!(client.until("ok").await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        bed.ended(&["answered 2xx"; 2]).await;
    });
}

#[test]
fn no_way_around_is_opened_with_h2c() {
    run(async {
        let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let bed = Bed::new(&[upstream.address]).await;
        for protocol in ["h2c", "H2C", "HTTP/2.0", "TLS/1.0", "websocket, h2c"] {
            bed.ask(&format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: x\r\n\r\n"
            ))
            .await;
            let asked = upstream.last();
            assert!(!asked.to_ascii_lowercase().contains("upgrade") && !asked.contains("HTTP2"), "{asked}");
        }
    });
}

/// A WebSocket server that sends what the client asks for, byte for byte.
async fn framing() -> Upstream {
    Upstream::new(|mut client, _, notes| async move {
        client.head().await;
        client.send(SWITCH.as_bytes()).await;
        client.send(&[0x81, 0x02, b'h', b'i']).await;
        // Half a frame; the rest follows when the drain has begun.
        client.send(&[0x82, 0x04, b'a', b'b']).await;
        client.until("rest").await;
        client.send(&[b'c', b'd', 0x81, 0x01, b'x']).await;
        let rest = client.rest().await;
        notes.borrow_mut().push(rest);
    })
    .await
}

#[test]
fn a_websocket_that_must_close_is_told_so_between_two_frames() {
    run(async {
        let upstream = framing().await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = open(&bed).await;
        assert_eq!(client.bytes(8).await, [0x81, 2, b'h', b'i', 0x82, 4, b'a', b'b']);
        bed.switch();
        // Woken tasks run before this one does again: it has its turn, then the turn comes.
        tokio::task::yield_now().await;
        bed.skip(TUNNEL_CLOSE_SPREAD);
        tokio::task::yield_now().await;
        client.send(b"rest").await;
        assert_eq!(client.bytes(6).await, [b'c', b'd', 0x88, 0x02, 0x03, 0xf4], "1012 follows the frame under way");
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        bed.ended(&["answered 1xx", "cut"]).await;
    });
}

#[test]
fn tunnels_that_must_close_do_so_in_time_and_spread() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            let head = client.head().await;
            client.send(SWITCH.replace("websocket", header(&head, "upgrade").unwrap()).as_bytes()).await;
            client.rest().await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut clients = Vec::new();
        for number in 0..20 {
            let mut client = bed.client().await;
            let ask = if number % 2 == 0 { ASK.to_owned() } else { ASK.replace("websocket", "other") };
            client.send(ask.as_bytes()).await;
            client.head().await;
            clients.push(client);
        }
        bed.switch();
        tokio::task::yield_now().await;
        let ended = || 20 - bed.in_flight().1;
        bed.skip(TUNNEL_CLOSE_SPREAD / 2);
        until(|| ended() > 0).await;
        assert!(ended() < 20, "not all at once");
        bed.skip(TUNNEL_CLOSE_SPREAD);
        for (number, client) in clients.iter_mut().enumerate() {
            let expected: &[u8] = if number % 2 == 0 { &[0x88, 0x02, 0x03, 0xf4] } else { &[] };
            assert_eq!(client.rest().await, String::from_utf8_lossy(expected));
            client.stream.shutdown().await.ok();
        }
        until(|| ended() == 20).await;
    });
}

/// Two instances with a WebSocket each, which echoes what it is sent.
struct OneEach {
    bed: Bed,
    addresses: [SocketAddr; 2],
    clients: [Client; 2],
}

async fn one_each() -> OneEach {
    let addresses = [switching().await.address, switching().await.address];
    let bed = Bed::new(&addresses).await;
    let mut clients = Vec::new();
    for address in addresses {
        bed.lead_to(&[address], HOUR_MS);
        let mut client = open(&bed).await;
        assert_eq!(client.until(";").await, "welcome;");
        clients.push(client);
    }
    bed.lead_to(&addresses, HOUR_MS);
    OneEach { bed, addresses, clients: clients.try_into().ok().expect("two") }
}

const HOUR_MS: u64 = 3_600_000;

async fn echoes(client: &mut Client) {
    client.send(b"still;").await;
    assert_eq!(client.until("still;").await, "still;");
}

#[test]
fn tunnels_of_an_instance_that_has_left_close_when_its_drain_is_over_and_others_go_on() {
    run(async {
        let OneEach { bed, addresses: [_, other], clients: [mut first, mut second] } = one_each().await;
        bed.lead_to(&[other], 1_000);
        bed.skip(Duration::from_millis(900));
        echoes(&mut first).await;
        bed.skip(Duration::from_millis(100));
        tokio::task::yield_now().await;
        bed.skip(TUNNEL_CLOSE_SPREAD);
        // The server's own bytes are no frames: the Close frame may stand in for what comes at the end.
        echoes(&mut second).await;
        until(|| bed.in_flight().1 == 1).await;
        echoes(&mut second).await;
        drop((first, second));
        bed.ended(&["answered 1xx", "answered 1xx", "cut"]).await;
    });
}

#[test]
fn tunnels_of_an_instance_that_comes_back_or_was_the_last_one_go_on() {
    run(async {
        let OneEach { bed, addresses, clients: [mut first, mut second] } = one_each().await;
        bed.lead_to(&addresses[1..], 1_000);
        bed.lead_to(&addresses, 1_000);
        bed.skip(Duration::from_secs(60));
        echoes(&mut first).await;
        // Both leave, one after the other: nobody is there for the first one's users either.
        bed.lead_to(&addresses[1..], 1_000);
        bed.lead_to(&[], 1_000);
        bed.skip(Duration::from_secs(60));
        for client in [&mut first, &mut second] {
            echoes(client).await;
        }
    });
}

#[test]
fn a_tunnel_that_one_side_has_ended_waits_for_the_other_for_a_bounded_time() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            client.send(SWITCH.as_bytes()).await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = open(&bed).await;
        assert_eq!(client.rest().await, "", "the instance has ended its side");
        assert_eq!(bed.in_flight().1, 1, "the client has not");
        bed.skip(TUNNEL_HALF_CLOSED_TIME);
        bed.ended(&["answered 1xx"]).await;
    });
}
