//! Switches: from `rollback` typed to the flip, the flip itself, what users feel in that second, and from start to live.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use switchover_testkit::load::{self, Plan};

use super::bar::Bar;
use super::house::House;
use super::statistics::{median, quantile};
use super::{BenchError, Measured, Tried};

/// Switches measured.
const SWITCHES: usize = 50;
/// Time before and after each switch in which users are watched.
const WATCHED: Duration = Duration::from_millis(1100);
/// Full releases measured from start to live.
const DEPLOYS: usize = 10;
/// How long the sample app is made to take until it listens, in milliseconds.
const BOOT_MS: u64 = 400;

/// Lanes of the router: more than one, so that a switch is one over lanes.
const LANES: usize = 2;
/// Where the sample app tells its health.
const HEALTH: &str = "/up";
/// How long an answer about health may take.
const HEALTH_WITHIN: Duration = Duration::from_secs(1);

/// Runs the bench and gives its tables.
pub(crate) fn run() -> Result<Measured, BenchError> {
    let folder = std::env::temp_dir().join(format!("switchover-bench-{}", std::process::id()));
    let result = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn write_app(house: &House, boot_ms: u64) -> Result<(), BenchError> {
    let binary = House::binary();
    let file = format!(
        "name = \"bench\"\n\n[process.web]\ncommand = \"{} sample-app\"\ninstances = 2\nhealth = {{ path = \"{HEALTH}\" }}\n\n[env]\nSAMPLE_SICK = \"boots-in={boot_ms}\"\n\n[release]\nbake = \"1h\"\nkeep_warm = \"1h\"\n",
        binary.display()
    );
    std::fs::write(house.app.join("switchover.toml"), file).tried("switchover.toml")
}

fn measure(folder: &std::path::Path) -> Result<Measured, BenchError> {
    let house = House::start(folder, LANES)?;
    write_app(&house, 1)?;
    for version in ["v1", "v2"] {
        std::fs::write(house.app.join("VERSION"), version).tried("VERSION")?;
        house.succeed(&["deploy", "--wait"])?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().tried("a runtime")?;
    let mut typed_to_flip = Vec::new();
    let mut decision_to_flip = Vec::new();
    let mut ratios = Vec::new();
    for switch in 0..SWITCHES {
        if switch > 0 {
            // Back to where it can be rolled back from.
            house.succeed(&["rollback", "--to", "r2", "--wait"])?;
        }
        let mut plan = Plan::nobody(house.address, "localhost");
        plan.quick = 32;
        plan.think = Duration::from_millis(5);
        let running = runtime.block_on(async { load::start(plan) });
        runtime.block_on(async { tokio::time::sleep(WATCHED).await });
        let typed = micros_now();
        // The users go on while the command runs.
        let rollback = std::thread::scope(|scope| -> Result<String, BenchError> {
            let command = scope.spawn(|| house.succeed(&["rollback", "--wait"]));
            runtime.block_on(async { tokio::time::sleep(WATCHED).await });
            command.join().map_err(|_| BenchError::Unexpected("the command panicked".to_owned()))?
        });
        rollback?;
        let report = runtime.block_on(running.stop());
        let complaints = report.complaints();
        if !complaints.is_empty() {
            let told = complaints.join("\n  ");
            return Err(BenchError::Unexpected(format!("switch {switch}: users complain:\n  {told}")));
        }
        let (decided, flipped) = last_switch(&house)?;
        typed_to_flip.push((flipped - typed) / 1000.0);
        decision_to_flip.push((flipped - decided) / 1000.0);
        let flip_ms = (flipped / 1000.0) as u64 - report.began_unix_ms;
        let ratio = report.p99_ratio_at(flip_ms);
        ratios.push(ratio.ok_or_else(|| BenchError::Unexpected(format!("switch {switch}: nobody asked anything")))?);
    }
    let boots = boots(&house)?;
    Ok(measured([
        ("`rollback` typed to the flip", typed_to_flip, 50.0, " ms"),
        ("decision (journaled) to the flip", decision_to_flip, 5.0, " ms"),
        ("p99 in the second of a switch, times the second before", ratios, 1.2, ""),
        ("start to live, beyond the app's own boot", boots, 300.0, " ms"),
    ]))
}

/// Each as: what was measured, its values, the most that their median may be, the unit.
fn measured(all: [(&'static str, Vec<f64>, f64, &'static str); 4]) -> Measured {
    let mut text = format!(
        "{SWITCHES} rollbacks through the command line under 32 users (5 ms between a user's requests, two instances a slot, {LANES} lanes), without a complaint of a user; {DEPLOYS} full releases of an app that takes {BOOT_MS} ms to boot.\n\n| measured | median | p95 | values | bar (median) |\n|---|---|---|---|---|\n"
    );
    let mut bars = Vec::new();
    for (what, values, most, unit) in all {
        let bar = Bar { what, measured: median(&values), most, unit };
        let (middle, high, count) = (bar.measured, quantile(&values, 0.95), values.len());
        let _ = writeln!(text, "| {what} | {middle:.2}{unit} | {high:.2}{unit} | {count} | {most}{unit} |");
        bars.push(bar);
    }
    Measured { text, bars }
}

/// When the newest switch of any release was decided and flipped, in microseconds since 1970.
fn last_switch(house: &House) -> Result<(f64, f64), BenchError> {
    let odd = || BenchError::Unexpected("no switch with a flip in the receipts".to_owned());
    let history: Value = serde_json::from_str(&house.succeed(&["history", "--json"])?).map_err(|_| odd())?;
    let mut switches: Vec<(f64, f64)> = Vec::new();
    for release in history["releases"].as_array().into_iter().flatten() {
        let number = release["release"].to_string();
        let receipt: Value =
            serde_json::from_str(&house.succeed(&["receipt", &number, "--json"])?).map_err(|_| odd())?;
        for switch in receipt["switches"].as_array().into_iter().flatten() {
            if let (Some(decided), Some(flipped)) = (switch["decided_at"].as_f64(), switch["flipped_at"].as_f64()) {
                switches.push((decided, flipped));
            }
        }
    }
    switches.into_iter().max_by(|one, other| one.1.total_cmp(&other.1)).ok_or_else(odd)
}

/// How long full deploys take beyond the app's own boot and its build, in milliseconds.
fn boots(house: &House) -> Result<Vec<f64>, BenchError> {
    write_app(house, BOOT_MS)?;
    let own = own_boot()?;
    let mut beyond = Vec::new();
    for number in 0..DEPLOYS {
        std::fs::write(house.app.join("VERSION"), format!("boot-{number}")).tried("VERSION")?;
        house.succeed(&["deploy", "--wait"])?;
        let history: Value = serde_json::from_str(&house.succeed(&["history", "--json"])?)
            .map_err(|error| BenchError::Unexpected(error.to_string()))?;
        let newest = history["releases"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        let provision = newest["stages"]
            .as_array()
            .and_then(|stages| stages.iter().find(|stage| stage["stage"] == "provision"))
            .and_then(|stage| stage["entered_at"].as_f64());
        let (_, flipped) = last_switch(house)?;
        let provision = provision.ok_or_else(|| BenchError::Unexpected("a release without provision".to_owned()))?;
        beyond.push((flipped - provision) / 1000.0 - own);
    }
    Ok(beyond)
}

/// How long the sample app takes until its health answers when it is started by hand, in milliseconds.
fn own_boot() -> Result<f64, BenchError> {
    let mut boots = Vec::new();
    for _ in 0..5 {
        let address = super::peers::free_address()?;
        let begun = Instant::now();
        let mut command = std::process::Command::new(House::binary());
        command
            .args(["sample-app"])
            .env("PORT", address.port().to_string())
            .env("SAMPLE_SICK", format!("boots-in={BOOT_MS}"));
        let server = super::peers::Server::start_until("sample app", address, &mut command, is_healthy)?;
        boots.push(begun.elapsed().as_secs_f64() * 1000.0);
        drop(server);
    }
    Ok(median(&boots))
}

/// Whether the app on `address` answers the question for its health with 200.
fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, HEALTH_WITHIN)?;
        stream.set_read_timeout(Some(HEALTH_WITHIN))?;
        write!(stream, "GET {HEALTH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

fn micros_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e6)
}
