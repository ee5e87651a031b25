//! Whether a worker works: its role file says what it was told, the lease's lock says what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use switchover_model::seam::Role;

use crate::durable::{self, Keep};
use crate::processes::{self, Identity};

/// How far up from a lock's holder its instance's main process is looked for.
const GENERATIONS: usize = 64;

/// The content of a role file.
fn text(role: Role) -> &'static str {
    match role {
        Role::Active => "active\n",
        Role::Standby => "standby\n",
    }
}

/// Makes a role file, and one with the other role beside it.
pub(crate) fn prepare(role_file: &Path, other_file: &Path, role: Role) -> io::Result<()> {
    let other = match role {
        Role::Active => Role::Standby,
        Role::Standby => Role::Active,
    };
    durable::write_atomic(role_file, text(role).as_bytes(), Keep::WhileBooted)?;
    durable::write_atomic(other_file, text(other).as_bytes(), Keep::WhileBooted)
}

/// Tells a worker its role, whole at once. Repeating it changes nothing. Where the other file is there, the two change
/// their names: that needs no space.
pub(crate) fn tell(role_file: &Path, other_file: &Path, role: Role) -> io::Result<()> {
    let says = |file: &Path| fs::read_to_string(file).is_ok_and(|told| told == text(role));
    if says(role_file) {
        return Ok(());
    }
    let is_exchanged =
        says(other_file) && renameat_with(CWD, role_file, CWD, other_file, RenameFlags::EXCHANGE).is_ok();
    if is_exchanged { Ok(()) } else { durable::write_atomic(role_file, text(role).as_bytes(), Keep::WhileBooted) }
}

/// What a worker was told; standing by before it was told anything.
pub(crate) fn told(role_file: &Path) -> Role {
    match fs::read_to_string(role_file) {
        Ok(text) if text.trim() == "active" => Role::Active,
        Ok(_) | Err(_) => Role::Standby,
    }
}

/// Who holds a lease, shared or alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holders {
    /// Instances whose processes hold it.
    pub(crate) instances: BTreeSet<String>,
    /// Whether someone holds it of whom nobody knows which instance it is: then it may be any.
    pub(crate) is_unknown: bool,
}

impl Holders {
    /// Whether `instance` holds the lease or may hold it.
    pub(crate) fn may_include(&self, instance: &str) -> bool {
        self.is_unknown || self.instances.contains(instance)
    }
}

/// Who holds the lock of `lease` (flock or POSIX), by the kernel's list. Trying the lock instead would make an app that
/// tries it in the same moment believe that it is taken, and could not tell who has it.
///
/// `mains` are the main processes of the instances that may hold it: a holder whose environment says nothing (it may have
/// written over it) is known by them.
pub(crate) fn holders(lease: &Path, mains: &BTreeMap<Identity, String>) -> io::Result<Holders> {
    let metadata = match fs::metadata(lease) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holders::default()),
        Err(error) => return Err(error),
    };
    let device = format!("{:02x}:{:02x}", rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let inode = metadata.ino().to_string();
    let mut holders = Holders::default();
    for line in fs::read_to_string("/proc/locks")?.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // A line with `->` is of someone who waits.
        let [_, _, _, _, pid, locked, ..] = fields.as_slice() else { continue };
        let Some((locked_device, locked_inode)) = locked.rsplit_once(':') else { continue };
        if locked_inode != inode || fields.contains(&"->") {
            continue;
        }
        let instance = pid.parse().ok().and_then(|pid| instance_of(pid, mains));
        match instance {
            Some(instance) => {
                holders.instances.insert(instance);
            }
            // Some file systems show another device here than `stat` does: of them, an instance's own word is enough.
            None => holders.is_unknown |= locked_device == device,
        }
    }
    Ok(holders)
}

/// The instance of a process: by its environment, or by the main process that it is, descends from or shares its group
/// with.
fn instance_of(pid: i32, mains: &BTreeMap<Identity, String>) -> Option<String> {
    if let Some(instance) = processes::variable(pid, processes::INSTANCE_VARIABLE) {
        return Some(instance);
    }
    let mut entry = processes::entry(pid)?;
    for _ in 0..GENERATIONS {
        let main = mains.iter().find(|(main, _)| **main == entry.identity || main.pid == entry.group);
        if let Some((_, instance)) = main {
            return Some(instance.clone());
        }
        entry = processes::entry(entry.parent)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lease_is_seen_and_its_waiters_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let lease = dir.path().join("mailer");
        assert_eq!(holders(&lease, &BTreeMap::new()).unwrap(), Holders::default());
        let file = fs::File::create(&lease).unwrap();
        assert_eq!(holders(&lease, &BTreeMap::new()).unwrap(), Holders::default());
        file.lock_shared().unwrap();
        // This test's own process carries no instance's name.
        assert_eq!(holders(&lease, &BTreeMap::new()).unwrap(), Holders { is_unknown: true, ..Holders::default() });
        // Known by its main process all the same: itself, or the one that it descends from.
        let own = processes::entry(i32::try_from(std::process::id()).unwrap()).unwrap();
        for main in [own.identity, Identity::of(own.parent).unwrap()] {
            let mains = BTreeMap::from([(main, "shop-blue-mailer-0.1".to_owned())]);
            let instances = BTreeSet::from(["shop-blue-mailer-0.1".to_owned()]);
            assert_eq!(holders(&lease, &mains).unwrap(), Holders { instances, is_unknown: false });
        }
        file.unlock().unwrap();
        assert_eq!(holders(&lease, &BTreeMap::new()).unwrap(), Holders::default());
    }

    #[test]
    fn a_role_is_told_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("role"), dir.path().join("role.other"));
        assert_eq!(told(&file), Role::Standby);
        for role in [Role::Active, Role::Standby, Role::Active] {
            tell(&file, &other, role).unwrap();
            assert_eq!(told(&file), role);
        }
    }

    #[test]
    fn a_role_that_was_prepared_for_is_told_without_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("role"), dir.path().join("role.other"));
        prepare(&file, &other, Role::Standby).unwrap();
        let files = || {
            let mut files: Vec<_> =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().ino()).collect();
            files.sort_unstable();
            files
        };
        let before = files();
        for role in [Role::Active, Role::Active, Role::Standby, Role::Active] {
            tell(&file, &other, role).unwrap();
            assert_eq!(told(&file), role);
            assert_eq!(files(), before);
        }
    }
}
