//! `switchover db` as a person and a script use it, on real servers.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use switchover_testkit::postgres::{Major, Server, Session};

const WIDEN: &str =
    "operations: [{alter_column: {table: users, column: age, type: bigint, up: age, down: age::integer}}]\n";

struct Bed {
    url: String,
    session: Session,
    directory: tempfile::TempDir,
}

impl Bed {
    async fn new(major: Major, rows: u32) -> Option<Self> {
        let url = Server::shared(major)?.create_database().await;
        let session = Session::open(&url).await;
        let tables = format!(
            "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, age integer);
             INSERT INTO users (name, age) SELECT 'u' || n, n FROM generate_series(1, {rows}) AS n"
        );
        session.batch_execute(&tables).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("01_widen.yaml"), WIDEN).unwrap();
        Some(Self { url, session, directory })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchover"));
        command.arg("db").args(arguments).env("DATABASE_URL", &self.url).current_dir(self.directory.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_slice(&self.run(arguments).stdout).unwrap()
    }

    async fn told(&self, statement: &str) -> String {
        self.session.column(statement).await.unwrap()[0].clone().unwrap_or_default()
    }
}

fn on_each(rows: u32, test: impl AsyncFn(Bed)) {
    for major in Major::ALL {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if let Some(bed) = Bed::new(major, rows).await {
                test(bed).await;
            }
        });
    }
}

#[test]
fn a_migration_is_planned_expanded_shown_and_contracted() {
    on_each(2_000, async |bed| {
        let plan = String::from_utf8(bed.run(&["plan", "01_widen.yaml"]).stdout).unwrap();
        assert!(plan.contains("ACCESS EXCLUSIVE on \"public\".\"users\"") && plan.contains("in batches"), "{plan}");
        assert_eq!(bed.json(&["status", "--json"])["versions"], serde_json::json!([]), "a plan changes nothing");
        bed.run(&["expand", "01_widen.yaml"]);
        let status = bed.json(&["status", "--json"]);
        assert_eq!(status["versions"], serde_json::json!(["public_base", "public_01_widen"]));
        assert_eq!((status["phase"].as_str(), status["pending"][0].as_str()), (Some("expanded"), Some("01_widen")));
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM public_01_widen.users LIMIT 1").await, "bigint");
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM public_base.users LIMIT 1").await, "integer");
        bed.run(&["contract"]);
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM users LIMIT 1").await, "bigint");
        assert_eq!(bed.told("SELECT count(*) FROM users WHERE age <> id").await, "0");
        assert_eq!(bed.json(&["status", "--json"])["versions"], serde_json::json!(["public_01_widen"]));
    });
}

