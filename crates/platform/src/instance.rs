//! What a platform and a shim tell each other through an instance's directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};
use serde::{Deserialize, Serialize};
use switchover_model::config::{Handover, Health, Stop};
use switchover_model::seam::Role;
use switchover_model::{AppName, Host, InstanceId, ProcessName, RevisionId, Slot, Timestamp};

use crate::durable::{self, Keep};
use crate::layout::InstanceDir;
use crate::processes::Identity;
use crate::role;

/// What an instance is; never changes. Values of the environment are not here: the shim reads them from the revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceSpec {
    pub(crate) id: InstanceId,
    pub(crate) app: AppName,
    pub(crate) slot: Slot,
    pub(crate) process: ProcessName,
    /// Its place among the instances of its process type: 0, 1, …
    pub(crate) place: u32,
    pub(crate) revision: RevisionId,
    pub(crate) revision_dir: PathBuf,
    pub(crate) ports: PathBuf,
    pub(crate) command: String,
    /// Nothing for a worker.
    pub(crate) health: Option<Health>,
    pub(crate) probe_host: Option<Host>,
    pub(crate) stop: Stop,
    pub(crate) handover: Option<Handover>,
    /// The lease file of its process type, when it works by lease.
    pub(crate) lease: Option<PathBuf>,
    /// The boot of the machine it was made in: after another one it is gone, whatever its files say.
    pub(crate) boot: String,
    pub(crate) created_at: Timestamp,
}

/// What an instance shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    Run,
    Stop,
}

/// What an instance is, by its shim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) life: Life,
    pub(crate) port: Option<u16>,
    pub(crate) restarts: u32,
}

/// Where the app of an instance is in its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "life", rename_all = "kebab-case")]
pub(crate) enum Life {
    /// About to be started: whether it was, only the process table knows.
    Starting { since: Timestamp },
    /// It runs.
    Running { process: Identity, since: Timestamp },
    /// It was told to stop.
    Stopping { process: Identity, since: Timestamp },
    /// It ended by itself and is started again.
    Waiting { exit: Exit, ran_ms: u64, last_lines: Vec<String>, retry_at: Timestamp },
    /// It was told to stop and has ended; so does the shim. `overran`: it was still there when its grace was over, and
    /// was killed.
    Ended {
        exit: Option<Exit>,
        at: Timestamp,
        #[serde(default)]
        overran: bool,
    },
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started.
    NotStarted(String),
    /// While nobody was there to ask: its shim had been killed.
    Unseen,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::NotStarted(why) => write!(f, "not being started ({why})"),
            Self::Unseen => f.write_str("a status nobody saw"),
        }
    }
}

// === impl InstanceDir: the conversation ===

impl InstanceDir {
    /// Makes the files of a new instance under its final name, all at once.
    pub(crate) fn create(&self, spec: &InstanceSpec, role: Role) -> io::Result<()> {
        let name = self.root.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let draft = Self { root: self.root.with_file_name(format!(".{name}")) };
        durable::remove_tree(&draft.root)?;
        durable::make_private_dir(&draft.root)?;
        durable::write_json(&draft.spec(), spec, Keep::WhileBooted)?;
        draft.write_goal(Goal::Run)?;
        role::tell(&draft.role(), role)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft.lock())?;
        for pipe in [draft.control(), draft.output()] {
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR)?;
        }
        std::fs::rename(&draft.root, &self.root)
    }

    pub(crate) fn read_spec(&self) -> io::Result<Option<InstanceSpec>> {
        durable::read_json(&self.spec())
    }

    pub(crate) fn read_status(&self) -> io::Result<Option<Status>> {
        durable::read_json(&self.status())
    }

    pub(crate) fn write_goal(&self, goal: Goal) -> io::Result<()> {
        durable::write_json(&self.goal(), &goal, Keep::WhileBooted)
    }

    pub(crate) fn read_goal(&self) -> io::Result<Goal> {
        Ok(durable::read_json(&self.goal())?.unwrap_or(Goal::Run))
    }

    /// Sets the goal and wakes the shim, if there is one. Repeating it changes nothing.
    pub(crate) fn order(&self, goal: Goal) -> io::Result<()> {
        if self.read_goal()? != goal {
            self.write_goal(goal)?;
        }
        let pipe = rustix::fs::open(self.control(), OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        match pipe {
            // A full pipe has woken it already.
            Ok(pipe) => match File::from(pipe).write(b"!") {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                Ok(_) | Err(_) => Ok(()),
            },
            // Nobody reads: no shim. Whoever starts the next one lets it read the goal.
            Err(Errno::NXIO) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The living shim, as the kernel knows it: who holds the lock of this directory.
    pub(crate) fn shim(&self) -> io::Result<Option<i32>> {
        let lock = OpenOptions::new().read(true).write(true).open(self.lock())?;
        let held = fcntl_getlk(&lock, &Flock::from(FlockType::WriteLock))?;
        Ok(held.map(|lock| lock.pid.map_or(0, |pid| pid.as_raw_nonzero().get())))
    }
}
