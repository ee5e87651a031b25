//! The worker: takes jobs from a spool, one at a time, and finishes the one it is at before it leaves.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use super::lease::Leave;
use super::spool::{Log, Spool};

/// How often an idle worker looks for a job and for leave to work.
const POLL: Duration = Duration::from_millis(20);

/// What a worker needs to know.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its name in the log.
    pub name: String,
    /// Its revision in the log.
    pub revision: String,
    /// Where jobs are.
    pub spool: PathBuf,
    /// Where it writes what it did.
    pub log: PathBuf,
    /// `SWITCHOVER_ROLE_FILE`: works only while this says `active`.
    pub role_file: Option<PathBuf>,
    /// `SWITCHOVER_LEASE`: locked shared while a job is on.
    pub lease: Option<PathBuf>,
}

/// Works until `stop` completes; a job that is on by then is finished first.
///
/// # Errors
/// The spool, the log, the role file or the lease cannot be used.
pub async fn work(work: Work, stop: impl Future<Output = ()>) -> io::Result<()> {
    let spool = Spool::open(&work.spool)?;
    let mut log = Log::open(&work.log, &work.name, &work.revision)?;
    let leave = Leave { role_file: work.role_file, lease: work.lease };
    let mut stop = pin!(stop);
    log.write("begin", "")?;
    loop {
        let job = match leave.ask()? {
            None => None,
            Some(held) => spool.take()?.map(|job| (job, held)),
        };
        let Some((job, held)) = job else {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(POLL) => continue,
            }
        };
        log.write("start", &job.name)?;
        let mut stop_was_asked = false;
        let mut rest = pin!(tokio::time::sleep(job.takes));
        loop {
            tokio::select! {
                () = &mut rest => break,
                () = &mut stop, if !stop_was_asked => stop_was_asked = true,
            }
        }
        spool.finish(&job)?;
        log.write("finish", &job.name)?;
        drop(held);
        if stop_was_asked {
            break;
        }
    }
    log.write("end", "")
}