#[test]
fn an_expand_that_was_killed_goes_on_where_it_was() {
    on_each(60_000, async |bed| {
        let mut running =
            bed.command(&["expand", "01_widen.yaml"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let begun = "SELECT coalesce((SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = '_switchover_1_mark'), 0)";
        while bed.told(begun).await == "0" {
            assert!(Instant::now() < deadline, "it never began");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while bed.told("SELECT count(*) FROM users WHERE _switchover_1_mark IS NOT NULL").await == "0" {
            assert!(Instant::now() < deadline, "no batch was made");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        let filled = bed.told("SELECT count(*) FROM users WHERE _switchover_1_mark IS NOT NULL").await;
        assert_ne!(filled, "60000", "it was over before it was killed");
        // The server gives the dead migrator's place back when it notices.
        while !bed.command(&["expand", "01_widen.yaml"]).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "it does not go on");
        }
        assert_eq!(bed.told("SELECT count(*) FROM public_01_widen.users WHERE age = id").await, "60000");
        bed.run(&["undo"]);
        assert_eq!(bed.told("SELECT count(*) FROM users WHERE age = id").await, "60000");
    });
}

#[test]
fn a_wrong_file_a_wrong_name_and_a_wrong_server_are_told_apart() {
    on_each(10, async |bed| {
        let said = |arguments: &[&str]| {
            let output = bed.command(arguments).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        std::fs::write(bed.directory.path().join("bad.yaml"), "operations: [{add_colum: {}}]\n").unwrap();
        let (code, text) = said(&["expand", "bad.yaml"]);
        assert!(code == Some(2) && text.contains("add_column"), "{text}");
        let (code, text) = said(&["expand", "missing.yaml"]);
        assert!(code == Some(2) && text.contains("MIGRATION-FILE"), "{text}");
        let (code, text) = said(&["undo"]);
        assert!(code == Some(3) && text.contains("NOTHING-TO-UNDO"), "{text}");
        let (code, text) = said(&["status", "--url", "postgres://ann:hidden@/shop?host=/nowhere"]);
        assert!(code == Some(6) && text.contains("DATABASE-UNREACHABLE") && !text.contains("hidden"), "{text}");
        let (code, text) = said(&["status", "--schema", "nowhere"]);
        assert!(code == Some(3) && text.contains("SCHEMA-UNKNOWN"), "{text}");
    });
}

#[test]
fn a_directory_without_what_is_expanded_is_another_one() {
    on_each(10, async |bed| {
        bed.run(&["expand", "01_widen.yaml"]);
        let other = bed.directory.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("02_phone.sql"), "ALTER TABLE users ADD COLUMN phone text").unwrap();
        let refused = bed.command(&["migrate", "other"]).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(2) && text.contains("[MIGRATION-MISSING]: 01_widen"), "{text}");
        std::fs::copy(bed.directory.path().join("01_widen.yaml"), other.join("01_widen.yaml")).unwrap();
        assert_eq!(bed.json(&["migrate", "other", "--json"])["expanded"], serde_json::json!(["02_phone"]));
    });
}

#[test]
fn declared_files_are_looked_at_for_their_sql() {
    on_each(0, async |bed| {
        let lint = |name: &str, text: &str| {
            std::fs::write(bed.directory.path().join(name), text).unwrap();
            let output = bed.command(&["lint", name]).output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(text).unwrap())
        };
        let (code, text) = lint("02_sql.yaml", "operations: [{sql: {up: 'ALTER TABLE users DROP COLUMN age'}}]");
        assert!(code == Some(3) && text.contains("[dropped-column]"), "{text}");
        let late = "operations: [{sql: {up: 'ALTER TABLE users DROP COLUMN age', onComplete: true}}]";
        let (code, text) = lint("02_sql.yaml", late);
        assert!(code == Some(0) && text.contains("0 refused"), "{text}");
        // What the files before it make can be anything; of a README nothing is read.
        let write =
            |name: &str, text: &str| std::fs::write(bed.directory.path().join("more").join(name), text).unwrap();
        std::fs::create_dir(bed.directory.path().join("more")).unwrap();
        write("README.md", "# notes");
        write(
            "01_bills.yaml",
            "operations: [{create_table: {name: bills, columns: [{name: id, type: int, pk: true}]}}]",
        );
        write("02_index.yaml", "operations: [{sql: {up: 'CREATE INDEX i ON bills (id)'}}]");
        write("03_index.yaml", "operations: [{sql: {up: 'CREATE INDEX j ON users (age)'}}]");
        let whole = bed.command(&["lint", "more"]).output().unwrap();
        let text = String::from_utf8(whole.stdout).unwrap();
        assert!(text.contains("1 refused") && text.contains("03_index.yaml, operation 1:1:1"), "{text}");
        let (code, text) = lint("02_sql.yaml", "operations: [{drop_everything: {}}]");
        assert!(code == Some(2) && text.contains("drop_everything"), "{text}");
        let (code, text) = lint("notes.txt", "buy milk");
        assert!(code == Some(2) && text.contains("notes.txt"), "{text}");
    });
}

