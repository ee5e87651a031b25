//! When a worker may work: always, or while its role file says `active` and it holds the lease.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

/// What a role file holds while its worker may work.
const ACTIVE: &str = "active";

/// A worker's leave to work.
#[derive(Debug, Clone, Default)]
pub(super) struct Leave {
    /// `SWITCHOVER_ROLE_FILE`.
    pub(super) role_file: Option<PathBuf>,
    /// `SWITCHOVER_LEASE`: locked shared for as long as a job is on, so that whoever can lock it exclusively knows that
    /// nobody works.
    pub(super) lease: Option<PathBuf>,
}

/// Given while a job is on; giving it back is dropping it.
#[derive(Debug)]
pub(super) struct Held {
    _lease: Option<File>,
}

impl Leave {
    /// Leave for one job, or none right now.
    ///
    /// Guarantees: the role was read as active after the lease was held, so a role that was withdrawn before an exclusive
    /// lock of the lease was taken is never worked under.
    pub(super) fn ask(&self) -> io::Result<Option<Held>> {
        if !self.is_active()? {
            return Ok(None);
        }
        let lease = match &self.lease {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                match file.try_lock_shared() {
                    Ok(()) => Some(file),
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        };
        Ok(self.is_active()?.then_some(Held { _lease: lease }))
    }

    fn is_active(&self) -> io::Result<bool> {
        let Some(path) = &self.role_file else {
            return Ok(true);
        };
        match fs::read_to_string(path) {
            Ok(role) => Ok(role.trim() == ACTIVE),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_leave_without_an_active_role() {
        let dir = tempfile::tempdir().unwrap();
        let role = dir.path().join("role");
        let leave = Leave { role_file: Some(role.clone()), lease: Some(dir.path().join("lease")) };
        assert!(leave.ask().unwrap().is_none(), "no role file");
        fs::write(&role, "standby\n").unwrap();
        assert!(leave.ask().unwrap().is_none(), "standby");
        fs::write(&role, "active\n").unwrap();
        assert!(leave.ask().unwrap().is_some(), "active");
    }

    #[test]
    fn an_exclusive_lock_shuts_workers_out_and_a_worker_shuts_it_out() {
        let dir = tempfile::tempdir().unwrap();
        let lease = dir.path().join("lease");
        let leave = Leave { role_file: None, lease: Some(lease.clone()) };
        let outsider = File::create(&lease).unwrap();

        let held = leave.ask().unwrap().unwrap();
        assert!(leave.ask().unwrap().is_some(), "workers share it");
        assert!(matches!(outsider.try_lock(), Err(TryLockError::WouldBlock)));

        drop(held);
        outsider.try_lock().unwrap();
        assert!(leave.ask().unwrap().is_none());
    }
}
