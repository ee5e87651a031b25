//! kill -9 at the worst moments, under load: the controller in each stage, the router, an instance, a shim.
//!
//! `KILL_ROUNDS` sets how often each is done; the long run of the proofs asks for five times.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::time::Duration;

use house::crowd::Crowd;
use house::{BINARY, House, signal};
use serde_json::Value;
use switchover_testkit::load::Plan;

/// The stage to be killed in, and the settings that make it last long enough to be met.
const STAGES: &[(&str, &str)] = &[
    ("build", "[build]\ncommand = \"sleep 1.5\"\non_crash = \"rerun\"\n[release]\nbake = \"0s\"\nkeep_warm = \"0s\""),
    ("provision", "[release]\nbake = \"0s\"\nkeep_warm = \"0s\""),
    ("verify", HOOKED),
    ("approve", "[release]\napprove = true\nbake = \"0s\"\nkeep_warm = \"0s\""),
    ("shift", HOOKED),
    ("bake", "[release]\nbake = \"2s\"\nkeep_warm = \"0s\""),
    ("retire", "[release]\nbake = \"0s\"\nkeep_warm = \"2s\""),
];

/// A hook at the stage `STAGE` that takes its time.
const HOOKED: &str = "[release]\nbake = \"0s\"\nkeep_warm = \"0s\"\n[[release.hook]]\nstage = \"STAGE\"\ncommand = \"sleep 1.5\"\non_crash = \"rerun\"";

/// Users of most kinds.
fn crowd(house: &House) -> Crowd {
    let mut plan = Plan::nobody(house.address, "localhost");
    plan.quick = 8;
    plan.slow = 2;
    plan.slow_takes = Duration::from_millis(700);
    plan.streams = 2;
    plan.uploads = 1;
    plan.upload_bytes = 256 * 1024;
    plan.websockets = 4;
    Crowd::gather(plan)
}

/// Does it `KILL_ROUNDS` times, each in a house of its own.
fn in_each_round(kill: impl Fn()) {
    let rounds: usize = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    (0..rounds).for_each(|_| kill());
}

fn releases(house: &House) -> Vec<Value> {
    house.cli(&["history", "--json"]).ended(0).json()["releases"].as_array().cloned().unwrap_or_default()
}

fn is_in(house: &House, stage: &str) -> bool {
    let newest = releases(house).pop();
    newest.is_some_and(|release| {
        let last = release["stages"].as_array().and_then(|stages| stages.last().cloned());
        last.is_some_and(|last| last["stage"] == stage && last["state"] == "running")
    })
}

#[test]
fn a_controller_killed_in_any_stage_goes_on_where_it_was() {
    in_each_round(kill_the_controller_in_each_stage);
}

fn kill_the_controller_in_each_stage() {
    for (stage, settings) in STAGES {
        let mut house = House::start();
        house.sample("instances = 2", "[route]\ndrain = \"4s\"\n\n[release]\nbake = \"0s\"\nkeep_warm = \"1h\"");
        house.cli(&["deploy", "--wait"]).ended(0);
        let crowd = crowd(&house);

        let file = format!(
            "[env]\nSAMPLE_SICK = \"boots-in=1200\"\n\n[route]\ndrain = \"4s\"\n\n{}",
            settings.replace("STAGE", stage)
        );
        house.sample("instances = 2", &file);
        house.write("VERSION", "v2");
        house.cli(&["deploy"]).ended(0);
        house.wait_for(&format!("the release is in {stage}"), |house| is_in(house, stage));
        house.kill_daemon();
        let asked_before = crowd.answered();
        house.wait_for("users are served without a controller", |_| crowd.answered() > asked_before + 200);
        house.serve();
        if *stage == "approve" {
            house.cli(&["promote"]).ended(0);
        }
        house.wait_for(&format!("nothing of the release killed in {stage} is left to do"), |house| {
            releases(house).last().is_some_and(|release| release["settled_at"].is_u64())
        });
        let release = releases(&house).pop().unwrap();
        assert_eq!(release["outcome"]["kind"], "succeeded", "killed in {stage}: {release:#}");
        assert!(release["switched_at"].is_u64(), "killed in {stage}: {release:#}");
        let stages = release["stages"].as_array().unwrap();
        assert!(stages.iter().all(|stage| stage["state"] == "done"), "killed in {stage}: {release:#}");
        assert_eq!(runs(&house), ["r2", "r2"], "killed in {stage}: the old slot is stopped, the new one whole");

        let report = crowd.leave();
        assert_eq!(report.complaints(), Vec::<String>::new(), "killed in {stage}");
        let receipt = house.receipt(Some(2));
        assert_eq!(receipt["balanced"], true, "killed in {stage}: {receipt:#}");
        assert_eq!(receipt["lost"], 0, "killed in {stage}: {receipt:#}");
    }
}

