//! The example on PostgreSQL: its four versions split, retype, rename and drop columns, each released while visitors read and
//! write, and gone back from before and after the contract. Nobody notices, and nothing that was written is lost.
//!
//! Needs Python with `venv`; the build fetches its driver as pip is set up to.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use house::House;
use serde_json::Value;
use switchover_testkit::postgres::{Major, Server};

const HOST: &str = "localhost";
/// A build with its downloads is waited for so long.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two questions of a visitor.
const VISITOR_EVERY: Duration = Duration::from_millis(20);

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/postgres")
}

/// A house with version 1 of the example and a database of its own.
fn members(major: Major) -> Option<House> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(async { Some(Server::shared(major)?.create_database().await) })?;
    let house = House::start();
    house::copy_tree(&example(), &house.app());
    std::fs::remove_dir_all(house.app().join("versions")).unwrap();
    house.write("database.env", &format!("DATABASE_URL={url}\n"));
    Some(house)
}

/// Puts version `version` of the example into the app's directory.
fn change_to(house: &House, version: u32) {
    house::copy_tree(&example().join("versions").join(version.to_string()), &house.app());
}

fn ask(house: &House, path: &str) -> Value {
    let (status, body) = house::get(house.address, HOST, path).expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn tell(house: &House, path: &str, body: &str) -> Value {
    let (status, body) = house::post(house.address, HOST, path, body).expect("an answer");
    assert!(status < 300, "{path}: {status} {body}");
    serde_json::from_str(&body).unwrap()
}

fn join(house: &House, first: &str, last: &str) -> u64 {
    tell(house, "/members", &format!(r#"{{"first": "{first}", "last": "{last}"}}"#))["id"].as_u64().unwrap()
}

/// What the version that serves now says of a member.
fn known(house: &House, id: u64) -> (u64, String, u64) {
    let said = ask(house, &format!("/members/{id}"));
    let name = format!("{} {}", said["first"].as_str().unwrap(), said["last"].as_str().unwrap());
    (said["version"].as_u64().unwrap(), name, said["visits"].as_u64().unwrap())
}

/// Someone who joins, visits and looks again and again, whichever version serves.
struct Visitor {
    leave: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Vec<String>)>,
}

impl Visitor {
    fn come(house: &House) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let (asked, address) = (Arc::clone(&leave), house.address);
        let thread = std::thread::spawn(move || {
            let (mut answered, mut failed) = (0, Vec::new());
            while !asked.load(Ordering::Relaxed) {
                let body = format!(r#"{{"first": "F{answered}", "last": "L{answered}"}}"#);
                let joined = house::post(address, HOST, "/members", &body);
                let id = match &joined {
                    Ok((201, body)) => serde_json::from_str::<Value>(body).unwrap()["id"].as_u64().unwrap(),
                    other => {
                        failed.push(format!("join: {other:?}"));
                        continue;
                    }
                };
                let visited = house::post(address, HOST, &format!("/members/{id}/visits"), "");
                let looked = house::get(address, HOST, &format!("/members/{id}"));
                match (&visited, &looked) {
                    (Ok((200, _)), Ok((200, body))) => {
                        let said: Value = serde_json::from_str(body).unwrap();
                        let right = said["first"] == format!("F{answered}") && said["last"] == format!("L{answered}");
                        if !right {
                            failed.push(format!("member {id}: {body}"));
                        }
                    }
                    other => failed.push(format!("visit: {other:?}")),
                }
                answered += 1;
                std::thread::sleep(VISITOR_EVERY);
            }
            (answered, failed)
        });
        Self { leave, thread }
    }

    #[track_caller]
    fn leave_content(self) {
        self.leave.store(true, Ordering::Relaxed);
        let (answered, failed) = self.thread.join().unwrap();
        assert!(failed.is_empty(), "{} of {answered} went wrong, first {}", failed.len(), failed[0]);
        assert!(answered > 10, "only {answered} rounds: this shows nothing");
    }
}

fn deploy(house: &House, arguments: &[&str]) {
    let arguments = [&["deploy"], arguments].concat();
    let said = house.cli(&arguments);
    assert_eq!(said.code, Some(0), "{arguments:?}\n{}\n{}\n{:#}", said.out, said.err, house.status());
}

/// The phases of the migrations as `status` knows them.
fn phases(house: &House) -> String {
    let status = house.status();
    let all = status["schema"]["migrations"].as_array().cloned().unwrap_or_default();
    let told = all.iter().map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["phase"].as_str().unwrap()));
    told.collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn nothing_lost(house: &House) {
    let receipt = house.receipt(None);
    let logs = if receipt["lost"] == 0 { String::new() } else { house.cli(&["logs", "--all", "-n", "60"]).out };
    assert_eq!((&receipt["lost"], &receipt["balanced"]), (&Value::from(0), &Value::Bool(true)), "{receipt:#}\n{logs}");
}

#[test]
fn four_versions_are_released_and_gone_back_from_while_visitors_write() {
    let Some(house) = members(Major::ALL[0]) else { return };
    deploy(&house, &["--wait=settled"]);
    let ada = join(&house, "Ada", "Lovelace");
    assert_eq!(known(&house, ada), (1, "Ada Lovelace".into(), 0));
    let visitor = Visitor::come(&house);

    // There, and back before the contract: what was added stays, and the mended release goes on with it.
    change_to(&house, 2);
    deploy(&house, &["--wait"]);
    assert_eq!(known(&house, ada), (2, "Ada Lovelace".into(), 0));
    let grace = join(&house, "Grace", "Hopper");
    house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(known(&house, grace), (1, "Grace Hopper".into(), 0));
    assert!(phases(&house).contains("0002_split_name expanded"), "{}", phases(&house));
    house.write("MENDED", "yes\n");
    deploy(&house, &["--wait=settled"]);
    assert_eq!(known(&house, grace), (2, "Grace Hopper".into(), 0));
    assert!(phases(&house).contains("0002_split_name contracted"), "{}", phases(&house));
    nothing_lost(&house);

    // Back after the contract: the old columns come back with their values, new rows get theirs.
    let edsger = join(&house, "Edsger", "Dijkstra");
    house.cli(&["rollback", "--to", "r1", "--wait"]).ended(0);
    for (id, name) in [(ada, "Ada Lovelace"), (grace, "Grace Hopper"), (edsger, "Edsger Dijkstra")] {
        assert_eq!(known(&house, id), (1, name.into(), 0));
    }

    // All the way, one release after the other without a pause: each contract comes before the next expand.
    house.write("MENDED", "again\n");
    deploy(&house, &["--wait"]);
    change_to(&house, 3);
    deploy(&house, &["--wait"]);
    tell(&house, &format!("/members/{ada}/visits"), "");
    assert_eq!(known(&house, ada), (3, "Ada Lovelace".into(), 1));
    change_to(&house, 4);
    deploy(&house, &["--wait=settled"]);
    assert_eq!(known(&house, ada), (4, "Ada Lovelace".into(), 0));
    nothing_lost(&house);
    visitor.leave_content();
    let told = phases(&house);
    assert_eq!(told.matches("contracted").count(), 4, "{told}");
}

#[test]
fn rows_in_the_way_undo_a_release_before_its_slot_starts_and_nothing_is_left() {
    let Some(house) = members(Major::ALL[1]) else { return };
    deploy(&house, &["--wait=settled"]);
    join(&house, "Ada", "Lovelace");
    join(&house, "Ada", "Lovelace");
    let unique = "operations:\n  - create_constraint: { table: members, type: unique, name: name_once, columns: [name], up: { name: name }, down: { name: name } }\n";
    house.write("db/migrations/0002_name_once.yaml", unique);
    let said = house.cli(&["deploy", "--wait"]).ended(4);
    assert!(said.err.contains("error[ROWS-IN-THE-WAY]") && said.err.contains("1, 2"), "{}", said.err);
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    // What is told of the schema is what was last seen of it.
    let end = Instant::now() + PATIENCE;
    while phases(&house).contains("0002") {
        assert!(Instant::now() < end, "{}", phases(&house));
        std::thread::sleep(Duration::from_millis(100));
    }
    join(&house, "Ada", "Lovelace");
}

#[test]
fn what_only_a_new_rule_forbids_an_older_version_may_write_where_the_file_says_so() {
    let Some(house) = members(Major::ALL[0]) else { return };
    deploy(&house, &["--wait=settled"]);
    let file = house.app().join("switchover.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let pace = "old_rows = \"accept\"\nbackfill_rate = 100000\nbackfill_lag = \"5s\"\nquiet =";
    std::fs::write(&file, text.replacen("quiet =", pace, 1)).unwrap();
    let short = "operations:\n  - create_constraint: { table: members, type: check, name: short, columns: [name], check: length(name) < 20, up: { name: name }, down: { name: name } }\n";
    house.write("db/migrations/0002_short.yaml", short);
    deploy(&house, &["--wait"]);
    house.cli(&["rollback", "--wait"]).ended(0);
    let long = join(&house, "Wolfe", "Wolfeschlegelsteinhausenbergerdorff");
    assert_eq!(known(&house, long).0, 1);
    assert!(phases(&house).contains("0002_short expanded"), "{}", phases(&house));
    house.write("MENDED", "yes\n");
    deploy(&house, &["--wait"]);
    let (status, body) = house::post(
        house.address,
        HOST,
        "/members",
        r#"{"first": "Wolfe", "last": "Wolfeschlegelsteinhausenbergerdorff"}"#,
    )
    .unwrap();
    assert!(status >= 400, "the newer version keeps its rule: {status} {body}");
}

#[test]
fn a_database_that_is_away_stops_the_way_forward_and_no_request() {
    let Some(house) = members(Major::ALL[0]) else { return };
    house.write("database.env", "DATABASE_URL=postgres://nobody@127.0.0.1:1/nowhere?password=hunter2\n");
    house.cli(&["deploy"]).ended(0);
    house.wait_within(PATIENCE, "why it waits is told", |house| {
        house.status().to_string().contains("DATABASE-UNREACHABLE")
    });
    let said = house.cli(&["deploy", "--wait", "--timeout", "1s"]);
    let told = house.cli(&["status"]);
    let all =
        [said.out, said.err, told.out, told.err, house.status().to_string(), house.cli(&["history", "--json"]).out]
            .concat();
    assert!(!all.contains("hunter2"), "the password is shown: {all}");
    assert!(all.contains("refused"), "the database's own words are told: {all}");
    house.cli(&["abort"]);
}

#[test]
fn a_controller_killed_in_expand_and_in_contract_goes_on_where_it_was() {
    let Some(mut house) = members(Major::ALL[1]) else { return };
    deploy(&house, &["--wait=settled"]);
    let ada = join(&house, "Ada", "Lovelace");
    let visitor = Visitor::come(&house);
    for (version, stage) in [(2, "expand"), (3, "contract")] {
        change_to(&house, version);
        house.cli(&["deploy"]).ended(0);
        house.wait_within(PATIENCE, "the stage is entered", |house| has_entered(house, stage));
        house.kill_daemon();
        house.serve();
        house.wait_within(PATIENCE, "the release is settled", |house| {
            house.status()["releases"].as_array().is_some_and(Vec::is_empty)
        });
        assert_eq!(known(&house, ada).0, u64::from(version));
    }
    visitor.leave_content();
    assert_eq!(phases(&house).matches("contracted").count(), 3, "{}", phases(&house));
}

fn has_entered(house: &House, stage: &str) -> bool {
    let status = house.status();
    let releases = status["releases"].as_array().cloned().unwrap_or_default();
    releases.iter().any(|release| {
        release["stages"].as_array().is_some_and(|stages| stages.iter().any(|one| one["stage"] == stage))
    })
}
