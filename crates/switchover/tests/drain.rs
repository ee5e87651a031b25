//! What a switch means for connections that last: WebSockets on the old slot live to the end of its drain.

mod house;

use std::time::Duration;

use house::House;
use house::crowd::Crowd;
use switchover_testkit::load::Plan;

/// The drain of this test, and by how much the end of a session may miss it: turns are spread over two seconds, and the
/// machine may be busy.
const DRAIN: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(10);

#[test]
fn a_websocket_on_the_old_slot_lives_to_the_end_of_the_drain() {
    let house = House::start();
    house.sample("", "[route]\ndrain = \"3s\"\n\n[release]\nbake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut plan = Plan::nobody(house.address, "localhost");
    plan.websockets = 10;
    plan.quick = 2;
    let crowd = Crowd::gather(plan);
    house.wait_for("users are at work", |_| crowd.answered() > 100);
    house.write("VERSION", "v2");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.wait_for("the old slot's upgrades are closed", |house| {
        let switches = &house.receipt(Some(2))["switches"];
        switches[0]["upgrades_cut"].as_u64() == Some(10) && switches[0]["drain"].is_string()
    });
    let flipped_us = house.receipt(Some(2))["switches"][0]["flipped_at"].as_u64().unwrap();
    let report = crowd.leave();
    assert_eq!(report.complaints(), Vec::<String>::new());

    let flipped_ms = flipped_us / 1000 - report.began_unix_ms;
    let drain_ms = u64::try_from(DRAIN.as_millis()).unwrap();
    let latest_ms = flipped_ms + drain_ms + u64::try_from(SLACK.as_millis()).unwrap();
    let cut: Vec<_> = report.websockets.sessions.iter().filter(|session| session.how == "1012").collect();
    assert_eq!(cut.len(), 10, "{:?}", report.websockets.ended);
    for session in cut {
        assert_eq!(session.revision.as_deref(), Some("r1"), "{session:?}");
        // The router's clock for deadlines has a tick of 100 ms.
        assert!(session.ended_ms + 150 >= flipped_ms + drain_ms, "cut before the end of the drain: {session:?}");
        assert!(session.ended_ms <= latest_ms, "not cut: {session:?}");
        assert!(session.echoed > 0, "{session:?}");
    }
}

#[test]
fn an_instance_that_is_too_many_answers_what_it_has_before_it_is_told_to_stop() {
    let house = House::start();
    house.sample("instances = 3", "[route]\ndrain = \"3s\"\n\n[release]\nbake = \"1h\"");
    // SIGUSR1 ends the sample app at once, with whatever it is answering.
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    let file = file.replace("grace = \"5s\"", "signal = \"SIGUSR1\", grace = \"5s\"");
    house.write("switchover.toml", &file);
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut plan = Plan::nobody(house.address, "localhost");
    (plan.quick, plan.single, plan.slow, plan.streams, plan.uploads) = (4, 4, 12, 4, 2);
    plan.websockets = 12;
    let crowd = Crowd::gather(plan);
    house.wait_for("users are at work", |_| crowd.answered() > 100);
    house.write("switchover.toml", &file.replace("instances = 3", "instances = 1"));
    house.cli(&["apply"]).ended(0);
    house.wait_for("two instances have ended", |house| house.processes_of_the_app().len() == 1);
    let after = crowd.answered();
    house.wait_for("the one that is left answers", |_| crowd.answered() > after + 100);
    let report = crowd.leave();
    assert_eq!(report.complaints(), Vec::<String>::new());
    // Those of the two that left were told so, and came back to the one that stayed.
    let told = report.websockets.sessions.iter().filter(|session| session.how == "1012").count();
    assert!(told >= 4, "{:?}", report.websockets.ended);
}
