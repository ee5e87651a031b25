//! Apps whose own framework changes the schema: Django, Alembic and plain commands, each released while a visitor reads and
//! writes through whichever version serves. What the live version can not live with is refused before anything is run.
//!
//! Needs Python with `venv`; what the apps stand on is fetched once, as pip is set up to.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use house::{House, Said};
use serde_json::Value;
use switchover_testkit::postgres::{Major, Server, Session};

/// A stage is waited for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two rounds of the visitor.
const VISITOR_EVERY: Duration = Duration::from_millis(25);
/// Nobody waits longer for an answer while a framework waits for a lock.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);
/// Refused, or undone before its switch.
const UNDONE: i32 = 4;
const REFUSED: i32 = 3;

const DJANGO: &str = "framework = \"django\"\ncommand = \"$VENV/python manage.py\"";
const ALEMBIC: &str = "framework = \"alembic\"\ncommand = \"$VENV/alembic\"";
const COMMANDS: &str = "[database.commands]\nstatus = \"$VENV/python migrate.py pending\"\nsql = \"$VENV/python migrate.py sql\"\n\
                        expand = \"$VENV/python migrate.py run\"\ncontract = \"$VENV/python migrate.py run\"";
const GUNICORN: &str = "exec $VENV/gunicorn project.wsgi --bind 127.0.0.1:$PORT --threads 4 --no-control-socket";
const PLAIN: &str = "exec $VENV/python app.py";

// === the apps ===

