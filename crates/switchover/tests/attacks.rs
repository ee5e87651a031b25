//! What a hostile or unlucky user does, and what must hold all the same.

mod house;

use std::time::{Duration, Instant};

use house::{BINARY, House, signal};

/// The addresses that requests may go to.
fn endpoints(house: &House) -> usize {
    let traffic = house.cli(&["traffic", "--json"]).ended(0).json();
    let arms = traffic["seen"]["routes"]["arms"].as_array().cloned().unwrap_or_default();
    let processes = arms.iter().flat_map(|arm| arm["processes"].as_array().cloned().unwrap_or_default());
    processes.map(|process| process["endpoints"].as_array().map_or(0, Vec::len)).sum()
}

/// Processes with `word` somewhere in their arguments, shells that only hand it on left out.
fn running(word: &str) -> usize {
    let lines = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())).count()
}

#[test]
fn new_instances_take_requests_though_the_revision_before_is_forgotten() {
    let house = House::start();
    let settings = "[route]\ndrain = \"1s\"\n\n[release]\nbake = \"0s\"\nkeep_warm = \"0s\"\nkeep_revisions = 1";
    house.sample("instances = 1", settings);
    for version in ["v1", "v2", "v3"] {
        house.write("VERSION", version);
        house.cli(&["deploy", "--wait=settled"]).ended(0);
    }
    house.sample("instances = 3", settings);
    house.cli(&["apply"]).ended(0);
    house.wait_for("three instances take requests", |house| endpoints(house) == 3);
    assert_eq!(house.status()["problems"], serde_json::json!([]));
}

#[test]
fn an_aborted_build_leaves_no_process_though_one_has_left_its_group() {
    let house = House::start();
    let stray = format!("{}.25", 40_000 + std::process::id());
    house.sample("", &format!("[build]\ncommand = \"setsid sleep {stray} & sleep {stray}\""));
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the build runs", |_| running(&stray) == 2);
    house.cli(&["abort"]).ended(0);
    house.wait_for("nothing of it is left", |_| running(&stray) == 0);
}

#[test]
fn a_secrets_file_that_is_a_pipe_holds_up_nobody() {
    let house = House::start();
    house.sample("", "[secrets]\nfile = \"secrets.env\"");
    let made = std::process::Command::new("mkfifo").arg(house.app().join("secrets.env")).status();
    assert!(made.expect("mkfifo runs").success());
    let asked = Instant::now();
    let said = house.cli(&["deploy", "--wait", "--timeout", "20s"]).ended(4);
    assert!(said.err.contains("SECRETS-UNREADABLE"), "{said:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{said:?}");
}

#[test]
fn a_daemon_that_was_held_takes_nobody_for_ill_whom_it_could_not_ask() {
    let house = House::start();
    let file = format!(
        "name = \"shop\"\n[process.web]\ncommand = \"{BINARY} sample-app\"\n\
         health = {{ path = \"/up\", interval = \"200ms\", timeout = \"300ms\", deadline = \"8s\" }}\n[release]\nbake = \"0s\"\n"
    );
    house.write("switchover.toml", &file);
    house.cli(&["deploy", "--wait=settled"]).ended(0);
    let app = house.processes_of_the_app();
    signal(app[0], libc::SIGSTOP);
    house.wait_for("it is ill", |house| house.status()["problems"].to_string().contains("HEALTH-LOST"));
    // As long as the machine sleeps, it is not ill for longer.
    signal(house.daemon(), libc::SIGSTOP);
    signal(app[0], libc::SIGCONT);
    std::thread::sleep(Duration::from_secs(9));
    signal(house.daemon(), libc::SIGCONT);
    house.wait_for("it is well", |house| house.status()["problems"] == serde_json::json!([]));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(house.processes_of_the_app(), app, "{:#}", house.status());
}