/// The revisions of the instances that are there, in any phase.
fn runs(house: &House) -> Vec<String> {
    let status = house.status();
    let slots =
        ["blue", "green"].map(|slot| status["slots"][slot]["instances"].as_array().cloned().unwrap_or_default());
    slots.into_iter().flatten().filter_map(|one| Some(one["revision"].as_str()?.to_owned())).collect()
}

#[test]
fn a_controller_killed_while_it_undoes_a_release_undoes_it_to_the_end() {
    // Both wait for an app that does not end before its grace is over: time enough to be killed in.
    for (stage, command, outcome) in [("verify", "abort", "aborted"), ("bake", "rollback", "rolled-back")] {
        let mut house = House::start();
        house.sample("instances = 2", "[route]\ndrain = \"4s\"\n\n[release]\nbake = \"0s\"\nkeep_warm = \"0s\"");
        house.cli(&["deploy", "--wait=settled"]).ended(0);
        let crowd = crowd(&house);
        let hook =
            if stage == "verify" { "[[release.hook]]\nstage = \"verify\"\ncommand = \"sleep 600\"\n" } else { "" };
        house.sample(
            "instances = 2",
            &format!("[env]\nSAMPLE_SICK = \"ignores-sigterm\"\n\n[route]\ndrain = \"4s\"\n\n[release]\nbake = \"1h\"\n{hook}"),
        );
        house.write("VERSION", "v2");
        house.cli(&["deploy"]).ended(0);
        house.wait_for(&format!("the release is in {stage}"), |house| is_in(house, stage));
        house.cli(&[command]).ended(0);
        let is_settled = |house: &House| releases(house).last().is_some_and(|release| release["settled_at"].is_u64());
        // Its outcome stands as soon as users are where they were; its instances are yet to be ended.
        house.wait_for("the release is being undone", |house| {
            releases(house).last().is_some_and(|release| release["undoing"] == true || release["outcome"].is_object())
        });
        assert!(!is_settled(&house), "it was undone to the end before the controller could be killed");
        house.kill_daemon();
        let asked_before = crowd.answered();
        house.wait_for("users are served without a controller", |_| crowd.answered() > asked_before + 200);
        house.serve();
        house.wait_for(&format!("nothing of the release undone in {stage} is left to do"), is_settled);
        let release = releases(&house).pop().unwrap();
        assert_eq!(release["outcome"]["kind"], outcome, "{release:#}");
        assert_eq!(house.live_revision().as_deref(), Some("r1"), "{release:#}");
        assert_eq!(runs(&house), ["r1", "r1"], "only the slot that was live before runs");

        let report = crowd.leave();
        assert_eq!(report.complaints(), Vec::<String>::new(), "undone in {stage}");
        let receipt = house.receipt(Some(2));
        assert_eq!(receipt["balanced"], true, "undone in {stage}: {receipt:#}");
        assert_eq!(receipt["lost"], 0, "undone in {stage}: {receipt:#}");
    }
}

#[test]
fn a_hook_lost_with_the_controller_fails_when_the_app_says_so() {
    in_each_round(lose_a_hook_with_the_controller);
}

