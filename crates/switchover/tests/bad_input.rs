//! What goes wrong, as a person meets it: a clear message, the right exit code, and nothing changed.

mod house;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use house::{BINARY, House, Said};

/// The policy of apps whose tails are of no interest here.
const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

/// A house with v1 of the sample app live.
fn live() -> House {
    let house = House::start();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    house
}

/// The error of a command that ended with `code`, as `--json` tells it; with `holds` in its cause or detail.
#[track_caller]
fn refused(said: Said, exit: i32, code: &str, holds: &str) {
    let text = format!("{}\n{}", said.out, said.err);
    let said = said.ended(exit);
    assert!(said.err.contains(&format!("error[{code}]")), "{text}");
    assert!(said.err.contains("next: "), "{text}");
    assert!(said.err.contains(holds), "{text}");
}

/// v1 is live as before and answers.
#[track_caller]
fn nothing_changed(house: &House) {
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    let (status, body) = house.get("/version").expect("v1 answers");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("v1"), "{body}");
}

#[test]
fn without_a_file_nothing_is_asked_of_the_daemon() {
    let house = House::closed();
    refused(house.cli(&["deploy", "--wait"]), 2, "CONFIG-MISSING", "There is no switchover.toml");
    refused(house.cli(&["validate"]), 2, "CONFIG-MISSING", "switchover init");
    refused(house.cli(&["validate", "--config", "other.toml"]), 2, "CONFIG-MISSING", "other.toml");
}

#[test]
fn a_broken_file_is_shown_line_by_line_and_changes_nothing() {
    let house = live();
    house.write("switchover.toml", "name = \"shop\"\n[process.web]\ncommand = = 3\n[releas]\nbake = \"1m\"\n");
    let said = house.cli(&["deploy", "--wait"]);
    assert!(said.err.contains("switchover.toml:3:11: not TOML"), "{said:?}");
    assert!(said.err.contains("3 | command = = 3"), "{said:?}");
    assert!(said.err.contains("did you mean \"release\"?"), "{said:?}");
    refused(said, 2, "CONFIG-WRONG", "mistakes");
    refused(house.cli(&["apply"]), 2, "CONFIG-WRONG", "mistakes");

    let json = house.cli(&["validate", "--json"]).ended(2).json();
    assert_eq!(json["error"]["code"], "CONFIG-WRONG");
    assert_eq!(json["mistakes"][0]["line"], 3);
    nothing_changed(&house);
    // A broken file is no reason not to look, and none not to go back.
    house.cli(&["status"]).ended(0);
    refused(house.cli(&["rollback"]), 3, "NOTHING-TO-ROLL-BACK", "");
}

#[test]
fn a_taken_port_is_named() {
    let house = House::closed();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(house.cli(&["serve", "--http", &address]), 1, "PORT-TAKEN", &address);
    assert!(house.processes("router").is_empty());
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named() {
    let house = House::closed();
    std::fs::write(house.folder.path().join("state"), "a file in the way").unwrap();
    refused(house.cli(&["serve", "--http", "127.0.0.1:0"]), 1, "STATE-NOT-WRITABLE", "state");
    assert!(house.processes("router").is_empty());
}

#[test]
fn a_state_folder_of_somebody_else_is_named_and_left_as_it_is() {
    // Root may write anywhere: it becomes nobody for this, and nobody must be able to reach the program.
    const NOBODY: u32 = 65_534;
    let house = House::closed();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(house.folder.path(), 0o755);
    let program = house.folder.path().join("switchover");
    std::fs::copy(BINARY, &program).unwrap();
    open(&program, 0o755);
    std::fs::create_dir(house.state()).unwrap();
    open(&house.state(), 0o555);
    let mut command = std::process::Command::new(&program);
    command.args(["serve", "--http", "127.0.0.1:0"]).env("SWITCHOVER_STATE", house.state()).current_dir("/");
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    let said: Said = command.output().unwrap().into();
    refused(said, 1, "STATE-NOT-WRITABLE", &house.state().display().to_string());
    assert_eq!(std::fs::read_dir(house.state()).unwrap().count(), 0, "nothing was written");
    assert!(house.processes("router").is_empty());
}

#[test]
fn a_second_daemon_on_the_same_folder_is_refused() {
    let house = live();
    refused(house.cli(&["serve", "--http", "127.0.0.1:0"]), 1, "ALREADY-RUNNING", "");
    nothing_changed(&house);
}

#[test]
fn without_a_daemon_the_next_step_is_to_start_one() {
    let house = House::closed();
    house.sample("", LONG);
    refused(house.cli(&["deploy"]), 6, "DAEMON-UNREACHABLE", "switchover serve");
    refused(house.cli(&["status"]), 6, "DAEMON-UNREACHABLE", "switchover serve");
    let json = house.cli(&["history", "--json"]).ended(6).json();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["error"]["code"], "DAEMON-UNREACHABLE");
}

