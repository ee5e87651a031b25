//! A release outside of its time window: it waits, says so, is let pass once, and goes back without asking.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use house::House;

/// A window that is closed today, yesterday and tomorrow, whatever the time is.
fn closed_now() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).weekday();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let far = days[(usize::try_from(today.to_monday_zero_offset()).unwrap() + 3) % days.len()];
    format!("[release]\nallow = [\"{far} 10:00-11:00 UTC\"]\nbake = \"1h\"\nkeep_warm = \"1h\"\n")
}

#[test]
fn a_release_waits_for_its_window_and_a_promotion_passes_it_once() {
    let house = House::start();
    house.sample("instances = 1", "[release]\nbake = \"0s\"\nkeep_warm = \"1h\"\n");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.sample("instances = 1", &closed_now());
    house.write("VERSION", "v2");
    let plan = house.cli(&["plan"]).ended(0).out;
    assert!(plan.contains("WINDOW-CLOSED"), "{plan}");

    house.cli(&["deploy"]).ended(0);
    house.wait_for("the release waits for its window", |house| {
        let newest = house.status()["releases"].as_array().and_then(|all| all.last().cloned());
        newest.is_some_and(|newest| newest["waiting"] == "its time window to open" && newest["opens_at"].is_u64())
    });
    let shown = house.cli(&["status"]).ended(0).out;
    assert!(shown.contains("waits: its time window to open, in ") && shown.contains("WINDOW-CLOSED"), "{shown}");
    assert_eq!(house.live_revision().as_deref(), Some("r1"));

    let said = house.cli(&["promote"]).ended(0).out;
    assert_eq!(said.trim(), "release 2 of shop passes its closed time window once");
    house.wait_for("all traffic", |house| house.live_revision().as_deref() == Some("r2"));
    assert!(!house.cli(&["status"]).ended(0).out.contains("WINDOW-CLOSED"), "it has passed");
    house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(house.live_revision().as_deref(), Some("r1"), "a way back does not wait");
}
