//! Processor time per proxied request: the router beside nginx and haproxy, one lane, worker or thread each.
//!
//! wrk asks each proxy in turns over 64 connections kept alive; each stands before the same kind of backend (nginx, five
//! bytes); logs are off and each sets the same headers. What counts is the processor time of the proxy's own processes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use super::bar::Bar;
use super::house::House;
use super::statistics::median;
use super::{BenchError, Measured, Tried, peers, processor_time};

/// Rounds; each asks every proxy once, so that a slow moment of the machine meets all of them.
const ROUNDS: usize = 7;
/// Seconds a round asks one proxy.
const SECONDS: u32 = 3;
/// Lanes of the router, workers of nginx, threads of haproxy: the latter two are set in `bench/peers/`.
const LANES: usize = 1;
/// The most processor time a request may cost, as times of what it costs nginx.
const MOST_TIMES_NGINX: f64 = 1.0;
/// Connections kept alive.
const CONNECTIONS: u32 = 64;

struct Contender {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<u32>,
    micros_per_request: Vec<f64>,
    requests_per_second: Vec<f64>,
}

/// Runs the bench and gives its table.
pub(crate) fn run() -> Result<Measured, BenchError> {
    let folder = std::env::temp_dir().join(format!("switchover-bench-{}", std::process::id()));
    let result = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &std::path::Path) -> Result<Measured, BenchError> {
    let backend = peers::backend(folder)?;
    let nginx = peers::nginx(folder, backend.address)?;
    let haproxy = peers::haproxy(folder, backend.address)?;
    let house = House::start(folder, LANES)?;
    let template = super::root().join("bench/peers/backend.conf.in");
    let template = std::fs::read_to_string(&template).tried("backend.conf.in")?;
    std::fs::write(house.app.join("backend.conf.in"), template).tried("backend.conf.in")?;
    let scratch = folder.join("$SWITCHOVER_INSTANCE");
    let scratch = scratch.display();
    let command = format!(
        "mkdir -p {scratch} && sed -e s#@LISTEN@#127.0.0.1:$PORT# -e s#@DIR@#{scratch}# backend.conf.in > {scratch}/nginx.conf && exec nginx -c {scratch}/nginx.conf"
    );
    let file = format!(
        "name = \"bench\"\n\n[process.web]\ncommand = '''{command}'''\nstop = {{ signal = \"SIGTERM\", grace = \"5s\" }}\n"
    );
    std::fs::write(house.app.join("switchover.toml"), file).tried("switchover.toml")?;
    house.succeed(&["deploy", "--wait"])?;

    let mut contenders = vec![
        contender("nginx", nginx.address, nginx.processes()),
        contender("haproxy", haproxy.address, haproxy.processes()),
        contender("switchover", house.address, vec![house.router()?]),
    ];
    for round in 0..=ROUNDS {
        for contender in &mut contenders {
            let (micros, rate) = ask(contender)?;
            // The first round warms up.
            if round > 0 {
                contender.micros_per_request.push(micros);
                contender.requests_per_second.push(rate);
            }
        }
    }
    Ok(measured(&contenders))
}

fn contender(name: &'static str, address: SocketAddr, processes: Vec<u32>) -> Contender {
    Contender { name, address, processes, micros_per_request: Vec::new(), requests_per_second: Vec::new() }
}

/// Asks for [`SECONDS`]; gives processor microseconds a request and requests a second.
fn ask(contender: &Contender) -> Result<(f64, f64), BenchError> {
    let used = || -> f64 {
        contender.processes.iter().filter_map(|pid| processor_time::of(*pid)).map(|time| time.as_secs_f64()).sum()
    };
    let before = used();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), &format!("http://{}/", contender.address)])
        .output()
        .tried("wrk")?;
    let seconds = used() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(BenchError::Unexpected(format!("{} did not answer all: {text}", contender.name)));
    }
    let requests: f64 = text
        .lines()
        .find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok())
        .ok_or_else(|| BenchError::Unexpected(format!("wrk said: {text}")))?;
    Ok((seconds * 1e6 / requests, requests / f64::from(SECONDS)))
}

fn measured(contenders: &[Contender]) -> Measured {
    let nginx = median(&contenders[0].micros_per_request);
    let mut text = format!(
        "{CONNECTIONS} connections kept alive, five-byte answers, {LANES} lane, worker or thread; median of {ROUNDS} rounds of {SECONDS} s.\n\n| proxy | µs per request | times nginx | requests/s |\n|---|---|---|---|\n"
    );
    let mut times = f64::NAN;
    for contender in contenders {
        let micros = median(&contender.micros_per_request);
        times = micros / nginx;
        let rate = median(&contender.requests_per_second);
        let _ = writeln!(text, "| {} | {micros:.1} | {times:.2} | {rate:.0} |", contender.name);
    }
    // The router comes last.
    let bar =
        Bar { what: "processor time per request, times nginx", measured: times, most: MOST_TIMES_NGINX, unit: "" };
    Measured { text, bars: vec![bar] }
}
