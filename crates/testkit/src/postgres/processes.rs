//! A server's own processes, found by the directory they work in, and the guard that ends them with the test process.
//!
//! A postmaster and all its children work in the data directory, which is this server's alone. Process groups would not
//! find them: each child is a session of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that killed processes are waited for.
const GONE: Duration = Duration::from_secs(20);

/// Every process that works in `data`.
pub(super) fn working_in(data: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Sends SIGKILL to every process that works in `data` until there is none.
pub(super) fn kill_all(data: &Path) {
    let deadline = Instant::now() + GONE;
    loop {
        let left = working_in(data);
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        assert!(Instant::now() < deadline, "killed processes in {} do not end", data.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends the server and removes its directory when this process ends in any way, also by SIGKILL: a shell that reads
/// from a pipe of which this process alone holds the other end.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

/// SIGQUIT lets a server remove its shared memory; what does not end by then is killed.
const LAST_WILL: &str = r#"
cat >/dev/null
all() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/cwd")" = "$1" ] && kill "-$2" "${process#/proc/}" 2>/dev/null && found=yes
    done
}
for signal in QUIT $(seq 100 | sed "s,.*,0,") KILL KILL; do
    found=
    all "$2" "$signal"
    [ "$found" ] || break
    sleep 0.05
done
rm -rf -- "$1"
"#;

impl Guard {
    /// Watches over `data`, in `directory`, which is removed at the end.
    pub(super) fn over(directory: &Path, data: &Path) -> Self {
        use std::os::unix::process::CommandExt as _;
        let shell = Command::new("/bin/sh")
            .args(["-c", LAST_WILL, "guard"])
            .args([directory, data])
            .current_dir("/")
            .process_group(0) // An interrupt at the terminal ends the tests, not the guard.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        Self { shell }
    }

    /// Lets it do its work now, and waits until all is done.
    pub(super) fn carry_out(mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// `path` without symbolic links, as the working directory of a process is told.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.canonicalize().expect("a directory that was just made")
}
