//! Checks on a real daemon, router and app under load: what is worse goes back by itself, what is well goes on, and nothing goes
//! on without evidence.

mod house;

use std::time::Duration;

use house::House;
use house::crowd::Crowd;
use serde_json::Value;
use switchover_testkit::load::Plan;

/// The longest that a verdict under this load may take.
const VERDICT: Duration = Duration::from_secs(90);

/// A step that is left only on evidence.
fn policy(checks: &str) -> String {
    format!(
        "[release]\nstrategy = \"canary\"\nbake = \"2s\"\nkeep_warm = \"1h\"\nevidence_timeout = \"60s\"\n\
         [[release.step]]\nshare = \"10%\"\nfor = \"2s\"\n{checks}"
    )
}

const ERRORS: &str = "[[release.check]]\nname = \"errors\"\nmeasure = \"errors\"\nworse_by = \"1%\"\nenough = 200\n";

/// `v1` live under load, and `v2`, which is ill like this, on its way.
fn on_its_way(checks: &str, sick: &str) -> (House, Crowd) {
    from_to(checks, "", sick)
}

/// The same where `v1` has something too.
fn from_to(checks: &str, before: &str, sick: &str) -> (House, Crowd) {
    let house = House::start();
    house.sample("instances = 1", &policy(checks));
    house.write("SICK", before);
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut plan = Plan::nobody(house.address, "localhost");
    plan.quick = 8;
    plan.think = Duration::from_millis(4);
    let crowd = Crowd::gather(plan);
    house.write("VERSION", "v2");
    house.write("SICK", sick);
    house.cli(&["deploy"]).ended(0);
    (house, crowd)
}

fn newest(house: &House) -> Value {
    house.releases().pop().expect("a release")
}

fn ended(house: &House) -> Value {
    house.wait_within(VERDICT, "an outcome", |house| !newest(house)["outcome"].is_null());
    newest(house)
}

/// The part of all requests that this release had fail.
fn failed(receipt: &Value) -> f64 {
    let errors: u64 = receipt["by_revision"]["r2"]["answered"][4].as_u64().unwrap_or_default();
    errors as f64 / receipt["accepted"].as_u64().expect("a number").max(1) as f64
}

#[test]
fn a_release_with_errors_goes_back_by_itself_and_few_requests_met_them() {
    let (house, crowd) = on_its_way(ERRORS, "fails-every=20");
    let release = ended(&house);
    let report = crowd.leave();
    assert_eq!(release["outcome"]["kind"], "rolled-back", "{release:#}");
    assert_eq!(release["outcome"]["cause"]["code"], "CHECK-FAILED", "{release:#}");
    assert_eq!(release["steps"].as_array().map(Vec::len), Some(1), "at its first step: {release:#}");
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    let receipt = house.receipt(None);
    assert!(failed(&receipt) < 0.01, "{receipt:#}");
    assert_eq!(receipt["lost"], 0, "{receipt:#} {report:?}");
    let judged = receipt["judged"].as_array().unwrap();
    assert_eq!(judged.last().unwrap()["verdicts"][0]["verdict"], "fail", "{receipt:#}");
    house.cli(&["judge", "replay"]).ended(0);
}

#[test]
fn a_release_that_is_well_goes_on_by_its_evidence_and_the_verdicts_can_be_reached_again() {
    let (mut house, crowd) = on_its_way(ERRORS, "");
    house.wait_for("its step", |house| newest(house)["steps"][0]["in_force_at"].is_u64());
    house.kill_daemon();
    house.serve();
    let release = ended(&house);
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
    let receipt = house.receipt(None);
    let judged = receipt["judged"].as_array().unwrap();
    assert_eq!(judged[0]["watch"]["during"], "shift", "{receipt:#}");
    assert_eq!(judged[0]["verdicts"][0]["verdict"], "pass", "{receipt:#}");
    let told = house.cli(&["judge", "replay", "2"]).ended(0);
    assert!(told.out.contains("release 2, step 1") && told.out.contains("the same again"), "{told:?}");
    let replayed = house.cli(&["judge", "replay", "--json"]).ended(0).json();
    assert!(replayed["moments"].as_array().unwrap().iter().all(|moment| moment["agrees"] == true), "{replayed:#}");
    assert!(replayed["moments"][0]["looks"].as_u64().unwrap() > 0, "{replayed:#}");
}

const SLOWEST: &str =
    "[[release.check]]\nname = \"p99\"\nmeasure = \"latency\"\nquantile = \"p99\"\nworse_by = \"50%\"\n";

#[test]
fn a_release_whose_p99_alone_is_tripled_goes_back_by_itself() {
    // One request of 40 is late in both, so that all but the slowest take the same.
    let (house, crowd) = from_to(SLOWEST, "late=50,late-every=40", "late=150,late-every=40");
    let release = ended(&house);
    assert_eq!(release["outcome"]["cause"]["code"], "CHECK-FAILED", "{release:#}");
    assert!(release["outcome"]["cause"]["detail"].to_string().contains("p99"), "{release:#}");
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
}

