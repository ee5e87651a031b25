//! What Prometheus reads, and `switchover traffic` where nobody watches.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use house::{House, get, signal};

const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

fn house() -> (House, SocketAddr) {
    let mut house = House::closed();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    house.metrics = Some(metrics);
    house.serve();
    (house, metrics)
}

/// A scrape as Prometheus reads it (exposition format 0.0.4): by name and labels, with all that the format asks for checked.
fn scraped(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut helped, mut family) = (String::new(), (String::new(), String::new()));
    assert!(text.ends_with('\n'), "the last line has its end");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split(' ').next().unwrap().to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "each family has its help");
            assert!(families.insert(name.to_owned()), "{name} stands in two places");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            family = (name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let rest = name.strip_prefix(family.0.as_str()).unwrap_or_else(|| panic!("{line} in {family:?}"));
            assert!(
                rest.is_empty() || (family.1 == "histogram" && ["_bucket", "_sum", "_count"].contains(&rest)),
                "{line}"
            );
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} stands there twice");
        }
    }
    samples
}

fn scrape(metrics: SocketAddr) -> BTreeMap<String, f64> {
    let (status, text) = get(metrics, "localhost", "/metrics").unwrap();
    assert_eq!(status, 200, "{text}");
    scraped(&text)
}

/// The sum of the series of `name` whose labels hold all of `labels`.
fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let of = |series: &str| series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label));
    samples.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
}

#[test]
fn a_scrape_tells_what_was_served_and_by_whom() {
    let (house, metrics) = house();
    assert!(sum(&scrape(metrics), "switchover_traffic_known", &[]).abs() < 0.5, "no app yet");
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    for _ in 0..12 {
        assert_eq!(house.get("/").unwrap().0, 200);
    }
    for _ in 0..3 {
        assert_eq!(house.get("/status/503").unwrap().0, 503);
    }
    house.write("VERSION", "v2");
    house.cli(&["deploy", "--wait"]).ended(0);
    for _ in 0..5 {
        assert_eq!(house.get("/").unwrap().0, 200);
    }
    let told = scrape(metrics);
    let requests = |labels: &[&str]| sum(&told, "switchover_requests_total", labels);
    let (blue, green) = ("slot=\"blue\",revision=\"r1\"", "slot=\"green\",revision=\"r2\"");
    assert_eq!(
        [&[blue, "2xx"][..], &[blue, "5xx"], &[green, "2xx"], &[green, "5xx"], &[]].map(requests),
        [12.0, 3.0, 5.0, 0.0, 20.0]
    );
    assert_eq!([blue, green].map(|slot| sum(&told, "switchover_share", &[slot])), [0.0, 1.0]);
    assert_eq!([blue, green].map(|slot| sum(&told, "switchover_clients", &[slot])), [0.0, 1.0], "since the switch");
    assert_eq!(sum(&told, "switchover_request_duration_seconds_count", &[]), 20.0);
    assert_eq!(sum(&told, "switchover_request_duration_seconds_bucket", &["le=\"+Inf\""]), 20.0);
    assert_eq!(sum(&told, "switchover_release_stage", &["release=\"2\"", "stage=\"bake\""]), 1.0);
    assert_eq!(sum(&told, "switchover_traffic_known", &["app=\"shop\""]), 1.0);

    // The same on the daemon's own socket.
    let mut stream = UnixStream::connect(house.state().join("control.sock")).unwrap();
    stream.write_all(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(scraped(body).keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());

    // And what a script reads.
    let traffic = house.cli(&["traffic", "--json"]).ended(0).json();
    let arms = traffic["arms"].as_array().unwrap();
    let of_arms: Vec<_> =
        arms.iter().map(|arm| (arm["revision"].as_str().unwrap(), arm["answered"][1].as_u64())).collect();
    assert_eq!(of_arms, [("r2", Some(5)), ("r1", Some(12))]);
    assert!(traffic["interval_ms"].as_u64().is_some_and(|interval| interval >= 900), "{traffic}");
    assert!(traffic["seen"]["ledger"]["accepted"] == 20 && traffic["seen"]["measured"].is_null());
}

#[test]
fn counters_go_on_over_a_killed_daemon_and_begin_anew_with_a_killed_router() {
    let (mut house, metrics) = house();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    for _ in 0..6 {
        house.get("/").unwrap();
    }
    let before = scrape(metrics);
    house.kill_daemon();
    house.serve();
    house.get("/").unwrap();
    house.wait_for("the app is known", |_| sum(&scrape(metrics), "switchover_traffic_known", &[]) == 1.0);
    let after = scrape(metrics);
    let since = |told: &BTreeMap<String, f64>| sum(told, "switchover_measured_since_seconds", &[]);
    let requests = |told: &BTreeMap<String, f64>| sum(told, "switchover_requests_total", &[]);
    assert_eq!((requests(&before), requests(&after)), (6.0, 7.0));
    assert_eq!(since(&before), since(&after));

    let router = house.processes("router")[0];
    signal(router, libc::SIGKILL);
    house.wait_for("another router serves", |house| house.get("/").is_ok_and(|(status, _)| status == 200));
    house.wait_for("it is measured", |_| requests(&scrape(metrics)) >= 1.0);
    let anew = scrape(metrics);
    assert!(since(&anew) > since(&after), "{} {}", since(&anew), since(&after));
    assert!(requests(&anew) < 7.0);
}

#[test]
fn nothing_but_metrics_is_to_be_had_there_and_nobody_there_holds_up_the_daemon() {
    let (house, metrics) = house();
    for path in ["/", "/v1/apps", "/v1/metrics", "/v1/daemon", "/openapi.json", "/metrics/../v1/apps"] {
        assert_eq!(get(metrics, "localhost", path).unwrap().0, 404, "{path}");
    }
    assert_eq!(house::post(metrics, "localhost", "/metrics", "x=1").unwrap().0, 405);
    assert_eq!(house::post(metrics, "localhost", "/v1/apps/shop/commands", "x=1").unwrap().0, 404);
    // More than there are places for, none of which asks anything; some are no HTTP at all.
    let mut idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(metrics).unwrap()).collect();
    for stream in idle.iter_mut().step_by(2) {
        let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00");
    }
    house.cli(&["apps", "--json"]).ended(0);
    drop(idle);
    assert_eq!(scrape(metrics).len(), 0, "it is served again");
}

