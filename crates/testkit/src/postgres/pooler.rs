//! A PgBouncer in transaction pooling before a database.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::processes::Guard;
use super::server::{Server, guarded_directory};

/// The longest that its start is waited for.
const READY: Duration = Duration::from_secs(20);

/// The sessions that each of its lines has, for however many clients.
const SESSIONS: u32 = 2;

/// A running pooler. Dropped, it is ended and its directory removed; so it is when this process ends in any way.
#[derive(Debug)]
pub struct Pooler {
    directory: std::path::PathBuf,
    child: Child,
    guard: Option<Guard>,
}

impl Pooler {
    /// Starts one before the database at `url`, a server's of these tests. Each of `lines` is a name to connect to and the
    /// statement that each of its sessions begins with.
    ///
    /// # Panics
    /// When it is not installed (`cargo xtask test` does that) or does not start.
    #[must_use]
    pub fn start(server: &Server, url: &str, lines: &[(String, String)]) -> Self {
        let (directory, data, guard) = guarded_directory(server.major(), server.user());
        let host = server.directory().display();
        let database = url.rsplit('/').next().unwrap_or_default();
        let databases: String = lines
            .iter()
            .map(|(name, begin)| {
                format!("{name} = host={host} dbname={database} user=postgres connect_query='{begin}'\n")
            })
            .collect();
        let settings = format!(
            "[databases]\n{databases}\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {socket}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nlogfile = {socket}/server.log\n",
            socket = directory.display()
        );
        let file = directory.join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("the pooler's settings");
        let mut command = Command::new("pgbouncer");
        // In the directory by which the guard knows it.
        command.arg(&file).current_dir(&data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = server.user() {
            user.runs(&mut command);
        }
        let child = command.spawn().expect("pgbouncer is installed by `cargo xtask test`");
        let pooler = Self { directory, child, guard: Some(guard) };
        let deadline = Instant::now() + READY;
        while !pooler.directory.join(".s.PGSQL.6432").exists() {
            assert!(Instant::now() < deadline, "the pooler does not start\n{}", pooler.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        pooler
    }

    /// How the line `name` is reached.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let host = self.directory.display().to_string().replace('/', "%2F");
        format!("postgresql://app@{host}:6432/{name}")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(guard) = self.guard.take() {
            guard.carry_out();
        }
    }
}
