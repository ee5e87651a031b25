//! A daemon, its router and an app in a temporary directory, used as a person uses them: through the binary.
//!
//! Everything that was started is stopped when the house is dropped, found by the house's own state directory.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]
#![expect(clippy::print_stdout, reason = "what a failed test prints")]

pub mod crowd;
pub mod many;
pub mod server;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that anything in a test is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_switchover");

/// A daemon with its state, and an app's directory beside it.
pub struct House {
    /// The temporary directory that holds all of it.
    pub folder: tempfile::TempDir,
    /// Where requests are taken.
    pub address: SocketAddr,
    /// Where metrics are read, if anywhere.
    pub metrics: Option<SocketAddr>,
    daemon: Option<Child>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output as one JSON object.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Itself, when the command ended with `code`.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl House {
    /// Whether this stands in what lasts and must hold no secret (the journal, the daemon's log), or is shown.
    #[track_caller]
    pub fn is_written_down(&self, secret: &str) -> bool {
        let shown =
            [&["status", "--json"][..], &["history", "--json"], &["receipt", "--json"], &["judge", "replay", "--json"]];
        let shown = shown.map(|arguments| self.cli(arguments).out).concat();
        let state = std::fs::read_dir(self.folder.path().join("state")).expect("the state directory");
        let of_state = state.map(|entry| entry.expect("an entry").path());
        let is_journal =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal"));
        let journal: Vec<PathBuf> = of_state.filter(is_journal).collect();
        assert!(!journal.is_empty(), "there is a journal to look into");
        let held = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        let files = journal.into_iter().chain([self.folder.path().join("daemon.log")]);
        held(shown.as_bytes()) || files.into_iter().any(|file| std::fs::read(file).is_ok_and(|bytes| held(&bytes)))
    }

    /// A house with a running daemon and an empty app directory.
    pub fn start() -> Self {
        let mut house = Self::closed();
        house.serve();
        house
    }

    /// A house whose daemon does not run yet.
    pub fn closed() -> Self {
        let folder = tempfile::Builder::new().prefix("switchover-test-").tempdir().expect("a temporary directory");
        std::fs::create_dir(folder.path().join("app")).expect("the app's directory");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
        Self { folder, address, metrics: None, daemon: None }
    }

    /// The app's directory.
    pub fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts the daemon and waits until it answers. Its output goes to `daemon.log`.
    pub fn serve(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("daemon.log"))
            .expect("the daemon's log");
        let child = Command::new(BINARY)
            .args(["serve", "--http", &self.address.to_string()])
            .args(self.metrics.map(|metrics| format!("--metrics={metrics}")))
            .env("SWITCHOVER_STATE", self.state())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the daemon's log"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        self.daemon = Some(child);
        self.wait_for("the daemon answers", |house| {
            let socket = house.state().join("control.sock");
            std::os::unix::net::UnixStream::connect(socket).is_ok() && TcpStream::connect(house.address).is_ok()
        });
    }

    /// The daemon's process.
    pub fn daemon(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").id()
    }

