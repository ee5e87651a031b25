//! Copies: what a request costs the router with none, with 10 % of the requests copied, and with 10 % compared, and whether
//! users feel it.
//!
//! The router of the binary under test stands alone before two backends (nginx, five bytes); it is told its routes on its control
//! socket, as the daemon does. The three take turns, so that a slow moment of the machine meets all of them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::bar::Bar;
use super::house::House;
use super::peers::{Server, free_address};
use super::statistics::median;
use super::{BenchError, Measured, Tried, peers, processor_time};

/// Rounds; the first warms up and is not counted.
const ROUNDS: usize = 7;
/// Seconds a round asks in each way.
const SECONDS: u32 = 3;
/// Connections kept alive.
const CONNECTIONS: u32 = 64;
/// Connections in the rounds that p99 is taken from: fewer than keep the router busy, so that it is no queue that is measured.
const CALM_CONNECTIONS: u32 = 4;
/// Of 10,000 requests, those that are copied.
const SHARE: u32 = 1_000;
/// Most processor time a request may cost, as times of what it costs without copies.
const MOST_COPIED: f64 = 1.12;
/// The same where answers are compared.
const MOST_COMPARED: f64 = 1.35;
/// Most that p99 may be, as times of what it is without copies: what differs less was not told apart from the machine's own.
const MOST_P99: f64 = 1.25;

/// Most of the drawn requests that may be left out.
const MOST_LEFT_OUT: f64 = 0.05;

/// What is done with a tenth of the requests.
struct Way {
    name: &'static str,
    rules: Option<Value>,
    micros_per_request: Vec<f64>,
    p99_micros: Vec<f64>,
}

/// Runs the bench and gives its table.
pub(crate) fn run() -> Result<Measured, BenchError> {
    let folder = std::env::temp_dir().join(format!("switchover-bench-{}", std::process::id()));
    let result = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &Path) -> Result<Measured, BenchError> {
    let live = peers::backend(&folder.join("live"))?;
    let idle = peers::backend(&folder.join("idle"))?;
    let (state, address) = (folder.join("router"), free_address()?);
    std::fs::create_dir_all(&state).tried("the router's folder")?;
    let mut command = Command::new(House::binary());
    command.args(["router", "--http", &address.to_string(), "--lanes", "1", "--state"]).arg(&state);
    // It takes requests before it takes orders.
    let takes_orders = |_| UnixStream::connect(state.join("control.sock")).is_ok();
    let router = Server::start_until("router", address, &mut command, takes_orders)?;
    let pid = router.processes()[0];

    let copied = json!({ "share": SHARE, "methods": ["GET"], "body_bytes": 65_536 });
    let mut compared = copied.clone();
    compared["compare"] = json!({});
    let way = |name, rules| Way { name, rules, micros_per_request: Vec::new(), p99_micros: Vec::new() };
    let mut ways = [way("no copies", None), way("10 % copied", Some(copied)), way("10 % compared", Some(compared))];
    let mut version = 0;
    for round in 0..=ROUNDS {
        for way in &mut ways {
            version += 1;
            ensure(&state, &routes(version, live.address, idle.address, way.rules.as_ref()))?;
            let (micros, _) = ask(address, pid, CONNECTIONS)?;
            let (_, p99) = ask(address, pid, CALM_CONNECTIONS)?;
            if round > 0 {
                way.micros_per_request.push(micros);
                way.p99_micros.push(p99);
            }
        }
    }
    let seen = told(&state, &json!({ "ask": "observe", "app": "bench" }))?;
    Ok(measured(&ways, &seen["shadow"]))
}

fn routes(version: u64, live: SocketAddr, idle: SocketAddr, rules: Option<&Value>) -> Value {
    let arm = |slot: &str, revision: &str, share: u32, address: SocketAddr| {
        let endpoints = json!([{ "instance": format!("bench.{revision}"), "address": address }]);
        let processes = json!([{ "process": "web", "paths": ["/"], "endpoints": endpoints }]);
        json!({ "slot": slot, "revision": revision, "share": share, "processes": processes })
    };
    let mut routes = json!({
        "app": "bench", "version": version, "hosts": [], "arms": [arm("blue", "r1", 10_000, live)],
        "preview": null, "drain_ms": 1_000,
    });
    if let Some(rules) = rules {
        routes["mirror"] = json!({ "arm": arm("green", "r2", 0, idle), "rules": rules });
    }
    routes
}

