//! Deploys that meet: of two, one takes the other's place, waits for it, or has it undone.

mod house;

use std::process::Stdio;

use house::{House, Said};

/// The policy of apps whose tails are of no interest here.
const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

/// A house with v1 of the sample app live.
fn live() -> House {
    let house = House::start();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    house
}

#[test]
fn a_deploy_that_comes_before_the_switch_of_another_takes_its_place() {
    let house = live();
    house.write("SICK", "boots-in=20000");
    let first = house.command(&["deploy", "--wait"]).stdout(Stdio::piped()).spawn().unwrap();
    house.wait_for("the first deploy is under way", |house| {
        house.status()["releases"].as_array().unwrap().iter().any(|release| release["release"] == 2)
    });
    house.write("SICK", "");
    house.write("VERSION", "v3");
    house.cli(&["deploy", "--wait"]).ended(0);
    let first: Said = first.wait_with_output().unwrap().into();
    assert!(first.out.contains("superseded"), "{first:?}");
    first.ended(4);
    assert!(house.get("/version").unwrap().1.contains("v3"));
}

/// The kinds of outcome of each release, oldest first.
fn outcomes(house: &House) -> Vec<String> {
    let kind = |release: &serde_json::Value| release["outcome"]["kind"].as_str().unwrap_or("none yet").to_owned();
    house.releases().iter().map(kind).collect()
}

/// The versions of the instances that run.
fn revisions_that_run(house: &House) -> Vec<String> {
    let status = house.status();
    let instances =
        ["blue", "green"].map(|slot| status["slots"][slot]["instances"].as_array().cloned().unwrap_or_default());
    instances.into_iter().flatten().filter_map(|one| Some(one["revision"].as_str()?.to_owned())).collect()
}

#[test]
fn of_two_deploys_at_the_same_time_one_takes_the_others_place() {
    let house = live();
    house.write("SICK", "boots-in=1500");
    let deploys = ["left", "right"].map(|version| {
        let variable = format!("SAMPLE_VERSION={version}");
        let mut deploy = house.command(&["deploy", "--wait", "--env", &variable]);
        (version, deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    });
    let ends = deploys.map(|(version, deploy)| (version, Said::from(deploy.wait_with_output().unwrap())));
    let mut codes: Vec<_> = ends.iter().map(|(_, said)| said.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(4)], "{ends:?}");
    let (winner, _) = ends.iter().find(|(_, said)| said.code == Some(0)).unwrap();
    let (_, superseded) = ends.iter().find(|(_, said)| said.code == Some(4)).unwrap();
    assert!(superseded.out.contains("superseded"), "{superseded:?}");
    assert!(house.get("/version").unwrap().1.contains(winner), "{winner} is live");
    assert_eq!(outcomes(&house)[1], "superseded");
    assert_eq!(house.live_revision().as_deref(), Some("r3"));
    house.wait_for("nothing of the other one runs", |house| !revisions_that_run(house).contains(&"r2".to_owned()));
}

/// v1 is live, and v2 is in its shift, which a hook holds for so long.
fn in_a_shift(seconds: f32, wait: &str) -> (House, std::process::Child) {
    let house = live();
    let hook = format!("[[release.hook]]\nstage = \"shift\"\ncommand = \"test ! -e held || sleep {seconds}\"");
    house.sample("", &format!("{LONG}\n{hook}"));
    house.write("held", "");
    house.write("VERSION", "v2");
    let first = house
        .command(&["deploy", wait])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    house.wait_for("the first deploy is in its shift", |house| house.is_in("shift"));
    std::fs::remove_file(house.app().join("held")).expect("the file goes");
    house.write("VERSION", "v3");
    (house, first)
}

#[test]
fn a_deploy_during_the_shift_of_another_waits_for_it() {
    let (house, first) = in_a_shift(1.5, "--wait");
    house.cli(&["deploy", "--wait"]).ended(0);
    Said::from(first.wait_with_output().unwrap()).ended(0);
    assert!(house.get("/version").unwrap().1.contains("v3"));
    assert_eq!(house.live_revision().as_deref(), Some("r3"));
    let releases = house.releases();
    let at = |release: usize| releases[release]["switched_at"].as_u64().unwrap();
    assert!(at(1) < at(2), "the first one was switched before the second: {releases:#?}");
}

#[test]
fn a_deploy_that_replaces_undoes_the_shift_of_the_other_first() {
    // A hook is the last step of its stage: r2 is switched to already, and waited for to its end.
    let (house, first) = in_a_shift(600.0, "--wait=settled");
    house.cli(&["deploy", "--wait", "--replace"]).ended(0);
    let first = Said::from(first.wait_with_output().unwrap()).ended(4);
    assert!(first.out.contains("rolled-back") && first.err.contains("error[REPLACED]"), "{first:?}");
    assert!(house.get("/version").unwrap().1.contains("v3"));
    let releases = house.releases();
    assert_eq!(releases[2]["from"], "r1", "it moves from what was live before: {releases:#?}");
    assert_eq!(releases[1]["outcome"]["kind"], "rolled-back", "{releases:#?}");
}
