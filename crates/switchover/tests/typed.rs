//! What is typed wrongly is told with what to type instead; what cannot be written or is not there is said.

mod house;

use std::process::Stdio;

use house::{House, Said};

#[test]
fn a_mistake_in_the_command_line_is_an_object_too_where_json_is_asked_for() {
    let house = House::closed();
    for (arguments, holds) in [
        (&["--json"][..], "No command is named"),
        (&["nope", "--json"], "nope"),
        (&["--json", "status", "--nope"], "--nope"),
        (&["status", "--json", "--app", "Not A Name"], "Not A Name"),
        (&["receipt", "r1", "--json"], "r1"),
        (&["plan", "--to", "r2", "--json"], "--rollback"),
        (&["deploy", "--json", "--wait", "--timeout", "5"], "5"),
        (&["serve", "--http", "8080", "--json"], "127.0.0.1:8080"),
        (&["db", "--json"], "No command is named"),
    ] {
        let said = house.cli(arguments).ended(2);
        let json = said.json();
        assert_eq!((&json["schema_version"], &json["error"]["code"]), (&1.into(), &"COMMAND-LINE-WRONG".into()));
        let told = json["error"].to_string();
        assert!(told.contains(holds) && said.err.is_empty(), "{arguments:?}: {said:?}");
        assert!(!json["error"]["next"].as_str().unwrap().is_empty(), "{told}");
    }
    // Help is what was asked for, no mistake.
    assert!(house.cli(&["deploy", "--help", "--json"]).ended(0).out.contains("Usage"));
    // Behind `--` it is a word like any other.
    assert_eq!(house.cli(&["receipt", "--", "--json"]).ended(2).out, "");
}

#[test]
fn an_apply_tells_its_notes_once_and_a_dry_run_tells_what_would_be() {
    let house = House::start();
    house.sample("", "[release]\nbake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    assert_eq!(house.cli(&["apply", "--dry-run"]).ended(0).out, "no change\n");
    house.sample("", "[release]\nbake = \"2h\"\n[env]\nCOLOUR = \"red\"");
    let (note, done) = ("Run `switchover deploy`", "the policy is in force");
    let said = house.cli(&["apply", "--dry-run"]).ended(0);
    assert!(said.out.contains("nothing was changed; without --dry-run") && !said.out.contains(done), "{said:?}");
    assert_eq!(said.out.matches(note).count(), 1, "{said:?}");
    let said = house.cli(&["apply"]).ended(0);
    assert_eq!((said.out.matches(note).count(), said.out.matches(done).count()), (1, 1), "{said:?}");
}

#[test]
fn a_usage_line_asks_for_nothing_that_need_not_be_typed() {
    let house = House::closed();
    for arguments in [&["plan", "--to", "r2"][..], &["deploy", "--nope"], &["rollback", "--timeout", "5s"]] {
        let said = house.cli(arguments).ended(2);
        assert!(said.err.contains("Usage: switchover") && !said.err.contains("--state"), "{said:?}");
    }
    let help = house.cli(&["plan", "--help"]).ended(0);
    assert!(help.out.contains("with --rollback"), "{help:?}");
}

#[test]
fn a_number_or_an_address_that_is_none_is_told_with_an_example() {
    let house = House::closed();
    for (arguments, example) in [
        (&["receipt", "r1"][..], "a release is a number, such as 2"),
        (&["rollback", "--release", "r1"], "a release is a number, such as 2"),
        (&["abort", "--release", "x"], "a release is a number, such as 2"),
        (&["serve", "--http", "8080"], "such as 127.0.0.1:8080"),
        (&["serve", "--http", "shop.example.com:80"], "such as 127.0.0.1:8080"),
    ] {
        let said = house.cli(arguments).ended(2);
        assert!(said.err.contains(example), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_file_that_is_named_and_not_there_is_a_warning() {
    let house = House::closed();
    house.sample("", "[build]\nsource = \"dist\"\n[secrets]\nfile = \"shop.env\"");
    let said = house.cli(&["validate"]).ended(0);
    let warnings: Vec<&str> = said.out.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{said:?}");
    assert!(warnings[0].contains("[secrets] file") && warnings[0].contains("app/shop.env"), "{said:?}");
    assert!(warnings[1].contains("[build] source") && warnings[1].contains("app/dist"), "{said:?}");
    assert_eq!(house.cli(&["validate", "--json"]).ended(0).json()["warnings"].as_array().unwrap().len(), 2);
    std::fs::create_dir(house.app().join("dist")).unwrap();
    house.write("shop.env", "KEY=value");
    assert!(!house.cli(&["validate"]).ended(0).out.contains("warning"));
    assert!(house.cli(&["validate", "--json"]).ended(0).json()["warnings"].is_null());
}

#[test]
fn an_answer_that_cannot_be_written_is_told_and_a_reader_that_went_away_is_not() {
    let house = House::closed();
    house.sample("", "");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["validate"][..], &["schema"], &["validate", "--json"]] {
        let said: Said = house.command(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap().into();
        let said = said.ended(1);
        assert!(said.err.contains("error[OUTPUT-NOT-WRITTEN]") && said.err.contains("No space left"), "{said:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said: Said = house.command(&["schema"]).stdout(writer).stderr(Stdio::piped()).output().unwrap().into();
    assert_eq!(said.ended(0).err, "");
}