    /// Kills the daemon with SIGKILL; router, shims and apps go on.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.kill().expect("the daemon is killed");
        daemon.wait().expect("the daemon has ended");
    }

    /// Ends the daemon as systemd would, and waits for its end; router, shims and apps go on.
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        signal(daemon.id(), libc::SIGTERM);
        daemon.wait().expect("the daemon has ended");
    }

    /// The releases of `history --json`, oldest first.
    #[track_caller]
    pub fn releases(&self) -> Vec<Value> {
        self.cli(&["history", "--json"]).ended(0).json()["releases"].as_array().cloned().unwrap_or_default()
    }

    /// Whether the newest release is in `stage`.
    pub fn is_in(&self, stage: &str) -> bool {
        let newest = self.releases().pop();
        let last = newest.and_then(|release| release["stages"].as_array().and_then(|stages| stages.last().cloned()));
        last.is_some_and(|last| last["stage"] == stage && last["state"] == "running")
    }

    /// Runs one command of the product in the app's directory to its end.
    pub fn cli(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().expect("the command runs").into()
    }

    /// The same, still to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env("SWITCHOVER_STATE", self.state())
            .env("NO_COLOR", "1")
            .current_dir(self.app())
            .stdin(Stdio::null());
        command
    }

    /// Writes a file of the app.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.app().join(name), text).expect("a file of the app");
    }

    /// Writes `switchover.toml` for the sample app: `more` stands after the process's table.
    pub fn sample(&self, web: &str, more: &str) {
        let file = format!(
            "name = \"shop\"\n\n[process.web]\ncommand = \"{BINARY} sample-app\"\nhealth = {{ path = \"/up\", deadline = \"20s\" }}\nstop = {{ grace = \"5s\" }}\n{web}\n\n{more}\n"
        );
        self.write("switchover.toml", &file);
        self.write("VERSION", "v1");
    }

    /// `status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.cli(&["status", "--json"]).ended(0).json()
    }

    /// `receipt --json` of `release`, or of the latest.
    #[track_caller]
    pub fn receipt(&self, release: Option<u64>) -> Value {
        let number = release.map(|release| release.to_string());
        let mut arguments = vec!["receipt", "--json"];
        arguments.extend(number.as_deref());
        self.cli(&arguments).ended(0).json()
    }

    /// The revision that has the traffic, such as `r2`.
    pub fn live_revision(&self) -> Option<String> {
        let status = self.status();
        let live = status["live"].as_str()?;
        Some(status["slots"][live]["revision"].as_str()?.to_owned())
    }

    /// What `GET path` answers through the router: status and body.
    pub fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        get(self.address, "localhost", path)
    }

    /// Waits until `what` holds, at most [`PATIENCE`].
    #[track_caller]
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait_within(PATIENCE, what, holds);
    }

    /// Waits until `what` holds, at most `patience`: for what takes long by nature.
    #[track_caller]
    pub fn wait_within(&self, patience: Duration, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !holds(self) {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
                panic!("waited in vain: {what}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The sample app's own processes: those that run in a revision's directory of this house, by pid.
    pub fn processes_of_the_app(&self) -> Vec<u32> {
        processes_of_apps(&self.state())
    }

    /// Processes of this house: those with `word` as their first argument and the state directory in their arguments.
    pub fn processes(&self, word: &str) -> Vec<u32> {
        processes(&self.state(), word)
    }
}

/// The sample app's own processes below `state`: those that run in a revision's directory, by pid.
pub fn processes_of_apps(state: &Path) -> Vec<u32> {
    let mut found: Vec<u32> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(state.join("apps")))
        })
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"sample-app")
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    found.sort_unstable();
    found
}

/// Copies a directory with all that is in it.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("what is copied") {
        let entry = entry.expect("a name");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("a copy");
        }
    }
}

/// Ends the shims and routers of `state`, and what they run: within a bound, then by force.
pub fn end_all_of(state: &Path) {
    // The daemon first: it would start again what ends before it.
    for kind in ["serve", "shim", "router"] {
        for pid in processes(state, kind) {
            signal(pid, libc::SIGTERM);
        }
        let deadline = Instant::now() + Duration::from_secs(8);
        while !processes(state, kind).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        for pid in processes(state, kind) {
            signal(pid, libc::SIGKILL);
        }
    }
}

/// Sends a signal, by its number, to a process.
pub fn signal(pid: u32, number: i32) {
    // SAFETY: kill has no memory effects in this process; the pid was read from /proc just before.
    #[expect(unsafe_code, reason = "a test kills processes at chosen moments")]
    unsafe {
        libc::kill(i32::try_from(pid).expect("a pid"), number);
    }
}

/// One GET with `Connection: close`; status and body.
pub fn get(address: SocketAddr, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// One POST of a form with `Connection: close`; status and body.
pub fn post(address: SocketAddr, host: &str, path: &str, form: &str) -> std::io::Result<(u16, String)> {
    let length = form.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}");
    exchange(address, &format!("{head}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{form}"))
}

fn exchange(address: SocketAddr, request: &str) -> std::io::Result<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

fn processes(state: &Path, word: &str) -> Vec<u32> {
    let state = state.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        if arguments.get(1).is_some_and(|first| first == word) && arguments.iter().any(|one| one.contains(&state)) {
            found.push(pid);
        }
    }
    found
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // A shim that is told to stop ends its app; the wait is bounded, then what is left is killed.
        end_all_of(&self.state());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
            println!("--- the daemon's log ---\n{log}");
        }
    }
}
