//! Experiments whose goal is a number that somebody else knows: a real daemon, router, app and command.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::House;
use house::server::{Reply, Server};
use serde_json::Value;

/// The longest that an experiment may take here.
const PATIENCE: Duration = Duration::from_secs(90);

/// A file whose releases are experiments on half of the clients.
fn policy(experiment: &str, goal: &str) -> String {
    format!(
        "[route]\nsticky = {{ header = \"X-User\" }}\n[release]\nstrategy = \"ab\"\nbake = \"1s\"\nkeep_warm = \"1h\"\n\
         [release.experiment]\nshare = \"50%\"\n{experiment}\n[[release.goal]]\nname = \"buys\"\n{goal}\ninterval = \"1s\"\n"
    )
}

fn newest(house: &House) -> Value {
    house.releases().pop().expect("a release")
}

fn is_over(house: &House) -> bool {
    !newest(house)["outcome"].is_null()
}

fn goal(house: &House) -> Value {
    house.cli(&["experiment", "--json"]).ended(0).json()["said"]["goals"][0].clone()
}

/// What a user is answered.
fn ask(house: &House, user: u32, path: &str) -> String {
    let mut stream = TcpStream::connect(house.address).unwrap();
    let fields = format!("Host: localhost\r\nX-User: user-{user}\r\nConnection: close");
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Whether a user who comes is led to `r2`.
fn is_new(house: &House, user: u32) -> bool {
    ask(house, user, "/version").contains("x-sample-revision: r2")
}

/// Who has bought, as the app's own records know it: a file a revision.
struct Records(PathBuf);

impl Records {
    fn write(&self, revision: &str, buyers: u64) {
        let new = self.0.join("buyers.new");
        std::fs::write(&new, format!("{buyers}\n")).unwrap();
        std::fs::rename(new, self.0.join(format!("buyers-{revision}"))).unwrap();
    }
}

#[test]
fn a_number_that_is_won_promotes_the_release_and_a_killed_daemon_loses_nothing_of_it() {
    let mut house = House::start();
    let records = Records(house.folder.path().to_owned());
    records.write("r1", 5_000);
    records.write("r2", 40);
    let command = format!("cat {}/buyers-$SWITCHOVER_REVISION", records.0.display());
    let command = format!("command = \"test $SWITCHOVER_SINCE -gt 1700000000 && {command}\"\nlag = \"1s\"");
    house.sample("instances = 1", &policy("for = \"1h\"", &command));
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("what there was before", |house| goal(house)["answers"][0]["before"] == 40);
    assert_eq!((&goal(&house)["is_blind"], &goal(&house)["answers"][1]["before"]), (&true.into(), &5_000.into()));
    // Of a hundred on the old side 5 buy, on the new one 30: no request tells who.
    let (mut came, mut bought) = ([0_u64; 2], [0_u64; 2]);
    let begun = Instant::now();
    for user in 0.. {
        let side = usize::from(is_new(&house, user));
        came[side] += 1;
        bought[side] = came[side] * [5, 30][side] / 100;
        records.write(["r1", "r2"][side], [5_000, 40][side] + bought[side]);
        match user {
            60 => house.kill_daemon(),
            90 => house.serve(),
            _ if user % 20 == 0 && user > 90 && !newest(&house)["steps"][0]["left_at"].is_null() => break,
            _ => assert!(begun.elapsed() < PATIENCE, "{:#}", goal(&house)),
        }
    }
    house.wait_within(PATIENCE, "an outcome", is_over);
    let release = newest(&house);
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    assert_eq!(house.live_revision().as_deref(), Some("r2"));
    let report = house.cli(&["experiment", "--json"]).ended(0).json();
    let goal = &report["said"]["goals"][0];
    assert_eq!((&report["ending"], &goal["verdict"]), (&"won".into(), &"won".into()), "{report:#}");
    let (new, old) = (goal["new"]["clients"].as_u64().unwrap(), goal["old"]["clients"].as_u64().unwrap());
    assert!(new > old && new <= bought[1] && old <= bought[0], "{new} and {old} of {bought:?}: {report:#}");
    assert!(report["rules"][0]["number"].as_str().unwrap().contains(" && cat "), "{report:#}");
    assert!(report["rules"][0]["request"].is_null(), "{report:#}");
    let page = house.app().join("report.html");
    let told = house.cli(&["experiment", "--html", page.to_str().unwrap()]).ended(0).out;
    assert!(told.contains("its number: test ") && told.contains("; 40 of them from before"), "{told}");
    assert!(std::fs::read_to_string(page).unwrap().contains("its number: test "));
    let replayed = house.cli(&["judge", "replay", "--json"]).ended(0).json();
    let moments = replayed["moments"].as_array().unwrap();
    assert!(!moments.is_empty() && moments.iter().all(|moment| moment["agrees"] == true), "{replayed:#}");
}

#[test]
fn a_real_prometheus_tells_who_reached_a_goal() {
    let mut house = House::closed();
    house.metrics = Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    house.serve();
    let Some(prometheus) = switchover_testkit::prometheus::Prometheus::start(&[house.metrics.unwrap()]) else { return };
    let query = "query = 'sum(switchover_goal_clients{revision=\"$REVISION\"}) or vector(0)'";
    let number = format!("prometheus = \"{}\"\n{query}\nlag = \"3s\"\nprimary = true", prometheus.url());
    let request = "[[release.goal]]\nname = \"asks\"\nrequest = \"GET /status/201 2xx\"\n";
    house.sample("instances = 1", &format!("{}{request}", policy("for = \"1h\"", &number)));
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("what there was before", |house| goal(house)["answers"][0]["before"] == 0);
    let (mut came, begun) = ([0_u64; 2], Instant::now());
    for user in 0.. {
        let side = usize::from(is_new(&house, user));
        came[side] += 1;
        // Each twentieth of the old side, each third of the new one.
        if came[side].is_multiple_of([20, 3][side]) {
            ask(&house, user, "/status/201");
        }
        if user % 20 == 0 && !newest(&house)["steps"][0]["left_at"].is_null() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{:#}", goal(&house));
    }
    house.wait_within(PATIENCE, "an outcome", is_over);
    let report = house.cli(&["experiment", "--json"]).ended(0).json();
    let [number, requests] = [0, 1].map(|place| report["said"]["goals"][place].clone());
    assert_eq!((&report["ending"], &number["verdict"]), (&"won".into(), &"won".into()), "{report:#}");
    assert!(number["new"]["clients"].as_u64() <= requests["new"]["clients"].as_u64(), "{report:#}");
    let asked = number["answers"][0]["asked"].as_str().unwrap();
    assert!(asked.contains("revision=\"r2\"") && asked.contains(" @ "), "{report:#}");
    house.cli(&["judge", "replay"]).ended(0);
}

/// How a release of `house` ends in a short experiment on this goal that goes on when nothing is proven, with users on both sides.
fn tried(house: &House, number: u32, goal: &str) -> Value {
    house.sample("instances = 1", &policy("for = \"8s\"\nundecided = \"promote\"", goal));
    house.write("VERSION", &format!("v{number}"));
    house.cli(&["deploy"]).ended(0);
    let begun = Instant::now();
    let mut users = 0..;
    while !is_over(house) {
        assert!(begun.elapsed() < PATIENCE, "{goal}: {:#}", newest(house));
        for user in users.by_ref().take(10) {
            ask(house, user, "/version");
        }
    }
    newest(house)
}

#[test]
fn a_source_that_lies_never_lets_an_experiment_on() {
    let several =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}}"#;
    let several = Server::start(vec![Reply::Says(200, several.to_owned())]);
    let silent = Server::start(vec![Reply::Hangs]);
    let house = House::start();
    house.sample("instances = 1", &policy("for = \"8s\"", "command = \"echo 5\"\nlag = \"0s\""));
    house.cli(&["deploy", "--wait"]).ended(0);
    let counts = |file: &str, step: &str| {
        let file = format!("{}/{file}-$SWITCHOVER_REVISION", house.folder.path().display());
        format!("command = \"n=$(cat {file} || echo 500); echo $((n{step})) > {file}; echo $n\"")
    };
    let query = "query = \"buyers{slot='$SLOT'}\"";
    let lies = [
        ("command = \"echo NaN\"".to_owned(), "NaN"),
        ("command = \"exit 3\"".to_owned(), "ended with"),
        ("command = \"echo 0.5\"".to_owned(), "that is no number of clients"),
        (format!("url = \"{}\"\ntimeout = \"300ms\"", silent.url("/$SLOT?since=$SINCE")), "within"),
        (format!("prometheus = \"{}\"\n{query}", several.url("")), "2 series"),
        (counts("down", "-1"), "it went down from 500 to 499"),
        (counts("up", "+1000000"), "clients reached it and only"),
    ];
    let mut number = 1;
    for (lie, why) in lies {
        number += 1;
        let release = tried(&house, number, &format!("{lie}\nlag = \"0s\""));
        assert_eq!(release["outcome"]["cause"]["code"], "EXPERIMENT-UNDECIDED", "{lie}: {release:#}");
        assert!(release["outcome"]["cause"]["cause"].as_str().unwrap().contains(why), "{lie}: {release:#}");
        assert_eq!(house.live_revision().as_deref(), Some("r1"), "{lie}");
        assert_eq!(goal(&house)["is_blind"], true, "{lie}");
    }
    let asked: Vec<String> = silent.asked().iter().map(|asked| asked.line.clone()).collect();
    for slot in ["GET /blue?since=1", "GET /green?since=1"] {
        assert!(asked.iter().any(|line| line.starts_with(slot)), "{asked:?}");
    }
    // One that tells the truth is promoted, as its file says.
    let release = tried(&house, number + 1, "command = \"echo 5\"\nlag = \"0s\"");
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
}