#[test]
fn what_is_put_aside_is_shown_restored_and_purged() {
    on_each(500, async |bed| {
        let plan = bed.json(&["plan", "01_widen.yaml", "--json"]);
        assert!(plan["undo_of_contract"][0].as_str().unwrap().contains("comes back with the values it had"), "{plan}");
        bed.run(&["expand", "01_widen.yaml"]);
        let done = bed.json(&["contract", "--attic", "2d", "--json"]);
        assert_eq!((done["name"].as_str(), done["phase"].as_str()), (Some("01_widen"), Some("contracted")));
        let status = bed.json(&["status", "--json"]);
        assert!(status["migrations"][0]["restorable_until"].as_str().unwrap().ends_with('Z'), "{status}");
        assert_eq!(bed.json(&["undo", "--json"])["phase"], "expanded");
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM public_base.users LIMIT 1").await, "integer");
        bed.run(&["contract", "--to", "01_widen", "--force"]);
        assert_eq!(bed.json(&["purge", "--json"])["migrations"], serde_json::json!([]), "its time is not over");
        assert_eq!(bed.json(&["purge", "--older-than", "0s", "--json"])["migrations"][0]["name"], "01_widen");
        let refused = bed.command(&["undo"]).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(3) && text.contains("ATTIC-EMPTY"), "{text}");
        let history = bed.json(&["history", "--json"]);
        let events: Vec<_> =
            history["entries"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
        let expected = [
            "expanding",
            "expanded",
            "contracting",
            "contracted",
            "restoring",
            "expanded",
            "contracting",
            "contracted",
        ];
        assert_eq!(events[..8], expected, "{history}");
        assert!(events[8..].contains(&"purged"), "{history}");
    });
}

#[test]
fn a_directory_of_declared_and_sql_files_is_planned_migrated_and_compared() {
    on_each(50, async |bed| {
        let write = |name: &str, text: &str| std::fs::write(bed.directory.path().join(name), text).unwrap();
        write("02_phone.expand.sql", "ALTER TABLE users ADD COLUMN phone text");
        write("02_phone.contract.sql", "ALTER TABLE users DROP COLUMN name");
        let plan = bed.json(&["plan", "02_phone.contract.sql", "--json"]);
        assert_eq!(plan["no_way_back"], true);
        assert!(plan["contract"].to_string().contains("DROP COLUMN name"), "both parts are planned: {plan}");
        let told = String::from_utf8(bed.run(&["plan", "02_phone.expand.sql"]).stdout).unwrap();
        assert!(told.starts_with("can not be taken back"), "{told}");
        let directory = || bed.json(&["status", "--dir", ".", "--json"])["directory"].clone();
        let none: [&str; 0] = [];
        assert_eq!(
            directory(),
            serde_json::json!({"waiting": ["01_widen", "02_phone"], "edited": none, "missing": none})
        );
        assert_eq!(bed.json(&["migrate", ".", "--json"])["expanded"], serde_json::json!(["01_widen", "02_phone"]));
        assert_eq!(
            bed.json(&["expand", "02_phone.expand.sql", "02_phone.contract.sql", "--json"])["phase"],
            "expanded"
        );
        write("03_bad.sql", "ALTER TABLE users DROP COLUMN age");
        let refused = bed.command(&["migrate", "."]).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(
            refused.status.code() == Some(3) && text.contains("03_bad: ") && text.contains("[dropped-column]"),
            "{text}"
        );
        std::fs::remove_file(bed.directory.path().join("03_bad.sql")).unwrap();
        write("02_phone.undo.sql", "ALTER TABLE users DROP COLUMN phone");
        assert_eq!(directory()["edited"], serde_json::json!(["02_phone"]));
        bed.run(&["contract", "--to", "02_phone"]);
        assert_eq!(bed.told("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public_02_phone.users'::regclass AND attnum > 0").await, "id,age,phone");
        let status = bed.json(&["status", "--json"]);
        assert_eq!(status["migrations"][1]["restorable_until"], serde_json::Value::Null);
        let back = bed.command(&["undo"]).output().unwrap();
        assert!(back.status.code() == Some(3) && String::from_utf8_lossy(&back.stderr).contains("NO-WAY-BACK"));
    });
}

