//! A rolling release on real processes under load: never more instances than the scale and the surge, each batch at its share,
//! nobody moved back, nobody lost, forward and back.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use house::House;
use house::crowd::Crowd;
use house::many::{deployed_under_load, is_within_the_band, on, steps, waits_at};

/// Four instances and one more; a batch stays until somebody promotes it.
const ROLLING: &str = "[route]\ndrain = \"1s\"\nsticky = \"address\"\n\n[release]\nstrategy = \"rolling\"\nbake = \"1h\"\n\
                       rolling = { surge = 1, every = \"1h\" }\n";
const MOST: usize = 5;

/// Counts the app's processes beside a test, whatever they do.
struct Census {
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Census {
    fn begin(state: PathBuf) -> Self {
        let (most, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, asked) = (Arc::clone(&most), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                seen.fetch_max(house::processes_of_apps(&state).len(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { most, stop, thread }
    }

    /// The most that there were at once.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.most.load(Ordering::Relaxed)
    }
}

/// `v1` live with four instances, users at work, and `v2` in its first batch.
fn in_the_first_batch() -> (House, Crowd, Census) {
    let house = House::start();
    house.sample("instances = 4", ROLLING);
    house.cli(&["deploy", "--wait"]).ended(0);
    let census = Census::begin(house.state());
    let crowd = deployed_under_load(&house);
    (house, crowd, census)
}

/// Lets the users leave and holds their account, and the most processes that there were, against the promise.
#[track_caller]
fn nobody_was_lost(house: &House, crowd: Crowd, census: Census) {
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
    let most = census.end();
    assert!((1..=MOST).contains(&most), "{most} processes at once");
    let receipt = house.receipt(None);
    assert_eq!(receipt["lost"].as_u64(), Some(0), "{receipt:#}");
}

#[test]
fn it_goes_through_its_batches_within_the_surge_and_moves_no_client_back() {
    let (house, crowd, census) = in_the_first_batch();
    let mut before = BTreeSet::new();
    for (batch, share) in [(1, 0.25), (2, 0.5), (3, 0.75)] {
        waits_at(&house, batch);
        let now = on(&house, "v2");
        is_within_the_band(&now, share);
        assert!(before.is_subset(&now), "who was on the new side stays there");
        before = now;
        house.cli(&["promote", "--step", &batch.to_string()]).ended(0);
    }
    house.wait_for("the bake", |house| house.is_in("bake"));
    house.wait_for("the old slot is empty", |house| house::processes_of_apps(&house.state()).len() == 4);
    assert_eq!(house.live_revision().as_deref(), Some("r2"));
    assert_eq!(on(&house, "v2").len(), house::many::CLIENTS as usize);
    let told: Vec<_> = steps(&house).iter().map(|step| (step["share"].clone(), step["batch"].clone())).collect();
    let batch = |new, old| serde_json::json!({ "new": new, "old": old });
    assert_eq!(told, [(2_500.into(), batch(1, 3)), (5_000.into(), batch(2, 2)), (7_500.into(), batch(3, 1))]);
    let status = house.cli(&["status"]).ended(0).out;
    assert!(status.contains("r1 is started again in 4 batches"), "{status}");
    nobody_was_lost(&house, crowd, census);
}

#[test]
fn a_rollback_in_the_middle_brings_everybody_back_by_batches() {
    let (house, crowd, census) = in_the_first_batch();
    house.cli(&["promote"]).ended(0);
    waits_at(&house, 2);
    house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(on(&house, "v2"), BTreeSet::new());
    house.wait_for("the new slot is stopped", |house| house.status()["slots"]["green"]["revision"].is_null());
    assert_eq!(house::processes_of_apps(&house.state()).len(), 4);
    let newest = house.releases().pop().unwrap();
    assert_eq!(newest["outcome"]["kind"], "rolled-back", "{newest:#}");
    nobody_was_lost(&house, crowd, census);
}

#[test]
fn a_daemon_killed_between_two_batches_goes_on() {
    let (mut house, crowd, census) = in_the_first_batch();
    house.cli(&["promote"]).ended(0);
    house.wait_for("the old slot shrinks", |house| {
        let seen = house.status();
        let blue = seen["slots"]["blue"]["instances"].as_array().cloned().unwrap_or_default();
        blue.iter().any(|one| one["phase"]["phase"] == "stopping")
    });
    house.kill_daemon();
    let meanwhile = on(&house, "v2");
    is_within_the_band(&meanwhile, 0.25);
    house.serve();
    waits_at(&house, 2);
    assert!(meanwhile.is_subset(&on(&house, "v2")));
    house.cli(&["promote", "--full"]).ended(0);
    house.kill_daemon();
    house.serve();
    house.wait_for("the bake", |house| house.is_in("bake"));
    house.wait_for("the old slot is empty", |house| house::processes_of_apps(&house.state()).len() == 4);
    nobody_was_lost(&house, crowd, census);
}

#[test]
fn a_rollback_in_the_bake_starts_the_old_revision_by_batches() {
    let (house, crowd, census) = in_the_first_batch();
    house.cli(&["promote", "--full"]).ended(0);
    house.wait_for("the bake", |house| house.is_in("bake"));
    house.wait_for("the old slot is empty", |house| house::processes_of_apps(&house.state()).len() == 4);
    house.cli(&["rollback"]).ended(0);
    house.wait_within(house::PATIENCE * 3, "the way back", |house| {
        house.releases().pop().is_some_and(|newest| newest["outcome"]["kind"] == "rolled-back")
    });
    assert_eq!(on(&house, "v1").len(), house::many::CLIENTS as usize);
    nobody_was_lost(&house, crowd, census);
}

#[test]
fn who_leaves_waits_for_no_drain_where_it_has_nothing_to_answer() {
    let house = House::start();
    house.sample("instances = 4", &ROLLING.replace("drain = \"1s\"", "drain = \"10m\""));
    house.cli(&["deploy", "--wait"]).ended(0);
    let census = Census::begin(house.state());
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    waits_at(&house, 1);
    house.cli(&["promote", "--full"]).ended(0);
    house.wait_for("the bake", |house| house.is_in("bake"));
    house.wait_for("the old slot is empty", |house| house::processes_of_apps(&house.state()).len() == 4);
    house.cli(&["rollback", "--wait"]).ended(0);
    let most = census.end();
    assert!(most <= MOST, "{most} processes at once");
}

#[test]
fn a_plan_shows_the_batches_the_capacity_and_the_way_back() {
    let house = House::start();
    house.sample("instances = 4", ROLLING);
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    let told = house.cli(&["plan"]).ended(0).out;
    for line in ["batch 1", "5 (1 new, 4 old)", "all traffic to r1 at once", "in 4 batches", "a surge of 1"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
