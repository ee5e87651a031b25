//! Starts a controller on this machine: journal, router, processes.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use switchover_journal::{OpenError, SqliteJournal};
use switchover_model::Problem;
use switchover_platform::ProcessPlatform;
use switchover_router::RouterOptions;
use switchover_router::client::RouterClient;
use switchover_router::spawn::{self, SpawnError};

use crate::controller::Controller;
use crate::keeper::Keeper;
use crate::world::Parts;

/// How a controller is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The state directory; made with 0700 when it is not there.
    pub state: PathBuf,
    /// Where the router takes requests; port 0: the kernel chooses, and `daemon` says which.
    pub http: SocketAddr,
    /// The router's lanes; nothing: one for each CPU.
    pub lanes: Option<NonZeroUsize>,
    /// The program that is started for the router and as the shim of each instance.
    pub executable: PathBuf,
}

/// Why a controller can not be started. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory or its journal can not be used.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The router can not be started.
    #[error(transparent)]
    Router(#[from] SpawnError),
    /// The platform can not use the state directory.
    #[error("the platform can not use {}: {source}", state.display())]
    Platform {
        /// The state directory.
        state: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The apps can not be read.
    #[error("{0}")]
    Apps(Problem),
}

impl StartError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Journal(error) => error.problem(),
            Self::Router(error) => error.problem(),
            Self::Platform { .. } => Problem::new(
                "STATE-NOT-WRITABLE",
                format!("{self}."),
                "Make the state directory writable for this user, or give another folder with --state.",
            ),
            Self::Apps(problem) => problem.clone(),
        }
    }
}

impl Controller {
    /// Takes the state directory, finds or starts the router, finds the instances, and goes on with every release.
    ///
    /// Flow: called once by `switchover serve`, inside a tokio runtime. Guarantees: a router and instances that run are
    /// taken over as they are; a second controller on the same directory is refused. Errors: see [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let state = options.state.clone();
        let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&state)).await;
        let journal =
            opened.map_err(|error| OpenError::Failed { path: options.state.clone(), why: error.to_string() })??;
        let platform_failed = |source| StartError::Platform { state: options.state.clone(), source };
        let state = options.state.canonicalize().map_err(platform_failed)?;
        let platform = Arc::new(ProcessPlatform::new(&state, options.executable.clone()).map_err(platform_failed)?);
        let mut router = RouterOptions { directory: state.join("router"), http: options.http, lanes: options.lanes };
        let client = Arc::new(spawn::ensure_running(&options.executable, &router).await?);
        let mut lanes = None;
        if let Ok(status) = client.status().await {
            // A router that is started anew takes requests where the first one did.
            router.http = status.http;
            lanes = Some(status.lanes);
        }
        let http = Some(format!("http://{}", reachable(router.http)));
        let changed = platform.changed();
        let logs = Arc::clone(&platform);
        let keeper = RouterKeeper { executable: options.executable, options: router, client: Arc::clone(&client) };
        let parts = Parts {
            journal: Arc::new(journal),
            builder: Arc::clone(&platform) as Arc<_>,
            platform,
            traffic: client,
            keeper: Some(Arc::new(keeper)),
            changed: Some(changed),
            logs: Some(Arc::new(move |query| logs.logs(query))),
            state,
            http,
            lanes,
        };
        Self::with(parts).await.map_err(StartError::Apps)
    }
}

/// A wildcard address is reached through the loopback of its family.
fn reachable(listening: SocketAddr) -> SocketAddr {
    if !listening.ip().is_unspecified() {
        return listening;
    }
    let loopback: std::net::IpAddr = match listening {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, listening.port())
}

/// Keeps `switchover router` up.
struct RouterKeeper {
    executable: PathBuf,
    options: RouterOptions,
    client: Arc<RouterClient>,
}

#[async_trait]
impl Keeper for RouterKeeper {
    async fn ensure_running(&self) -> Result<bool, Problem> {
        if self.client.status().await.is_ok_and(|status| !status.is_stopping) {
            return Ok(false);
        }
        spawn::ensure_running(&self.executable, &self.options).await.map_err(|error| error.problem())?;
        Ok(true)
    }
}
