//! Who a process is. A pid alone says nothing: it is used again. A pid with its start time, within one boot, is one
//! process for ever; and every process of an instance carries the instance's id in its environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The variable that tells an app which instance it is.
pub(crate) const INSTANCE_VARIABLE: &str = "SWITCHOVER_INSTANCE";

/// The variable by which the processes of an instance are known: its state directory and its id. A copy of the directory
/// has instances with the same ids.
pub(crate) const MARK_VARIABLE: &str = "SWITCHOVER_MARK";

/// The same for its shim, which is none of them.
pub(crate) const SHIM_VARIABLE: &str = "SWITCHOVER_SHIM";

/// What a shim's instance is, for a platform that does not find its files any more.
pub(crate) const SPEC_VARIABLE: &str = "SWITCHOVER_SHIM_SPEC";

/// How long killed processes may take to leave the process table, looked at [`KILL_ROUNDS`] times.
const KILL_ROUND: Duration = Duration::from_millis(10);

/// How often [`kill_all`] looks for what is left before it gives up (a process in uninterruptible sleep stays).
const KILL_ROUNDS: u32 = 200;

/// How many looks in a row must find nothing: one alone misses what forks and ends while the table is read.
const EMPTY_LOOKS: u32 = 3;

/// The pause before what outlived a whole [`kill_all`] is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// One process, told apart from every other that has or will have its pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks from boot to its start.
    pub(crate) start_ticks: u64,
}

/// One line of the process table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) identity: Identity,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) is_zombie: bool,
}

/// The id of this boot of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The process table's line for `pid`; nothing when there is no such process.
pub(crate) fn entry(pid: i32) -> Option<Entry> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is the command's name in parentheses and may hold anything, parentheses too.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Entry {
        identity: Identity { pid, start_ticks: number(19)? },
        parent: i32::try_from(number(1)?).ok()?,
        group: i32::try_from(number(2)?).ok()?,
        is_zombie: matches!(fields.first(), Some(&("Z" | "X"))),
    })
}

/// Every process of the machine.
fn table() -> Vec<Entry> {
    let Ok(directory) = fs::read_dir("/proc") else { return Vec::new() };
    directory.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

/// Whether the environment that `pid` was started with says `name=value`. Someone else's process: no.
pub(crate) fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|pair| {
        pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) == Some(value.as_bytes())
    })
}

/// The value of `name` in the environment that `pid` was started with.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|pair| {
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

impl Identity {
    /// The process that has this pid now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        entry(pid).map(|entry| entry.identity)
    }

    /// Whether it runs (a zombie does not).
    pub(crate) fn is_running(self) -> bool {
        entry(self.pid).is_some_and(|entry| entry.identity == self && !entry.is_zombie)
    }

    /// Sends `signal` to this process and no other; nothing happens when it has ended.
    pub(crate) fn signal(self, signal: Signal) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if entry(self.pid).is_some_and(|entry| entry.identity == self) {
            match pidfd_send_signal(&handle, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for its end; at once when it has ended. Dropping the future is safe.
    pub(crate) async fn ended(self) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::NONBLOCK) else { return Ok(()) };
        if !self.is_running() {
            return Ok(());
        }
        #[expect(unsafe_code, reason = "the runtime has no safe way to wait for a process that is not its child")]
        // SAFETY: `OwnedFd` gives the same descriptor each time and keeps it open until it is dropped, here with the
        // registration.
        let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
        let _ = handle.readable().await?;
        Ok(())
    }
}

/// The running processes that belong to `root`: its group, its descendants and, when `mark` is given, whoever carries
/// that variable with that value. `root` itself is one of them; with `mark` alone, those that carry it and theirs.
pub(crate) fn members(root: Option<Identity>, mark: Option<(&str, &str)>) -> BTreeSet<Identity> {
    members_where(|entry| {
        root.is_some_and(|root| entry.identity == root || entry.group == root.pid)
            || mark.is_some_and(|(name, value)| has_variable(entry.identity.pid, name, value))
    })
}

/// The running processes whose variable `name` begins with `prefix`, and their descendants.
pub(crate) fn members_with_prefix(name: &str, prefix: &str) -> BTreeSet<Identity> {
    members_where(|entry| variable(entry.identity.pid, name).is_some_and(|value| value.starts_with(prefix)))
}

fn members_where(is_one: impl Fn(&Entry) -> bool) -> BTreeSet<Identity> {
    let table = table();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut found: BTreeSet<i32> = table.iter().filter(|entry| is_one(entry)).map(|entry| entry.identity.pid).collect();
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in &table {
        children.entry(entry.parent).or_default().push(entry.identity.pid);
    }
    let mut unvisited: Vec<i32> = found.iter().copied().collect();
    while let Some(pid) = unvisited.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                unvisited.push(*child);
            }
        }
    }
    table
        .iter()
        .filter(|entry| found.contains(&entry.identity.pid) && entry.identity.pid != own && !entry.is_zombie)
        .map(|entry| entry.identity)
        .collect()
}

