//! Traffic by steps on real processes under load: each share as the file says, no client moved back while it grows, and all
//! returned by a rollback.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::collections::BTreeSet;

use house::House;
use house::crowd::Crowd;
use house::many::{CLIENTS, deployed_under_load, is_within_the_band, led_to, on, steps, waits_at};

/// Three shares: the first and the last wait for a person, the one between for two seconds.
const STEPS: &str = "[route]\ndrain = \"4s\"\nsticky = \"address\"\n\n[release]\nstrategy = \"canary\"\nbake = \"0s\"\nkeep_warm = \"1h\"\n\
    [[release.step]]\nshare = \"5%\"\napprove = true\n[[release.step]]\nshare = \"30%\"\nfor = \"2s\"\n\
    [[release.step]]\nshare = \"60%\"\napprove = true\n";

/// `v1` live, and `v2` in the first of its steps.
fn in_the_first_step() -> (House, Crowd) {
    let house = House::start();
    house.sample("instances = 2", STEPS);
    house.cli(&["deploy", "--wait"]).ended(0);
    let crowd = deployed_under_load(&house);
    (house, crowd)
}

#[test]
fn a_canary_goes_through_its_steps_and_moves_no_client_back() {
    let (house, crowd) = in_the_first_step();
    let first = on(&house, "v2");
    is_within_the_band(&first, 0.05);
    let refused = house.cli(&["promote", "--step", "2"]).ended(3);
    assert!(refused.err.contains("STALE-COMMAND"), "{refused:?}");
    assert!(house.cli(&["status"]).out.contains("5% for"), "the status shows the step");

    house.cli(&["promote", "--step", "1"]).ended(0);
    waits_at(&house, 2);
    house.cli(&["pause"]).ended(0);
    let second = on(&house, "v2");
    is_within_the_band(&second, 0.3);
    assert!(first.is_subset(&second), "who was on the new side stays there");
    house.wait_for("the held step to be past its time", |house| {
        let since = steps(house)[1]["in_force_at"].as_u64().unwrap();
        house.status()["slots"].is_object() && now() > since + 3_000_000
    });
    waits_at(&house, 2);
    house.cli(&["resume"]).ended(0);

    waits_at(&house, 3);
    let third = on(&house, "v2");
    is_within_the_band(&third, 0.6);
    assert!(second.is_subset(&third), "nor is anybody moved back by the next one");
    house.cli(&["promote", "--full"]).ended(0);
    house.wait_for("all traffic", |house| house.live_revision().as_deref() == Some("r2"));
    assert_eq!(on(&house, "v2").len() as u32, CLIENTS);

    let told = steps(&house);
    let stayed = told[1]["left_at"].as_u64().unwrap() - told[1]["in_force_at"].as_u64().unwrap();
    assert!(stayed >= 2_000_000, "the second step was left after {stayed} us: {told:?}");
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
    let receipt = house.receipt(None);
    assert_eq!(
        (receipt["lost"].as_u64(), receipt["steps"].as_array().map(Vec::len)),
        (Some(0), Some(3)),
        "{receipt:#}"
    );
    let switch = &receipt["switches"][0];
    assert!(
        switch["first_on_new"].as_u64() < switch["decided_at"].as_u64(),
        "its first request came in its first step: {switch:#}"
    );
    // A file without a check has the ratio of its split looked at all the same, and a real one is not off.
    let judged = receipt["judged"].as_array().unwrap().iter().find(|judged| judged["watch"]["step"] == 2);
    let ratio =
        judged.unwrap_or_else(|| panic!("the second step was left by itself: {receipt:#}"))["verdicts"][0].clone();
    assert!(ratio["verdict"] != "fail" && ratio["name"] == "sample ratio", "{ratio:#}");
    assert!(ratio["why"].to_string().contains("clients, 30% was decided"), "{ratio:#}");
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

#[test]
fn a_rollback_in_a_step_returns_every_client_and_loses_no_request() {
    let (house, crowd) = in_the_first_step();
    house.cli(&["promote"]).ended(0);
    waits_at(&house, 3);
    is_within_the_band(&on(&house, "v2"), 0.6);
    house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(on(&house, "v2"), BTreeSet::new());
    house.wait_for("the new slot is stopped", |house| house.status()["slots"]["green"]["revision"].is_null());
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
    let receipt = house.receipt(None);
    assert_eq!((receipt["lost"].as_u64(), receipt["balanced"].as_bool()), (Some(0), Some(true)), "{receipt:#}");
    let newest = house.releases().pop().unwrap();
    assert_eq!(newest["outcome"]["kind"], "rolled-back", "{newest:#}");
}

#[test]
fn a_daemon_killed_in_a_step_goes_on_with_it() {
    let (mut house, crowd) = in_the_first_step();
    house.cli(&["promote"]).ended(0);
    waits_at(&house, 2);
    house.kill_daemon();
    let meanwhile = on(&house, "v2");
    is_within_the_band(&meanwhile, 0.3);
    house.serve();
    waits_at(&house, 3);
    assert!(meanwhile.is_subset(&on(&house, "v2")));
    house.kill_daemon();
    house.serve();
    house.cli(&["promote"]).ended(0);
    house.wait_for("all traffic", |house| house.live_revision().as_deref() == Some("r2"));
    assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
}

#[test]
fn several_processes_shift_in_one_change_and_a_client_is_on_one_side_in_all() {
    let house = House::start();
    let api = format!(
        "route = \"/\"\n\n[process.api]\ncommand = \"{}\"\nroute = \"/version\"\nhealth = {{ path = \"/up\" }}",
        format_args!("{} sample-app", house::BINARY)
    );
    let linear = "[route]\nsticky = \"address\"\n\n[release]\nstrategy = \"linear\"\nlinear = { by = \"40%\", every = \"1s\" }\nbake = \"0s\"\n";
    house.sample(&api, linear);
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    waits_at(&house, 1);
    house.cli(&["pause"]).ended(0);
    let (web, api) = (led_to(&house, "/", "v2"), led_to(&house, "/version", "v2"));
    is_within_the_band(&web, 0.4);
    assert_eq!(web, api, "the same clients in both");
    house.cli(&["resume"]).ended(0);
    house.wait_for("all traffic", |house| house.live_revision().as_deref() == Some("r2"));
    let shares: Vec<u64> = steps(&house).iter().map(|step| step["share"].as_u64().unwrap()).collect();
    assert_eq!(shares, [4_000, 8_000]);
}

#[test]
fn a_plan_shows_the_steps_the_capacity_and_the_way_back() {
    let house = House::start();
    house.sample("instances = 2", STEPS);
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    let told = house.cli(&["plan"]).ended(0).out;
    for line in [
        "step 1",
        "`switchover promote`, at most 1d",
        "all traffic to r1 at once",
        "beside one slot's own instances it takes ",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let plan = house.cli(&["plan", "--json"]).ended(0).json();
    let points = plan["timeline"]["points"].as_array().unwrap();
    let shares: Vec<u64> = points.iter().map(|point| point["share"].as_u64().unwrap()).collect();
    assert_eq!(shares, [500, 3_000, 6_000, 10_000, 10_000, 10_000]);
    assert_eq!((&points[0]["instances"], &points[5]["instances"]), (&4.into(), &2.into()));
}
