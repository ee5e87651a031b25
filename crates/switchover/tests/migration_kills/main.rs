//! kill -9 of `switchover db`, and of PostgreSQL, after each statement of each declared operation that changes something: what
//! was begun is gone on with or taken back, and the schema is the one of a run that nobody killed.
//!
//! `MIGRATION_KILLS` is the distance between two such statements after which one is killed: 1 for each of them, as in the long
//! run of the proofs.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test")]

mod tap;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchover_testkit::postgres::{Durability, Major, Server, Session, dump};
use tap::Tap;

/// The distance where nobody says another one.
const EVERY: usize = 29;

/// How long a killed migrator's place is waited for, and a command.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, age integer, email text, score integer,
    CONSTRAINT grown CHECK (age >= 0));
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, sku text NOT NULL, place integer NOT NULL, total integer NOT NULL DEFAULT 0,
    CONSTRAINT place_once UNIQUE (sku, place));
CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
CREATE INDEX users_by_email ON users (email DESC);
INSERT INTO users (name, age, email, score) SELECT 'First' || n || ' Last' || n, n % 90, n || '@example.com', n FROM generate_series(1, 300) AS n;
INSERT INTO orders SELECT n, n, 'sku' || n, n % 7, n FROM generate_series(1, 200) AS n;
CREATE TABLE events (id bigint, year integer, what text NOT NULL, user_id bigint, PRIMARY KEY (id, year)) PARTITION BY RANGE (year);
CREATE TABLE events_20 PARTITION OF events FOR VALUES FROM (2020) TO (2021);
CREATE TABLE events_21 PARTITION OF events FOR VALUES FROM (2021) TO (2022) PARTITION BY LIST (year);
CREATE TABLE events_21_all PARTITION OF events_21 DEFAULT;
CREATE INDEX events_by_what ON events (what);
INSERT INTO events SELECT n, 2020 + n % 2, 'what ' || n, n FROM generate_series(1, 50) AS n;
INSERT INTO visits SELECT n, n FROM generate_series(1, 9) AS n;
";

/// Each operation by itself, and some that go together.
const OPERATIONS: &[(&str, &str)] = &[
    (
        "create_table",
        "- create_table: {name: notes, columns: [{name: id, type: bigint, pk: true}, {name: user_id, type: bigint, references: {name: of_user, table: users, column: id}}]}",
    ),
    ("drop_table", "- drop_table: {name: visits}"),
    ("rename_table", "- rename_table: {from: orders, to: purchases}"),
    (
        "add_column",
        "- add_column: {table: users, up: 'length(name)', column: {name: letters, type: integer, nullable: false}}",
    ),
    ("drop_column", "- drop_column: {table: users, column: email, down: 'name'}"),
    ("rename_column", "- rename_column: {table: users, from: name, to: full_name}"),
    ("retype", "- alter_column: {table: users, column: score, type: text, up: 'score::text', down: 'score::integer'}"),
    ("widen", "- alter_column: {table: orders, column: total, type: bigint, up: total, down: 'total::integer'}"),
    (
        "not_null",
        "- alter_column: {table: users, column: email, nullable: false, up: \"coalesce(email, '')\", down: email}",
    ),
    (
        "unique",
        "- create_constraint: {table: users, name: email_once, type: unique, columns: [email], up: {email: email}, down: {email: email}}",
    ),
    (
        "check",
        "- create_constraint: {table: orders, name: sku_is_short, type: check, columns: [sku], check: 'length(sku) < 100', up: {sku: sku}, down: {sku: sku}}",
    ),
    (
        "foreign_key",
        "- create_constraint: {table: orders, name: of_a_user, type: foreign_key, columns: [user_id], references: {table: users, columns: [id], on_delete: CASCADE}, up: {user_id: user_id}, down: {user_id: user_id}}",
    ),
    ("drop_constraint", "- drop_constraint: {table: users, name: grown, up: age, down: 'greatest(age, 0)'}"),
    (
        "drop_multicolumn_constraint",
        "- drop_multicolumn_constraint: {table: orders, name: place_once, up: {sku: sku, place: place}, down: {sku: \"sku || ' ' || id\", place: place}}",
    ),
    ("rename_constraint", "- rename_constraint: {table: users, from: grown, to: of_age}"),
    ("create_index", "- create_index: {name: users_by_age, table: users, columns: {age: {sort: DESC}}}"),
    ("drop_index", "- drop_index: {name: users_by_email}"),
    ("set_replica_identity", "- set_replica_identity: {table: orders, identity: {type: full}}"),
    (
        "rules_of_partitions",
        "- create_index: {name: events_by_user, table: events, columns: {user_id: {sort: DESC}}}\n  - create_constraint: {table: events, name: once, type: unique, columns: [what, year], up: {what: what, year: year}, down: {what: what, year: year}}\n  - create_constraint: {table: events, name: of_a_user, type: foreign_key, columns: [user_id], references: {table: users, columns: [id]}, up: {user_id: user_id}, down: {user_id: user_id}}",
    ),
    ("retype_of_partitions", "- alter_column: {table: events, column: what, type: varchar, up: what, down: what}"),
    (
        "split",
        "- add_column: {table: users, up: \"split_part(name, ' ', 1)\", column: {name: first, type: text, nullable: false}}\n  - add_column: {table: users, up: \"split_part(name, ' ', 2)\", column: {name: last, type: text, nullable: false}}\n  - drop_column: {table: users, column: name, down: \"first || ' ' || last\"}",
    ),
];

