//! One server: its directory, its settings, its start, its violent end and its next start.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::installation::{BEDS, Installation, Major, User, are_left_out};
use super::processes::{Guard, kill_all, plain, working_in};
use super::session::Session;

/// The longest that a start is waited for; after a kill it replays what was not yet written.
const READY: Duration = Duration::from_secs(60);

/// The most connections to one server, its own reserved ones included.
const MOST_CONNECTIONS: u32 = 120;

/// How many of the log's last bytes a failed test shows.
const LOG_SHOWN_BYTES: usize = 6000;

/// What a server does for what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is synced to disk. What was committed survives `kill -9` all the same, but no loss of power.
    Fast,
    /// PostgreSQL's own defaults: each commit waits for the disk.
    Real,
}

/// A running server, or one that was killed and can be started again. Dropped, it is stopped and its directory removed.
#[derive(Debug)]
pub struct Server {
    major: Major,
    directory: PathBuf,
    data: PathBuf,
    programs: Installation,
    user: Option<User>,
    postmaster: Option<Child>,
    guard: Option<Guard>,
    databases: AtomicU32,
}

impl Server {
    /// The server of this test process, started at first use: for tests that need only a database of their own.
    ///
    /// Nothing where the tests on servers are left out; that is printed.
    ///
    /// # Panics
    /// When it is missing or does not start.
    #[must_use]
    pub fn shared(major: Major) -> Option<&'static Self> {
        static SHARED: [OnceLock<Option<Server>>; Major::ALL.len()] = [const { OnceLock::new() }; Major::ALL.len()];
        let place = Major::ALL.iter().position(|one| *one == major)?;
        SHARED[place].get_or_init(|| Self::start(major, Durability::Fast)).as_ref()
    }

    /// A server of its own, for tests that stop or kill it. Nothing where the tests on servers are left out.
    ///
    /// # Panics
    /// When it is missing or does not start.
    #[must_use]
    pub fn start(major: Major, durability: Durability) -> Option<Self> {
        Self::start_with(major, durability, &[])
    }

    /// The same with more settings, such as `("lock_timeout", "1s")`; the last of a name counts.
    ///
    /// # Panics
    /// When it is missing or does not start.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a test that is left out says why")]
    pub fn start_with(major: Major, durability: Durability, settings: &[(&str, &str)]) -> Option<Self> {
        if are_left_out() {
            println!("left out: {BEDS}=none, so there is no {major}");
            return None;
        }
        let user = User::of_server();
        let (directory, data, guard) = guarded_directory(major, user);
        let programs = Installation::of(major).reachable_by(user, &directory);
        let mut server = Self {
            major,
            directory,
            data,
            programs,
            user,
            postmaster: None,
            guard: Some(guard),
            databases: AtomicU32::new(0),
        };
        server.initialize(durability, settings);
        server.start_again();
        Some(server)
    }

    /// Another server with the same programs, on data that is there.
    pub(super) fn beside(&self, directory: PathBuf, data: PathBuf, guard: Guard) -> Self {
        let mut server = Self {
            major: self.major,
            directory,
            data,
            programs: self.programs.clone(),
            user: self.user,
            postmaster: None,
            guard: Some(guard),
            databases: AtomicU32::new(0),
        };
        server.start_again();
        server
    }

    /// Gives a file to the server's user.
    pub(super) fn give(&self, path: &Path) {
        if let Some(User { uid, gid }) = self.user {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root gives a file away");
        }
    }

    pub(super) fn user(&self) -> Option<User> {
        self.user
    }

    /// Its major version.
    #[must_use]
    pub fn major(&self) -> Major {
        self.major
    }

    /// How `database` is reached, as the superuser `postgres` without a password.
    ///
    /// Members of a role named `with_password`, where there is one, need their password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// How `database` is reached as `role`.
    #[must_use]
    pub fn url_as(&self, role: &str, database: &str) -> String {
        let host = escaped(&self.directory.display().to_string());
        format!("postgresql://{}@{host}/{}", escaped(role), escaped(database))
    }

    /// Makes an empty database that no other test knows; its URL.
    ///
    /// # Panics
    /// When the server does not make it.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let session = Session::open(&self.url("postgres")).await;
        // template0 has no sessions, so that databases can be made at the same time.
        let made = session.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        made.unwrap_or_else(|error| panic!("{name} is not made: {error:?}"));
        self.url(&name)
    }

    /// Where its socket, its log and its data are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where its data is; a test may fill it or look at it.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the postmaster and all its children with SIGKILL, and waits until they are gone.
    pub fn kill_9(&mut self) {
        // The postmaster first: it would start children again.
        if let Some(mut postmaster) = self.postmaster.take() {
            postmaster.kill().expect("the postmaster is killed");
            let _ = postmaster.wait();
        }
        kill_all(&self.data);
    }

    /// Stops it as an administrator does (`fast`: sessions are ended, all is written).
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn stop(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        let pid = rustix::process::Pid::from_child(&postmaster);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the postmaster is told to stop");
        let deadline = Instant::now() + READY;
        while postmaster.try_wait().is_ok_and(|status| status.is_none()) {
            assert!(Instant::now() < deadline, "{} does not stop\n{}", self.major, self.last_lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it on the data that is there, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not get there in time, with the end of its log.
    pub fn start_again(&mut self) {
        assert!(self.postmaster.is_none() && working_in(&self.data).is_empty(), "{} runs already", self.major);
        let log = std::fs::File::options().create(true).append(true).open(self.directory.join("server.log"));
        let log = log.expect("the server's log");
        let mut command = self.programs.program("postgres", self.user, &self.directory);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.arg("-D").arg(&self.data).stdout(log.try_clone().expect("the server's log")).stderr(log);
        let child = command.spawn().expect("postgres can be started");
        let pid = child.id().to_string();
        let postmaster = self.postmaster.insert(child);
        let deadline = Instant::now() + READY;
        loop {
            // The first line is the postmaster's pid, the eighth its state; a file of the one before says another pid.
            let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = file.lines().map(str::trim);
            if lines.next() == Some(&pid) && lines.nth(6) == Some("ready") {
                return;
            }
            let ended = postmaster.try_wait().expect("a child's state can be asked for");
            if ended.is_some() || Instant::now() > deadline {
                panic!("{} is not ready ({ended:?})\n{}", self.major, self.last_lines());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn initialize(&self, durability: Durability, settings: &[(&str, &str)]) {
        let mut command = self.programs.program("initdb", self.user, &self.directory);
        command.arg("-D").arg(&self.data);
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        succeed(&mut command);
        let mut lines = self.settings(durability);
        let quoted = |(name, value): &(&str, &str)| format!("{name} = '{}'", value.replace('\'', "''"));
        lines.extend(settings.iter().map(quoted));
        // Written by root into the server's own files, whose owner stays.
        append(&self.data.join("postgresql.conf"), &lines.join("\n"));
        let trust = "local all +with_password scram-sha-256\nlocal all all trust\nlocal replication all trust\n";
        std::fs::write(self.data.join("pg_hba.conf"), trust).expect("who may connect");
    }

    fn settings(&self, durability: Durability) -> Vec<String> {
        let directory = self.directory.display();
        let preloaded = if self.programs.has_library("pg_stat_statements") { "pg_stat_statements" } else { "" };
        // full_page_writes stays on without fsync: a page is written in parts, and a kill can come between them.
        let fsync = match durability {
            Durability::Fast => "off",
            Durability::Real => "on",
        };
        vec![
            format!("unix_socket_directories = '{directory}'"),
            "listen_addresses = ''".to_owned(),
            format!("max_connections = {MOST_CONNECTIONS}"),
            format!("shared_preload_libraries = '{preloaded}'"),
            format!("fsync = {fsync}"),
            "wal_level = logical".to_owned(),
            "max_wal_size = 4GB".to_owned(),
            "max_prepared_transactions = 10".to_owned(),
            "max_locks_per_transaction = 256".to_owned(),
            // In the data directory, so that nothing is left in the machine's shared memory after a kill.
            "dynamic_shared_memory_type = mmap".to_owned(),
            "jit = off".to_owned(),
            "log_line_prefix = '%m [%p] %q%a %d '".to_owned(),
            "log_lock_waits = on".to_owned(),
        ]
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        log[log.floor_char_boundary(log.len().saturating_sub(LOG_SHOWN_BYTES))..].to_owned()
    }
}

impl Drop for Server {
    #[expect(clippy::print_stdout, reason = "a failed test shows the server's log")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the log of {} ---\n{}", self.major, self.last_lines());
        }
        // A stopped child stays in the table of processes until it is waited for, but works in no directory any more.
        if let Some(guard) = self.guard.take() {
            guard.carry_out();
        }
        if let Some(mut postmaster) = self.postmaster.take() {
            let _ = postmaster.kill();
            let _ = postmaster.wait();
        }
    }
}

/// A new directory for a server and its data in it, both the user's; it is removed with the guard.
pub(super) fn guarded_directory(major: Major, user: Option<User>) -> (PathBuf, PathBuf, Guard) {
    let prefix = format!("switchover-postgres-{}-", major.number());
    let directory = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory").keep();
    let directory = plain(&directory);
    let data = directory.join("data");
    std::fs::create_dir(&data).expect("the data directory");
    let guard = Guard::over(&directory, &data);
    open(&directory, 0o755);
    open(&data, 0o700);
    if let Some(User { uid, gid }) = user {
        for path in [&directory, &data] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root gives a directory away");
        }
    }
    (directory, data, guard)
}

/// Percent-encodes everything that may mean something in a URL (RFC 3986 2.3).
fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if is_plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

fn open(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode of an own directory");
}

pub(super) fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    let file = std::fs::File::options().append(true).open(path);
    file.and_then(|mut file| writeln!(file, "\n{text}")).expect("the server's settings");
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_host_of_a_url() {
        assert_eq!(escaped("/tmp/a b-1_%"), "%2Ftmp%2Fa%20b-1_%25");
    }
}
