//! A lane with real sockets on both sides.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{TICK, serve};
use crate::lane::Lane;
use crate::listener::Listener;

/// Longest time a test may take: nothing here waits for real deadlines.
const TEST_TIME: Duration = Duration::from_secs(20);

/// Runs a test on a runtime like a lane's.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(TEST_TIME, test).await.expect("the test came to its end") });
}

/// A router of one lane before some upstream servers.
pub(super) struct Bed {
    pub(super) lane: Rc<Lane>,
    pub(super) address: SocketAddr,
}

impl Bed {
    pub(super) async fn new(upstreams: &[SocketAddr]) -> Self {
        Self::with(upstreams, false, 1000).await
    }

    /// `trusted`: the listener believes what its peers say about who they speak for.
    pub(super) async fn with(upstreams: &[SocketAddr], trusted: bool, connections_max: usize) -> Self {
        let lane = Rc::new(Lane::new(upstreams.to_vec(), connections_max));
        let listener = Rc::new(Listener { trusted });
        let acceptor = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = acceptor.local_addr().expect("bound");
        let accepting = Rc::clone(&lane);
        tokio::task::spawn_local(async move {
            while let Ok((stream, peer)) = acceptor.accept().await {
                tokio::task::spawn_local(serve(stream, peer, Rc::clone(&accepting), Rc::clone(&listener)));
            }
        });
        let ticking = Rc::clone(&lane);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(TICK / 10).await;
                ticking.io().tick();
            }
        });
        Self { lane, address }
    }

    pub(super) async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.expect("the router listens"), read: Vec::new() }
    }

    /// Sends `request` on a connection of its own, ends the sending side, and reads everything that comes.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request.as_bytes()).await;
        client.stream.shutdown().await.expect("still open");
        client.rest().await
    }

    /// Waits until these are the outcomes, in this order.
    pub(super) async fn outcomes(&self, expected: &[&str]) {
        until(|| self.lane.log.borrow().len() >= expected.len()).await;
        assert_eq!(*self.lane.log.borrow(), expected);
    }

    /// Lets so much time pass for the lane at once.
    pub(super) fn skip(&self, time: Duration) {
        self.lane.io().skip(time);
    }
}

/// Waits for a condition that other tasks of this runtime bring about.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One end of a connection, read as text.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the peer is there");
    }

    /// Everything up to and including `end`.
    pub(super) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                let rest = self.read.split_off(at + end.len());
                let found = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(found).expect("text");
            }
            let count = self.stream.read_buf(&mut self.read).await.expect("readable");
            assert!(count > 0, "ended before {end:?}: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    pub(super) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Exactly so many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.stream.read_buf(&mut self.read).await.expect("readable") > 0, "ended early");
        }
        let rest = self.read.split_off(count);
        std::mem::replace(&mut self.read, rest)
    }

    /// Everything to the end; a reset is an end too.
    pub(super) async fn rest(&mut self) -> String {
        while self.stream.read_buf(&mut self.read).await.is_ok_and(|count| count > 0) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }
}

/// A server that runs a script on each connection, told the connection's number.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    pub(super) connections: Rc<Cell<usize>>,
    /// What scripts noted.
    pub(super) notes: Notes,
}

/// What a script noted, in order.
pub(super) type Notes = Rc<RefCell<Vec<String>>>;

impl Upstream {
    pub(super) async fn new<F: Future<Output = ()> + 'static>(
        script: impl Fn(Client, usize, Notes) -> F + 'static,
    ) -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = acceptor.local_addr().expect("bound");
        let (connections, notes) = (Rc::new(Cell::new(0)), Notes::default());
        let (counting, noting) = (Rc::clone(&connections), Rc::clone(&notes));
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = acceptor.accept().await {
                let number = counting.get();
                counting.set(number + 1);
                let client = Client { stream, read: Vec::new() };
                tokio::task::spawn_local(script(client, number, Rc::clone(&noting)));
            }
        });
        Self { address, connections, notes }
    }

    /// Notes each request head (bodies by Content-Length are read) and gives the same answer to each.
    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::new(move |mut client, _, notes| async move {
            while let Some(head) = client.try_head().await {
                let length = header(&head, "content-length").map_or(0, |value| value.parse().expect("a number"));
                client.bytes(length).await;
                notes.borrow_mut().push(head);
                client.send(answer.as_bytes()).await;
            }
        })
        .await
    }

    pub(super) fn last(&self) -> String {
        self.notes.borrow().last().cloned().expect("a request came")
    }
}

impl Client {
    /// The next head, `None` when the peer has ended.
    pub(super) async fn try_head(&mut self) -> Option<String> {
        while !self.read.windows(4).any(|window| window == b"\r\n\r\n") {
            match self.stream.read_buf(&mut self.read).await {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) => return None,
            }
        }
        Some(self.head().await)
    }

    /// Decodes a chunked body: its content, and its trailer section.
    pub(super) async fn chunked(&mut self) -> (Vec<u8>, String) {
        let mut content = Vec::new();
        loop {
            let line = self.until("\r\n").await;
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size without extension");
            if size == 0 {
                let mut trailers = String::new();
                loop {
                    let line = self.until("\r\n").await;
                    if line == "\r\n" {
                        return (content, trailers);
                    }
                    trailers.push_str(&line);
                }
            }
            content.extend(self.bytes(size).await);
            assert_eq!(self.bytes(2).await, b"\r\n");
        }
    }
}

/// Value of the one field of this name.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut found = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value));
    let value = found.next();
    assert!(found.next().is_none(), "{name} is there twice: {head}");
    value
}