// === The bed ===

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Tool,
    Server,
}

/// A step that is broken off, what goes before it, and what may come after it.
#[derive(Debug, Clone, Copy)]
struct Step {
    name: &'static str,
    /// What is done before it, undisturbed.
    before: &'static [&'static [&'static str]],
    does: &'static [&'static str],
    /// The other way to end what was broken off; nothing where there is none.
    back: Option<&'static [&'static str]>,
    /// The phase in which it is over, where doing it again would be another step.
    over: Option<&'static str>,
}

const EXPAND: &[&str] = &["expand", "01_change.yaml"];
const CONTRACT: &[&str] = &["contract"];
const UNDO: &[&str] = &["undo"];

const STEPS: &[Step] = &[
    Step { name: "expand", before: &[], does: EXPAND, back: Some(UNDO), over: None },
    Step { name: "undo", before: &[EXPAND], does: UNDO, back: None, over: None },
    Step { name: "contract", before: &[EXPAND], does: CONTRACT, back: None, over: None },
    Step { name: "undo of contract", before: &[EXPAND, CONTRACT], does: UNDO, back: None, over: Some("expanded") },
];

struct Bed {
    server: Arc<Mutex<Server>>,
    files: tempfile::TempDir,
    made: AtomicUsize,
}

impl Bed {
    fn socket(&self) -> PathBuf {
        self.server.lock().unwrap().directory().join(".s.PGSQL.5432")
    }

    fn url(&self, database: &str) -> String {
        self.server.lock().unwrap().url(database)
    }