/// The running processes whose variable `name` begins with `prefix`.
pub(crate) fn with_prefix(name: &str, prefix: &str) -> BTreeSet<Identity> {
    let carries = |pid| variable(pid, name).is_some_and(|value| value.starts_with(prefix));
    let running = table().into_iter().filter(|entry| !entry.is_zombie);
    running.filter(|entry| carries(entry.identity.pid)).map(|entry| entry.identity).collect()
}

/// The direct children of `pid` that run.
pub(crate) fn children(pid: i32) -> BTreeSet<Identity> {
    table().into_iter().filter(|entry| entry.parent == pid && !entry.is_zombie).map(|entry| entry.identity).collect()
}

/// The children of `pid` that have ended and whose exit status nobody has taken.
pub(crate) fn zombies(pid: i32) -> BTreeSet<Identity> {
    table().into_iter().filter(|entry| entry.parent == pid && entry.is_zombie).map(|entry| entry.identity).collect()
}

/// Kills whatever `members` finds until it finds nothing.
///
/// Guarantees: bounded by [`KILL_ROUNDS`]; true when nothing was left, [`EMPTY_LOOKS`] times in a row.
#[must_use = "false: a process is still there"]
pub(crate) async fn kill_all(mut members: impl FnMut() -> BTreeSet<Identity>) -> bool {
    let mut empty = 0;
    for _ in 0..KILL_ROUNDS {
        let left = members();
        empty = if left.is_empty() { empty + 1 } else { 0 };
        if empty == EMPTY_LOOKS {
            return true;
        }
        kill(&left);
        tokio::time::sleep(KILL_ROUND).await;
    }
    false
}

/// Kills processes, and their groups: the kernel does that in one step, which nobody escapes by forking. Whoever may not be
/// signalled is not ours.
pub(crate) fn kill(processes: &BTreeSet<Identity>) {
    let own = rustix::process::getpgrp();
    let mut groups = BTreeSet::new();
    for process in processes {
        if let Some(entry) = entry(process.pid).filter(|entry| entry.identity == *process)
            && entry.group > 1
            && entry.group != own.as_raw_nonzero().get()
        {
            groups.insert(entry.group);
        }
        let _ = process.signal(Signal::KILL);
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// Kills whatever `members` finds until nothing is left, however long the kernel holds it; `held` is told once of what
/// outlives the first [`kill_all`].
pub(crate) async fn kill_until_gone(
    mut members: impl FnMut() -> BTreeSet<Identity>,
    held: impl FnOnce(&BTreeSet<Identity>),
) {
    let mut held = Some(held);
    while !kill_all(&mut members).await {
        if let Some(held) = held.take() {
            held(&members());
        }
        tokio::time::sleep(KILL_AGAIN).await;
    }
}

/// What `shim.log` says of processes that outlive SIGKILL: the kernel holds them (an uninterruptible sleep).
pub(crate) fn cannot_be_killed(left: &BTreeSet<Identity>) -> io::Error {
    let pids: Vec<String> = left.iter().map(|process| process.pid.to_string()).collect();
    io::Error::other(format!("killed and still there: {}; waiting until the kernel lets go of it", pids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_outlives_its_kill_is_told_once_and_waited_for() {
        // No process has these ticks: a signal does not reach it, as one does not reach a process that the kernel holds.
        let held = Identity { pid: i32::try_from(std::process::id()).unwrap(), start_ticks: 0 };
        let looks = std::cell::Cell::new(0);
        let told = std::cell::RefCell::new(Vec::new());
        let members = || {
            looks.set(looks.get() + 1);
            if looks.get() > KILL_ROUNDS + 20 { BTreeSet::new() } else { BTreeSet::from([held]) }
        };
        kill_until_gone(members, |left| told.borrow_mut().extend(left.iter().copied())).await;
        assert_eq!(*told.borrow(), [held]);
        assert!(looks.get() > KILL_ROUNDS + 20, "it came back while the process was there");
    }

    #[tokio::test]
    async fn what_a_look_misses_once_or_twice_is_killed_all_the_same() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        let mut looks = 0;
        let left = || {
            looks += 1;
            // The first looks come between two forks.
            if looks < EMPTY_LOOKS { BTreeSet::new() } else { members(Some(identity), None) }
        };
        assert!(kill_all(left).await);
        assert!(!identity.is_running(), "it is said to be gone, and runs");
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_process_is_told_apart_from_another_with_its_pid() {
        let mut child = std::process::Command::new("sleep").arg("60").env("PLATFORM_TEST_MARK", "one").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        let other = Identity { start_ticks: identity.start_ticks + 1, ..identity };
        assert!(identity.is_running());
        assert!(!other.is_running());
        assert!(members(Some(identity), None).contains(&identity));
        other.signal(Signal::KILL).unwrap();
        assert!(identity.is_running(), "a signal to the other one does not reach it");
        other.ended().await.unwrap();

        let ended = tokio::spawn(identity.ended());
        identity.signal(Signal::KILL).unwrap();
        ended.await.unwrap().unwrap();
        child.wait().unwrap();
        assert!(Identity::of(identity.pid) != Some(identity));
    }
}
