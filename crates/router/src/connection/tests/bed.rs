//! A lane with real sockets on both sides.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use switchover_model::seam::{Arm, Endpoint, RoutedProcess, Routes};
use switchover_model::{InstanceId, RevisionId, Share, Slot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::connection::{LaneIo, TICK, serve};
use crate::generation::Generation;
use crate::lane::Lane;
use crate::ledger::LaneLedger;
use crate::listener::Listener;
use crate::split_key::SplitKey;
use crate::table::Table;

/// Longest time a test may take: nothing here waits for real deadlines.
pub(super) const TEST_TIME: Duration = Duration::from_secs(20);

/// What a narrow client's kernel takes before the client reads.
const NARROW_BYTES: u32 = 16 * 1024;

/// Runs a test on a runtime like a lane's.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(TEST_TIME, test).await.expect("the test came to its end") });
}

/// A router of one lane before some upstream servers: an app for every host, with a process for every path.
pub(super) struct Bed {
    pub(super) lane: Rc<Lane>,
    pub(super) address: SocketAddr,
    generation: Generation,
    upstreams: Vec<SocketAddr>,
    _ledger: tempfile::TempDir,
}

impl Bed {
    pub(super) async fn new(upstreams: &[SocketAddr]) -> Self {
        Self::with(upstreams, &[], 1000).await
    }

    /// Without `hosts`, it is for every host.
    pub(super) async fn with(upstreams: &[SocketAddr], hosts: &[&str], connections_max: usize) -> Self {
        let ledger = tempfile::tempdir().expect("a folder");
        let generation = Generation::default();
        generation.flip(1);
        let lane = Rc::new(Lane::new(
            LaneIo::new(connections_max, [1; 16]),
            LaneLedger::open(&ledger.path().join("lane")),
            SplitKey::of([1; 32]),
            generation.clone(),
            Arc::new(table(1, upstreams, hosts)),
        ));
        let listener = Rc::new(Listener::http());
        let acceptor = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = acceptor.local_addr().expect("bound");
        let accepting = Rc::clone(&lane);
        tokio::task::spawn_local(async move {
            while let Ok((stream, peer)) = acceptor.accept().await {
                if let Some(serving) = serve(stream, peer, Rc::clone(&accepting), Rc::clone(&listener)) {
                    tokio::task::spawn_local(serving);
                }
            }
        });
        let ticking = Rc::clone(&lane);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(TICK / 10).await;
                ticking.tick();
            }
        });
        Self { lane, address, generation, upstreams: upstreams.to_vec(), _ledger: ledger }
    }

    /// Switches to another revision, which ends the drain of the one before at once.
    pub(super) fn switch(&self) {
        let next = self.generation.now() + 1;
        self.set(table(next, &self.upstreams, &[]));
    }

    /// From now on the first revision has these of its instances alone; what left has so long to end.
    pub(super) fn lead_to(&self, upstreams: &[SocketAddr], drain_ms: u64) {
        let next = self.generation.now() + 1;
        let known = |address: &SocketAddr| self.upstreams.iter().position(|upstream| upstream == address);
        let instances = upstreams.iter().map(|address| (known(address).expect("an upstream"), *address));
        self.set(table_of(next, RevisionId(1), instances, &[], drain_ms));
    }

    fn set(&self, table: Table) {
        let before = self.lane.table();
        let next = table.generation;
        self.lane.make_ready(Arc::new(table));
        self.generation.flip(next);
        self.lane.settle(&before);
        self.lane.tick();
    }

    /// How everything that was accepted ended so far, sorted: `answered 2xx`, the router's own causes, `aborted`, `cut`.
    /// Fails when the sum does not close.
    fn ends(&self) -> Vec<String> {
        let seen = self.lane.look(None);
        let mut ends = Vec::new();
        for ledger in seen.apps.iter().map(|app| &app.live).chain([&seen.nobody]) {
            let before = ends.len();
            for revision in ledger.by_revision.values() {
                for (class, count) in revision.answered.iter().enumerate() {
                    ends.extend((0..*count).map(|_| format!("answered {}xx", class + 1)));
                }
            }
            for (cause, own) in &ledger.own {
                ends.extend((0..own.count).map(|_| cause.clone()));
            }
            ends.extend((0..ledger.aborted).map(|_| "aborted".to_owned()));
            assert_eq!((ends.len() - before) as u64 + ledger.in_flight, ledger.accepted, "{ledger:?}");
            let cut: u64 = ledger.by_revision.values().map(|revision| revision.upgrades_cut).sum();
            ends.extend((0..cut).map(|_| "cut".to_owned()));
        }
        ends.sort_unstable();
        ends
    }

    /// Requests and tunnels without an end.
    pub(super) fn in_flight(&self) -> (u64, u64) {
        let seen = self.lane.look(None);
        let parts = seen.apps.iter().flat_map(|app| &app.in_flight);
        parts.fold((0, 0), |(requests, tunnels), part| (requests + part.1, tunnels + part.2))
    }

    /// Waits until nothing is in flight, and these are all the ends.
    pub(super) async fn ended(&self, expected: &[&str]) {
        until(|| self.in_flight() == (0, 0) && self.ends().len() >= expected.len()).await;
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(self.ends(), expected);
    }

    /// Lets so much time pass for the lane at once.
    pub(super) fn skip(&self, time: Duration) {
        self.lane.io().skip(time);
        self.lane.tick();
    }

    pub(super) async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.expect("the router listens"), read: Vec::new() }
    }

    /// A client whose kernel takes little that it has not read.
    pub(super) async fn narrow_client(&self) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(NARROW_BYTES).expect("a size");
        Client { stream: socket.connect(self.address).await.expect("the router listens"), read: Vec::new() }
    }

    /// Sends `request` on a connection of its own, ends the sending side, and reads everything that comes.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request.as_bytes()).await;
        client.stream.shutdown().await.expect("still open");
        client.rest().await
    }
}

/// The routes of one app; the revision has the generation's number.
fn table(generation: u64, upstreams: &[SocketAddr], hosts: &[&str]) -> Table {
    let revision = RevisionId(u32::try_from(generation).expect("small"));
    table_of(generation, revision, upstreams.iter().copied().enumerate(), hosts, 0)
}

fn table_of(
    generation: u64,
    revision: RevisionId,
    instances: impl Iterator<Item = (usize, SocketAddr)>,
    hosts: &[&str],
    drain_ms: u64,
) -> Table {
    let endpoints = instances.map(|(number, address)| Endpoint {
        instance: format!("web-{number}").parse::<InstanceId>().expect("a name"),
        address,
    });
    let process = RoutedProcess {
        process: "web".parse().expect("a name"),
        paths: vec!["/".to_owned()],
        endpoints: endpoints.collect(),
    };
    let routes = Routes {
        hosts: hosts.iter().map(|host| host.parse().expect("a host")).collect(),
        arms: vec![Arm { slot: Slot::Blue, revision, share: Share::ALL, processes: vec![process] }],
        drain_ms,
        ..Routes::nowhere("shop".parse().expect("a name"), generation)
    };
    Table::compile(generation, [&routes], false).expect("valid routes")
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
