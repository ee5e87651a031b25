//! One look at an instance: what its files and the kernel say.

use switchover_model::Timestamp;

use crate::clock;
use crate::instance::{Exit, Goal, Life, Status};
use crate::processes::{self, Identity};
use crate::watch::Watcher;

/// What the files and the kernel say of an instance.
#[derive(Debug)]
pub(crate) enum Look {
    /// Its files are gone; this process of it, or only its shim, lives.
    Adrift {
        process: Option<(Identity, Timestamp)>,
    },
    Over {
        overran: bool,
    },
    NoShim,
    ShimStarts,
    Running {
        process: Identity,
        since: Timestamp,
    },
    Stopping {
        since: Timestamp,
    },
    Waiting {
        exit: Exit,
        ran_ms: u64,
        last_lines: Vec<String>,
        retry_at: Timestamp,
    },
}

impl Watcher {
    pub(crate) fn look(&self) -> std::io::Result<Look> {
        let spec = &self.watched.spec;
        if !self.shared.is_current(spec) {
            if !spec.is_of(&self.shared.home) {
                self.shared.note(&spec.app, self.watched.foreign());
            }
            return Ok(Look::Over { overran: false });
        }
        let memory = self.watched.memory();
        if memory.is_adrift {
            return Ok(self.look_without_files());
        }
        match self.look_at_files() {
            // Its directory is gone under our feet: that tells nothing of its processes.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let look = self.look_without_files();
                if matches!(look, Look::Adrift { .. }) {
                    self.watched.remember(|memory| memory.is_adrift = true);
                    let problem = self.watched.lost_its_files();
                    tracing::error!(instance = %spec.id, %problem, "an instance has lost its files");
                    self.shared.note(&spec.app, problem);
                    self.shared.tell_change();
                }
                Ok(look)
            }
            looked => looked,
        }
    }

    /// What the process table alone says.
    fn look_without_files(&self) -> Look {
        let memory = self.watched.memory();
        let known = memory.process.filter(|(process, _)| process.is_running());
        let process = known.or_else(|| {
            let (name, value) = self.watched.spec.mark();
            let members = processes::members(None, Some((name, &value)));
            let leads = |process: &&Identity| processes::entry(process.pid).is_some_and(|it| it.group == process.pid);
            let main = members.iter().filter(leads).min_by_key(|it| it.start_ticks).or_else(|| members.first());
            main.map(|main| (*main, clock::now()))
        });
        if process.is_none() && !memory.shim.is_some_and(Identity::is_running) {
            return Look::Over { overran: false };
        }
        if let Some((main, _)) = process
            && known.is_none()
        {
            let port = processes::variable(main.pid, "PORT").and_then(|port| port.parse().ok());
            let address = port.and_then(|port| self.watched.address_at(port));
            self.watched.change(|view| view.address = address.or(view.address));
        }
        self.watched.remember(|memory| memory.process = process);
        Look::Adrift { process }
    }

    fn look_at_files(&self) -> std::io::Result<Look> {
        let dir = &self.watched.dir;
        // First who holds the lock, then what it wrote: a shim writes its last status before it lets go.
        let shim = dir.shim()?;
        let status = dir.read_status()?;
        let main = status.as_ref().and_then(|status| match &status.life {
            Life::Running { process, since } | Life::Stopping { process, since } => Some((*process, *since)),
            Life::Starting { .. } | Life::Waiting { .. } | Life::Ended { .. } => None,
        });
        let known_shim = shim.and_then(Identity::of);
        self.watched.remember(|memory| {
            memory.process = main.or(memory.process);
            memory.shim = known_shim.or(memory.shim);
        });
        let address = self.watched.address(status.as_ref());
        let restarts = status.as_ref().map_or(0, |status| status.restarts);
        self.watched.change(|view| (view.address, view.restarts) = (address, restarts));
        let Some(Status { life, .. }) = status else {
            return Ok(if shim.is_some() { Look::ShimStarts } else { Look::NoShim });
        };
        Ok(match (shim, life) {
            (None, Life::Ended { overran, .. }) if dir.read_goal()? == Goal::Stop => Look::Over { overran },
            (None, _) => Look::NoShim,
            (Some(_), Life::Starting { .. } | Life::Ended { .. }) => Look::ShimStarts,
            (Some(_), Life::Running { process, since }) => Look::Running { process, since },
            (Some(_), Life::Stopping { since, .. }) => Look::Stopping { since },
            (Some(_), Life::Waiting { exit, ran_ms, last_lines, retry_at }) => {
                Look::Waiting { exit, ran_ms, last_lines, retry_at }
            }
        })
    }
}
