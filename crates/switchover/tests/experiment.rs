//! Experiments on a real daemon, router and app under load: who is on which side, what is counted, and what follows from it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use house::House;
use serde_json::Value;

/// The longest that an experiment may take here.
const PATIENCE: Duration = Duration::from_secs(90);
/// Standard deviations within which 99.9 % of a binomial distribution lie.
const BAND: f64 = 3.29;

/// A file whose releases are experiments; `GET /status/201` is its goal.
fn policy(experiment: &str) -> String {
    format!(
        "[route]\nsticky = {{ header = \"X-User\" }}\n[release]\nstrategy = \"ab\"\nbake = \"1s\"\nkeep_warm = \"1h\"\n\
         [release.experiment]\n{experiment}\n[[release.goal]]\nname = \"buys\"\nrequest = \"GET /status/201 2xx\"\nprimary = true\n\
         [[release.goal]]\nname = \"fails\"\nrequest = \"GET /status/5* 5xx\"\nbetter = \"lower\"\n"
    )
}

/// `v1` live, and `v2` on trial.
fn on_trial(experiment: &str) -> House {
    let house = House::start();
    house.sample("instances = 1", &policy(experiment));
    house.cli(&["deploy", "--wait"]).ended(0);
    let first = house.cli(&["experiment"]).ended(3).err;
    assert!(first.contains("NO-EXPERIMENT") && first.contains("no revision was live"), "{first}");
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the experiment", |house| newest(house)["steps"][0]["in_force_at"].is_u64());
    house
}

fn newest(house: &House) -> Value {
    house.releases().pop().expect("a release")
}

fn ended(house: &House) -> Value {
    house.wait_within(PATIENCE, "an outcome", |house| !newest(house)["outcome"].is_null());
    newest(house)
}

fn report(house: &House) -> Value {
    house.cli(&["experiment", "--json"]).ended(0).json()
}

/// What a request with these fields is answered.
fn ask(house: &House, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(house.address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    answer
}

/// Whether a user is led to the new revision.
fn is_new(house: &House, user: u32) -> bool {
    ask(house, "/version", &format!("X-User: user-{user}\r\n")).contains("x-sample-revision: r2")
}

/// What the load counted itself of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Side {
    clients: u64,
    reached: u64,
    requests: u64,
}

/// Users who come, and of whom some buy: so many of a hundred on the old and on the new side.
struct Load {
    rates: (u32, u32),
    sides: BTreeMap<u32, bool>,
    old: Side,
    new: Side,
}

impl Load {
    fn new(rates: (u32, u32)) -> Self {
        Self { rates, sides: BTreeMap::new(), old: Side::default(), new: Side::default() }
    }

    /// The next `count` users come.
    fn come(&mut self, house: &House, count: u32) {
        let first = u32::try_from(self.sides.len()).unwrap();
        for user in first..first + count {
            let on_new = is_new(house, user);
            self.sides.insert(user, on_new);
            let (side, rate) = if on_new { (&mut self.new, self.rates.1) } else { (&mut self.old, self.rates.0) };
            side.clients += 1;
            // Spread evenly: every hundred of a side has as many who buy.
            let buys = (side.clients * u64::from(rate)) / 100 > ((side.clients - 1) * u64::from(rate)) / 100;
            if buys {
                side.reached += 1;
                // Twice: it counts once.
                for _ in 0..2 {
                    side.requests += 1;
                    ask(house, "/status/201", &format!("X-User: user-{user}\r\n"));
                }
            }
        }
    }

    /// Comes until the release has an outcome, or is on its way back.
    fn come_until_decided(&mut self, house: &House) {
        let begun = std::time::Instant::now();
        while newest(house)["steps"][0]["left_at"].is_null() {
            assert!(begun.elapsed() < PATIENCE, "{:#}", report(house));
            self.come(house, 40);
        }
    }
}

