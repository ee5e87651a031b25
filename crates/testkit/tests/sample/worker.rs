//! The worker: jobs once each, none lost, none without leave.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use switchover_testkit::sample::{Entry, Spool, read_log};
use tempfile::TempDir;

use crate::process::{App, get, until};

struct Yard {
    dir: TempDir,
    spool: Spool,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("spool")).unwrap();
        Self { dir, spool }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, jobs: std::ops::Range<u32>, millis: u64) {
        for job in jobs {
            self.spool.put(&format!("job-{job:03}"), Duration::from_millis(millis)).unwrap();
        }
    }

    fn worker(&self, revision: &str, env: &[(&str, &str)]) -> App {
        let (spool, log) = (self.path("spool"), self.path("log"));
        let arguments = ["work", "mail", "--log", log.to_str().unwrap(), "--spool", spool.to_str().unwrap()];
        App::start(&arguments, &[&[("SWITCHOVER_REVISION", revision)], env].concat())
    }

    fn log(&self) -> Vec<Entry> {
        read_log(&self.path("log")).unwrap()
    }

    fn count(&self, event: &str, revision: &str) -> usize {
        self.log().iter().filter(|entry| entry.event == event && entry.revision == revision).count()
    }

    fn wait_for(&self, event: &str, revision: &str, count: usize) {
        until("the log says so", || (self.count(event, revision) >= count).then_some(()));
    }
}

#[test]
fn a_worker_asked_to_stop_finishes_its_job_and_leaves_the_rest() {
    let yard = Yard::new();
    yard.put(0..3, 300);
    let mut worker = yard.worker("r1", &[]);
    yard.wait_for("start", "r1", 1);
    worker.terminate();
    assert_eq!(worker.ended().code(), Some(0));
    let events: Vec<String> = yard.log().into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, ["begin", "start", "finish", "end"]);
    assert_eq!(yard.spool.counts().unwrap(), (2, 0, 1));
}

#[test]
fn two_workers_never_do_the_same_job() {
    let yard = Yard::new();
    yard.put(0..60, 2);
    let _workers = [yard.worker("r1", &[]), yard.worker("r2", &[])];
    until("all is done", || (yard.spool.counts().unwrap() == (0, 0, 60)).then_some(()));
    let mut started: BTreeMap<String, usize> = BTreeMap::new();
    for entry in yard.log().iter().filter(|entry| entry.event == "start") {
        *started.entry(entry.job.clone()).or_default() += 1;
    }
    assert_eq!(started.len(), 60);
    assert!(started.values().all(|count| *count == 1));
}

#[test]
fn a_killed_worker_leaves_its_job_to_be_seen() {
    let yard = Yard::new();
    yard.put(0..1, 60_000);
    let worker = yard.worker("r1", &[]);
    yard.wait_for("start", "r1", 1);
    drop(worker);
    assert_eq!(yard.spool.counts().unwrap(), (0, 1, 0));
    assert_eq!(yard.count("finish", "r1"), 0);
}

#[test]
fn with_a_lease_a_worker_works_only_while_it_is_active() {
    let yard = Yard::new();
    let (role, lease) = (yard.path("role"), yard.path("lease"));
    let env = [("SWITCHOVER_ROLE_FILE", role.to_str().unwrap()), ("SWITCHOVER_LEASE", lease.to_str().unwrap())];
    fs::write(&role, "standby").unwrap();
    yard.put(0..1, 10);
    let mut worker = yard.worker("r1", &env);
    yard.wait_for("begin", "r1", 1);
    let outsider = File::create(&lease).unwrap();
    outsider.try_lock().expect("a standby holds no lease");

    // Active, but the lease is still held against it: nothing starts.
    fs::write(&role, "active").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(yard.count("start", "r1"), 0);

    outsider.unlock().unwrap();
    yard.wait_for("finish", "r1", 1);

    // Made standby while a job is on: whoever gets the lease exclusively knows that the job is over.
    yard.put(1..3, 200);
    yard.wait_for("start", "r1", 2);
    fs::write(&role, "standby").unwrap();
    outsider.lock().unwrap();
    assert_eq!((yard.count("start", "r1"), yard.count("finish", "r1")), (2, 2));
    assert_eq!(yard.spool.counts().unwrap(), (1, 0, 2), "the third job waits for the next active worker");
    assert!(worker.is_running());
}

#[test]
fn the_web_process_leaves_jobs_for_the_worker() {
    let yard = Yard::new();
    let spool = yard.path("spool");
    let (_web, port) = App::listening(&[], &[("SAMPLE_SPOOL", spool.to_str().unwrap())]);
    assert!(get(port, "/work?job=mail-1&ms=1").starts_with("HTTP/1.1 202 "));
    assert!(get(port, "/work?job=../../mail-1").starts_with("HTTP/1.1 500 "), "a name, not a path");
    let _worker = yard.worker("r1", &[]);
    yard.wait_for("finish", "r1", 1);
    assert_eq!(yard.log()[1].job, "mail-1");
}
