//! The file `log` in a router's directory: what the process says, bounded to two files of [`LOG_BYTES_MAX`].

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A log that is longer than this is put aside as `log.1`, and the one before thrown away (bytes).
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The log to write to from now on.
pub(crate) fn open(directory: &Path) -> io::Result<File> {
    let path = directory.join("log");
    if std::fs::metadata(&path).is_ok_and(|about| about.len() > LOG_BYTES_MAX) {
        std::fs::rename(&path, directory.join("log.1"))?;
    }
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// Goes on in a new file when this process writes to the directory's log and that is too long.
///
/// A process whose output goes elsewhere (a terminal, a service manager's journal) keeps it.
pub(crate) fn bound(directory: &Path) -> io::Result<()> {
    let ours = rustix::fs::fstat(rustix::stdio::stderr())?;
    let Ok(log) = std::fs::metadata(directory.join("log")) else { return Ok(()) };
    if log.len() <= LOG_BYTES_MAX || (log.dev(), log.ino()) != (ours.st_dev, ours.st_ino) {
        return Ok(());
    }
    let next = open(directory)?;
    rustix::stdio::dup2_stdout(&next)?;
    rustix::stdio::dup2_stderr(&next)?;
    Ok(())
}
