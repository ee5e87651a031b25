//! What git says of an app's directory: what belongs to the app, and what lies there beside it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::copy::{Cancel, CopyError};

/// How long git may take to list the files of a directory.
const GIT_LISTS_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether git is done.
const LOOK: Duration = Duration::from_millis(5);

/// The files of an app's directory that make its source: the git-tracked ones as they are in the working tree, or
/// everything when it is in no git repository or git tracks nothing in it. Relative, sorted.
///
/// Errors: git says no for another reason than that this is no repository, or says nothing in time.
pub(crate) fn tracked(directory: &Path, cancel: &Cancel) -> Result<Option<BTreeSet<PathBuf>>, CopyError> {
    let tracked = listed(directory, &["--cached", "--recurse-submodules"], cancel)?;
    Ok(tracked.filter(|paths| !paths.is_empty()))
}

/// What lies there and is neither tracked nor ignored: files, and directories of which nothing is tracked. Relative, sorted.
pub(crate) fn untracked(directory: &Path, cancel: &Cancel) -> Result<BTreeSet<PathBuf>, CopyError> {
    let others = ["--others", "--exclude-standard", "--directory", "--no-empty-directory"];
    Ok(listed(directory, &others, cancel)?.unwrap_or_default())
}

/// What git lists of a directory; nothing where it is in no repository, or there is no git.
fn listed(directory: &Path, what: &[&str], cancel: &Cancel) -> Result<Option<BTreeSet<PathBuf>>, CopyError> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["ls-files", "-z"]).args(what).env("LC_ALL", "C");
    let listed = match output(git, GIT_LISTS_WITHIN, cancel) {
        Ok(listed) => listed,
        Err(CopyError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !listed.status.success() {
        let says = String::from_utf8_lossy(&listed.stderr);
        if says.contains("not a git repository") {
            return Ok(None);
        }
        return Err(CopyError::Refused(format!(
            "git cannot list the files of {}: {}",
            directory.display(),
            crate::output::presentable(says.trim().as_bytes())
        )));
    }
    let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(Some(paths.map(|path| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))).collect()))
}

/// Runs a command to its end and gives its output; it is killed with its group when it is not done within `limit`, or
/// nobody needs it any more.
fn output(mut command: Command, limit: Duration, cancel: &Cancel) -> Result<Output, CopyError> {
    // Files in memory, not pipes: nobody has to read while it runs, or waits for whoever holds a pipe after it.
    let memory = || rustix::fs::memfd_create("output", MemfdFlags::CLOEXEC).map(File::from);
    let (mut out, mut err) = (memory().map_err(io::Error::from)?, memory().map_err(io::Error::from)?);
    let mut child =
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?).process_group(0).spawn()?;
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let why = match cancel.check() {
            Ok(()) if Instant::now() < until => {
                std::thread::sleep(LOOK);
                continue;
            }
            Ok(()) => CopyError::Refused(format!(
                "{:?} was not done within {limit:?}",
                command.get_program().to_string_lossy()
            )),
            Err(cancelled) => cancelled,
        };
        // Not waited for yet: its number is its own.
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait()?;
        return Err(why);
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    out.rewind()?;
    out.read_to_end(&mut stdout)?;
    err.rewind()?;
    err.read_to_end(&mut stderr)?;
    Ok(Output { status, stdout, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn a_command_that_hangs_is_killed_in_time_or_when_it_is_cancelled() {
        let done = output(shell("echo out; echo err >&2; exit 3"), GIT_LISTS_WITHIN, &Cancel::new()).unwrap();
        assert_eq!((done.status.code(), &*done.stdout, &*done.stderr), (Some(3), &b"out\n"[..], &b"err\n"[..]));
        let late = output(shell("sleep 1000 & wait"), Duration::from_millis(50), &Cancel::new()).unwrap_err();
        assert!(late.to_string().contains("not done within 50ms"), "{late}");
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = output(shell("sleep 1000"), GIT_LISTS_WITHIN, &cancel).unwrap_err();
        assert!(matches!(cancelled, CopyError::Cancelled), "{cancelled}");
    }
}
