//! Which ledger files are whose, while one router ends and the next one serves already.
//!
//! Each lane counts in a file of its own, whose lock it holds for as long as its process lives. A lane that begins takes
//! the first file that nobody holds; files that a living predecessor holds are read, and become a dead one's when their
//! lock is free.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::ledger::LaneLedger;

/// Most ledger files in a directory.
const FILES_MAX: usize = 1024;

/// A ledger file that is ours, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) path: PathBuf,
    /// Nothing when the lock could not be made: then nobody else has it either.
    _lock: Option<File>,
}

/// The ledger file of a router that still counts in it.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) ledger: LaneLedger,
    path: PathBuf,
}

/// The ledger files of a directory, as a router that begins finds them.
#[derive(Debug)]
pub(crate) struct Claims {
    /// One for each lane.
    pub(crate) own: Vec<Claim>,
    /// Those of predecessors that are gone, beyond ours.
    pub(crate) left_over: Vec<LaneLedger>,
    /// Those of a predecessor that still finishes what it has.
    pub(crate) living: Vec<Living>,
}

impl Claims {
    /// Assumes: the caller holds the directory's lock.
    pub(crate) fn make(directory: &Path, lanes: usize) -> Self {
        let mut claims = Self { own: Vec::with_capacity(lanes), left_over: Vec::new(), living: Vec::new() };
        for number in 0..FILES_MAX {
            let path = directory.join(format!("ledger.{number}"));
            let is_needed = claims.own.len() < lanes;
            if !is_needed && !path.exists() {
                continue;
            }
            match lock(&path) {
                Ok(None) => claims.living.extend(LaneLedger::of_another(&path).map(|ledger| Living { ledger, path })),
                Ok(_) | Err(_) if !is_needed => claims.left_over.push(LaneLedger::open(&path)),
                Ok(lock) => claims.own.push(Claim { path, _lock: lock }),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "counters can not be locked");
                    claims.own.push(Claim { path, _lock: None });
                }
            }
        }
        claims
    }
}

impl Living {
    /// True when its router is gone now: then its sums are closed.
    pub(crate) fn has_ended(&self) -> bool {
        let is_free = matches!(lock(&self.path), Ok(Some(_)));
        if is_free {
            self.ledger.close_the_sums();
        }
        is_free
    }
}

/// Nothing when somebody else holds it.
fn lock(ledger: &Path) -> io::Result<Option<File>> {
    let mut path = ledger.as_os_str().to_owned();
    path.push(".lock");
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(PathBuf::from(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
