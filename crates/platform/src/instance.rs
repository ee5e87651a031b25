//! What a platform and a shim tell each other through an instance's directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};
use serde::{Deserialize, Serialize};
use switchover_model::config::{Handover, Health, Stop};
use switchover_model::revision::Digest;
use switchover_model::seam::Role;
use switchover_model::{AppName, Host, InstanceId, ProcessName, RevisionId, Slot, Timestamp};

use crate::durable::{self, Keep};
use crate::layout::InstanceDir;
use crate::processes::{self, Identity};
use crate::role;
use crate::steady;

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
    /// What its revision was sealed as; nothing: it was made by a version that did not say.
    #[serde(default)]
    pub(crate) artifact: Option<Digest>,
    /// The state directory it was made in: in a copy of it, its files are about somebody else's processes. Nothing: as above.
    #[serde(default)]
    pub(crate) home: Option<Home>,
    /// The boot of the machine it was made in: after another one it is gone, whatever its files say.
    pub(crate) boot: String,
    pub(crate) created_at: Timestamp,
}

/// Which directory a state directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    device: u64,
    inode: u64,
}

impl Home {
    /// The directory at `path`.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let metadata = std::fs::metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }

    /// Whether the two are one: at the same place (it may have been restored there) or the same directory (moved there).
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.path == other.path || (self.device, self.inode) == (other.device, other.inode)
    }

    /// What begins every mark of this directory's instances.
    pub(crate) fn mark(&self) -> String {
        format!("{}:", self.path.display())
    }
}

impl InstanceSpec {
    /// The variable, and its value, by which its processes are known.
    pub(crate) fn mark(&self) -> (&'static str, String) {
        match &self.home {
            Some(home) => (processes::MARK_VARIABLE, format!("{}{}", home.mark(), self.id)),
            None => (processes::INSTANCE_VARIABLE, self.id.to_string()),
        }
    }

    /// Whether it was made in the state directory `home`.
    pub(crate) fn is_of(&self, home: &Home) -> bool {
        self.home.as_ref().is_none_or(|made_in| made_in.is(home))
    }
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

/// Room for a status, and for the note of who was healthy.
const STATUS_BYTES: usize = 16 * 1024;
pub(crate) const HEALTHY_BYTES: usize = 256;

impl Status {
    /// The same with fewer last lines, where it is larger than its file.
    fn fitting(&self) -> Self {
        let mut fitting = self.clone();
        let is_too_large = |status: &Self| serde_json::to_vec(status).is_ok_and(|json| json.len() > STATUS_BYTES);
        while is_too_large(&fitting)
            && let Life::Waiting { last_lines, .. } = &mut fitting.life
            && !last_lines.is_empty()
        {
            last_lines.remove(0);
        }
        fitting
    }
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
        let made = draft.fill(spec, role).and_then(|()| std::fs::rename(&draft.root, &self.root));
        if made.is_err() {
            // What a full disk did not take whole does not stay on it.
            let _ = durable::remove_tree(&draft.root);
        }
        made
    }

    /// Everything that is written later is made now: nothing of it needs space then.
    fn fill(&self, spec: &InstanceSpec, role: Role) -> io::Result<()> {
        durable::write_json(&self.spec(), spec, Keep::WhileBooted)?;
        durable::write_json(&self.goal(), &Goal::Run, Keep::WhileBooted)?;
        durable::write_json(&self.goal_to_come(), &Goal::Stop, Keep::WhileBooted)?;
        role::prepare(&self.role(), &self.other_role(), role)?;
        steady::prepare(&self.status(), STATUS_BYTES)?;
        steady::prepare(&self.healthy(), HEALTHY_BYTES)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.lock())?;
        for pipe in [self.control(), self.output()] {
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR)?;
        }
        Ok(())
    }

    pub(crate) fn tell_role(&self, role: Role) -> io::Result<()> {
        role::tell(&self.role(), &self.other_role(), role)
    }

    pub(crate) fn read_spec(&self) -> io::Result<Option<InstanceSpec>> {
        durable::read_json(&self.spec())
    }

    pub(crate) fn read_status(&self) -> io::Result<Option<Status>> {
        match steady::read_json(&self.status())? {
            Some(status) => Ok(Some(status)),
            None => durable::read_json(&self.former_status()),
        }
    }

    pub(crate) fn write_status(&self, status: &Status) -> io::Result<()> {
        steady::write_json(&self.status(), STATUS_BYTES, &status.fitting())
    }

    fn write_goal(&self, goal: Goal) -> io::Result<()> {
        let to_come = self.goal_to_come();
        if goal == Goal::Stop && durable::read_json(&to_come)? == Some(goal) {
            return std::fs::rename(to_come, self.goal());
        }
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
