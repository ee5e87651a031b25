//! The demo's daemon and app, and how all of it is stopped again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use switchover_model::answer::DaemonView;
use switchover_model::seam::Platform as _;
use switchover_model::{AppName, Slot};
use switchover_platform::ProcessPlatform;
use switchover_router::client::RouterClient;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::Shared;
use crate::daemon::Daemon;
use crate::failure::Failure;

/// The name of the demo's app.
pub(super) const APP: &str = "demo";
/// How long the daemon may take until it answers, and how often it is asked.
const START_LIMIT: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long each part may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A temporary directory with everything of the demo in it.
pub(super) struct House {
    folder: PathBuf,
    executable: PathBuf,
    child: Child,
    pub(super) daemon: Daemon,
    pub(super) shared: Shared,
    pub(super) app: AppName,
    /// Where requests are taken, such as `http://127.0.0.1:40123`.
    pub(super) url: String,
}

impl House {
    /// Makes the directory, writes the app's file, and starts the daemon on free ports.
    pub(super) async fn build() -> Result<Self, Failure> {
        let executable = std::env::current_exe().map_err(|error| failed("find its own program", &error))?;
        let folder = new_folder()?;
        let made = Self::furnish(&folder, &executable).await;
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&folder);
        }
        made
    }

    async fn furnish(folder: &Path, executable: &Path) -> Result<Self, Failure> {
        let app_folder = folder.join("app");
        let state = folder.join("state");
        std::fs::create_dir(&app_folder).map_err(|error| failed("make its directory", &error))?;
        let config = app_folder.join("switchover.toml");
        std::fs::write(&config, file(executable)).map_err(|error| failed("write the app's file", &error))?;
        let log = std::fs::File::create(folder.join("daemon.log")).map_err(|error| failed("write its log", &error))?;
        let mut child = Command::new(executable)
            .args(["serve", "--http", "127.0.0.1:0", "--state"])
            .arg(&state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the demo: it ends the daemon itself, in order.
            .process_group(0)
            .spawn()
            .map_err(|error| failed("start the daemon", &error))?;
        let daemon = Daemon::new(&state);
        let deadline = Instant::now() + START_LIMIT;
        let url = loop {
            if let Ok(view) = daemon.try_get::<DaemonView>("/v1/daemon").await
                && let Some(http) = view.http
            {
                break http;
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let _ = child.kill().await;
                let log = std::fs::read_to_string(folder.join("daemon.log")).unwrap_or_default();
                let lines = log.lines().map(str::to_owned).collect();
                let problem = switchover_model::Problem::new(
                    "DEMO-FAILED",
                    "The demo's daemon did not come up.",
                    "Look at the lines shown, then try again.",
                );
                return Err(Failure::Problem(crate::exit::Exit::Other, problem.with_detail(lines)));
            }
            sleep(ASK_EVERY).await;
        };
        let app = APP.parse().map_err(|_| failed("name its app", &std::io::ErrorKind::InvalidInput.into()))?;
        let shared = Shared { state: Some(state), config: Some(config), app: None, json: false };
        Ok(Self { folder: folder.to_owned(), executable: executable.to_owned(), child, daemon, shared, app, url })
    }

    /// The directory that is deployed from.
    pub(super) fn app_folder(&self) -> PathBuf {
        self.folder.join("app")
    }

    /// Makes what is deployed next: its version, and what is wrong with it.
    pub(super) fn write_version(&self, version: &str, sickness: &str) -> Result<(), Failure> {
        std::fs::write(self.app_folder().join("VERSION"), version).map_err(|error| failed("write the app", &error))?;
        std::fs::write(self.app_folder().join("SICK"), sickness).map_err(|error| failed("write the app", &error))
    }

    /// Stops the daemon, the instances and the router, and removes the directory. What does not end in time is said.
    pub(super) async fn pull_down(mut self) -> Result<(), Failure> {
        end_daemon(&mut self.child).await;
        let state = self.folder.join("state");
        let platform = ProcessPlatform::new(&state, self.executable.clone())
            .map_err(|error| failed("find its instances", &error))?;
        // Both at once: what takes the whole grace in one slot is not added to the other's.
        let _ = tokio::join!(platform.stop(&self.app, Slot::Blue), platform.stop(&self.app, Slot::Green));
        let deadline = Instant::now() + END_LIMIT;
        while let Ok(seen) = platform.observe(&self.app).await
            && !seen.instances.is_empty()
        {
            if Instant::now() > deadline {
                return Err(failed("stop its instances", &std::io::ErrorKind::TimedOut.into()));
            }
            sleep(ASK_EVERY).await;
        }
        let router = RouterClient::new(state.join("router"));
        let _ = timeout(END_LIMIT, router.shutdown()).await;
        let deadline = Instant::now() + END_LIMIT;
        while router.status().await.is_ok() && Instant::now() < deadline {
            sleep(ASK_EVERY).await;
        }
        std::fs::remove_dir_all(&self.folder).map_err(|error| failed("remove its directory", &error))
    }

    /// Leaves everything running.
    pub(super) fn keep(self) -> PathBuf {
        self.folder
    }
}

/// The daemon is asked to end, and killed when it does not.
async fn end_daemon(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if timeout(END_LIMIT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// A directory of its own, for this user alone.
fn new_folder() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes).map_err(|error| failed("find a name", &std::io::Error::other(error.to_string())))?;
    let folder = std::env::temp_dir().join(format!("switchover-demo-{}", hex::encode(bytes)));
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed("make its directory", &error))?;
    Ok(folder)
}

fn file(executable: &Path) -> String {
    // Single quotes for the shell, double ones for TOML.
    let program = executable.display().to_string().replace('\'', "'\\''").replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "name = \"{APP}\"\n\n[process.web]\ncommand = \"exec '{program}' sample-app\"\ninstances = 2\n\
         health = {{ path = \"/up\", deadline = \"4s\" }}\nstop = {{ grace = \"5s\" }}\n\n\
         [route]\ndrain = \"5s\"\n\n[release]\nbake = \"10m\"\nkeep_warm = \"1h\"\n"
    )
}

pub(super) fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::other(
        "DEMO-FAILED",
        format!("The demo could not {what}: {error}."),
        "Look whether this user may write to the temporary directory (TMPDIR).",
    )
}