#[test]
fn an_artifact_that_is_missing_or_no_artifact_is_refused() {
    let house = live();
    refused(house.cli(&["deploy", "--wait", "--artifact", "no-such.tar"]), 2, "ARTIFACT-MISSING", "no-such.tar");
    refused(house.cli(&["deploy", "--wait", "--artifact", "VERSION"]), 2, "ARTIFACT-UNKNOWN", "VERSION");
    std::fs::write(house.app().join("broken.tar.gz"), "no archive").unwrap();
    refused(house.cli(&["deploy", "--wait", "--artifact", "broken.tar.gz"]), 4, "ARTIFACT-INVALID", "");
    nothing_changed(&house);
}

#[test]
fn a_rollback_with_nothing_to_go_back_to_is_refused() {
    let house = live();
    refused(house.cli(&["rollback", "--wait"]), 3, "NOTHING-TO-ROLL-BACK", "");
    refused(house.cli(&["rollback", "--to", "r9"]), 3, "REVISION-UNKNOWN", "r9");
    house.wait_for("it bakes", |house| house.is_in("bake"));
    refused(house.cli(&["promote"]), 3, "NOT-AT-A-GATE", "");
    nothing_changed(&house);
}

#[test]
fn the_revision_that_is_live_already_is_not_released_again() {
    let house = live();
    refused(house.cli(&["deploy", "--wait"]), 3, "ALREADY-LIVE", "");
    nothing_changed(&house);
}

#[test]
fn a_command_that_is_not_found_is_named_and_undone() {
    let house = live();
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write("switchover.toml", &file.replace(&format!("{BINARY} sample-app"), "no-such-program --port $PORT"));
    refused(house.cli(&["deploy", "--wait"]), 4, "COMMAND-NOT-FOUND", "no-such-program");
    nothing_changed(&house);
}

#[test]
fn a_health_that_is_never_green_is_undone_with_the_apps_last_lines() {
    let house = live();
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write(
        "switchover.toml",
        &file
            .replace("deadline = \"20s\"", "deadline = \"1s\"")
            .replace("command = \"", "command = \"echo counting the goods; "),
    );
    house.write("SICK", "never-healthy");
    let said = house.cli(&["deploy", "--wait"]);
    assert!(said.err.contains("counting the goods"), "the app's last lines are shown: {said:?}");
    refused(said, 4, "HEALTH-NEVER-GREEN", "");
    nothing_changed(&house);
}

#[test]
fn an_app_that_exits_at_once_is_undone_with_its_last_lines() {
    let house = live();
    house.write("SICK", "exits=3");
    let said = house.cli(&["deploy", "--wait"]);
    assert!(said.err.contains("  | "), "the app's last lines are shown: {said:?}");
    refused(said, 4, "INSTANCE-EXITED", "3");
    nothing_changed(&house);
}

#[test]
fn a_hook_that_hangs_is_ended_and_undoes_the_release() {
    let house = live();
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write(
        "switchover.toml",
        &format!("{file}\n[[release.hook]]\nstage = \"verify\"\ncommand = \"sleep 600\"\ntimeout = \"500ms\"\n"),
    );
    house.write("VERSION", "v2");
    refused(house.cli(&["deploy", "--wait"]), 4, "HOOK-TIMED-OUT", "");
    nothing_changed(&house);
}

#[test]
fn a_wait_that_takes_too_long_ends_and_the_release_goes_on() {
    let house = live();
    house.write("SICK", "boots-in=2500");
    house.write("VERSION", "v2");
    refused(house.cli(&["deploy", "--wait", "--timeout", "300ms"]), 5, "WAIT-TIMED-OUT", "it goes on");
    house.wait_for("the release is switched", |house| house.live_revision().as_deref() == Some("r2"));
}