#[test]
fn an_edited_file_is_done_anew_by_migrate_and_what_came_before_a_baseline_is_done() {
    on_each(50, async |bed| {
        let write = |name: &str, text: &str| std::fs::write(bed.directory.path().join(name), text).unwrap();
        bed.run(&["baseline", "01_widen"]);
        write(
            "02_mail.yaml",
            "operations: [{add_column: {table: users, column: {name: mail, type: text, nullable: true}}}]",
        );
        write("03_more.yaml", "operations: [{rename_column: {table: users, from: name, to: called}}]");
        assert_eq!(bed.json(&["migrate", ".", "--json"])["expanded"], serde_json::json!(["02_mail", "03_more"]));
        assert_eq!(bed.told("SELECT pg_typeof(age)::text FROM users LIMIT 1").await, "integer");
        write(
            "02_mail.yaml",
            "operations: [{add_column: {table: users, column: {name: post, type: text, nullable: true}}}]",
        );
        assert_eq!(bed.json(&["migrate", ".", "--json"])["expanded"], serde_json::json!(["02_mail", "03_more"]));
        assert_eq!(bed.told("SELECT count(post)::text FROM public_03_more.users").await, "0");
        assert_eq!(bed.json(&["migrate", ".", "--json"])["expanded"], serde_json::json!([]));
    });
}

#[test]
fn contract_waits_for_an_older_version_and_names_who_is_on_it() {
    on_each(50, async |bed| {
        bed.run(&["expand", "01_widen.yaml"]);
        let user = Session::open(&bed.url).await;
        user.batch_execute("SET application_name = 'switchover:shop:r1:public_base'").await.unwrap();
        let refused = bed.command(&["contract"]).output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        let named = text.contains("OLD-VERSION-IN-USE") && text.contains("switchover:shop:r1:public_base");
        assert!(refused.status.code() == Some(3) && named, "{text}");
        assert_eq!(bed.json(&["status", "--json"])["sessions"][0]["version"], "public_base");
        bed.run(&["contract", "--force"]);
    });
}

#[test]
fn bad_input_changes_nothing_and_a_password_is_never_shown() {
    for major in Major::ALL {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(bed) = Bed::new(major, 20).await else { return };
            let server = Server::shared(major).unwrap();
            bed.session
                .batch_execute(
                    "DO $$ BEGIN CREATE ROLE with_password; CREATE ROLE secretive LOGIN PASSWORD 'right' IN ROLE with_password;
                     EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                     CREATE TABLE keyless (a integer)",
                )
                .await
                .unwrap();
            let write = |name: &str, text: &str| std::fs::write(bed.directory.path().join(name), text).unwrap();
            write("01_other.yaml", WIDEN);
            write("02_keyless.yaml", "operations: [{alter_column: {table: keyless, column: a, type: bigint, up: a, down: a::integer}}]");
            write("03_field.yaml", "operations: [{drop_table: {nam: users}}]");
            let said = |arguments: &[&str]| {
                let output = bed.command(arguments).output().unwrap();
                let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                (output.status.code(), text)
            };
            let (code, text) = said(&["expand", "01_widen.yaml", "01_other.yaml"]);
            assert!(code == Some(2) && text.contains("MIGRATION-TWICE"), "{text}");
            let (code, text) = said(&["expand", "02_keyless.yaml"]);
            assert!(code == Some(3) && text.contains("NO-PRIMARY-KEY"), "{text}");
            let (code, text) = said(&["expand", "03_field.yaml"]);
            assert!(code == Some(2) && text.contains("name"), "{text}");
            let name = bed.told("SELECT current_database()").await;
            let wrong = server.url_as("secretive", &name).replace("secretive@", "secretive:hidden%20word@");
            for json in [&["--json"][..], &[]] {
                let (code, text) = said(&[&["expand", "01_widen.yaml", "--url", &wrong], json].concat());
                assert!(code == Some(6) && text.contains("DATABASE-UNREACHABLE"), "{text}");
                assert!(!text.contains("hidden"), "{text}");
            }
            let (code, text) = said(&["contract", "--to", "09_none"]);
            assert!(code == Some(3) && text.contains("MIGRATION-UNKNOWN"), "{text}");
            assert_eq!(bed.json(&["status", "--json"])["migrations"], serde_json::json!([]));
        });
    }
}
