//! Where everything of the platform lies in the state directory.

use std::path::{Path, PathBuf};

use switchover_model::{AppName, InstanceId, ProcessName, RevisionId};

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    state: PathBuf,
}

impl Layout {
    pub(crate) fn new(state: PathBuf) -> Self {
        Self { state }
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Locks that say which ports are spoken for.
    pub(crate) fn ports(&self) -> PathBuf {
        self.state.join("ports")
    }

    fn app(&self, app: &AppName) -> PathBuf {
        self.state.join("apps").join(app.as_str())
    }

    pub(crate) fn revisions(&self, app: &AppName) -> PathBuf {
        self.app(app).join("revisions")
    }

    pub(crate) fn revision(&self, app: &AppName, id: RevisionId) -> RevisionDir {
        RevisionDir { root: self.revisions(app).join(id.to_string()) }
    }

    pub(crate) fn instances(&self, app: &AppName) -> PathBuf {
        self.app(app).join("instances")
    }

    pub(crate) fn instance(&self, app: &AppName, id: &InstanceId) -> InstanceDir {
        InstanceDir { root: self.instances(app).join(id.as_str()) }
    }

    /// What is left of instances that have ended: their logs, a few per app.
    pub(crate) fn ended(&self, app: &AppName) -> PathBuf {
        self.app(app).join("ended")
    }

    pub(crate) fn shared(&self, app: &AppName) -> PathBuf {
        self.app(app).join("shared")
    }

    pub(crate) fn builds(&self, app: &AppName) -> PathBuf {
        self.app(app).join("builds")
    }

    pub(crate) fn build_log(&self, app: &AppName, id: RevisionId) -> PathBuf {
        self.builds(app).join(format!("{id}.log"))
    }

    pub(crate) fn leases(&self, app: &AppName) -> PathBuf {
        self.app(app).join("leases")
    }

    /// The file whose lock a worker of this process type holds while it works; one for both slots.
    pub(crate) fn lease(&self, app: &AppName, process: &ProcessName) -> PathBuf {
        self.leases(app).join(process.as_str())
    }
}

/// One revision's directory: its final place, since virtual environments write absolute paths into their files.
#[derive(Debug, Clone)]
pub(crate) struct RevisionDir {
    pub(crate) root: PathBuf,
}

impl RevisionDir {
    /// What it lies in, the state directory last: `STATE/apps/APP/revisions`.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &Path> {
        self.root.ancestors().skip(1).take(4)
    }

    /// The app's files.
    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// The values of `[env]` and `--env`.
    pub(crate) fn env(&self) -> PathBuf {
        self.root.join("env")
    }

    /// The values of the secrets file.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Size, mode and times of each file when it was sealed.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("manifest")
    }

    /// Written last: a revision with this file is sealed.
    pub(crate) fn record(&self) -> PathBuf {
        self.root.join("revision.json")
    }
}

/// One instance's directory: everything that its shim and a platform say to each other.
#[derive(Debug, Clone)]
pub(crate) struct InstanceDir {
    pub(crate) root: PathBuf,
}

impl InstanceDir {
    /// The state directory: `STATE/apps/APP/instances/ID`.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.root.ancestors().nth(4)
    }

    /// What it runs; written once.
    pub(crate) fn spec(&self) -> PathBuf {
        self.root.join("spec.json")
    }

    /// Locked by the living shim: the kernel's word on who it is.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What shall be true; written by the platform.
    pub(crate) fn goal(&self) -> PathBuf {
        self.root.join("goal")
    }

    /// Says `stop` before anybody wants it: to be given the goal's name, which needs no space.
    pub(crate) fn goal_to_come(&self) -> PathBuf {
        self.root.join("goal.stop")
    }

    /// A pipe that wakes the shim: the goal has changed.
    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    /// The pipe that is the app's standard output and error.
    pub(crate) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    /// What is; written by the shim.
    pub(crate) fn status(&self) -> PathBuf {
        self.root.join("status")
    }

    /// The same by a shim of a version that did not know [`InstanceDir::status`].
    pub(crate) fn former_status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// The process that was seen healthy; written by the platform, for the platform after it.
    pub(crate) fn healthy(&self) -> PathBuf {
        self.root.join("healthy")
    }

    /// `active` or `standby`, for an app that works by lease.
    pub(crate) fn role(&self) -> PathBuf {
        self.root.join("role")
    }

    /// The other role, to be exchanged with it.
    pub(crate) fn other_role(&self) -> PathBuf {
        self.root.join("role.other")
    }

    /// The app's output, newest part.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What the shim itself could not do.
    pub(crate) fn trouble(&self) -> PathBuf {
        self.root.join("shim.log")
    }
}
