//! Checks: what the daemon's processor does for 50 checks of 20 apps that are looked at each second, beside the same releases
//! without checks.
//!
//! One daemon, its apps in a step of a canary under light load. The same apps are released first without checks, then with; what the
//! daemon needs more is what the checks cost, with their looks journaled and their numbers asked for.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use switchover_testkit::load::{self, Plan};

use super::bar::Bar;
use super::house::House;
use super::statistics::median;
use super::{BenchError, Measured, Tried, processor_time};

/// Apps in a step at the same time.
const APPS: usize = 20;
/// Checks of them all.
const CHECKS: usize = 50;
/// Users of each app, and the pause of each between two requests.
const USERS: usize = 2;
const THINK: Duration = Duration::from_millis(50);
/// Time until what a deploy needed itself is over.
const CALM: Duration = Duration::from_secs(5);
/// Stretches measured in each way, and how long each is.
const STRETCHES: usize = 5;
const STRETCH: Duration = Duration::from_secs(10);
/// Most that the checks may need, in percent of a core.
const MOST: f64 = 2.0;

/// Runs the bench and gives its table.
pub(crate) fn run() -> Result<Measured, BenchError> {
    let folder = std::env::temp_dir().join(format!("switchover-bench-{}", std::process::id()));
    let result = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn measure(folder: &Path) -> Result<Measured, BenchError> {
    let numbers = numbers()?;
    let house = House::start(folder, 1)?;
    let daemon = house.daemon()?;
    let each = |command: &[&str]| -> Result<(), BenchError> {
        for app in 0..APPS {
            let config = house.app.join(app.to_string()).join("switchover.toml");
            let config = config.display().to_string();
            house.succeed(&[command, &["--config", &config]].concat())?;
        }
        Ok(())
    };
    write_apps(&house, "v1", None)?;
    each(&["deploy", "--wait"])?;
    let (leave, users) = users(house.address);
    let mut ways = Vec::new();
    for (name, checks) in [("without checks", None), ("with checks", Some(numbers))] {
        write_apps(&house, name, checks)?;
        each(&["deploy"])?;
        await_steps(&house)?;
        std::thread::sleep(CALM);
        ways.push((name, stretches(daemon)?));
        await_steps(&house)?;
        each(&["abort", "--wait"])?;
    }
    leave.store(true, Ordering::Relaxed);
    let complaints = users.join().map_err(|_| BenchError::Unexpected("the users' thread broke down".to_owned()))??;
    if !complaints.is_empty() {
        return Err(BenchError::Unexpected(format!("users complain:\n  {}", complaints.join("\n  "))));
    }
    Ok(told(&ways))
}

/// Whatever users complain about, in the end.
type Users = JoinHandle<Result<Vec<String>, BenchError>>;

/// The users of all apps at work, on a thread of their own, until they are told to leave.
fn users(address: SocketAddr) -> (Arc<AtomicBool>, Users) {
    let leave = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&leave);
    let users = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().tried("a runtime")?;
        runtime.block_on(async {
            let plans = (0..APPS).map(|app| Plan { quick: USERS, think: THINK, ..Plan::nobody(address, &host(app)) });
            let at_work: Vec<_> = plans.map(load::start).collect();
            while !told.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let mut complaints = Vec::new();
            for running in at_work {
                complaints.extend(running.stop().await.complaints());
            }
            Ok(complaints)
        })
    });
    (leave, users)
}