/// Two of so few fall into one of 2,560,000 groups less than once in a run.
#[track_caller]
fn agrees(counted: &Value, goal: &Value, side: Side) {
    let counted = counted.as_u64().unwrap();
    assert!(counted <= side.clients && counted + 4 >= side.clients, "{counted} of {side:?}");
    let (clients, requests) = (goal["clients"].as_u64().unwrap(), goal["requests"].as_u64().unwrap());
    assert!(clients <= side.reached && clients + 2 >= side.reached, "{goal} of {side:?}");
    assert_eq!(requests, side.requests, "{goal} of {side:?}");
}

#[test]
fn a_goal_that_is_won_promotes_the_release_and_a_killed_daemon_loses_nothing_of_it() {
    let mut house = on_trial("share = \"50%\"\nfor = \"1h\"\nat_least = \"25s\"");
    let mut load = Load::new((5, 15));
    load.come(&house, 500);
    house.kill_daemon();
    load.come(&house, 500);
    house.serve();
    load.come(&house, 600);
    let band = BAND * (1_600.0 * 0.25_f64).sqrt();
    assert!((load.new.clients as f64 - 800.0).abs() <= band, "{:?}", load.new);
    let all = load.old.clients + load.new.clients;
    house.wait_for("all of them counted", |house| {
        let said = &report(house)["said"];
        said["new"].as_u64().unwrap_or_default() + said["old"].as_u64().unwrap_or_default() + 4 >= all
            && said["goals"][0]["new"]["requests"] == load.new.requests
    });
    let running = report(&house);
    assert_eq!((running["schema_version"].as_u64(), &running["ending"]), (Some(1), &Value::Null), "{running:#}");
    let goal = &running["said"]["goals"][0];
    agrees(&running["said"]["new"], &goal["new"], load.new);
    agrees(&running["said"]["old"], &goal["old"], load.old);
    assert_eq!(goal["verdict"], "won", "{running:#}");
    assert_eq!(running["said"]["goals"][1]["new"]["clients"], 0, "{running:#}");
    assert_ne!(running["said"]["split"]["verdict"], "fail", "{running:#}");
    // Held, promoted to nothing yet, and nobody has changed sides.
    house.cli(&["pause"]).ended(0);
    for user in (0..1_600).step_by(5) {
        assert_eq!(is_new(&house, user), load.sides[&user], "user {user}");
    }
    house.cli(&["resume"]).ended(0);
    let release = ended(&house);
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    assert!((0..50).all(|user| is_new(&house, user)), "all are on the new side");
    let after = report(&house);
    assert_eq!((&after["ending"], &after["outcome"]["kind"]), (&"won".into(), &"succeeded".into()), "{after:#}");
    let page = house.app().join("report.html");
    let told = house.cli(&["experiment", "2", "--html", page.to_str().unwrap()]).ended(0);
    assert!(told.out.contains("won") && told.out.contains("buys"), "{told:?}");
    assert!(std::fs::read_to_string(page).unwrap().contains("<polygon"));
    let replayed = house.cli(&["judge", "replay", "--json"]).ended(0).json();
    assert!(replayed["moments"].as_array().unwrap().iter().all(|moment| moment["agrees"] == true), "{replayed:#}");
    assert!(house.cli(&["receipt"]).ended(0).out.contains("experiment: won"));
}

#[test]
fn a_goal_that_is_lost_returns_all_clients() {
    let house = on_trial("share = \"50%\"\nfor = \"1h\"");
    let mut load = Load::new((25, 5));
    load.come_until_decided(&house);
    let release = ended(&house);
    assert_eq!(release["outcome"]["kind"], "rolled-back", "{release:#}");
    assert_eq!(release["outcome"]["cause"]["code"], "EXPERIMENT-LOST", "{release:#}");
    assert!(release["outcome"]["cause"]["cause"].as_str().unwrap().contains("points, between"), "{release:#}");
    assert!((0..100).all(|user| !is_new(&house, user)), "all are back");
    assert_eq!(report(&house)["ending"], "lost");
    assert_eq!(house.receipt(None)["lost"], 0);
}

