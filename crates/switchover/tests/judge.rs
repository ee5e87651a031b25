//! `switchover judge score`, with files as a person writes them.

mod house;

use house::{House, Said};

const CONFIG: &str = r#"
[groups]
errors = 60

[metric.error_rate]
group = "errors"
direction = "increase"
critical = true
nodata = "fail"

[metric.p50]
group = "latency"
direction = "increase"

[metric.p99]
group = "latency"
direction = "increase"
increase = 1.1
"#;

/// What the command says of these values; those of `p50` are always the same in both.
fn score(config: &str, errors: [&str; 2], p99: [&str; 2], more: &[&str]) -> Said {
    let data = format!(
        "{{\"error_rate\": {{\"baseline\": [{}], \"canary\": [{}]}},\n\"p50\": {{\"baseline\": [9, 9, 8], \"canary\": [9, 9, 8]}},\n\
         \"p99\": {{\"baseline\": [{}], \"canary\": [{}]}}}}",
        errors[0], errors[1], p99[0], p99[1]
    );
    of_files(config, &data, more)
}

fn of_files(config: &str, data: &str, more: &[&str]) -> Said {
    let house = House::closed();
    let path = |name: &str| house.folder.path().join(name).display().to_string();
    std::fs::write(path("score.toml"), config).expect("the file is written");
    std::fs::write(path("data.json"), data).expect("the file is written");
    let mut arguments = vec!["judge", "score", "--config"];
    let (config, data) = (path("score.toml"), path("data.json"));
    arguments.extend([config.as_str(), data.as_str()]);
    arguments.extend(more);
    house.cli(&arguments)
}

const LOW: &str = "10, 11, 12, 10, 11, 13, 12, 11, 10, 12";
const HIGH: &str = "20, 21, 22, 20, 21, 23, 22, 21, 20, 22";

#[test]
fn alike_versions_pass() {
    let said = score(CONFIG, [LOW, LOW], [HIGH, HIGH], &[]).ended(0);
    assert!(said.out.contains("pass, score 100"), "{said:?}");
    let json = score(CONFIG, [LOW, LOW], [HIGH, HIGH], &["--json"]).ended(0);
    assert!(json.out.trim_start_matches(['{', '\n', ' ']).starts_with("\"schema_version\": 1"), "{json:?}");
    let json = json.json();
    assert_eq!((&json["classification"], &json["score"]), (&"pass".into(), &100.0.into()), "{json}");
}

#[test]
fn a_metric_that_is_not_critical_makes_it_marginal() {
    let json = score(CONFIG, [LOW, LOW], [LOW, HIGH], &["--json"]).ended(3).json();
    assert_eq!((&json["classification"], &json["score"]), (&"marginal".into(), &80.0.into()), "{json}");
    assert_eq!((&json["metrics"][2]["found"], &json["metrics"][2]["shift"]), (&"high".into(), &10.0.into()), "{json}");
    assert_eq!(json["groups"][1]["score"], 50.0, "{json}");
}

#[test]
fn a_critical_metric_that_is_high_or_without_values_fails_it() {
    let said = score(CONFIG, [LOW, HIGH], [LOW, LOW], &[]).ended(3);
    assert!(said.out.contains("fail, score 0: the critical metric error_rate failed"), "{said:?}");
    let json = score(CONFIG, [LOW, "null"], [LOW, LOW], &["--json"]).ended(3).json();
    assert_eq!((&json["score"], &json["metrics"][0]["found"]), (&0.0.into(), &"no-data-fail".into()), "{json}");
}

#[test]
fn no_values_at_all_are_no_pass() {
    let config = "[metric.p99]\ndirection = \"either\"";
    let said = of_files(config, r#"{"p99": {"baseline": [], "canary": [null, null]}}"#, &[]).ended(3);
    assert!(said.out.contains("no data, score -: no metric has values"), "{said:?}");
}

#[test]
fn what_is_wrong_in_the_files_is_told_with_its_line() {
    let good = r#"{"p99": {"baseline": [1], "canary": [1]}}"#;
    for (config, holds) in [
        ("[metric.p99]\ndirection = \"up\"", ":2:"),
        ("[metric.p99]\ndirection = \"either\"\ncriticle = true", "criticle"),
        ("pass = 101\n[metric.p99]\ndirection = \"either\"", "101 cannot be here"),
        ("pass = 50\nmarginal = 60\n[metric.p99]\ndirection = \"either\"", "60 cannot be here"),
        ("[groups]\nall = 60\n[metric.p99]\ndirection = \"either\"", "The weights sum up to 60"),
        ("[groups]\nnone = 60\n[metric.p99]\ndirection = \"either\"", "No metric is in the group none"),
        ("pass = 95", "There is no metric"),
        ("[metric.p99]\ndirection = \"increase\"\nincrease = nan", "NaN cannot be here"),
    ] {
        let said = of_files(config, good, &[]).ended(2);
        assert!(said.err.contains("CONFIG-WRONG") && said.err.contains(holds), "{config}: {said:?}");
    }
    let config = "[metric.p99]\ndirection = \"either\"";
    for (data, holds) in [
        ("", "EOF"),
        ("{\n\"p99\": {\"baseline\": [1], \"canary\": [NaN]}}", ":2:"),
        (r#"{"p99": {"baseline": [1], "canary": [1e999]}}"#, "number out of range"),
        (r#"{"p99": {"baseline": [1]}}"#, "canary"),
        (r#"{"p99": {"baseline": [1], "canary": [1]}, "p99": {"baseline": [1], "canary": [1]}}"#, "p99 stands twice"),
        ("{}", "SCORE-DATA-WRONG"),
        (r#"{"p99": {"baseline": [1], "canary": [1]}, "p50": {"baseline": [1], "canary": [1]}}"#, "values of p50"),
    ] {
        let said = of_files(config, data, &[]).ended(2);
        assert!(said.err.contains(holds), "{data}: {said:?}");
    }
    let long = vec!["1"; 2001].join(",");
    let said = of_files(config, &format!("{{\"p99\": {{\"baseline\": [{long}], \"canary\": [1]}}}}"), &[]).ended(2);
    assert!(said.err.contains("2001 values"), "{said:?}");
}

#[test]
fn files_that_are_not_named_or_not_there_are_told() {
    let house = House::closed();
    let said = house.cli(&["judge", "score", "--config", "score.toml", "none.json"]).ended(2);
    assert!(said.err.contains("CONFIG-MISSING"), "{said:?}");
    std::fs::write(house.folder.path().join("score.toml"), "[metric.p99]\ndirection = \"either\"").unwrap();
    let config = house.folder.path().join("score.toml").display().to_string();
    let said = house.cli(&["judge", "score", "--config", &config, "none.json"]).ended(2);
    assert!(said.err.contains("SCORE-DATA-UNREADABLE"), "{said:?}");
}

#[test]
fn the_files_of_the_page_work_as_written() {
    let page = include_str!("../../../docs/judge.md");
    let block = |language: &str| {
        let rest = page.split_once(&format!("```{language}\n")).expect("a block").1;
        rest.split_once("```").expect("its end").0
    };
    let said = of_files(block("toml"), block("json"), &["--json"]).ended(0).json();
    assert_eq!(said["classification"], "pass", "{said}");
}

#[test]
fn differences_that_no_number_holds_pass_nothing() {
    let (lowest, highest) = (["-1e308"; 6].join(", "), ["1e308"; 6].join(", "));
    let said = score(CONFIG, [&lowest, &highest], [LOW, LOW], &[]).ended(3);
    assert!(said.out.contains("fail"), "{said:?}");
}
