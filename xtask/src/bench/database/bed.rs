//! A server with a shop in it, copies of that for each measurement, and the command at work on one.

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use switchover_testkit::postgres::{Durability, Major, Server, Session};

use crate::bench::house::House;
use crate::bench::{BenchError, Tried};

/// The database that all others are copies of.
const SEEDED: &str = "seeded";

/// The shop: users from 0 on, and a fifth as many orders. All values are as an application writes them for the row's number.
const SHOP: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, email text, age integer NOT NULL DEFAULT 30,
    given text, family text, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE orders (id bigint PRIMARY KEY, sku text NOT NULL, user_id bigint NOT NULL DEFAULT 1, total integer NOT NULL DEFAULT 0);
INSERT INTO users SELECT n, 'value ' || n, 'user' || n || '@example.com', n % 90, 'value', n::text FROM generate_series(0, $ROWS - 1) AS n;
INSERT INTO orders SELECT n, 'value ' || n, n % 1000, n % 500 FROM generate_series(0, $ROWS / 5 - 1) AS n;
CREATE INDEX users_by_email ON users (email);
VACUUM ANALYZE users; VACUUM ANALYZE orders;
";

/// The server.
pub(super) struct Bed {
    server: Server,
    copies: AtomicU32,
    folder: tempfile::TempDir,
    /// How many users there are.
    pub(super) rows: u64,
}

/// A step of a command: when it began, and where the log was.
pub(super) struct Told {
    pub(super) line: String,
    pub(super) at: Instant,
    pub(super) log: f64,
}

impl Bed {
    pub(super) async fn new(rows: u64) -> Result<Self, BenchError> {
        // Nothing but what is measured shall move rows.
        let settings = [
            ("autovacuum", "off"),
            ("wal_level", "replica"),
            ("max_wal_size", "16GB"),
            ("checkpoint_timeout", "1h"),
            ("shared_buffers", "1GB"),
        ];
        let server = Server::start_with(Major::V15, Durability::Real, &settings);
        let server = server.ok_or_else(|| BenchError::Unexpected("there is no server to measure on".to_owned()))?;
        let folder = tempfile::tempdir().tried("a temporary directory")?;
        let bed = Self { server, copies: AtomicU32::new(0), folder, rows };
        bed.on("postgres", &format!("CREATE DATABASE {SEEDED}")).await?;
        for statement in SHOP.replace("$ROWS", &rows.to_string()).split(';').filter(|one| !one.trim().is_empty()) {
            bed.on(SEEDED, statement).await?;
        }
        Ok(bed)
    }

    /// A fresh copy of the shop, all of it on disk; its URL.
    pub(super) async fn copy(&self) -> Result<String, BenchError> {
        let number = self.copies.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = number.checked_sub(1) {
            self.on("postgres", &format!("DROP DATABASE IF EXISTS copy_{before} WITH (FORCE)")).await?;
        }
        let name = format!("copy_{number}");
        self.on("postgres", &format!("CREATE DATABASE {name} TEMPLATE {SEEDED} STRATEGY file_copy")).await?;
        self.on("postgres", "CHECKPOINT").await?;
        Ok(self.server.url(&name))
    }

    /// Where the server has its data.
    pub(super) fn directory(&self) -> &std::path::Path {
        self.server.directory()
    }

    async fn on(&self, database: &str, statement: &str) -> Result<(), BenchError> {
        asked(&Session::open(&self.server.url(database)).await, statement).await.map(|_| ())
    }

    /// Runs `switchover db` on the database at `url`; `migration` is what the file `01_change.yaml` says.
    pub(super) async fn command(
        &self,
        url: &str,
        migration: &str,
        arguments: &[&str],
    ) -> Result<Vec<Told>, BenchError> {
        let file = self.folder.path().join("01_change.yaml");
        std::fs::write(&file, migration).tried(file.display().to_string())?;
        let session = Session::open(url).await;
        let mut command = Command::new(House::binary());
        command.arg("db").args(arguments).env("DATABASE_URL", url).current_dir(self.folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().tried("switchover")?;
        let output =
            child.stdout.take().ok_or_else(|| BenchError::Unexpected("a command without output".to_owned()))?;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let reader = std::thread::spawn(move || {
            for line in std::io::BufReader::new(output).lines().map_while(Result::ok) {
                let _ = tell.send((line, Instant::now()));
            }
        });
        let mut all = Vec::new();
        while let Some((line, at)) = told.recv().await {
            let log = position(&session).await?;
            all.push(Told { line, at, log });
        }
        let _ = reader.join();
        let ended = child.wait_with_output().tried("switchover")?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            return Err(BenchError::Unexpected(format!("switchover db {}: {said}", arguments.join(" "))));
        }
        Ok(all)
    }
}

/// Where the log is, in bytes.
pub(super) async fn position(session: &Session) -> Result<f64, BenchError> {
    let told = asked(session, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8").await?;
    told.parse().map_err(|_| BenchError::Unexpected(format!("no position: {told}")))
}

/// The first value that a statement gives.
pub(super) async fn asked(session: &Session, statement: &str) -> Result<String, BenchError> {
    let column = session.column(statement).await;
    let column = column.map_err(|error| BenchError::Unexpected(format!("{statement}: {error:?}")))?;
    Ok(column.into_iter().next().flatten().unwrap_or_default())
}