#[test]
fn an_experiment_that_proves_nothing_in_its_time_is_dropped() {
    let house = on_trial("share = \"50%\"\nfor = \"6s\"");
    let mut load = Load::new((10, 10));
    load.come_until_decided(&house);
    let release = ended(&house);
    assert_eq!(release["outcome"]["cause"]["code"], "EXPERIMENT-UNDECIDED", "{release:#}");
    assert!((0..20).all(|user| !is_new(&house, user)), "all are back");
    assert_eq!(report(&house)["ending"], "time-over");
}

#[test]
fn one_that_asks_at_its_end_says_who_promoted_it() {
    let house = on_trial("share = \"50%\"\nfor = \"2s\"\nundecided = \"ask\"");
    house.wait_for("a person is asked", |house| newest(house)["at_gate"] == true);
    house.cli(&["promote"]).ended(0);
    assert_eq!(ended(&house)["outcome"]["kind"], "succeeded");
    let said = report(&house);
    assert_eq!(said["ending"], "time-over");
    let who = said["promoted_by"].as_str().unwrap();
    let told = house.cli(&["experiment"]).ended(0).out;
    assert!(told.contains(&format!("nothing was proven; promoted by {who}")), "{told}");
    assert!(told.contains(" of at most 2s, then a person was asked)"), "{told}");
    assert_eq!(said["rules"][0]["name"], "buys");
}

#[test]
fn a_match_leads_to_the_new_revision_and_a_person_decides() {
    let house = on_trial("match = [{ header = \"X-Beta\", value = \"1\" }]\nfor = \"1h\"");
    for user in 0..20 {
        assert!(!is_new(&house, user), "user {user}");
        let beta = ask(&house, "/version", &format!("X-User: user-{}\r\nX-Beta: 1\r\n", user + 100));
        assert!(beta.contains("x-sample-revision: r2"), "{beta}");
    }
    house.wait_for("all of them counted", |house| {
        let said = &report(house)["said"];
        let split = said["split"]["why"].as_str();
        (said["new"].as_u64(), said["old"].as_u64(), split)
            == (Some(20), Some(20), Some("0 of 40 clients were on both sides"))
    });
    assert!(house.cli(&["status"]).ended(0).out.contains("goal buys"));
    house.cli(&["promote"]).ended(0);
    let release = ended(&house);
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    assert!(is_new(&house, 0));
    let said = report(&house);
    assert!(said["ending"] == "promoted" && said["promoted_by"].is_string(), "{said:#}");
}

#[test]
fn a_match_that_is_taken_back_leads_to_nobody() {
    let house = on_trial("match = [{ header = \"X-Beta\", value = \"1\" }]\nfor = \"1h\"");
    assert!(ask(&house, "/version", "X-Beta: 1\r\n").contains("x-sample-revision: r2"));
    house.cli(&["rollback", "--wait"]).ended(0);
    assert!(ask(&house, "/version", "X-Beta: 1\r\n").contains("x-sample-revision: r1"));
    assert_eq!(newest(&house)["outcome"]["kind"], "rolled-back");
}

#[test]
fn the_plan_says_that_visitors_of_several_hosts_would_be_several_clients() {
    let house = House::start();
    house.sample("instances = 1", "");
    house.cli(&["deploy", "--wait"]).ended(0);
    let apart = |sticky: &str| {
        let hosts = format!("[route]\nhosts = [\"www.localhost\", \"localhost\"]\n{sticky}");
        let file = policy("share = \"50%\"\nfor = \"1h\"");
        house.sample("instances = 1", &file.replace("[route]\nsticky = { header = \"X-User\" }", &hosts));
        house.cli(&["plan"]).ended(0).out.contains("HOSTS-APART")
    };
    assert!(apart("") && !apart("sticky = { cookie = \"visitor\" }"));
}
