//! Starts a controller on this machine: journal, router, processes.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchover_journal::{OpenError, SqliteJournal};
use switchover_model::Problem;
use switchover_platform::ProcessPlatform;
use switchover_postgres::PostgresSchema;
use switchover_router::RouterOptions;
use switchover_router::client::RouterClient;
use switchover_router::spawn::{self, SpawnError};

use crate::controller::Controller;
use crate::keeper::Keeper;
use crate::world::{Logs, Parts};

/// How long a router that is taken back may take to end, and how often it is asked meanwhile.
const ROUTER_END: Duration = Duration::from_secs(5);
const ASKED_EVERY: Duration = Duration::from_millis(10);

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
        let running = spawn::ensure_running(&options.executable, &router).await?;
        let client = Arc::new(running.client);
        let mut lanes = None;
        if let Ok(status) = client.status().await {
            // A router that is started anew takes requests where the first one did.
            router.http = status.http;
            lanes = Some(status.lanes);
        }
        let http = Some(format!("http://{}", reachable(router.http)));
        let changed = platform.changed();
        let (logs, kept) = (Arc::clone(&platform), Arc::clone(&platform));
        let keeper = Arc::new(RouterKeeper {
            executable: options.executable,
            options: router,
            client: Arc::clone(&client),
            is_new: running.is_new,
        });
        let parts = Parts {
            journal: Arc::new(journal),
            builder: Arc::clone(&platform) as Arc<_>,
            platform,
            traffic: client,
            schema: Arc::new(PostgresSchema::default()),
            keeper: Some(Arc::clone(&keeper) as Arc<_>),
            changed: Some(changed),
            logs: Some(Logs {
                lines: Arc::new(move |query| logs.logs(query)),
                kept: Arc::new(move |app| kept.logged(app)),
            }),
            state,
            http,
            lanes,
        };
        match Self::with(parts).await {
            Ok(controller) => Ok(controller),
            Err(problem) => {
                keeper.take_back().await;
                Err(StartError::Apps(problem))
            }
        }
    }

    /// Takes a start back: for a caller that cannot go on after [`Controller::start`]. Ends as [`Controller::shutdown`]
    /// does, and ends the router as well when this controller started it.
    pub async fn abandon(&self) {
        self.shutdown().await;
        if let Some(keeper) = &self.parts().keeper {
            keeper.take_back().await;
        }
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

/// Users are served all the same, but by a router that must not be killed now.
fn not_kept(problem: &str) -> Problem {
    Problem::new(
        "TABLE-NOT-KEPT",
        format!("The router serves its table, but {problem}; killed now, it would come back with an older one."),
        "Make room for the state folder; it is tried again every second.",
    )
}

/// Keeps `switchover router` up.
struct RouterKeeper {
    executable: PathBuf,
    options: RouterOptions,
    client: Arc<RouterClient>,
    /// The router was started for this controller.
    is_new: bool,
}

#[async_trait]
impl Keeper for RouterKeeper {
    async fn ensure_running(&self) -> Result<bool, Problem> {
        if let Ok(status) = self.client.status().await
            && !status.is_stopping
        {
            return status.kept_problem.map_or(Ok(false), |problem| Err(not_kept(&problem)));
        }
        spawn::ensure_running(&self.executable, &self.options).await.map_err(|error| error.problem())?;
        Ok(true)
    }

    async fn take_back(&self) {
        if !self.is_new {
            return;
        }
        // One that does not answer any more has ended, or is told by the next start.
        let _ = self.client.shutdown().await;
        let ended = async {
            while self.client.status().await.is_ok() {
                tokio::time::sleep(ASKED_EVERY).await;
            }
        };
        if tokio::time::timeout(ROUTER_END, ended).await.is_err() {
            tracing::warn!("the router that was started did not end in time");
        }
    }
}
