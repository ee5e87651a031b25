//! Where the servers' programs lie, and as whom they run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that leaves out the tests on real servers when it says `none`.
pub const BEDS: &str = "SWITCHOVER_BEDS";

/// A major version of PostgreSQL that the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Major {
    /// 15, the oldest that the product runs on.
    V15,
    /// 18, the newest.
    V18,
}

impl Major {
    /// All of them, oldest first.
    pub const ALL: [Self; 2] = [Self::V15, Self::V18];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V15 => 15,
            Self::V18 => 18,
        }
    }
}

impl std::fmt::Display for Major {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PostgreSQL {}", self.number())
    }
}

/// The directory that the set-up of the tests unpacks servers into, one a major version: `postgresql-18`.
///
/// Beside what cargo builds: under `CARGO_TARGET_DIR` where it is set, else under the checkout's `target`.
#[must_use]
pub fn beds() -> PathBuf {
    // Where cargo says it is now, not where this was compiled: a build cache may be shared between checkouts.
    let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let checkout = Path::new(&manifest).ancestors().find(|directory| directory.join("Cargo.lock").is_file());
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout.unwrap_or(Path::new(&manifest)).join("target"), PathBuf::from)
        .join("beds")
}

/// Whether tests on real servers are left out.
pub(super) fn are_left_out() -> bool {
    std::env::var(BEDS).is_ok_and(|word| word == "none")
}

/// The programs of one major version.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    root: PathBuf,
}

impl Installation {
    /// The unpacked one, else the system's.
    ///
    /// # Panics
    /// When there is neither: a test that wants a server fails without one.
    pub(super) fn of(major: Major) -> Self {
        let number = major.number();
        let places =
            [beds().join(format!("postgresql-{number}/native")), format!("/usr/lib/postgresql/{number}").into()];
        let root = places.iter().find(|root| root.join("bin/postgres").is_file());
        let root = root.unwrap_or_else(|| {
            panic!("no {major} here, looked in {places:?}: run `cargo xtask test` once, or set {BEDS}=none")
        });
        Self { root: root.clone() }
    }

    /// Itself where `user` can reach it, else a copy in `directory`: a build directory may lie in a closed home.
    pub(super) fn reachable_by(self, user: Option<User>, directory: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let is_open = |directory: &Path| {
            std::fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
        };
        if user.is_none() || self.root.ancestors().all(is_open) {
            return self;
        }
        let root = directory.join("programs");
        let copied = Command::new("cp").arg("-a").arg(&self.root).arg(&root).status().expect("cp can be started");
        assert!(copied.success(), "the server's programs cannot be copied to {}", root.display());
        Self { root }
    }

    /// One of its programs, to be run as `user` in `directory` with nothing of this process's environment.
    pub(super) fn program(&self, name: &str, user: Option<User>, directory: &Path) -> Command {
        let mut command = Command::new(self.root.join("bin").join(name));
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("LD_LIBRARY_PATH", self.root.join("lib"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(directory)
            .stdin(std::process::Stdio::null());
        if let Some(user) = user {
            user.runs(&mut command);
        }
        command
    }

    /// Whether a library that the server can load at its start is there.
    pub(super) fn has_library(&self, name: &str) -> bool {
        ["lib", "lib/postgresql"].iter().any(|place| self.root.join(place).join(format!("{name}.so")).is_file())
    }
}

/// A user of this machine other than the one who runs the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// Has a command run as this user.
    pub(super) fn runs(self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        command.uid(self.uid).gid(self.gid);
    }

    /// As whom a server runs: root may not, so `postgres`, else `nobody`; anyone else runs it as themselves.
    pub(super) fn of_server() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").expect("the users of this machine can be listed");
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::named(&passwd, name));
        Some(found.expect("there is a user postgres or nobody"))
    }

    fn named(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { uid, gid })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgres-old:x:7:8::/:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib:/bin/bash\n";
        assert_eq!(User::named(passwd, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(User::named(passwd, "nobody"), None);
    }
}
