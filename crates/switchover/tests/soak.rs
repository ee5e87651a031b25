//! Deploy and rollback, over and over under load: nothing that the product holds grows with the releases it made.
//!
//! `SOAK_SECONDS` sets how long; the long run of the proofs asks for ten minutes.

mod house;

use std::time::{Duration, Instant};

use house::House;
use house::crowd::Crowd;
use switchover_testkit::load::Plan;

/// Seconds of the everyday run.
const SECONDS: u64 = 12;
/// The fewest rounds (a deploy and a rollback) of a run, however slow the machine.
const FEWEST_ROUNDS: usize = 6;
/// How much more memory the daemon may use for each round (KiB): a release's records and receipts are kept to be shown.
const DAEMON_KIB_A_ROUND: u64 = 64;
/// How much more memory either process may use for what is no growth: pages that the allocator had not touched yet (KiB).
const SLACK_KIB: u64 = 16 * 1024;
/// How many more files may be open: the commands and connections of the moment in which it is looked.
const SLACK_FILES: u64 = 24;
/// How many more threads there may be: those of a blocking pool that come and go.
const SLACK_THREADS: u64 = 8;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    memory_kib: u64,
    files: u64,
    threads: u64,
}

impl Held {
    fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
        let number = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the status");
            line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its open files").count();
        Self { memory_kib: number("VmRSS:"), files: files as u64, threads: number("Threads:") }
    }

    /// The middle of several, each number by itself.
    fn middle(all: &[Self]) -> Self {
        let middle = |number: fn(&Self) -> u64| {
            let mut sorted: Vec<u64> = all.iter().map(number).collect();
            sorted.sort_unstable();
            sorted[sorted.len() / 2]
        };
        Self {
            memory_kib: middle(|held| held.memory_kib),
            files: middle(|held| held.files),
            threads: middle(|held| held.threads),
        }
    }
}

/// What the process held after the first third and in the last tenth of its samples; a failed test when that has grown.
fn compare(name: &str, samples: &[Held], kib_a_round: u64) -> String {
    let part = (samples.len() / 10).max(2);
    let first = samples.len() / 3;
    let before = Held::middle(&samples[first..first + part]);
    let after = Held::middle(&samples[samples.len() - part..]);
    let rounds = (samples.len() - part - first) as u64;
    let most = before.memory_kib + SLACK_KIB + rounds * kib_a_round;
    assert!(after.memory_kib <= most, "{name}: memory grows: {before:?}, {rounds} rounds later {after:?}");
    assert!(after.files <= before.files + SLACK_FILES, "{name}: open files grow: {before:?}, later {after:?}");
    assert!(after.threads <= before.threads + SLACK_THREADS, "{name}: threads grow: {before:?}, later {after:?}");
    format!("{name}: {before:?}, {rounds} rounds later {after:?}")
}

#[test]
fn nothing_grows_with_the_releases_that_were_made() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let house = House::start();
    let release = "[release]\nbake = \"0s\"\nkeep_warm = \"1h\"\nkeep_revisions = 2";
    house.sample("instances = 2", &format!("[route]\ndrain = \"5s\"\n\n{release}"));
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut plan = Plan::nobody(house.address, "localhost");
    plan.quick = 8;
    plan.think = Duration::from_millis(2);
    plan.streams = 2;
    plan.websockets = 4;
    let crowd = Crowd::gather(plan);
    let router = house.processes("router")[0];

    let (mut daemon_held, mut router_held) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) || daemon_held.len() < FEWEST_ROUNDS {
        house.write("VERSION", &format!("v{}", daemon_held.len() + 2));
        house.cli(&["deploy", "--wait"]).ended(0);
        house.cli(&["rollback", "--wait"]).ended(0);
        daemon_held.push(Held::of(house.daemon()));
        router_held.push(Held::of(router));
    }
    let report = crowd.leave();
    println!("{} rounds in {} s, {} requests", daemon_held.len(), begun.elapsed().as_secs(), report.sent);
    assert_eq!(report.complaints(), Vec::<String>::new());
    assert_eq!(house.processes("router"), [router], "the router is the one that was there");
    println!("{}", compare("daemon", &daemon_held, DAEMON_KIB_A_ROUND));
    println!("{}", compare("router", &router_held, 0));

    // Two slots of two instances at most; what they need on disk is bounded by `keep_revisions`.
    house.wait_for("only the slots' instances run", |house| house.processes("shim").len() <= 4);
    let revisions = house.state().join("apps/shop/revisions");
    house.wait_for("old revisions are gone from the disk", |_| {
        std::fs::read_dir(&revisions).expect("the revisions").count() <= 6
    });
}
