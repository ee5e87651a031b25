//! A sample app under test: a real process, gone with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A process of the sample app.
pub(crate) struct App {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl App {
    /// Starts it with `arguments` and environment `env`; its output is read only when asked for.
    pub(crate) fn start(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_in(Path::new("."), arguments, env)
    }

    /// The same with a working directory.
    pub(crate) fn start_in(dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sample-app"))
            .args(arguments)
            .envs(env.iter().copied())
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Starts it on a port of the system's choice and waits until it listens.
    pub(crate) fn listening(arguments: &[&str], env: &[(&str, &str)]) -> (Self, u16) {
        let mut app = Self::start(&[&["--port", "0"], arguments].concat(), env);
        let port = app.port();
        (app, port)
    }

    /// The port that its output says it listens on.
    pub(crate) fn port(&mut self) -> u16 {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "it ended before it listened");
            if let Some((_, port)) = line.trim().rsplit_once("listens on 127.0.0.1:") {
                return port.parse().unwrap();
            }
        }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn rest_of_output(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        rest
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("it has ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` finds something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection on which `head`, without its last empty line, was sent.
pub(crate) fn send(port: u16, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// Everything that comes until the connection is closed.
pub(crate) fn receive(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The whole answer to a GET for `target`.
pub(crate) fn get(port: u16, target: &str) -> String {
    receive(send(port, &format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close")))
}
