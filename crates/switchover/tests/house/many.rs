//! Many clients with an address of their own each, by which the router tells them apart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use switchover_testkit::load::Plan;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::House;
use super::crowd::Crowd;

/// How many there are.
pub const CLIENTS: u32 = 2_000;
/// Connections that are open at once.
const AT_ONCE: u32 = 50;
/// Standard deviations within which 99.9 % of a binomial distribution lie.
const BAND: f64 = 3.29;

/// `v2` on its way to an app whose `v1` is live, under users of several kinds.
pub fn deployed_under_load(house: &House) -> Crowd {
    let mut plan = Plan::nobody(house.address, "localhost");
    plan.quick = 4;
    plan.think = Duration::from_millis(5);
    plan.slow = 2;
    plan.slow_takes = Duration::from_millis(300);
    plan.websockets = 2;
    let crowd = Crowd::gather(plan);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    waits_at(house, 1);
    crowd
}

/// The steps, or batches, of the newest release.
pub fn steps(house: &House) -> Vec<Value> {
    let newest = house.releases().pop();
    newest.and_then(|newest| newest["steps"].as_array().cloned()).unwrap_or_default()
}

/// Waits until step, or batch, `number` has its share in force and has not been left.
#[track_caller]
pub fn waits_at(house: &House, number: usize) {
    house.wait_for(&format!("step {number}"), |house| {
        let steps = steps(house);
        steps.get(number - 1).is_some_and(|step| !step["in_force_at"].is_null() && step["left_at"].is_null())
    });
}

/// The clients that are led to `version` now; every one of them has to be answered.
pub fn on(house: &House, version: &str) -> BTreeSet<u32> {
    led_to(house, "/version", version)
}

/// The clients that are answered by `version` at `path`; every one of them has to be answered.
pub fn led_to(house: &House, path: &'static str, version: &str) -> BTreeSet<u32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address = house.address;
    runtime.block_on(async {
        let mut led = BTreeSet::new();
        for begin in (0..CLIENTS).step_by(AT_ONCE as usize) {
            let asked: Vec<_> = (begin..begin + AT_ONCE)
                .map(|client| tokio::spawn(async move { (client, version_for(address, client, path).await) }))
                .collect();
            for asked in asked {
                let (client, answer) = asked.await.expect("a client");
                let answer = answer.unwrap_or_else(|error| panic!("client {client}: {error}"));
                assert!(answer.starts_with("HTTP/1.1 200 "), "client {client}: {answer}");
                if answer.contains(version) {
                    led.insert(client);
                }
            }
        }
        led
    })
}

/// What a client of its own address in 127.0.0.0/8 is answered.
async fn version_for(address: SocketAddr, client: u32, path: &str) -> std::io::Result<String> {
    let own = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 20, 0, 0)) + client * 7 + 1);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(own), 0))?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Whether so many of the clients are what a binomial distribution gives for `share`.
#[track_caller]
pub fn is_within_the_band(led: &BTreeSet<u32>, share: f64) {
    let (all, led) = (f64::from(CLIENTS), led.len() as f64);
    let band = BAND * (all * share * (1.0 - share)).sqrt();
    assert!((led - all * share).abs() <= band, "{led} of {all} clients for a share of {share}, band {band}");
}
