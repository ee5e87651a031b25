//! What a plan tells of each stage.

use std::path::Path;

use switchover_model::config::parse;

use super::*;

#[test]
fn a_plan_says_who_changes_the_schema() {
    let told = |database: &str| {
        let file = format!("name = \"shop\"\n[process.web]\ncommand = \"x\"\n[database]\n{database}\n");
        let config = parse(&file, "switchover.toml", Path::new("/app")).expect("the file is right");
        let told = stages(&config, Slot::Green, false, Some(RevisionId(1)), (None, &[]));
        let of = |stage| told.iter().find(|told| told.stage == stage).map(|told| told.does.clone());
        of(Stage::Expand).unwrap_or_default()
    };
    assert!(
        told("framework = \"django\"").contains("reads the SQL of what is pending and has Django (`python manage.py`)")
    );
    let commands = told("commands = { status = \"s\", expand = \"bin/migrate\" }");
    assert!(commands.starts_with("has the app's own commands (`bin/migrate`)"), "{commands}");
    assert!(told("migrations = \"db\"").starts_with("makes what it needs"));
}

#[test]
fn a_plan_of_an_experiment_says_who_is_led_where_and_when_all_are() {
    let told = |experiment: &str| {
        let file = format!(
            "name = \"shop\"\n[process.web]\ncommand = \"x\"\n[release]\nstrategy = \"ab\"\n[release.experiment]\nfor = \"1h\"\n\
             {experiment}\n[[release.goal]]\nname = \"buys\"\nrequest = \"POST /buy 2xx\"\n"
        );
        let config = parse(&file, "switchover.toml", Path::new("/app")).expect("the file is right");
        how_it_moves(&config, Slot::Green, &config.release.strategy.steps(&[]))
    };
    let by_match = "match = [{ header = \"X-Beta\", value = \"1\" }]\n";
    assert_eq!(told("share = \"50%\""), "leads 50% of the clients to green, then all if it is won");
    assert_eq!(
        told(&format!("{by_match}undecided = \"promote\"")),
        "leads the clients of a match to green, then all unless it is lost"
    );
    assert_eq!(
        told(&format!("share = \"5%\"\n{by_match}undecided = \"ask\"")),
        "leads 5% of the clients and those of a match to green, then all if it is won or a person says so"
    );
}

#[test]
fn a_plan_starts_a_worker_where_a_release_does() {
    let file = "name = \"shop\"\n[process.web]\ncommand = \"x\"\n[process.mailer]\ncommand = \"y\"\ninstances = 2\n\
                [process.clock]\ncommand = \"z\"\nhandover = \"lease\"\n";
    let config = parse(file, "switchover.toml", Path::new("/app")).expect("the file is right");
    let told = stages(&config, Slot::Green, false, Some(RevisionId(1)), (None, &[]));
    let does = |stage| told.iter().find(|told| told.stage == stage).map(|told| told.does.as_str());
    assert_eq!(does(Stage::Provision), Some("starts 1 clock, 1 web in green and waits until healthy"));
    assert_eq!(
        does(Stage::Shift),
        Some("moves all traffic to green in one switch, and the work: the lease of clock, 2 mailer (stop-first)")
    );
}
