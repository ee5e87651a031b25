//! Many clients at once, good and bad ones, before an instance that is good and bad: who asked what gets that answer,
//! and every request has one end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::bed::{Bed, Client, Upstream, header, run, until};

const CLIENTS: u64 = 24;
const REQUESTS: u64 = 40;

/// A small generator with a seed, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }

    fn text(&mut self, longest: u64) -> String {
        let length = 1 + self.below(longest);
        (0..length).map(|_| char::from(b'a' + u8::try_from(self.below(26)).expect("a letter"))).collect()
    }
}

async fn send_in_pieces(client: &mut Client, dice: &mut Dice, bytes: &[u8]) -> bool {
    use tokio::io::AsyncWriteExt;
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = usize::try_from(1 + dice.below(20_000)).expect("small").min(rest.len());
        if client.stream.write_all(&rest[..count]).await.is_err() {
            return false;
        }
        rest = &rest[count..];
        if dice.below(8) == 0 {
            tokio::task::yield_now().await;
        }
    }
    true
}

fn chunked(dice: &mut Dice, content: &str) -> String {
    let mut coded = String::new();
    let mut rest = content;
    while !rest.is_empty() {
        let count = usize::try_from(1 + dice.below(5000)).expect("small").min(rest.len());
        coded.push_str(&format!("{count:x};n=\"{}\"\r\n{}\r\n", dice.below(10), &rest[..count]));
        rest = &rest[count..];
    }
    coded.push_str("0\r\n\r\n");
    coded
}

/// Echoes path and body in whatever framing; `/reset` closes without an answer.
async fn instance(mut client: Client, mut dice: Dice) {
    while let Some(head) = client.try_head().await {
        let body = if header(&head, "transfer-encoding").is_some() {
            client.chunked().await.0
        } else {
            let length = header(&head, "content-length").map_or(0, |value| value.parse().expect("a number"));
            client.bytes(length).await
        };
        let path = head.split(' ').nth(1).expect("a target").to_owned();
        if path.starts_with("/reset") {
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
            return;
        }
        let content = format!("{path} {}", String::from_utf8(body).expect("text"));
        let last = dice.below(6) == 0;
        let close = if last { "Connection: close\r\n" } else { "" };
        let answer = match dice.below(3) {
            0 => format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {}\r\n\r\n{content}", content.len()),
            1 => format!(
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n{close}Transfer-Encoding: chunked\r\n\r\n{}",
                chunked(&mut dice, &content)
            ),
            _ => format!("HTTP/1.0 200 OK\r\n\r\n{content}"),
        };
        if !send_in_pieces(&mut client, &mut dice, answer.as_bytes()).await || last || answer.starts_with("HTTP/1.0") {
            return;
        }
    }
}

/// What a client saw happen.
#[derive(Default)]
struct Seen {
    answered: Cell<usize>,
    failed: Cell<usize>,
    aborted: Cell<usize>,
}

async fn user(bed: Rc<Bed>, number: u64, seen: Rc<Seen>) {
    let mut dice = Dice(0x1234_5678_9abc_def1 ^ (number << 32 | number));
    let mut client = bed.client().await;
    for request in 0..REQUESTS {
        let longest = if dice.below(4) == 0 { 60_000 } else { 50 };
        let content = dice.text(longest);
        let fails = dice.below(10) == 0;
        let path = format!("{}/{number}/{request}", if fails { "/reset" } else { "" });
        let bytes = match dice.below(3) {
            0 => format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len()),
            _ => format!(
                "PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                chunked(&mut dice, &content)
            ),
        };
        let expected = if bytes.starts_with("GET") { format!("{path} ") } else { format!("{path} {content}") };
        if dice.below(12) == 0 && !bytes.starts_with("GET") {
            // Goes away in the middle of its body.
            let cut = bytes.find("\r\n\r\n").expect("a head") + 5;
            send_in_pieces(&mut client, &mut dice, &bytes.as_bytes()[..cut]).await;
            drop(client);
            seen.aborted.set(seen.aborted.get() + 1);
            client = bed.client().await;
            continue;
        }
        assert!(send_in_pieces(&mut client, &mut dice, bytes.as_bytes()).await);
        let mut head = client.head().await;
        while head.starts_with("HTTP/1.1 103 ") {
            head = client.head().await;
        }
        let content = if header(&head, "transfer-encoding").is_some() {
            client.chunked().await.0
        } else {
            client.bytes(header(&head, "content-length").expect("a length").parse().expect("a number")).await
        };
        if fails {
            assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
            seen.failed.set(seen.failed.get() + 1);
        } else {
            assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
            assert!(content == expected.as_bytes(), "{path} got {}", String::from_utf8_lossy(&content));
            seen.answered.set(seen.answered.get() + 1);
        }
        if header(&head, "connection") == Some("close") {
            client = bed.client().await;
        }
    }
}

#[test]
fn everyone_gets_their_own_answer_and_every_request_has_one_end() {
    run(async {
        let upstream = Upstream::new(|client, number, _| async move {
            instance(client, Dice(0xfeed_beef ^ (number as u64 + 1) << 24)).await;
        })
        .await;
        let bed = Rc::new(Bed::new(&[upstream.address]).await);
        let seen = Rc::new(Seen::default());
        let mut users = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            users.spawn_local(user(Rc::clone(&bed), number, Rc::clone(&seen)));
        }
        while let Some(ended) = users.join_next().await {
            ended.expect("every user was content");
        }
        let mut expected = vec!["answered 2xx"; seen.answered.get()];
        expected.extend(vec!["upstream-closed"; seen.failed.get()]);
        expected.extend(vec!["aborted"; seen.aborted.get()]);
        assert!(seen.failed.get() > 10 && seen.aborted.get() > 10 && seen.answered.get() > 500);
        bed.ended(&expected).await;
        until(|| bed.lane.io().held_buffers() == 0 && bed.lane.io().open_connections() == 0).await;
    });
}
