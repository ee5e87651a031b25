//! The peers, as Debian ships them, with the configurations in `bench/peers/`, and the backend behind all of them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{BenchError, Tried, processor_time, root};
use crate::step::{run, run_with, works};

/// How long a server may take until it accepts connections.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked meanwhile: finer than anything that is measured by it.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(1);

/// Installs nginx, haproxy and wrk from Debian where they are missing. Their services are not started.
pub(crate) fn install() -> Result<(), BenchError> {
    let needed = [("nginx", "-v"), ("haproxy", "-v"), ("wrk", "-v")];
    // wrk ends with 1 after it has told its version.
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(program, flag)| {
            !works("sh", &["-c", &format!("command -v {program} && {{ {program} {flag}; true; }}")])
        })
        .map(|(program, _)| *program)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run("apt-get", &["update", "-qq"])?;
    let arguments = [&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat();
    // A policy of 101 keeps the packages from starting their services (Debian policy 9.3.3.2).
    run_with(
        "sh",
        &[
            "-c",
            &format!(
                "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; apt-get {}; code=$?; rm /usr/sbin/policy-rc.d; exit $code",
                arguments.join(" ")
            ),
        ],
        &[("DEBIAN_FRONTEND", "noninteractive")],
    )?;
    Ok(())
}

/// A free port on loopback.
pub(crate) fn free_address() -> Result<SocketAddr, BenchError> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).tried("a free port")
}

/// A server that is stopped when it is dropped.
pub(crate) struct Server {
    /// What it is called in the tables.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts `command` and waits until something listens on `address`.
    pub(crate) fn start(
        name: impl Into<String>,
        address: SocketAddr,
        command: &mut Command,
    ) -> Result<Self, BenchError> {
        Self::start_until(name, address, command, |address| TcpStream::connect(address).is_ok())
    }

    /// Starts `command` and waits until it `is_ready`, looking every [`LOOKED_AT_EVERY`].
    pub(crate) fn start_until(
        name: impl Into<String>,
        address: SocketAddr,
        command: &mut Command,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Result<Self, BenchError> {
        let name = name.into();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().tried(name.clone())?;
        let mut server = Self { name, address, child };
        let begun = Instant::now();
        while !is_ready(address) {
            let ended = server.child.try_wait().tried(server.name.clone())?;
            if begun.elapsed() > READY_WITHIN || ended.is_some() {
                return Err(BenchError::Unexpected(format!("{} is not ready on {address}", server.name)));
            }
            std::thread::sleep(LOOKED_AT_EVERY);
        }
        Ok(server)
    }

    /// The process and its children: all that works for it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        all.extend(processor_time::children(self.child.id()));
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's and haproxy's masters take their workers along on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the configuration `template` of `bench/peers` into `folder`, with its marks filled in.
fn configuration(
    template: &str,
    folder: &Path,
    listen: SocketAddr,
    upstream: SocketAddr,
) -> Result<String, BenchError> {
    let from = root().join("bench/peers").join(template);
    let text = std::fs::read_to_string(&from)
        .tried(from.display().to_string())?
        .replace("@LISTEN@", &listen.to_string())
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@DIR@", &folder.display().to_string());
    std::fs::create_dir_all(folder).tried(folder.display().to_string())?;
    let path = folder.join(template.trim_end_matches(".in"));
    std::fs::write(&path, text).tried(path.display().to_string())?;
    Ok(path.display().to_string())
}

/// nginx as a proxy before `upstream`.
pub(crate) fn nginx(folder: &Path, upstream: SocketAddr) -> Result<Server, BenchError> {
    let listen = free_address()?;
    let file = configuration("nginx.conf.in", &folder.join("nginx"), listen, upstream)?;
    Server::start("nginx", listen, Command::new("nginx").args(["-c", &file]))
}

/// haproxy as a proxy before `upstream`.
pub(crate) fn haproxy(folder: &Path, upstream: SocketAddr) -> Result<Server, BenchError> {
    let listen = free_address()?;
    let file = configuration("haproxy.cfg.in", &folder.join("haproxy"), listen, upstream)?;
    Server::start("haproxy", listen, Command::new("haproxy").args(["-db", "-f", &file]))
}

/// The backend that all of them stand before: nginx that answers five bytes.
pub(crate) fn backend(folder: &Path) -> Result<Server, BenchError> {
    let listen = free_address()?;
    let file = configuration("backend.conf.in", &folder.join("backend"), listen, listen)?;
    Server::start("backend", listen, Command::new("nginx").args(["-c", &file]))
}