fn lose_a_hook_with_the_controller() {
    let mut house = House::start();
    house.sample("", "[release]\nbake = \"0s\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    let runs = house.folder.path().join("hook-runs");
    let hook = format!("command = \"touch {} && sleep 20\"", runs.display());
    house.sample("", &format!("[[release.hook]]\nstage = \"verify\"\n{hook}\non_crash = \"fail\""));
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the hook itself runs, not only its stage", |_| runs.exists());
    house.kill_daemon();
    house.serve();
    house.wait_for("the release is undone", |house| {
        releases(house).last().is_some_and(|release| release["outcome"]["kind"] == "aborted")
    });
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    assert!(house.get("/version").unwrap().1.contains("v1"));
}

#[test]
fn a_killed_router_is_back_with_its_last_table() {
    in_each_round(kill_the_router);
}

fn kill_the_router() {
    let house = House::start();
    house.sample("instances = 2", "");
    house.cli(&["deploy", "--wait"]).ended(0);
    let routers = house.processes("router");
    assert_eq!(routers.len(), 1, "{routers:?}");
    signal(routers[0], libc::SIGKILL);
    house.wait_for("another router serves", |house| {
        house.processes("router").iter().any(|pid| *pid != routers[0])
            && house.get("/version").is_ok_and(|(status, _)| status == 200)
    });
    house.wait_for("the controller sees it", |house| house.status()["unknown"].as_array().is_some_and(Vec::is_empty));
    house.write("VERSION", "v2");
    house.cli(&["deploy", "--wait"]).ended(0);
    assert!(house.get("/version").unwrap().1.contains("v2"));
}

/// The command line of a process.
fn command_line(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let arguments = line.split(|byte| *byte == 0).filter(|argument| !argument.is_empty());
    arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[test]
fn a_router_killed_under_load_loses_what_was_in_flight_and_the_receipt_says_so() {
    for controller_is_there in [true, false] {
        let mut house = House::start();
        house.sample("instances = 2", "");
        house.cli(&["deploy", "--wait"]).ended(0);
        let crowd = crowd(&house);
        house.wait_for("users are served", |_| crowd.answered() > 300);
        let router = house.processes("router")[0];
        let arguments = command_line(router);
        let mut by_hand = None;
        if controller_is_there {
            signal(router, libc::SIGKILL);
        } else {
            house.kill_daemon();
            signal(router, libc::SIGKILL);
            house.wait_for("the router is gone", |house| !house.processes("router").contains(&router));
            // What systemd would do: the same command again.
            by_hand = Some(std::process::Command::new(&arguments[0]).args(&arguments[1..]).spawn().unwrap());
        }
        house.wait_for("another router serves", |house| house.processes("router").iter().any(|pid| *pid != router));
        let before = crowd.answered();
        house.wait_for("users are served again", |_| crowd.answered() > before + 300);
        let report = crowd.leave();
        if !controller_is_there {
            house.serve();
        }

        let receipt = house.receipt(None);
        let count = |field: &str| receipt[field].as_u64().unwrap();
        // What users of all kinds can have had in flight: 8 quick, 2 slow, 2 streams, 1 upload, 4 that open a WebSocket.
        assert!((1..=17).contains(&count("lost_with_router")), "{receipt:#}");
        assert_eq!(count("lost"), count("lost_with_router"), "nothing else is lost: {receipt:#}");
        assert_eq!(receipt["balanced"], true, "{receipt:#}");
        assert_eq!(count("in_flight_after"), 0, "{receipt:#}");
        let answered: u64 =
            receipt["by_revision"]["r1"]["answered"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        // What the killed router had answered may have had no time to be counted; then it is among the lost.
        assert!(answered <= report.answered, "{} {receipt:#}", report.answered);
        assert!(answered + count("lost_with_router") >= report.answered, "{} {receipt:#}", report.answered);
        // A request that no router had read is none that it accepted: its user saw the connection end, or found none.
        assert!(count("accepted") <= report.sent, "{} {receipt:#}", report.sent);

        house.write("VERSION", "v2");
        house.cli(&["deploy", "--wait"]).ended(0);
        let next = house.receipt(Some(2));
        assert_eq!((&next["lost"], &next["lost_with_router"]), (&0.into(), &0.into()), "lost only once: {next:#}");
        drop(house);
        if let Some(mut child) = by_hand {
            child.wait().unwrap();
        }
    }
}

#[test]
fn a_router_that_starts_without_a_controller_serves_its_last_table() {
    in_each_round(start_a_router_without_a_controller);
}

fn start_a_router_without_a_controller() {
    let mut house = House::start();
    house.sample("", "");
    house.cli(&["deploy", "--wait"]).ended(0);
    let router = house.processes("router")[0];
    let arguments = command_line(router);
    house.kill_daemon();
    signal(router, libc::SIGKILL);
    house.wait_for("the router is gone", |house| house.get("/version").is_err());
    // What systemd would do: the same command again.
    let mut child = std::process::Command::new(&arguments[0]).args(&arguments[1..]).spawn().unwrap();
    house.wait_for("the last table is served", |house| house.get("/version").is_ok_and(|(status, _)| status == 200));
    house.serve();
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    assert_eq!(house.processes("router"), [child.id()], "the controller found the router that was there");
    drop(house);
    child.wait().unwrap();
}

#[test]
fn an_instance_killed_under_load_loses_only_what_it_was_answering() {
    in_each_round(kill_an_instance_under_load);
}

fn kill_an_instance_under_load() {
    let house = House::start();
    house.sample("instances = 2", "");
    house.cli(&["deploy", "--wait"]).ended(0);
    let crowd = crowd(&house);
    house.wait_for("users are served", |_| crowd.answered() > 300);
    let victim: u32 = {
        let (_, body) = house.get("/version").unwrap();
        let seen: Value = serde_json::from_str(&body).unwrap();
        u32::try_from(seen["pid"].as_u64().unwrap()).unwrap()
    };
    let before = crowd.answered();
    signal(victim, libc::SIGKILL);
    house.wait_for("users go on", |_| crowd.answered() > before + 500);
    house.wait_for("two instances are healthy again", |house| {
        let status = house.status();
        let live = status["live"].as_str().unwrap_or("blue").to_owned();
        status["slots"][&live]["instances"]
            .as_array()
            .is_some_and(|all| all.iter().filter(|one| one["phase"]["phase"] == "healthy").count() == 2)
    });
    let report = crowd.leave();
    // At most what was in flight on it: 8 quick, 2 slow, 2 streams, 1 upload. What was not yet sent goes to its sibling, so
    // nobody is told that there is no instance or that it could not be reached.
    assert!(report.failed <= 13, "{:?}", report.complaints());
    let receipt = house.receipt(None);
    for cause in ["no-healthy-instance", "connect-failed", "connect-timeout"] {
        assert!(receipt["own"][cause].is_null(), "{cause}: {receipt:#}");
    }
    assert_eq!(receipt["balanced"], true, "{receipt:#}");
    assert_eq!(receipt["lost"].as_u64(), Some(report.failed), "{receipt:#}");
}

#[test]
fn a_killed_shim_leaves_no_stray_app_and_no_gap() {
    in_each_round(kill_a_shim);
}

fn kill_a_shim() {
    let house = House::start();
    house.sample("instances = 2", "");
    house.cli(&["deploy", "--wait"]).ended(0);
    let shims = house.processes("shim");
    assert_eq!(shims.len(), 2, "{shims:?}");
    let apps = house.processes_of_the_app();
    assert_eq!(apps.len(), 2, "{apps:?}");
    signal(shims[0], libc::SIGKILL);
    house.wait_for("the place is filled by a new instance", |house| {
        let now = house.processes("shim");
        now.len() == 2 && !now.contains(&shims[0])
    });
    house.wait_for("two instances are healthy and nothing else runs", |house| {
        let status = house.status();
        let live = status["live"].as_str().unwrap_or("blue").to_owned();
        let instances = status["slots"][&live]["instances"].as_array().cloned().unwrap_or_default();
        instances.len() == 2 && instances.iter().all(|one| one["phase"]["phase"] == "healthy")
    });
    assert_eq!(house.get("/version").unwrap().0, 200);
    assert_eq!(house.processes_of_the_app(), apps, "the apps went on, and no second one was started");
}

#[test]
fn no_user_of_a_rollback_meets_an_instance_that_hangs() {
    let go_back = |instances: u32, was_noticed: bool| {
        let house = House::start();
        house.sample(&format!("instances = {instances}"), "[release]\nbake = \"1h\"");
        house.cli(&["deploy", "--wait"]).ended(0);
        let old = house.processes_of_the_app()[0];
        house.write("VERSION", "v2");
        house.cli(&["deploy", "--wait"]).ended(0);
        let crowd = crowd(&house);
        house.wait_for("users are at work", |_| crowd.answered() > 100);
        signal(old, libc::SIGSTOP);
        if was_noticed {
            house.wait_for("it is said that the way back is no longer instant", |house| {
                house.status()["way_back"]["way"] != "instant"
            });
        }
        house.cli(&["rollback", "--wait"]).ended(0);
        let status = house.status();
        assert_eq!(status["slots"]["blue"]["share"], 10_000, "{status:#}");
        let after = crowd.answered();
        house.wait_for("the old revision answers", |_| crowd.answered() > after + 100);
        assert_eq!(crowd.leave().complaints(), Vec::<String>::new());
    };
    in_each_round(|| {
        go_back(1, true);
        go_back(1, false);
        go_back(2, false);
    });
}

#[test]
fn who_hangs_in_the_live_slot_is_replaced() {
    let house = House::start();
    let file = format!(
        "name = \"shop\"\n[process.web]\ncommand = \"{BINARY} sample-app\"\ninstances = 2\n\
             health = {{ path = \"/up\", interval = \"200ms\", timeout = \"300ms\", deadline = \"2s\" }}\n\
             stop = {{ grace = \"1s\" }}\n[route]\ndrain = \"1s\"\n[release]\nbake = \"0s\"\n"
    );
    house.write("switchover.toml", &file);
    house.cli(&["deploy", "--wait=settled"]).ended(0);
    let before = house.processes_of_the_app();
    signal(before[0], libc::SIGSTOP);
    house.wait_for("another one is in its place", |house| {
        let now = house.processes_of_the_app();
        now.len() == 2 && !now.contains(&before[0]) && now.contains(&before[1])
    });
    let status = house.status();
    assert!(status["notes"].to_string().contains("ill for long"), "{status:#}");
}
