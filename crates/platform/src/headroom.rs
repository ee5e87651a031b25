//! Whether a second environment fits beside the first: measured, not hoped for.

use std::fs;
use std::io;
use std::path::Path;

use switchover_model::Problem;

/// Disk that must stay free under the state directory.
pub const FREE_DISK_BYTES: u64 = 256 * 1024 * 1024;

/// Files that must still fit there.
pub const FREE_FILES: u64 = 10_000;

/// Memory that must be available before another environment is started.
pub const FREE_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// Processes and threads that must still fit.
pub const FREE_PROCESSES: u64 = 200;

/// What stands in the way of starting a second environment now; nothing is good. What cannot be measured is not in the way.
pub(crate) fn measure(state: &Path) -> Option<Problem> {
    disk(state, 0).or_else(memory).or_else(processes)
}

/// Whether `needed` more bytes fit on the disk of `directory` with [`FREE_DISK_BYTES`] to spare.
pub(crate) fn disk(directory: &Path, needed: u64) -> Option<Problem> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < FREE_DISK_BYTES.saturating_add(needed) {
        return Some(Problem::new(
            "DISK-FULL",
            format!(
                "{} is free on the disk of {}; {} more is needed, and {} is kept free.",
                mebibytes(free),
                directory.display(),
                mebibytes(needed),
                mebibytes(FREE_DISK_BYTES)
            ),
            "Free some space, or lower `release.keep_revisions`.",
        ));
    }
    // Some file systems have no fixed number of files and say 0.
    if disk.f_files > 0 && disk.f_favail < FREE_FILES {
        return Some(Problem::new(
            "DISK-FULL",
            format!("only {} more files fit on the disk of {}.", disk.f_favail, directory.display()),
            "Remove files there, or lower `release.keep_revisions`.",
        ));
    }
    None
}

fn memory() -> Option<Problem> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let available = available.min(group_memory().unwrap_or(u64::MAX));
    (available < FREE_MEMORY_BYTES).then(|| {
        Problem::new(
            "MEMORY-SHORT",
            format!(
                "{} of memory is available, less than the {} that must be free to start a second environment.",
                mebibytes(available),
                mebibytes(FREE_MEMORY_BYTES)
            ),
            "Stop something else on this machine, run fewer instances, or give it more memory.",
        )
    })
}

/// What the control group of this process has left, where it is limited.
fn group_memory() -> Option<u64> {
    Some(group_number("memory.max")?.saturating_sub(group_number("memory.current")?))
}

fn processes() -> Option<Problem> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let running = load.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse::<u64>().ok()?;
    let most = number("/proc/sys/kernel/threads-max")?.min(number("/proc/sys/kernel/pid_max")?);
    let left = most.saturating_sub(running);
    let left = match (group_number("pids.max"), group_number("pids.current")) {
        (Some(most), Some(current)) => left.min(most.saturating_sub(current)),
        (Some(_) | None, _) => left,
    };
    (left < FREE_PROCESSES).then(|| {
        Problem::new(
            "PROCESSES-SHORT",
            format!("only {left} more processes or threads can be started, less than the {FREE_PROCESSES} kept free."),
            "Raise kernel.pid_max, kernel.threads-max or the control group's pids.max, or stop something else.",
        )
    })
}

/// A number of this process's own control group (version 2); nothing where there is none or no limit.
fn group_number(name: &str) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join(name)).ok()?.trim().parse().ok()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

/// What a full or failing disk means, as a problem.
pub(crate) fn state_problem(doing: &str, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::new(
            "DISK-FULL",
            format!("{doing} failed: {error}."),
            "Free some space on the disk of the state directory, then try again.",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Problem::new(
            "STATE-NOT-WRITABLE",
            format!("{doing} failed: {error}."),
            "Give the user that runs `switchover serve` the state directory, or name another with `--state`.",
        ),
        _ => Problem::new(
            "STATE-UNUSABLE",
            format!("{doing} failed: {error}."),
            "Look at the disk of the state directory, then try again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_named_with_its_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let problem = disk(dir.path(), u64::MAX / 2).unwrap();
        assert_eq!(problem.code, "DISK-FULL");
        assert!(problem.cause.contains("MiB is free"), "{problem}");
        assert_eq!(disk(dir.path(), 0).map(|problem| problem.code), None);
    }
}
