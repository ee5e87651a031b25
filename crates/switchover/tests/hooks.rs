//! Hooks on a real daemon: before and after a stage, commands and servers, their three answers, and what they can not do.

mod house;

use house::House;
use house::server::{Reply, Server};

const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

/// A house whose v1 is live, with v2 ready to be deployed under this hook.
fn hooked(hook: &str) -> House {
    let house = House::start();
    std::fs::write(house.folder.path().join("secrets.env"), "CHECKS_TOKEN=hunter2-hunter2\n").expect("a secrets file");
    house.sample("", LONG);
    house.write("VERSION", "v1");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.sample("", &format!("[secrets]\nfile = \"../secrets.env\"\n{LONG}\n[[release.hook]]\n{hook}"));
    house.write("VERSION", "v2");
    house
}

fn asks(server: &Server, stage: &str, when: &str) -> String {
    let url = server.url("/checks?for=shop");
    format!("stage = \"{stage}\"\nwhen = \"{when}\"\nurl = \"{url}\"\ntoken = \"CHECKS_TOKEN\"\npause = \"100ms\"\n")
}

#[test]
fn a_server_is_told_of_the_release_and_asked_until_it_can_say() {
    let later = Reply::Says(202, "reviewing, token was hunter2-hunter2".to_owned());
    let server = Server::start(vec![later.clone(), later, Reply::Says(200, "approved by ann".to_owned())]);
    let house = hooked(&asks(&server, "shift", "before"));
    let said = house.cli(&["deploy", "--wait"]).ended(0);
    assert!(said.out.contains("shift hook | approved by ann"), "{said:?}");
    assert_eq!(house.live_revision().as_deref(), Some("r2"));

    let asked = server.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for one in &asked {
        assert_eq!(one.line, "POST /checks?for=shop HTTP/1.1");
        assert_eq!(one.field("authorization"), "Bearer hunter2-hunter2");
        assert_eq!(one.field("idempotency-key"), "shop-2-hook-1-try-1");
        let told = one.json();
        for (key, value) in [
            ("app", serde_json::json!("shop")),
            ("release", serde_json::json!(2)),
            ("stage", "shift".into()),
            ("when", "before".into()),
            ("slot", "green".into()),
            ("revision", "r2".into()),
            ("key", "shop-2-hook-1-try-1".into()),
        ] {
            assert_eq!(told[key], value, "{key} of {told}");
        }
        assert!(told["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{told}");
    }
    assert!(!house.is_written_down("hunter2-hunter2"));
}

#[test]
fn while_a_hook_before_the_shift_says_not_yet_no_traffic_moves() {
    let server = Server::start(vec![Reply::Says(202, String::new())]);
    let house = hooked(&asks(&server, "shift", "before"));
    house.cli(&["deploy"]).ended(0);
    house.wait_for("it was asked more than once", |_| server.asked().len() > 2);
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    assert!(!house.is_in("shift"), "{}", house.status());
    let shown = house.cli(&["status"]).out;
    assert!(shown.contains("`: not yet, asked ") || shown.contains("`: being asked, asked "), "{shown}");
    server.answer(Reply::Says(403, "the change was refused".to_owned()));
    house.wait_for("it is undone", |house| house.releases()[1]["outcome"].is_object());
    let shown = house.cli(&["receipt", "2"]).out;
    assert!(shown.contains("hook before shift `POST http://"), "{shown}");
    assert!(shown.contains("`: failed, asked ") && shown.contains("  | the change was refused"), "{shown}");
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
}

#[test]
fn a_question_of_before_a_kill_is_asked_again_under_the_same_key() {
    let server = Server::start(vec![Reply::Says(202, String::new())]);
    let mut house = hooked(&asks(&server, "verify", "after"));
    house.cli(&["deploy"]).ended(0);
    house.wait_for("it was asked", |_| server.asked().len() > 1);
    house.kill_daemon();
    let before = server.asked().len();
    house.serve();
    // A kill in the middle of a question makes it a lost one, which counts as failed unless the file says otherwise.
    house.wait_for("it is asked again, or was lost", |house| {
        server.asked().len() > before || house.releases()[1]["outcome"].is_object()
    });
    server.answer(Reply::Says(204, String::new()));
    house.wait_for("it ended", |house| {
        house.live_revision().as_deref() == Some("r2") || house.releases()[1]["outcome"].is_object()
    });
    assert!(server.asked().iter().all(|one| one.field("idempotency-key") == "shop-2-hook-1-try-1"));
}

#[test]
fn a_server_that_fails_is_tried_again_and_then_believed() {
    let server = Server::start(vec![Reply::Says(500, "no".to_owned()), Reply::Says(503, String::new())]);
    server.answer(Reply::Says(500, "still no".to_owned()));
    let house = hooked(&format!("{}retries = 2\n", asks(&server, "verify", "after")));
    let said = house.cli(&["deploy", "--wait"]).ended(4);
    assert!(said.err.contains("HOOK-FAILED") && said.err.contains("still no"), "{said:?}");
    let asked = server.asked();
    let keys: Vec<&str> = asked.iter().map(|one| one.field("idempotency-key")).collect();
    assert_eq!(keys, ["shop-2-hook-1-try-1", "shop-2-hook-1-try-2", "shop-2-hook-1-try-3"]);
}

#[test]
fn a_server_that_hangs_floods_or_sends_elsewhere_has_a_clear_end() {
    let elsewhere = "https://user:hunter3@elsewhere.example/?token=hunter4".to_owned();
    for (reply, code, words) in [
        (Reply::Hangs, "HOOK-TIMED-OUT", "not answered within 500ms"),
        (Reply::Says(200, "a".repeat(10 << 20)), "HOOK-UNANSWERED", "more than 65536 bytes"),
        (Reply::Leads(elsewhere), "HOOK-UNANSWERED", "https://elsewhere.example/?…"),
        (Reply::Leads("/login/hunter2-hunter2".to_owned()), "HOOK-UNANSWERED", "/login/[token]"),
    ] {
        let server = Server::start(vec![reply]);
        let house = hooked(&format!("{}timeout = \"500ms\"\n", asks(&server, "verify", "after")));
        let said = house.cli(&["deploy", "--wait"]).ended(4);
        assert!(said.err.contains(code) && said.err.contains(words) && !said.err.contains("hunter"), "{said:?}");
        assert!(!house.is_written_down("hunter"), "{words}");
        assert_eq!(house.live_revision().as_deref(), Some("r1"));
    }
}

#[test]
fn a_command_that_says_not_yet_is_asked_again_and_one_that_floods_is_cut_short() {
    let house = hooked(
        "stage = \"verify\"\npause = \"100ms\"\ncommand = \"echo x >> ../asked; test $(wc -l < ../asked) -ge 3 || exit 75; yes | head -c 10485760; echo done\"\n",
    );
    // The revision's directory is its own: the count lies outside of it.
    let asked = house.folder.path().join("asked");
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write("switchover.toml", &file.replace("../asked", &asked.display().to_string()));
    let said = house.cli(&["deploy", "--wait"]).ended(0);
    assert_eq!(std::fs::read_to_string(&asked).unwrap().lines().count(), 3);
    assert!(said.out.contains("verify hook | done"), "{}", said.out);
    let lines = said.out.lines().filter(|line| line.contains("verify hook |")).count();
    assert!(lines <= 50, "{lines} lines of 5 million are shown");
}

#[test]
fn a_command_that_only_says_not_yet_is_given_up_after_its_timeout() {
    let house = hooked("stage = \"verify\"\npause = \"100ms\"\ntimeout = \"1s\"\ncommand = \"exit 75\"\n");
    let said = house.cli(&["deploy", "--wait"]).ended(4);
    assert!(said.err.contains("HOOK-NOT-YET"), "{said:?}");
}

#[test]
fn the_plan_says_what_is_asked_when() {
    let house = hooked("stage = \"shift\"\nwhen = \"before\"\nurl = \"https://change.example/ask?key=hunter5\"\n");
    let said = house.cli(&["plan"]).ended(0);
    assert!(said.out.contains("begins when `POST https://change.example/ask?…` has passed"), "{}", said.out);
    assert!(!said.out.contains("hunter5"), "{}", said.out);
}