/// The directory of programs of the virtual environment that all these tests share.
fn venv() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frameworks");
    let wanted = std::fs::read_to_string(fixtures().join("requirements.txt")).unwrap();
    std::fs::create_dir_all(&place).unwrap();
    // One makes it, the others wait for that.
    let lock = std::fs::File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let made = place.join("made");
    if std::fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return place.join("bin");
    }
    let run = |command: &mut Command| {
        let ended = command.status().unwrap();
        assert!(ended.success(), "{command:?}: {ended}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&place));
    let quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"];
    run(Command::new(place.join("bin/pip")).args(quiet).arg(fixtures().join("requirements.txt")));
    std::fs::write(made, wanted).unwrap();
    place.join("bin")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frameworks")
}

struct Bed {
    house: House,
    url: String,
    database: &'static str,
    web: &'static str,
    name: &'static str,
}

/// Version 1 of an app, live, on a database of its own.
fn app(major: Major, name: &'static str, database: &'static str, web: &'static str) -> Option<Bed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(async { Some(Server::shared(major)?.create_database().await) })?;
    let bed = Bed { house: House::start(), url, database, web, name };
    house::copy_tree(&fixtures().join(name), &bed.house.app());
    bed.house.write("database.env", &format!("DATABASE_URL={}\n", bed.url));
    bed.configure("");
    bed.deploy(&["--wait=settled"]);
    Some(bed)
}

impl Bed {
    fn configure(&self, more: &str) {
        let file = format!(
            "name = \"shop\"\n[env]\nPYTHONDONTWRITEBYTECODE = \"1\"\n[secrets]\nfile = \"database.env\"\n[process.web]\ncommand = \"{}\"\n\
             health = {{ path = \"/up\" }}\n[release]\nbake = \"1s\"\nkeep_warm = \"1s\"\n[database]\nquiet = \"1s\"\nlock_timeout = \"30s\"\n{more}\n{}\n",
            self.web, self.database
        );
        self.house.write("switchover.toml", &file.replace("$VENV", &venv().display().to_string()));
    }

    /// Puts version 2 into the app's directory.
    fn change(&self) {
        house::copy_tree(&fixtures().join(format!("{}.2", self.name)), &self.house.app());
    }

    #[track_caller]
    fn deploy(&self, arguments: &[&str]) -> Said {
        let arguments = [&["deploy"], arguments].concat();
        let said = self.house.cli(&arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}\n{}\n{}\n{:#}", said.out, said.err, self.house.status());
        said
    }

    /// Writes an item, and answers which columns the version that took it writes.
    #[track_caller]
    fn write(&self, name: &str) -> Vec<String> {
        let body = format!(r#"{{"name": "{name}"}}"#);
        let (status, body) = house::post(self.house.address, "localhost", "/items", &body).expect("an answer");
        assert_eq!(status, 201, "{body}");
        let said: Value = serde_json::from_str(&body).unwrap();
        said["writes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// The columns of the table as the database has them.
    fn columns(&self) -> String {
        let table = if self.name == "django" { "shop_item" } else { "items" };
        let query = format!(
            "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped"
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async { Session::open(&self.url).await.column(&query).await.unwrap() });
        found.into_iter().flatten().next().unwrap_or_default()
    }

    /// Whether the framework carries something out now.
    fn is_migrating(house: &House) -> bool {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.into_iter().any(|process| {
            let is_ours =
                std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(house.state()));
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            is_ours && line.split(|byte| *byte == 0).any(|word| word == b"migrate")
        })
    }

    fn is_settled(house: &House) -> bool {
        house.status()["releases"].as_array().is_some_and(Vec::is_empty)
    }
}

/// Someone who writes and reads again and again, whichever version serves.
struct Visitor {
    leave: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Duration, Vec<String>)>,
}

impl Visitor {
    fn come(bed: &Bed) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let (asked, address) = (Arc::clone(&leave), bed.house.address);
        let thread = std::thread::spawn(move || {
            let (mut answered, mut longest, mut failed) = (0, Duration::ZERO, Vec::new());
            while !asked.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let wrote = house::post(address, "localhost", "/items", &format!(r#"{{"name": "v{answered}"}}"#));
                let read = house::get(address, "localhost", "/items");
                longest = longest.max(begun.elapsed());
                match (&wrote, &read) {
                    (Ok((201, _)), Ok((200, _))) => {}
                    other => failed.push(format!("{other:?}")),
                }
                answered += 1;
                std::thread::sleep(VISITOR_EVERY);
            }
            (answered, longest, failed)
        });
        Self { leave, thread }
    }

    #[track_caller]
    fn leave_content(self) {
        self.leave.store(true, Ordering::Relaxed);
        let (answered, longest, failed) = self.thread.join().unwrap();
        assert!(failed.is_empty(), "{} of {answered} went wrong, first {}", failed.len(), failed[0]);
        assert!(answered > 10, "only {answered} rounds: this shows nothing");
        assert!(longest < LONGEST_ANSWER, "a round of two questions took {longest:?}");
    }
}

/// There and back before the contract, then on and past it, after which the older revision is refused.
fn goes_along(bed: &Bed, contracted: &str) {
    assert_eq!(bed.write("first"), ["age"]);
    assert!(!bed.columns().contains("note"));
    let visitor = Visitor::come(bed);
    bed.change();

    bed.deploy(&["--wait"]);
    assert_eq!(bed.write("second"), ["note"]);
    bed.house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(bed.write("third"), ["age"]);
    assert!(bed.columns().contains("age") && bed.columns().contains("note"), "{}", bed.columns());

    bed.house.write("MENDED", "yes\n");
    bed.deploy(&["--wait=settled"]);
    assert_eq!(bed.write("fourth"), ["note"]);
    assert!(!bed.columns().contains("age"), "{}", bed.columns());
    visitor.leave_content();
    let receipt = bed.house.receipt(None);
    assert_eq!((&receipt["lost"], &receipt["balanced"]), (&Value::from(0), &Value::Bool(true)), "{receipt:#}");

    let said = bed.house.cli(&["rollback", "--to", "r1", "--wait"]).ended(REFUSED);
    assert!(said.err.contains("error[SCHEMA-GONE-ON]") && said.err.contains(contracted), "{}", said.err);
    assert_eq!(bed.write("fifth"), ["note"]);
}

// === what each of them does ===

#[test]
fn djangos_migrations_go_along_with_a_release() {
    let Some(bed) = app(Major::ALL[0], "django", DJANGO, GUNICORN) else { return };
    let plan = bed.house.cli(&["plan"]).ended(0);
    assert!(plan.out.contains("has Django (`"), "{}", plan.out);
    goes_along(&bed, "shop.0003_drop_age");
    refused_until_it_is_written_for_both(&bed);
    unseen_until_somebody_answers_for_it(&bed);
}

/// Django drops the default of a new column that may not be NULL: the live revision's INSERT would fail.
fn refused_until_it_is_written_for_both(bed: &Bed) {
    let migration = |rest: &str| {
        format!(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
             dependencies = [(\"shop\", \"0003_drop_age\")]\n    \
             operations = [migrations.AddField(\"item\", \"state\", models.TextField({rest}))]\n"
        )
    };
    let before = bed.house.live_revision();
    bed.house.write("shop/migrations/0004_state.py", &migration("default=\"new\""));
    let said = bed.house.cli(&["deploy", "--wait"]).ended(UNDONE);
    assert!(said.err.contains("error[MIGRATIONS-REFUSED]") && said.err.contains("shop.0004_state"), "{}", said.err);
    assert!(said.err.contains("each INSERT of it fails") && said.err.contains("db_default"), "{}", said.err);
    assert!(!bed.columns().contains("state"), "{}", bed.columns());
    assert_eq!(bed.house.live_revision(), before);
    bed.write("sixth");
    bed.house.write("shop/migrations/0004_state.py", &migration("default=\"new\", db_default=\"new\""));
    bed.deploy(&["--wait"]);
    assert!(bed.columns().contains("state"), "{}", bed.columns());
    bed.write("seventh");
}

/// What runs code is refused, unless somebody answers for it.
fn unseen_until_somebody_answers_for_it(bed: &Bed) {
    let code = "from django.db import migrations\n\n\ndef fill(apps, _):\n    \
                apps.get_model(\"shop\", \"Item\").objects.update(state=\"filled\")\n\n\n\
                class Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0004_state\")]\n    \
                operations = [migrations.RunPython(fill, migrations.RunPython.noop)]\n";
    bed.house.write("shop/migrations/0005_fill.py", code);
    let said = bed.house.cli(&["deploy", "--wait"]).ended(UNDONE);
    assert!(said.err.contains("error[MIGRATIONS-REFUSED]") && said.err.contains("vouch"), "{}", said.err);
    bed.configure("vouch = [\"shop.0005_fill\"]");
    bed.deploy(&["--wait"]);
}

#[test]
fn alembics_revisions_go_along_with_a_release() {
    let Some(bed) = app(Major::ALL[1], "plain", ALEMBIC, PLAIN) else { return };
    goes_along(&bed, "c3");
}

#[test]
fn commands_of_any_framework_go_along_with_a_release() {
    let Some(bed) = app(Major::ALL[0], "plain", COMMANDS, PLAIN) else { return };
    goes_along(&bed, "3_drop_age");
    // Its SQL is read where it is shown, whatever step its author put it into.
    bed.house.write("sql/expand/4_drop.sql", "ALTER TABLE items DROP COLUMN note;\n");
    let said = bed.house.cli(&["deploy", "--wait"]).ended(UNDONE);
    assert!(said.err.contains("error[MIGRATIONS-REFUSED]") && said.err.contains("4_drop"), "{}", said.err);
    assert!(bed.columns().contains("note"));
}

#[test]
fn a_daemon_killed_while_the_framework_runs_goes_on_and_nobody_waits_behind_a_lock() {
    let Some(mut bed) = app(Major::ALL[0], "django", DJANGO, GUNICORN) else { return };
    let visitor = Visitor::come(&bed);
    let slow = "import time\n\nfrom django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"shop\", \"0001_first\")]\n    operations = [\n        \
                migrations.AddField(\"item\", \"more\", models.TextField(null=True)),\n        \
                migrations.RunPython(lambda *_: time.sleep(0.05)),\n    ]\n";
    bed.house.write("shop/migrations/0002_more.py", slow);
    bed.configure("vouch = [\"shop.0002_more\"]");

    // As long as somebody is in the table, the framework tries again and again and makes nobody wait behind it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let holder = runtime.block_on(async {
        let holder = Session::open(&bed.url).await;
        holder.column("BEGIN; LOCK TABLE shop_item IN ACCESS SHARE MODE").await.unwrap();
        holder
    });
    bed.house.cli(&["deploy"]).ended(0);
    bed.house.wait_within(PATIENCE, "the framework runs", Bed::is_migrating);
    bed.house.kill_daemon();
    bed.house.serve();
    bed.house.wait_within(PATIENCE, "the framework runs again", Bed::is_migrating);
    runtime.block_on(async { holder.column("COMMIT").await.unwrap() });
    bed.house.wait_within(PATIENCE, "the release is settled", Bed::is_settled);
    assert!(bed.columns().contains("more"), "{}\n{:#}", bed.columns(), bed.house.status());
    visitor.leave_content();
    let history = bed.house.cli(&["history", "--json"]).json();
    assert_eq!(history["releases"].as_array().map(Vec::len), Some(2), "{history:#}");
}