/// In percent of a core, of each way in its stretches.
fn told(ways: &[(&'static str, Vec<f64>)]) -> Measured {
    let mut text = format!(
        "{APPS} apps of one instance a slot, each in a step of a canary with {USERS} users ({} ms between a user's requests), {STRETCHES} times {} s in each way; {CHECKS} checks in all: errors and p99 against the live slot on each app, and a Prometheus query each second on ten.\n\n| the daemon's processor time | median | lowest | highest |\n|---|---|---|---|\n",
        THINK.as_millis(),
        STRETCH.as_secs()
    );
    for (name, values) in ways {
        let (low, high) =
            values.iter().fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
        let _ = writeln!(text, "| {name} | {:.2} % of a core | {low:.2} | {high:.2} |", median(values));
    }
    let medians: Vec<f64> = ways.iter().map(|(_, values)| median(values)).collect();
    let measured = medians.last().unwrap_or(&f64::NAN) - medians.first().unwrap_or(&f64::NAN);
    let what = "50 checks of 20 apps, each second: the daemon's processor time beyond that without checks";
    Measured { text, bars: vec![Bar { what, measured, most: MOST, unit: " % of a core" }] }
}

/// The daemon's processor time in each stretch, in percent of a core.
fn stretches(daemon: u32) -> Result<Vec<f64>, BenchError> {
    let used = || processor_time::of(daemon).ok_or_else(|| BenchError::Unexpected("the daemon is gone".to_owned()));
    let mut all = Vec::new();
    for _ in 0..STRETCHES {
        let before = used()?;
        std::thread::sleep(STRETCH);
        all.push((used()? - before).as_secs_f64() / STRETCH.as_secs_f64() * 100.0);
    }
    Ok(all)
}

fn host(app: usize) -> String {
    format!("app-{app}.localhost")
}

/// Each app's directory, with its checks where they are asked for: the Prometheus that is asked listens there.
fn write_apps(house: &House, version: &str, numbers: Option<SocketAddr>) -> Result<(), BenchError> {
    let binary = House::binary();
    for app in 0..APPS {
        let mut file = format!(
            "name = \"app-{app}\"\n\n[process.web]\ncommand = \"{} sample-app\"\nhealth = {{ path = \"/up\" }}\n\n[route]\nhosts = [\"{}\"]\n\n[release]\nstrategy = \"canary\"\n\n[[release.step]]\nshare = \"50%\"\nfor = \"1h\"\n",
            binary.display(),
            host(app)
        );
        if let Some(numbers) = numbers {
            file.push_str("\n[[release.check]]\nname = \"errors\"\nmeasure = \"errors\"\nworse_by = \"0.5%\"\n");
            file.push_str(
                "\n[[release.check]]\nname = \"p99\"\nmeasure = \"latency\"\nquantile = \"p99\"\nworse_by = \"30%\"\n",
            );
            if app < CHECKS - 2 * APPS {
                let _ = write!(
                    file,
                    "\n[[release.check]]\nname = \"lag\"\nprometheus = \"http://{numbers}\"\nquery = \"lag{{slot='$SLOT'}}\"\ninterval = \"1s\"\nmax = \"10\"\n"
                );
            }
        }
        let folder = house.app.join(app.to_string());
        std::fs::create_dir_all(&folder).tried(folder.display().to_string())?;
        std::fs::write(folder.join("switchover.toml"), file).tried("switchover.toml")?;
        std::fs::write(folder.join("VERSION"), version).tried("VERSION")?;
    }
    Ok(())
}

/// Waits until each app is in its step, and says which one is not.
fn await_steps(house: &House) -> Result<(), BenchError> {
    for app in 0..APPS {
        let config = house.app.join(app.to_string()).join("switchover.toml").display().to_string();
        let is_in_step = || -> Result<bool, BenchError> {
            let told = house.succeed(&["history", "--config", &config, "--json"])?;
            let history: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
            let newest =
                history["releases"].as_array().and_then(|releases| releases.last().cloned()).unwrap_or_default();
            Ok(newest["outcome"].is_null() && newest["steps"][0]["in_force_at"].is_u64())
        };
        let begun = std::time::Instant::now();
        while !is_in_step()? {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err(BenchError::Unexpected(format!("app-{app} is not in its step")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}

/// A server that answers each query with 1, as Prometheus does. It ends with this program.
fn numbers() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").tried("a port")?;
    let address = listener.local_addr().tried("a port")?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| stream.read(&mut head));
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{now},"1"]}}]}}}}"#
            );
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Ok(address)
}
