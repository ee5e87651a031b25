//! The reserve: space kept in a file, given up when the disk is full and somebody wants to go back.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use switchover_model::record::{Draft, Event};
use switchover_model::release::{Command, ReleaseKind};

/// How much is kept: thousands of records, and the journal's own bookkeeping.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// A reserve larger than this is given up by halves: whoever filled the disk may take what was freed as well, and the next
/// step back shall still be possible.
const LAST_PART_BYTES: u64 = 4 * 1024 * 1024;

/// Zeros are written in pieces of this size where the file system can not allocate without writing.
const FILL_BYTES: usize = 64 * 1024;

/// The file `STATE/reserve`.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of the state directory, whether or not its file is there.
    pub(crate) fn of(directory: &Path, bytes: u64) -> Self {
        Self { path: directory.join("reserve"), bytes }
    }

    /// Whether the space is kept.
    pub(crate) fn is_kept(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= self.bytes)
    }

    /// Keeps the space, when the disk has at least twice as much free: keeping must not be what fills the disk.
    pub(crate) fn keep(&self) -> std::io::Result<()> {
        if self.is_kept() {
            return Ok(());
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(directory)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.bytes.saturating_mul(2) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        let kept = self.fill(&file);
        if kept.is_err() {
            // What was half kept is given back whole; gone already is fine.
            let _ = std::fs::remove_file(&self.path);
        }
        kept
    }

    /// Gives space back to the disk: half of it, and at last all of it. Returns whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        let left = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let halved = left > LAST_PART_BYTES
            && OpenOptions::new().write(true).open(&self.path).is_ok_and(|file| file.set_len(left / 2).is_ok());
        halved || std::fs::remove_file(&self.path).is_ok()
    }

    fn fill(&self, mut file: &File) -> std::io::Result<()> {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, self.bytes) {
            Ok(()) => return file.sync_all(),
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
        let zeros = [0; FILL_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(FILL_BYTES).min(FILL_BYTES);
            file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }
        file.sync_all()
    }
}

/// Whether the batch begins something new. Such a batch never draws on the reserve; what was begun may be finished or
/// undone, and a way back may be opened.
pub(crate) fn begins_something(drafts: &[Draft]) -> bool {
    // What is looked at goes on for as long as a slot is warm: alone it would eat up what a way back needs.
    let only_looks = drafts.iter().all(|draft| matches!(draft.event, Event::Looked { .. }));
    only_looks
        || drafts.iter().any(|draft| match &draft.event {
            Event::Commanded { command, .. } => match command {
                Command::Apply { .. } | Command::Deploy { .. } | Command::Promote { .. } | Command::Resume { .. } => {
                    true
                }
                Command::Pause { .. } | Command::Abort { .. } | Command::Rollback { .. } => false,
            },
            Event::Opened { kind, .. } => match kind {
                ReleaseKind::Deploy => true,
                ReleaseKind::Return { .. } => false,
            },
            // Another part of the traffic is something new: what is known of the part before may be old.
            Event::Stepped { .. } => true,
            Event::Entered { .. }
            | Event::Waiting { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::Sealed { .. }
            | Event::Routed { .. }
            | Event::Sized { .. }
            | Event::InForce { .. }
            | Event::Marked { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::Decided { .. }
            | Event::Migrated { .. }
            | Event::HandedOver { .. }
            | Event::Switched { .. }
            | Event::Undoing { .. }
            | Event::Drained { .. }
            | Event::Stopped { .. }
            | Event::Emptied { .. }
            | Event::Renewed { .. }
            | Event::Concluded { .. }
            | Event::Settled { .. }
            | Event::Drifted { .. }
            | Event::Noted { .. }
            | Event::RouterRestarted { .. } => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_given_up_by_halves() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let reserve = Reserve::of(directory.path(), RESERVE_BYTES);
        reserve.keep().expect("space for it");
        let mut left = Vec::new();
        while reserve.give_up() {
            left.push(std::fs::metadata(directory.path().join("reserve")).map_or(0, |metadata| metadata.len()));
        }
        assert_eq!(left, [RESERVE_BYTES / 2, RESERVE_BYTES / 4, 0]);
        reserve.keep().expect("space for it again");
        assert!(reserve.is_kept());
    }
}