/// Releases of the same thing are watched as long as `HEALTHY_RUNS` says; once in a test of every day.
#[test]
fn releases_that_behave_like_the_live_one_are_not_undone() {
    let runs = std::env::var("HEALTHY_RUNS").ok().and_then(|runs| runs.parse::<u32>().ok()).unwrap_or(1);
    let checks = format!("{ERRORS}{SLOWEST}");
    let (house, crowd) =
        from_to(&checks, "fails-every=100,late=50,late-every=40", "fails-every=100,late=50,late-every=40");
    for run in 1..=runs {
        if run > 1 {
            house.write("VERSION", &format!("v{}", run + 1));
            house.cli(&["deploy"]).ended(0);
        }
        let release = ended(&house);
        assert_eq!(release["outcome"]["kind"], "succeeded", "run {run}: {release:#}");
        println!("run {run} of {runs}: {}", release["outcome"]);
    }
    drop(crowd.leave());
}

#[test]
fn nobody_who_could_say_a_number_never_lets_a_release_on() {
    let server = house::server::Server::start(vec![house::server::Reply::Says(200, "it is fine".to_owned())]);
    let slow = house::server::Server::start(vec![house::server::Reply::Hangs]);
    let vector = |result: &str| {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#);
        house::server::Server::start(vec![house::server::Reply::Says(200, body)])
    };
    let (empty, lying) = (vector("[]"), vector(r#"[{"metric":{},"value":[1435781451.781,"0"]}]"#));
    let query = "query = \"up{slot='$SLOT'}\"";
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (check, why) in [
        (format!("prometheus = \"http://{nobody}\"\n{query}"), "took no connection"),
        (format!("prometheus = \"{}\"\n{query}", server.url("")), "not JSON"),
        (format!("prometheus = \"{}\"\n{query}\ntimeout = \"300ms\"", slow.url("")), "within"),
        (format!("prometheus = \"{}\"\n{query}", empty.url("")), "found nothing"),
        (format!("prometheus = \"{}\"\n{query}", lying.url("")), "of another time"),
        (format!("url = \"{}\"", server.url("/lag")), "no number"),
        ("command = \"echo NaN\"".to_owned(), "no number"),
        ("command = \"exit 3\"".to_owned(), "ended with"),
        ("command = \"yes | head -c 10000000; sleep 100\"\ntimeout = \"300ms\"".to_owned(), "not done within"),
    ] {
        let checks = format!("[[release.check]]\nname = \"number\"\n{check}\ninterval = \"1s\"\nmax = \"10\"\n");
        let house = House::start();
        house.sample("", &policy(&checks).replace("60s", "2s"));
        house.cli(&["deploy", "--wait"]).ended(0);
        house.write("VERSION", "v2");
        house.cli(&["deploy"]).ended(0);
        let release = ended(&house);
        assert_eq!(release["outcome"]["cause"]["code"], "NO-EVIDENCE", "{check}: {release:#}");
        assert!(release["outcome"]["cause"]["detail"].to_string().contains(why), "{check}: {release:#}");
        assert_eq!(house.live_revision().as_deref(), Some("r1"), "{check}");
    }
}

#[test]
fn a_real_prometheus_is_asked_of_each_slot() {
    let mut house = House::closed();
    house.metrics = Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    house.serve();
    let Some(prometheus) = switchover_testkit::prometheus::Prometheus::start(&[house.metrics.unwrap()]) else { return };
    let query = "sum(switchover_requests_total{slot='$SLOT',class='5xx'}) or vector(0)";
    let check = format!(
        "[[release.check]]\nname = \"errors\"\nprometheus = \"{}\"\nquery = \"{query}\"\ninterval = \"1s\"\nmax = \"100\"\nenough = 2\n",
        prometheus.url()
    );
    house.sample("", &policy(&check));
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    let release = ended(&house);
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    let receipt = house.receipt(None);
    assert_eq!(receipt["judged"][0]["verdicts"][0]["verdict"], "pass", "{receipt:#}");
}

#[test]
fn a_token_that_a_server_sends_back_is_kept_nowhere() {
    let echo = "hunter2-hunter2 is not allowed here".to_owned();
    for reply in [
        house::server::Reply::Says(200, echo.clone()),
        house::server::Reply::Says(401, echo.clone()),
        house::server::Reply::Says(422, format!(r#"{{"status":"error","error":"{echo}"}}"#)),
        house::server::Reply::Leads("/login/hunter2-hunter2".to_owned()),
    ] {
        let server = house::server::Server::start(vec![reply]);
        let house = House::start();
        std::fs::write(house.folder.path().join("secrets.env"), "METRICS_TOKEN=hunter2-hunter2\n").unwrap();
        let checks = format!(
            "[[release.check]]\nname = \"lag\"\nurl = \"{}\"\ntoken = \"METRICS_TOKEN\"\ninterval = \"1s\"\nmax = \"10\"\n\
             [[release.check]]\nname = \"query\"\nprometheus = \"{}\"\nquery = \"up{{slot='$SLOT'}}\"\n\
             token = \"METRICS_TOKEN\"\ninterval = \"1s\"\nmax = \"10\"\n",
            server.url("/lag"),
            server.url("")
        );
        let file = format!("[secrets]\nfile = \"../secrets.env\"\n{}", policy(&checks).replace("60s", "2s"));
        house.sample("", &file);
        house.cli(&["deploy", "--wait"]).ended(0);
        house.write("VERSION", "v2");
        house.cli(&["deploy"]).ended(0);
        let release = ended(&house);
        assert_eq!(release["outcome"]["cause"]["code"], "NO-EVIDENCE", "{release:#}");
        assert_eq!(server.asked()[0].field("authorization"), "Bearer hunter2-hunter2");
        assert!(!house.is_written_down("hunter2"), "{release:#}");
    }
}