fn ensure(state: &Path, routes: &Value) -> Result<(), BenchError> {
    let setting = json!({ "client": 1, "serial": routes["version"] });
    told(state, &json!({ "ask": "ensure", "routes": routes, "setting": setting })).map(|_| ())
}

/// What the router answers to a command on its control socket.
fn told(state: &Path, command: &Value) -> Result<Value, BenchError> {
    let mut stream = UnixStream::connect(state.join("control.sock")).tried("the router's socket")?;
    let line = json!({ "version": 1, "command": command });
    writeln!(stream, "{line}").tried("a command to the router")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).tried("the router's answer")?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match answer["answer"].as_str() {
        Some("done" | "seen") => Ok(answer),
        _ => Err(BenchError::Unexpected(format!("the router said {answer}"))),
    }
}

/// Asks for [`SECONDS`]; gives processor microseconds a request and p99 in microseconds.
fn ask(address: SocketAddr, router: u32, connections: u32) -> Result<(f64, f64), BenchError> {
    let used = || processor_time::of(router).map_or(f64::NAN, |time| time.as_secs_f64());
    let before = used();
    let output = Command::new("wrk")
        .args([
            "-t1",
            "--latency",
            &format!("-c{connections}"),
            &format!("-d{SECONDS}s"),
            &format!("http://{address}/"),
        ])
        .output()
        .tried("wrk")?;
    let seconds = used() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(BenchError::Unexpected(format!("not all was answered: {text}")));
    }
    let odd = || BenchError::Unexpected(format!("wrk said: {text}"));
    let requests = text.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse::<f64>().ok());
    let p99 = text.lines().find_map(|line| micros(line.trim().strip_prefix("99%")?.trim()));
    Ok((seconds * 1e6 / requests.ok_or_else(odd)?, p99.ok_or_else(odd)?))
}

/// What wrk writes as `1.23ms` in microseconds.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, times)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * times))
}

fn measured(ways: &[Way; 3], shadow: &Value) -> Measured {
    let mut text = format!(
        "One lane, five-byte answers, median of {ROUNDS} rounds of {SECONDS} s: processor time with {CONNECTIONS} connections kept alive, p99 with {CALM_CONNECTIONS}.\n\n| | µs per request | times | p99 µs | times |\n|---|---|---|---|---|\n"
    );
    let of = |way: &Way| (median(&way.micros_per_request), median(&way.p99_micros));
    let (cost, p99) = of(&ways[0]);
    let mut times = Vec::new();
    for way in ways {
        let (micros, high) = of(way);
        let _ = writeln!(text, "| {} | {micros:.2} | {:.2} | {high:.0} | {:.2} |", way.name, micros / cost, high / p99);
        times.push((micros / cost, high / p99));
    }
    let count = |name: &str| shadow[name].as_u64().unwrap_or(0);
    let (sampled, ended) = (count("sampled"), count("dropped") + count("equal"));
    let _ = writeln!(
        text,
        "\nOf {sampled} requests that were drawn, {ended} were answered by the idle slot too; {} differed; the rest was left out: {}.",
        count("differing"),
        shadow["left_out"]
    );
    let bar = |what, measured, most| Bar { what, measured, most, unit: "" };
    let bars = vec![
        bar("processor time per request with 10 % copied, times without", times[1].0, MOST_COPIED),
        bar("processor time per request with 10 % compared, times without", times[2].0, MOST_COMPARED),
        bar("p99 with 10 % copied, times without", times[1].1, MOST_P99),
        bar("p99 with 10 % compared, times without", times[2].1, MOST_P99),
        // Copies that were left out cost nothing: a measurement of them shows nothing.
        bar("drawn requests that were left out, of all", 1.0 - ended as f64 / sampled as f64, MOST_LEFT_OUT),
    ];
    Measured { text, bars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_in_every_unit() {
        assert_eq!((micros("85.00us"), micros("1.25ms"), micros("2.00s")), (Some(85.0), Some(1250.0), Some(2e6)));
        assert_eq!(micros("1.25"), None);
    }
}
