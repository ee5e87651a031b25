//! One controller at a time: an exclusive lock on `STATE/lock`, given back by the kernel when its holder ends in any way.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use switchover_model::Problem;

/// How long a lock that is held is tried again. A process that was forked from the holder has the lock too until it
/// executes its own program (open files are shared across fork(2), see flock(2)), also when the holder is gone by then.
const FORK_PATIENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const FORK_PAUSE: Duration = Duration::from_millis(10);

/// Why the state directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another controller has it.
    #[error("{} is in use by process {}", directory.display(), pid.as_deref().unwrap_or("(unknown)"))]
    AlreadyRunning {
        /// The state directory.
        directory: PathBuf,
        /// The holder, as it wrote itself down.
        pid: Option<String>,
    },
    /// It can not be made or written.
    #[error("{}: {source}", path.display())]
    NotWritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl LockError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::AlreadyRunning { directory, pid } => Problem::new(
                "ALREADY-RUNNING",
                format!(
                    "A switchover daemon (process {}) already uses {}.",
                    pid.as_deref().unwrap_or("unknown"),
                    directory.display()
                ),
                "Use that one, stop it first, or give this one another folder with --state.",
            ),
            Self::NotWritable { path, source } => Problem::new(
                "STATE-NOT-WRITABLE",
                format!("The state directory can not be used: {}: {source}.", path.display()),
                "Make it writable for this user, or give another folder with --state.",
            ),
        }
    }
}

/// The state directory, held by this process until this value is dropped.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes `directory` (0700) where it is missing, and takes it.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let not_writable = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::NotWritable { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(not_writable(directory))?;
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(not_writable(&path))?;
        match lock_patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = known.then(|| pid.trim().to_owned());
                return Err(LockError::AlreadyRunning { directory: directory.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::NotWritable { path, source }),
        }
        // The pid is for people; a disk too full to note it must not keep a rollback from being possible.
        let noted = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(%error, "the lock file does not name its holder");
        }
        Ok(Self { _file: file })
    }
}

fn lock_patiently(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + FORK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(FORK_PAUSE),
            result @ (Ok(()) | Err(_)) => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FORK_PAUSE, StateLock};

    #[test]
    fn a_holder_that_is_gone_but_was_just_forked_is_not_taken_for_a_running_one() {
        let state = tempfile::tempdir().unwrap();
        let first = StateLock::take(state.path()).unwrap();
        // What the forked process has until it executes its own program: the same open file.
        let forked = first._file.try_clone().unwrap();
        drop(first);
        let executes = std::thread::spawn(move || {
            std::thread::sleep(2 * FORK_PAUSE);
            drop(forked);
        });
        StateLock::take(state.path()).unwrap();
        executes.join().unwrap();
    }
}
