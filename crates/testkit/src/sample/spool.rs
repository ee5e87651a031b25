//! Jobs as files: put by anyone, taken by exactly one worker, their story in a log that all workers share.
//!
//! A job is `NAME.job`; taking it renames it to `NAME.taken`, finishing to `NAME.done`. A rename has one winner, so a
//! job is never taken twice; one whose worker died stays `taken` and is seen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A directory of jobs.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// A job that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) takes: Duration,
}

/// One line of the log: what a worker did, when, and who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `begin` and `end` of the worker, `start` and `finish` of a job.
    pub event: String,
    /// The job; empty for `begin` and `end`.
    pub job: String,
    /// The worker's name.
    pub worker: String,
    /// The worker's revision.
    pub revision: String,
    /// The worker's process.
    pub pid: u32,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl Spool {
    /// The spool at `dir`, made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Leaves a job that takes so long. The name is one path segment.
    ///
    /// # Errors
    /// A name with a slash or a leading dot in it, or a file that cannot be written.
    pub fn put(&self, name: &str, takes: Duration) -> io::Result<()> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a job's name is one plain path segment"));
        }
        let draft = self.dir.join(format!(".{name}.draft"));
        fs::write(&draft, takes.as_millis().to_string())?;
        fs::rename(draft, self.path(name, "job"))
    }

    /// How many jobs wait, are taken, are done.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn counts(&self) -> io::Result<(usize, usize, usize)> {
        Ok((self.names("job")?.len(), self.names("taken")?.len(), self.names("done")?.len()))
    }

    pub(super) fn take(&self) -> io::Result<Option<Job>> {
        for name in self.names("job")? {
            match fs::rename(self.path(&name, "job"), self.path(&name, "taken")) {
                Ok(()) => {
                    let millis = fs::read_to_string(self.path(&name, "taken"))?;
                    let takes = Duration::from_millis(millis.trim().parse().unwrap_or_default());
                    return Ok(Some(Job { name, takes }));
                }
                // Another worker was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    pub(super) fn finish(&self, job: &Job) -> io::Result<()> {
        fs::rename(self.path(&job.name, "taken"), self.path(&job.name, "done"))
    }

    fn path(&self, name: &str, state: &str) -> PathBuf {
        self.dir.join(format!("{name}.{state}"))
    }

    fn names(&self, state: &str) -> io::Result<Vec<String>> {
        let suffix = format!(".{state}");
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(&suffix)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

// === the log ===

/// Appends lines that never mix with those of other processes: one write each, in append mode.
pub(super) struct Log {
    file: File,
    worker: String,
    revision: String,
}

impl Log {
    pub(super) fn open(path: &Path, worker: &str, revision: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, worker: worker.to_owned(), revision: revision.to_owned() })
    }

    pub(super) fn write(&mut self, event: &str, job: &str) -> io::Result<()> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = Entry {
            event: event.to_owned(),
            job: job.to_owned(),
            worker: self.worker.clone(),
            revision: self.revision.clone(),
            pid: std::process::id(),
            at_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// Everything that workers wrote to the log at `path`, in order; nothing when there is no log yet.
///
/// # Errors
/// A line that is not whole, or a file that cannot be read.
pub fn read_log(path: &Path) -> io::Result<Vec<Entry>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}
