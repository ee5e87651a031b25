//! How many lanes the router gets is said at the daemon's start.

mod house;

use std::process::{Command, Stdio};

use house::{BINARY, House, Said};
use serde_json::Value;

/// The answer to `GET /v1/daemon` after a start with `SWITCHOVER_LANES=variable` and `arguments`; the daemon is ended again.
fn daemon(house: &House, variable: Option<&str>, arguments: &[&str]) -> Value {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--json", "--http", &house.address.to_string()]).args(arguments);
    command.env("SWITCHOVER_STATE", house.state()).env_remove("SWITCHOVER_LANES").stdin(Stdio::null());
    if let Some(variable) = variable {
        command.env("SWITCHOVER_LANES", variable);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the daemon starts");
    let out = child.stdout.take().expect("its output");
    let mut answers = serde_json::Deserializer::from_reader(std::io::BufReader::new(out)).into_iter::<Value>();
    let answer = answers.next().expect("an answer").expect("JSON");
    child.kill().expect("the daemon is killed");
    child.wait().expect("the daemon has ended");
    answer
}

/// Threads of the router that serve users: those that are called after their lane.
fn lanes_of_the_router(house: &House) -> usize {
    let routers = house.processes("router");
    assert_eq!(routers.len(), 1, "{routers:?}");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", routers[0])).expect("its threads");
    tasks
        .flatten()
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("lane")))
        .count()
}

#[test]
fn the_router_has_the_lanes_that_were_asked_for_and_keeps_them() {
    let house = House::closed();
    assert_eq!(daemon(&house, None, &["--lanes", "3"])["lanes"], 3);
    assert_eq!(lanes_of_the_router(&house), 3);
    // The same by the environment, and by nothing: the router that runs is taken as it is.
    assert_eq!(daemon(&house, Some("3"), &[])["lanes"], 3);
    assert_eq!(daemon(&house, None, &[])["lanes"], 3);

    let mut other = Command::new(BINARY);
    other.args(["serve", "--http", &house.address.to_string(), "--lanes", "1"]).env("SWITCHOVER_STATE", house.state());
    let said: Said = other.output().expect("the command runs").into();
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("ROUTER-LANES") && said.err.contains("has 3 lanes, not 1"), "{said:?}");
    assert_eq!(lanes_of_the_router(&house), 3, "the refusal changed nothing");
}

#[test]
fn no_lanes_at_all_are_refused() {
    let house = House::closed();
    let said = house.cli(&["serve", "--lanes", "0"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}
