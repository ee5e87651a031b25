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
    let available = available_memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
    memory_short(available.min(group_memory().unwrap_or(u64::MAX)))
}

/// The bytes that new processes can have, by proc_meminfo(5).
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

fn memory_short(available: u64) -> Option<Problem> {
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
    let running = running_processes(&fs::read_to_string("/proc/loadavg").ok()?)?;
    let most = number("/proc/sys/kernel/threads-max")?.min(number("/proc/sys/kernel/pid_max")?);
    let group = group_number("pids.max").zip(group_number("pids.current"));
    processes_short(processes_left(most, running, group))
}

/// Processes and threads that exist, by proc_loadavg(5): the number behind the slash of the fourth field.
fn running_processes(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// How many more fit into the machine and into the control group, whose limit and count are `group`.
fn processes_left(most: u64, running: u64, group: Option<(u64, u64)>) -> u64 {
    let left = most.saturating_sub(running);
    group.map_or(left, |(most, current)| left.min(most.saturating_sub(current)))
}

fn processes_short(left: u64) -> Option<Problem> {
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

    #[test]
    fn too_little_memory_is_named_with_its_numbers() {
        let available = available_memory("MemTotal:  2048 kB\nMemAvailable:     102400 kB\n").unwrap();
        assert_eq!(available, 100 * 1024 * 1024);
        let problem = memory_short(available).unwrap();
        assert_eq!(problem.code, "MEMORY-SHORT");
        assert!(problem.cause.contains("100 MiB of memory is available, less than the 128 MiB"), "{problem}");
        assert_eq!(memory_short(FREE_MEMORY_BYTES), None);
        assert_eq!(available_memory("MemTotal: 2048 kB\n"), None, "an unknown is no shortage");
    }

    #[test]
    fn too_few_processes_are_named_with_their_number() {
        let running = running_processes("0.20 0.18 0.12 1/9850 11206\n").unwrap();
        assert_eq!(running, 9_850);
        let problem = processes_short(processes_left(10_000, running, None)).unwrap();
        assert_eq!(problem.code, "PROCESSES-SHORT");
        assert!(problem.cause.contains("only 150 more processes"), "{problem}");
        // The control group's own limit counts where it is the lower one.
        assert_eq!(processes_left(32_768, running, Some((500, 400))), 100);
        assert_eq!(processes_left(32_768, running, Some((90_000, 10))), 32_768 - running);
        assert_eq!(processes_short(FREE_PROCESSES), None);
    }
}