    /// A database like `template`, which nobody uses.
    async fn database_like(&self, template: &str) -> String {
        let name = format!("like_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let session = Session::open(&self.url("postgres")).await;
        let deadline = Instant::now() + PATIENCE;
        // Whoever used the template last may not be gone yet.
        while let Err(error) =
            session.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")).await
        {
            assert!(Instant::now() < deadline, "{name} is not made: {error:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        name
    }

    async fn drop_database(&self, name: &str) {
        let session = Session::open(&self.url("postgres")).await;
        session.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchover"));
        command.arg("db").args(arguments).env("DATABASE_URL", url).current_dir(self.files.path());
        command
    }

    /// Does it to its end, as soon as a killed migrator's place is free.
    fn ended(&self, url: &str, arguments: &[&str]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.command(url, arguments).output().unwrap();
            if output.status.success() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            if !text.contains("[MIGRATOR-BUSY]") || Instant::now() > deadline {
                return Err(format!("{arguments:?}: {text}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Kills after so many answers; says whether there were as many.
fn broken_off(bed: &Bed, victim: Victim, database: &str, step: Step, at: usize) -> bool {
    let tool: Arc<Mutex<Option<Child>>> = Arc::default();
    let killed = Arc::clone(&tool);
    let server = Arc::clone(&bed.server);
    let tap = Tap::before(bed.socket(), at, move || match victim {
        Victim::Tool => {
            let deadline = Instant::now() + PATIENCE;
            loop {
                // It may be asked before its own child is noted.
                if let Some(tool) = killed.lock().unwrap().as_mut() {
                    let _ = tool.kill();
                    return;
                }
                assert!(Instant::now() < deadline, "the tool was not started");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Victim::Server => server.lock().unwrap().kill_9(),
    });
    let mut command = bed.command(&tap.url(database), step.does);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    *tool.lock().unwrap() = Some(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = tool.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
        if ended.is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "{}: the tool does not end after statement {at}", step.name);
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_met = tap.answered() >= at;
    let ended = tool.lock().unwrap().as_mut().unwrap().wait().unwrap();
    assert!(is_met || ended.success(), "{}: nobody was killed, and the tool ended with {ended}", step.name);
    if victim == Victim::Server && is_met {
        bed.server.lock().unwrap().start_again();
    }
    is_met
}

/// What an app sees of its tables, and every row of them.
async fn told(url: &str) -> String {
    let session = Session::open(url).await;
    let tables =
        "SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname LIKE 'public\\_%' ORDER BY 1";
    let mut rows = Vec::new();
    for view in session.column(tables).await.unwrap().into_iter().flatten() {
        let all = format!("SELECT '{view} ' || r::text FROM {view} AS r ORDER BY 1");
        rows.extend(session.column(&all).await.unwrap().into_iter().flatten());
    }
    format!("{}\n{}", dump(url).await, rows.join("\n"))
}

/// The lines that one text has and the other has not.
fn difference(one: &str, other: &str) -> String {
    let only = |a: &str, b: &str, sign: &str| -> Vec<String> {
        let known: std::collections::BTreeSet<&str> = b.lines().collect();
        a.lines().filter(|line| !known.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(one, other, "-"), only(other, one, "+")].concat().join("\n")
}

async fn kill_in(bed: &Bed, victim: Victim, step: Step, distance: usize) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let begin = bed.database_like("template0").await;
    let session = Session::open(&bed.url(&begin)).await;
    session.batch_execute(TABLES).await.unwrap();
    drop(session);
    for arguments in step.before {
        bed.ended(&bed.url(&begin), arguments).unwrap();
    }
    let before = told(&bed.url(&begin)).await;
    let whole = bed.database_like(&begin).await;
    bed.ended(&bed.url(&whole), step.does).unwrap();
    let after = told(&bed.url(&whole)).await;
    let taken_back = match step.back {
        Some(back) => {
            bed.ended(&bed.url(&whole), back).unwrap();
            told(&bed.url(&whole)).await
        }
        None => before,
    };
    let mut kills = 0;
    for at in (1..).step_by(distance) {
        let database = bed.database_like(&begin).await;
        if !broken_off(bed, victim, &database, step, at) {
            bed.drop_database(&database).await;
            break;
        }
        kills += 1;
        let url = bed.url(&database);
        // What was broken off before it had begun has nothing to take back.
        let status = bed.command(&url, &["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        let is_begun = status["phase"].is_string();
        let is_over = step.over.is_some() && status["phase"].as_str() == step.over;
        let (ends, expected) = match step.back {
            Some(back) if kills % 2 == 0 && is_begun => (back, &taken_back),
            Some(_) | None => (step.does, &after),
        };
        match if is_over { Ok(()) } else { bed.ended(&url, ends) } {
            // An undo that had come to its end has nothing left to undo.
            Err(text) if !text.contains("[NOTHING-TO-") => wrong.push(format!("{} after {at}: {text}", step.name)),
            Ok(()) | Err(_) => {
                let found = told(&url).await;
                // What somebody may have written is kept, and so is the older version's schema; while the expand was
                // not over nobody could, and the schema may not have been there.
                let of_both = |line: &&str| {
                    let of_base = line.contains("public_base") || line.starts_with(' ');
                    !line.contains("_switchover_attic") && (found.contains("schema public_base") || !of_base)
                };
                let is_taken_back = ends == UNDO && step.name == "expand";
                let differs = difference(expected, &found);
                let differs = differs.lines().filter(|line| !is_taken_back || of_both(&&line[2..]));
                let differs: Vec<&str> = differs.collect();
                if !differs.is_empty() || (!is_taken_back && found != *expected) {
                    wrong.push(format!("{} after {at}, then {ends:?}:\n{}", step.name, differs.join("\n")));
                }
            }
        }
        bed.drop_database(&database).await;
    }
    assert!(kills > 0, "{}: nothing was killed", step.name);
    for database in [begin, whole] {
        bed.drop_database(&database).await;
    }
    (kills, wrong)
}

fn matrix(victim: Victim, major: Major) {
    let asked = std::env::var("MIGRATION_KILLS").ok().and_then(|text| text.parse().ok());
    let only = std::env::var("MIGRATION_KILLS_OF").ok();
    let Some(server) = Server::start(major, Durability::Fast) else { return };
    let bed =
        Bed { server: Arc::new(Mutex::new(server)), files: tempfile::tempdir().unwrap(), made: AtomicUsize::new(0) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut wrong = Vec::new();
    for (name, operations) in
        OPERATIONS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == *name)))
    {
        write(bed.files.path(), operations);
        let begun = Instant::now();
        let mut kills = Vec::new();
        for step in STEPS {
            let (count, found) = runtime.block_on(kill_in(&bed, victim, *step, asked.unwrap_or(EVERY)));
            kills.push(format!("{} in {}", count, step.name));
            wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
        println!("{name}: {victim:?} killed {} ({:.0} s)", kills.join(", "), begun.elapsed().as_secs_f64());
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn write(directory: &Path, operations: &str) {
    std::fs::write(directory.join("01_change.yaml"), format!("operations:\n  {operations}\n")).unwrap();
}

#[test]
fn a_killed_tool_leaves_what_goes_on_or_is_taken_back_whole() {
    matrix(Victim::Tool, Major::V15);
}

#[test]
fn a_killed_server_leaves_what_goes_on_or_is_taken_back_whole() {
    matrix(Victim::Server, Major::V18);
}