#[test]
fn ctrl_c_leaves_the_release_running_and_says_so() {
    let house = live();
    house.write("SICK", "boots-in=1500");
    house.write("VERSION", "v2");
    let mut waiting =
        house.command(&["deploy", "--wait"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    house.wait_for("the deploy is under way", |house| {
        house.status()["releases"].as_array().unwrap().iter().any(|release| release["release"] == 2)
    });
    // It waits when it has said what its release does: from then on Ctrl-C is its own to take.
    let mut lines = BufReader::new(waiting.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("provision")), "it says what it waits for");
    house::signal(waiting.id(), libc::SIGINT);
    let said: Said = waiting.wait_with_output().unwrap().into();
    assert!(said.err.contains("goes on") && said.err.contains("switchover status --watch"), "{said:?}");
    said.ended(130);
    house.wait_for("the release is switched", |house| house.live_revision().as_deref() == Some("r2"));
}

#[test]
fn what_is_not_carried_out_yet_is_refused_as_such() {
    let house = House::closed();
    house.sample("", LONG);
    refused(house.cli(&["deploy", "--image", "shop:2"]), 2, "NOT-CARRIED-OUT-YET", "--image");
    refused(house.cli(&["deploy", "--git", "main"]), 2, "NOT-CARRIED-OUT-YET", "--git");
    refused(house.cli(&["serve", "--https", "127.0.0.1:0"]), 2, "NOT-CARRIED-OUT-YET", "--https");
    refused(house.cli(&["init", "--adopt", "127.0.0.1:80"]), 2, "NOT-CARRIED-OUT-YET", "--adopt");
}

#[test]
fn variables_of_the_command_line_are_checked_and_never_shown() {
    let house = House::closed();
    house.sample("", LONG);
    refused(house.cli(&["deploy", "--env", "PORT=1"]), 2, "ENV-WRONG", "set by Switchover itself");
    let said = house.cli(&["deploy", "--env", "topsecret"]);
    assert!(!said.err.contains("topsecret"), "{said:?}");
    refused(said, 2, "ENV-WRONG", "NAME=VALUE");
}

#[test]
fn an_app_that_ignores_its_stop_signal_is_killed_after_its_grace_and_that_is_said() {
    let house = House::start();
    house.sample("", "[env]\nSAMPLE_SICK = \"ignores-sigterm\"\n\n[release]\nbake = \"0s\"\nkeep_warm = \"0s\"");
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write("switchover.toml", &file.replace("grace = \"5s\"", "grace = \"300ms\""));
    let first = house.cli(&["deploy", "--wait=settled"]).ended(0);
    assert!(!first.out.contains("INSTANCE-KILLED"), "{first:?}");
    assert!(house.status()["notes"].is_null());
    let old = house.processes_of_the_app();

    house.write("VERSION", "v2");
    let said = house.cli(&["deploy", "--wait=settled"]).ended(0);
    assert!(said.out.contains("note INSTANCE-KILLED: "), "{said:?}");
    let status = house.status();
    let note = &status["notes"][0];
    assert_eq!((&note["code"], &status["notes"][1]), (&"INSTANCE-KILLED".into(), &serde_json::Value::Null));
    let cause = note["cause"].as_str().unwrap();
    assert!(cause.contains("of r1 was told to stop with SIGTERM, did not end within 300ms, and was killed"), "{cause}");
    assert!(note["next"].as_str().unwrap().contains("process.web.stop"), "{note}");
    let told = house.cli(&["status"]).ended(0);
    assert!(told.out.contains("note: INSTANCE-KILLED: "), "{told:?}");
    // It is gone, and the release went its way.
    assert!(house.processes_of_the_app().iter().all(|pid| !old.contains(pid)));
    assert!(house.get("/version").unwrap().1.contains("v2"));
    assert_eq!(house.releases()[1]["outcome"]["kind"], "succeeded");
}

#[test]
fn an_app_that_prints_without_end_fills_no_disk_and_its_last_lines_are_there() {
    const FLOOD: u64 = 100 * 1024 * 1024;
    let house = live();
    house.write("SICK", &format!("floods={FLOOD}"));
    house.write("VERSION", "v2");
    house.cli(&["deploy", "--wait"]).ended(0);
    assert!(house.get("/version").unwrap().1.contains("v2"));
    let kept = std::process::Command::new("du").args(["-sb"]).arg(house.state().join("apps/shop/instances")).output();
    let kept: Said = kept.unwrap().into();
    let bytes: u64 = kept.out.split_whitespace().next().unwrap().parse().unwrap();
    assert!(bytes < 2 * switchover_platform::LOG_FILE_BYTES + (1 << 20), "{bytes} bytes are kept of {FLOOD}");
    let said = house.cli(&["logs", "--lines", "5"]).ended(0);
    assert!(said.out.lines().count() >= 5, "{said:?}");

    // One that prints as much and is never healthy is undone with its last lines.
    house.write("SICK", &format!("floods={FLOOD},exits=3"));
    house.write("VERSION", "v3");
    let said = house.cli(&["deploy", "--wait"]);
    assert!(said.err.contains("  | ") && said.err.len() < 64 * 1024, "{} bytes: {:.2000}", said.err.len(), said.err);
    refused(said, 4, "INSTANCE-EXITED", "3");
    assert!(house.get("/version").unwrap().1.contains("v2"));
}