#[test]
fn an_address_that_is_taken_is_said_before_anything_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::closed();
    let at = taken.local_addr().unwrap().to_string();
    let said = house.cli(&["serve", "--http", &house.address.to_string(), "--metrics", &at, "--json"]);
    assert_ne!(said.code, Some(0));
    assert!(said.out.contains("METRICS-NOT-SERVED"), "{said:?}");
    assert_eq!(house.processes("router"), [0; 0]);
    assert!(TcpStream::connect_timeout(&house.address, Duration::from_secs(1)).is_err());
}

#[test]
fn without_a_terminal_traffic_is_told_once_and_with_watch_again_and_again() {
    let house = House::start();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    let once = house.cli(&["traffic"]).ended(0);
    let lines: Vec<&str> = once.out.lines().collect();
    assert!(lines[0].starts_with("revision  slot") && lines[1].starts_with("r1        blue"), "{once:?}");
    assert!(!once.out.contains('\u{1b}') && once.out.matches("accepted").count() == 1, "{once:?}");

    let mut watching =
        house.command(&["traffic", "--watch", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let out = watching.stdout.take().unwrap();
    let mut told = serde_json::Deserializer::from_reader(out).into_iter::<serde_json::Value>();
    for _ in 0..2 {
        assert_eq!(told.next().unwrap().unwrap()["schema_version"], 1);
    }
    watching.kill().unwrap();
    watching.wait().unwrap();

    signal(house.processes("router")[0], libc::SIGSTOP);
    let unknown = house.cli(&["traffic"]).ended(0);
    signal(house.processes("router")[0], libc::SIGCONT);
    assert_eq!(unknown.out, "unknown: the router could not be asked\n");
}
