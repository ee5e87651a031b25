use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;
use switchover_api::{MetricsAddress, Server};
use switchover_controller::{Controller, Options};
use switchover_model::answer::DaemonView;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Shared;
use crate::daemon::{SOCKET, SOCKET_PATH_BYTES};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::{log, place, say};

/// Run the daemon
///
/// It keeps the journal, drives releases, and starts the router or finds it again. When it is stopped with SIGTERM or
/// Ctrl-C, router and instances go on serving, and the next daemon takes over from there.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where requests are taken; :8080 and localhost:8080 are for this machine alone
    #[arg(long, value_name = "ADDR", value_parser = address, env = "SWITCHOVER_HTTP", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where requests over TLS are taken (not carried out yet)
    #[arg(long, value_name = "ADDR", value_parser = address, env = "SWITCHOVER_HTTPS")]
    https: Option<SocketAddr>,
    /// The router's lanes, each a thread with its own connections [default: one for each CPU]
    #[arg(long, value_name = "N", env = "SWITCHOVER_LANES")]
    lanes: Option<NonZeroUsize>,
    /// Where Prometheus reads GET /metrics, which anybody may who reaches it; :9464 and localhost:9464 are for this machine
    /// alone [default: nowhere]
    #[arg(long, value_name = "ADDR", value_parser = address, env = "SWITCHOVER_METRICS")]
    metrics: Option<SocketAddr>,
}

/// What a script is told that starts the daemon with `--json`.
#[derive(Debug, Serialize)]
struct Serving {
    #[serde(flatten)]
    daemon: DaemonView,
    /// Where its metrics are read, such as `http://127.0.0.1:9464/metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

/// An address to listen on. A name other than localhost is none: it may mean another machine tomorrow.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
    let address = match port {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| {
        "write an IP address and a port, such as 127.0.0.1:8080, :8080 (this machine alone) or 0.0.0.0:80".to_owned()
    })
}

/// Where the API's socket will be. Checked before anything is started: a path that is too long shows at the bind only.
fn socket(state: &Path) -> Result<PathBuf, Failure> {
    let socket = state.join(SOCKET);
    let bytes = socket.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES {
        return Err(Failure::wrong(
            "STATE-PATH-TOO-LONG",
            format!(
                "The daemon's socket would be {}: {bytes} bytes, and a socket's path has {SOCKET_PATH_BYTES} at most.",
                socket.display()
            ),
            "Name a folder with a shorter path by --state; a symbolic link to this one will do.",
        ));
    }
    Ok(socket)
}

fn listen(address: SocketAddr) -> Result<MetricsAddress, Failure> {
    MetricsAddress::listen(address).map_err(|error| not_listening(address, &error))
}

fn not_listening(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::other(
        "METRICS-NOT-SERVED",
        format!("Metrics cannot be served at {address}: {error}."),
        "End what listens there, name another address with --metrics, or leave it out.",
    )
}

/// Serves the API and, where they are asked for, the metrics.
async fn serve(
    controller: &Controller,
    socket: &Path,
    metrics: Option<MetricsAddress>,
) -> Result<(Server, Option<Server>), Failure> {
    let api = switchover_api::serve(controller.clone(), socket).await.map_err(|error| {
        Failure::other(
            "STATE-NOT-WRITABLE",
            format!("{error}."),
            "Make the state folder writable for this user, or name another one with --state.",
        )
    })?;
    let serve = |metrics: MetricsAddress| {
        let at = metrics.at();
        switchover_api::serve_metrics(controller.clone(), metrics).map_err(|error| not_listening(at, &error))
    };
    Ok((api, metrics.map(serve).transpose()?))
}

fn tell(shared: &Shared, state: &Path, serving: Serving) {
    if shared.json {
        return say::json(&serving);
    }
    let http = serving.daemon.http.unwrap_or_else(|| "nowhere".to_owned());
    say::line(format_args!("switchover {} takes requests at {http}", env!("CARGO_PKG_VERSION")));
    say::line(format_args!("commands find it by --state {}", state.display()));
    if let Some(metrics) = serving.metrics {
        say::line(format_args!("metrics are at {metrics}"));
    }
}

impl Serve {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        if self.https.is_some() {
            return Err(Failure::wrong(
                "NOT-CARRIED-OUT-YET",
                "--https is not carried out yet.",
                "Leave it out, and terminate TLS in front of Switchover.",
            ));
        }
        log::start();
        let state = place::state_folder(shared.state.as_deref())?;
        let socket = socket(&state)?;
        let executable = std::env::current_exe().map_err(|error| {
            Failure::other(
                "PROGRAM-UNKNOWN",
                format!("This program cannot find its own file: {error}."),
                "Start it by its whole path.",
            )
        })?;
        // Caught before anything is started, so that a stop during the start is a clean one too.
        let mut stop = Stop::new().map_err(|error| {
            Failure::other(
                "NO-RUNTIME",
                format!("Signals cannot be caught: {error}."),
                "Look whether this user may open more files (`ulimit -n`).",
            )
        })?;
        // Taken before anything is started: who can not be measured shall not be found out later.
        let metrics = self.metrics.map(listen).transpose()?;
        let options = Options { state: state.clone(), http: self.http, lanes: self.lanes, executable };
        let controller =
            Controller::start(options).await.map_err(|error| Failure::Problem(Exit::Other, error.problem()))?;
        let metrics_at = metrics.as_ref().map(|metrics| format!("http://{}/metrics", metrics.at()));
        let (mut api, metrics) = match serve(&controller, &socket, metrics).await {
            Ok(served) => served,
            Err(failure) => {
                controller.abandon().await;
                return Err(failure);
            }
        };
        tell(shared, &state, Serving { daemon: controller.daemon(), metrics: metrics_at });
        // Nobody waits for it outside of systemd.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let broken = tokio::select! {
            () = stop.wait() => None,
            ended = api.ended() => Some(ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string())),
        };
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        if let Some(metrics) = metrics {
            metrics.shutdown().await;
        }
        api.shutdown().await;
        controller.shutdown().await;
        if let Some(why) = broken {
            return Err(Failure::other(
                "API-ENDED",
                format!("The control API broke down, so the daemon heard no command any more: {why}."),
                "Start `switchover serve` again; router and instances went on. Report it with the daemon's log.",
            ));
        }
        if !shared.json {
            say::line("stopped; router and instances go on");
        }
        Ok(Exit::Succeeded)
    }
}

/// The signals that end the daemon.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that closes is no reason to end.
    hang_up: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_this_machines_own() {
        let parsed = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(parsed("127.0.0.1:8080").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(parsed(":8081").as_deref(), Ok("127.0.0.1:8081"));
        assert_eq!(parsed("localhost:18095").as_deref(), Ok("127.0.0.1:18095"));
        assert_eq!(parsed("[::1]:80").as_deref(), Ok("[::1]:80"));
        for wrong in ["8080", "localhost", "localhost:", ":", ":99999", "shop.example.com:80", "127.0.0.1", ""] {
            assert!(parsed(wrong).is_err_and(|why| why.contains("such as 127.0.0.1:8080")), "{wrong}");
        }
    }
}
