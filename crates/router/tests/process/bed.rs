//! A router process, upstreams that say who they are, and clients; all end with the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchover_model::receipt::Ledger;
use switchover_model::seam::{Arm, Endpoint, RoutedProcess, Routes, Traffic, TrafficSeen};
use switchover_model::{AppName, RevisionId, Share, Slot};
use switchover_router::client::RouterClient;

/// How long any condition is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A router process in a directory of its own.
pub(crate) struct Router {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) client: RouterClient,
    runtime: tokio::runtime::Runtime,
}

impl Router {
    pub(crate) fn start(lanes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(directory.path(), "127.0.0.1:0", lanes);
        Self::of(directory, child)
    }

    /// One that may have so many files open.
    pub(crate) fn start_with_files(lanes: usize, files: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = Command::new("sh")
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()])
            .arg(program())
            .args(["router", "--http", "127.0.0.1:0", "--lanes", &lanes.to_string(), "--state"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self::of(directory, child)
    }

    fn of(directory: tempfile::TempDir, child: Child) -> Self {
        let client = RouterClient::new(directory.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut router = Self { directory, child, http: "127.0.0.1:1".parse().unwrap(), client, runtime };
        router.wait_until_serving();
        router
    }

    pub(crate) fn wait_until_serving(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(status) = self.runtime.block_on(self.client.status())
                && status.pid == self.child.id()
            {
                self.http = status.http;
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the router ended");
            assert!(Instant::now() < deadline, "the router never answered");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it without any warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with so many lanes.
    pub(crate) fn start_again(&mut self, lanes: usize) {
        self.child = spawn(self.directory.path(), &self.http.to_string(), lanes);
        self.wait_until_serving();
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn ensure(&self, routes: &Routes) {
        self.block_on(self.client.ensure(routes)).unwrap();
    }

    pub(crate) fn observe(&self) -> TrafficSeen {
        self.block_on(self.client.observe(&shop())).unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// One request on a connection of its own: the answer, head and body.
    pub(crate) fn ask(&self, head: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn get(&self, host: &str) -> String {
        self.ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_router-bed").into()
}

pub(crate) fn spawn(directory: &Path, http: &str, lanes: usize) -> Child {
    Command::new(program())
        .args(["router", "--state"])
        .arg(directory)
        .args(["--http", http, "--lanes", &lanes.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// An instance that answers each request with its name; `/slow` only when it is told to, `/never` never; `/cached/X` with that
/// `Cache-Control`; `/events` with one event of a stream that goes on. On `/broken` it ends in the middle of its answer, on `/closed`
/// before it.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) name: &'static str,
    pub(crate) asked: Arc<AtomicU64>,
    pub(crate) heads: Arc<std::sync::Mutex<Vec<String>>>,
    gate: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (asked, heads) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let inner = Connection {
            name,
            gate: Arc::clone(&gate),
            over: Arc::clone(&over),
            asked: Arc::clone(&asked),
            heads: Arc::clone(&heads),
        };
        let ends = Arc::clone(&over);
        let acceptor = std::thread::spawn(move || {
            let mut served = Vec::new();
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let inner = inner.clone();
                served.push(std::thread::spawn(move || inner.serve(stream.unwrap())));
            }
            drop(listener);
            for thread in served {
                thread.join().unwrap();
            }
        });
        Self { address, name, asked, heads, gate, over, acceptor: Some(acceptor) }
    }

    /// Lets the slow requests go.
    pub(crate) fn open_gate(&self) {
        self.gate.store(true, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

#[derive(Clone)]
struct Connection {
    name: &'static str,
    gate: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    heads: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Connection {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        while let Some(head) = self.read_head(&mut stream) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.heads.lock().unwrap().push(head.clone());
            if head.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
                let accepted = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                let _ = stream.write_all(accepted);
                // The other end closes it.
                let mut sink = [0; 512];
                while !self.over.load(Ordering::SeqCst) {
                    match stream.read(&mut sink) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(error) if is_pause(&error) => {}
                        Err(_) => return,
                    }
                }
                return;
            }
            let is_endless = head.starts_with("GET /events");
            if is_endless {
                let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
                             Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
                let _ = stream.write_all(begin.as_bytes());
            }
            let waits = is_endless || head.starts_with("GET /slow") || head.contains(" /never ");
            while waits && !self.over.load(Ordering::SeqCst) {
                if self.gate.load(Ordering::SeqCst) && head.starts_with("GET /slow") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            if head.starts_with("GET /closed") {
                return;
            }
            if head.starts_with("GET /broken") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                return;
            }
            let cached =
                head.strip_prefix("GET /cached/").and_then(|rest| rest.split(' ').next()).unwrap_or("no-store");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nCache-Control: {cached}\r\nContent-Length: {}\r\n\r\n{}",
                self.name.len(),
                self.name
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn read_head(&self, stream: &mut TcpStream) -> Option<String> {
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(error) if is_pause(&error) && !self.over.load(Ordering::SeqCst) => {}
                Ok(_) | Err(_) => return None,
            }
        }
        String::from_utf8(head).ok()
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

pub(crate) fn shop() -> AppName {
    "shop".parse().unwrap()
}

/// Routes of `shop`: each arm a revision, whether it has all the traffic, and its instances.
pub(crate) fn routes(version: u64, arms: &[(u32, bool, &[&Upstream])]) -> Routes {
    let arm = |(revision, is_live, upstreams): &(u32, bool, &[&Upstream])| Arm {
        slot: if revision % 2 == 1 { Slot::Blue } else { Slot::Green },
        revision: RevisionId(*revision),
        share: if *is_live { Share::ALL } else { Share::NONE },
        processes: vec![RoutedProcess {
            process: "web".parse().unwrap(),
            paths: vec!["/".to_owned()],
            endpoints: upstreams
                .iter()
                .map(|upstream| Endpoint {
                    instance: format!("shop.r{revision}.{}", upstream.name).parse().unwrap(),
                    address: upstream.address,
                })
                .collect(),
        }],
    };
    Routes { arms: arms.iter().map(arm).collect(), drain_ms: 30_000, ..Routes::nowhere(shop(), version) }
}

/// The invariant of every reading.
#[track_caller]
pub(crate) fn assert_closes(ledger: &Ledger) {
    let answered: u64 = ledger.by_revision.values().flat_map(|revision| revision.answered).sum();
    let own: u64 = ledger.own.values().map(|own| own.count).sum();
    let ended = answered + own + ledger.aborted + ledger.lost_with_router;
    assert_eq!(ledger.accepted, ended + ledger.in_flight, "{ledger:?}");
}

/// Reads one answer of a known length from a connection that stays open: its body.
pub(crate) fn read_answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body)?;
    Ok(format!("{} {}", &head[9..12], String::from_utf8_lossy(&body)))
}
