//! A real Prometheus server that scrapes what a test names.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::{BEDS, beds};

/// The longest that a start is waited for.
const READY: Duration = Duration::from_secs(30);

/// How often a start is tried: its port is free when it is chosen, and may be taken a moment later.
const TRIES: usize = 3;

/// A running server. Dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Prometheus {
    server: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// A server that scrapes `targets` each second. Nothing where the tests on servers are left out; that is printed.
    ///
    /// # Panics
    /// When it is missing or does not start.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a test that is left out says why")]
    pub fn start(targets: &[SocketAddr]) -> Option<Self> {
        if std::env::var(BEDS).is_ok_and(|word| word == "none") {
            println!("left out: {BEDS}=none, so there is no Prometheus");
            return None;
        }
        let started = (0..TRIES).find_map(|_| Self::try_start(targets));
        Some(started.expect("Prometheus starts on a port that was free a moment ago"))
    }

    fn try_start(targets: &[SocketAddr]) -> Option<Self> {
        let program = program();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, settings(targets)).expect("the directory is ours");
        let address = free_address();
        let server = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus can be started");
        let mut server = Self { server, address, _directory: directory };
        server.is_ready().then_some(server)
    }

    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Where it answers, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it at once: whoever asks it from now on gets no answer.
    pub fn kill(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The unpacked one, else the system's.
fn program() -> PathBuf {
    let places = [beds().join("prometheus/usr/bin/prometheus"), PathBuf::from("/usr/bin/prometheus")];
    let found = places.iter().find(|place| Path::is_file(place));
    found.cloned().unwrap_or_else(|| {
        panic!("no Prometheus here, looked in {places:?}: run `cargo xtask test` once, or set {BEDS}=none")
    })
}

fn settings(targets: &[SocketAddr]) -> String {
    let mut text = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
    for (at, target) in targets.iter().enumerate() {
        let _ = writeln!(text, "  - job_name: target-{at}\n    static_configs:\n      - targets: ['{target}']");
    }
    text
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}
