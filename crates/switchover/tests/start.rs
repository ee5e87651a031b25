//! How a daemon that cannot be started leaves nothing behind, and spoils nothing of one that ran.

mod house;

use std::process::Stdio;

use house::{BINARY, House, Said};

#[track_caller]
fn refused(said: Said, exit: i32, code: &str, holds: &str) {
    let said = said.ended(exit);
    assert!(said.err.contains(&format!("error[{code}]")) && said.err.contains("next: "), "{said:?}");
    assert!(said.err.contains(holds), "{said:?}");
}

#[test]
fn a_state_folder_with_too_long_a_path_is_refused_before_anything_is_started() {
    let house = House::closed();
    let state = house.folder.path().join("x".repeat(120));
    let said = house.cli(&["serve", "--http", "127.0.0.1:0", "--state", state.to_str().unwrap()]);
    refused(said, 2, "STATE-PATH-TOO-LONG", "107");
    assert!(!state.exists(), "nothing was made");
    assert!(house.processes("router").is_empty());
    // A short way to the same folder will do.
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::symlink(&state, house.state()).unwrap();
    let mut house = house;
    house.serve();
    house.stop_daemon();
    house::end_all_of(&state);
}

#[test]
fn a_daemon_that_cannot_go_on_takes_the_router_with_it_that_it_started() {
    let mut house = House::closed();
    // What cannot be removed stands where the socket has to be.
    std::fs::create_dir_all(house.state().join("control.sock/in-the-way")).unwrap();
    refused(house.cli(&["serve", "--http", "127.0.0.1:0"]), 1, "STATE-NOT-WRITABLE", "control.sock");
    // It serves on for a moment, for a successor that might come.
    house.wait_for("the router is gone", |house| house.processes("router").is_empty());

    // One that ran before goes on.
    std::fs::remove_dir_all(house.state().join("control.sock")).unwrap();
    house.serve();
    house.stop_daemon();
    std::fs::create_dir_all(house.state().join("control.sock/in-the-way")).unwrap();
    let router = house.processes("router");
    refused(house.cli(&["serve", "--http", "127.0.0.1:0"]), 1, "STATE-NOT-WRITABLE", "control.sock");
    assert_eq!((house.processes("router"), router.len()), (router, 1));
}

#[test]
fn a_machine_that_starts_again_in_a_bake_keeps_the_new_revision_that_boots_slowly() {
    let mut house = House::start();
    let file = |before: &str| {
        format!(
            "name = \"shop\"\n[process.web]\ncommand = \"{before}exec {BINARY} sample-app\"\n\
             health = {{ path = \"/up\", deadline = \"20s\" }}\n[release]\nbake = \"1h\"\n"
        )
    };
    house.write("VERSION", "v1");
    house.write("switchover.toml", &file(""));
    house.cli(&["deploy", "--wait"]).ended(0);
    house.write("VERSION", "v2");
    house.write("switchover.toml", &file("sleep 3; "));
    house.cli(&["deploy", "--wait"]).ended(0);
    house.stop_daemon();
    house::end_all_of(&house.state());
    house.serve();
    house.wait_for("the new revision answers again", |house| {
        house.get("/version").is_ok_and(|(status, body)| status == 200 && body.contains("v2"))
    });
    let releases = house.releases();
    assert!(releases.last().unwrap()["outcome"].is_null(), "it bakes on: {releases:#?}");
}

#[test]
fn a_deploy_waits_for_a_daemon_that_is_just_being_started() {
    let mut house = House::closed();
    house.sample("instances = 1", "[release]\nbake = \"0s\"\n");
    let mut deploy = house.command(&["deploy", "--wait"]);
    let deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
    house.serve();
    Said::from(deploy.wait_with_output().expect("it ends")).ended(0);
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
}
