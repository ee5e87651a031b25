//! The product as a bench uses it: the release binary, a daemon in a scratch folder, commands as a user types them.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::peers::{Server, free_address};
use super::{BenchError, Tried, root};

/// How long the daemon may take until it takes orders.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long each kind of process may take to end.
const ENDED: Duration = Duration::from_secs(15);

/// A running daemon with its router, stopped with everything it started when it is dropped.
pub(crate) struct House {
    /// Where the app under test lies.
    pub(crate) app: PathBuf,
    /// Where requests are taken.
    pub(crate) address: SocketAddr,
    state: PathBuf,
    /// Kept so that the daemon ends with the house.
    _daemon: Server,
}

impl House {
    /// The binary under test: `SWITCHOVER_BINARY` when it is set, else the release build.
    pub(crate) fn binary() -> PathBuf {
        if let Some(named) = std::env::var_os("SWITCHOVER_BINARY") {
            return PathBuf::from(named);
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        target.join("release/switchover")
    }

    /// Starts a daemon whose state lies in `folder`, for the app in `folder/app`; an error unless its router says that it has
    /// `lanes` lanes.
    pub(crate) fn start(folder: &Path, lanes: usize) -> Result<Self, BenchError> {
        let app = folder.join("app");
        let state = folder.join("state");
        std::fs::create_dir_all(&app).tried(app.display().to_string())?;
        let address = free_address()?;
        let mut serve = Command::new(Self::binary());
        serve.args(["serve", "--http", &address.to_string()]).arg("--state").arg(&state);
        serve.args(["--lanes", &lanes.to_string()]);
        let daemon = Server::start("switchover", address, &mut serve)?;
        // The router takes requests before the daemon takes orders.
        let (begun, socket) = (Instant::now(), state.join("control.sock"));
        while UnixStream::connect(&socket).is_err() {
            if begun.elapsed() > ANSWERS_WITHIN {
                return Err(BenchError::Unexpected("the daemon takes no orders".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let house = Self { app, address, state, _daemon: daemon };
        match lanes_told(&ask_daemon(&socket).tried("the daemon's own answer")?) {
            Some(told) if told == lanes => Ok(house),
            told => Err(BenchError::Unexpected(format!("{lanes} lanes were asked for, the router has {told:?}"))),
        }
    }

    /// Runs one command of the product in the app's directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Output, BenchError> {
        Command::new(Self::binary())
            .args(arguments)
            .env("SWITCHOVER_STATE", &self.state)
            .current_dir(&self.app)
            .output()
            .tried(arguments.join(" "))
    }

    /// The same, and an error when it does not end well; gives its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Result<String, BenchError> {
        let output = self.command(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(BenchError::Unexpected(format!("switchover {}: {}\n{text}{errors}", arguments.join(" "), output.status)))
    }

    /// The daemon's process.
    pub(crate) fn daemon(&self) -> Result<u32, BenchError> {
        self.processes_with("serve").first().copied().ok_or_else(|| BenchError::Unexpected("no daemon runs".to_owned()))
    }

    /// The router's process.
    pub(crate) fn router(&self) -> Result<u32, BenchError> {
        self.processes_with("router")
            .first()
            .copied()
            .ok_or_else(|| BenchError::Unexpected("no router runs".to_owned()))
    }

    /// Processes of this house whose first argument is `word`, found by the state directory in their arguments.
    fn processes_with(&self, word: &str) -> Vec<u32> {
        let state = self.state.display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments: Vec<_> = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            if arguments.get(1).is_some_and(|first| first == word) && arguments.iter().any(|one| one.contains(&state)) {
                found.push(pid);
            }
        }
        found
    }
}

/// What the daemon says about itself, as the bytes of an HTTP answer.
fn ask_daemon(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.write_all(b"GET /v1/daemon HTTP/1.1\r\nHost: switchover\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The router's lanes in the daemon's answer.
fn lanes_told(answer: &str) -> Option<usize> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    usize::try_from(body["lanes"].as_u64()?).ok()
}

impl Drop for House {
    fn drop(&mut self) {
        // The daemon first, and to its end: it would start anew what ends before it. Shims end their app on SIGTERM; the
        // router finishes what it has.
        for verb in ["serve", "shim", "router"] {
            for pid in self.processes_with(verb) {
                let _ = Command::new("kill").arg(pid.to_string()).status();
            }
            let deadline = Instant::now() + ENDED;
            while !self.processes_with(verb).is_empty() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_the_daemon_tells_is_a_number_of_lanes() {
        assert_eq!(lanes_told("HTTP/1.1 200 OK\r\n\r\n{\"pid\":1,\"lanes\":1}"), Some(1));
        assert_eq!(lanes_told("HTTP/1.1 200 OK\r\n\r\n{\"pid\":1}"), None);
        assert_eq!(lanes_told("HTTP/1.1 403 Forbidden\r\n\r\n"), None);
    }
}
