//! The two named pipes of an instance: its app's output, and the platform's knock.

use std::io::{self, ErrorKind};
use std::path::Path;

use tokio::net::unix::pipe::{self, Receiver};

use crate::output::RotatingLog;

/// The most output that is taken before the shim looks at anything else.
const OUTPUT_PER_TURN: usize = 1024 * 1024;

/// One read of output.
const CHUNK: usize = 64 * 1024;

/// Opens a named pipe so that it is never at its end: this process is a writer of it too.
pub(super) fn open(path: &Path) -> io::Result<Receiver> {
    pipe::OpenOptions::new().read_write(true).open_receiver(path)
}

/// Throws away what a pipe holds.
pub(super) fn drain(pipe: &Receiver) {
    let mut sink = [0; 512];
    while matches!(pipe.try_read(&mut sink), Ok(read) if read > 0) {}
}

/// Whether a pipe has more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Nothing is there now.
    Dry,
    /// The limit of one turn was reached.
    Full,
}

/// Moves output into the log, at most [`OUTPUT_PER_TURN`]. What the disk does not take is lost: the app goes on.
pub(super) fn pump(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>, log: &mut RotatingLog) -> Pumped {
    let mut chunk = [0; CHUNK];
    let mut taken = 0;
    while taken < OUTPUT_PER_TURN {
        match read(&mut chunk) {
            Ok(read) if read > 0 => {
                taken += read;
                let _ = log.write(&chunk[..read]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return Pumped::Dry,
        }
    }
    Pumped::Full
}
