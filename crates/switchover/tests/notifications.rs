//! Notifications of a real daemon: signed, in order, tried again, and not lost with a killed daemon.

mod house;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use house::House;
use house::server::{Asked, Reply, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A house whose app tells `notify`, before anything is deployed.
fn telling(notify: &str, release: &str) -> House {
    let house = House::start();
    std::fs::write(house.folder.path().join("secrets.env"), format!("NOTIFY_SECRET={SECRET}\n"))
        .expect("a secrets file");
    house.sample("", &format!("{notify}\n[secrets]\nfile = \"../secrets.env\"\n[release]\n{release}"));
    house
}

fn webhook(url: &str, more: &str) -> String {
    format!("[[notify]]\nurl = \"{url}\"\nsecret = \"NOTIFY_SECRET\"\n{more}")
}

fn types(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(|one| one.json()["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Verifies a message with another hand than the one that signed it.
fn is_signed(one: &Asked) -> bool {
    let signed = format!("{}.{}.{}", one.field("webhook-id"), one.field("webhook-timestamp"), one.body);
    let script = "import sys,hmac,hashlib,base64;k=base64.b64decode(sys.argv[1]);print('v1,'+base64.b64encode(hmac.new(k,sys.argv[2].encode(),hashlib.sha256).digest()).decode())";
    let key = SECRET.trim_start_matches("whsec_");
    let said = Command::new("python3").args(["-c", script, key, &signed]).output().expect("python3");
    String::from_utf8_lossy(&said.stdout).trim() == one.field("webhook-signature")
}

#[test]
fn what_happens_is_told_signed_and_in_order() {
    let server = Server::start(vec![Reply::Says(204, String::new())]);
    let all =
        "events = [\"paused\", \"switched\", \"unproven\", \"succeeded\", \"rolled-back\", \"aborted\", \"failed\"]";
    let house = telling(&webhook(&server.url("/in?key=1"), all), "approve = true\nbake = \"1h\"");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the gate is told", |_| server.asked().len() == 1);
    house.cli(&["promote"]).ended(0);
    house.wait_for("the switch is told", |_| server.asked().len() == 2);
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the next gate is told, and that the bake before was cut short", |_| server.asked().len() == 4);
    house.cli(&["promote"]).ended(0);
    house.wait_for("the next switch is told", |_| server.asked().len() == 5);
    house.cli(&["rollback", "--wait"]).ended(0);
    house.wait_for("the way back is told", |_| server.asked().len() == 6);

    let asked = server.asked();
    assert_eq!(
        types(&asked),
        [
            "release.paused",
            "release.switched",
            "release.unproven",
            "release.paused",
            "release.switched",
            "release.rolled-back"
        ]
    );
    let mut ids = BTreeMap::new();
    for one in &asked {
        assert_eq!(one.line, "POST /in?key=1 HTTP/1.1");
        assert_eq!(one.field("content-type"), "application/json");
        assert!(is_signed(one), "{one:?}");
        let seconds: u64 = one.field("webhook-timestamp").parse().unwrap();
        assert!(seconds > 1_700_000_000);
        assert!(!one.field("webhook-id").contains('.') && one.json()["data"]["app"] == "shop", "{one:?}");
        assert!(ids.insert(one.field("webhook-id"), ()).is_none(), "an id came twice: {one:?}");
    }
    let gate = asked[0].json();
    assert_eq!(gate["data"]["release"], 1);
    assert_eq!(gate["data"]["revision"], "r1");
    assert_eq!(gate["data"]["stage"], "approve");
    assert_eq!(gate["data"]["cause"]["code"], "WAITS-AT-GATE");
    assert!(gate["timestamp"].as_str().is_some_and(|at| at.ends_with('Z') && at.contains('T')), "{gate}");
    for secret in [SECRET, SECRET.trim_start_matches("whsec_")] {
        for arguments in [&["status", "--json"][..], &["history", "--json"], &["status"]] {
            assert!(!house.cli(arguments).out.contains(secret));
        }
        let kept = std::fs::read(house.state().join("apps/shop/notify.json")).unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains(secret));
    }
}

#[test]
fn a_failed_release_is_told_with_its_cause_and_without_what_it_printed() {
    let server = Server::start(vec![Reply::Says(200, String::new())]);
    let hook = "\n[[release.hook]]\nstage = \"verify\"\ncommand = \"printf hunter%d 2; exit 3\"";
    let house = telling(&webhook(&server.url("/"), ""), hook);
    house.cli(&["deploy", "--wait"]).ended(4);
    house.wait_for("it is told", |_| !server.asked().is_empty());
    let told = server.asked()[0].clone();
    assert_eq!(types(std::slice::from_ref(&told)), ["release.aborted"]);
    assert_eq!(told.json()["data"]["cause"]["code"], "HOOK-FAILED");
    assert!(!told.body.contains("hunter2") && told.json()["data"]["cause"]["detail"].is_null());
}

#[test]
fn what_can_not_be_told_is_tried_again_under_the_same_id_and_shown_until_it_is() {
    let server = Server::start(vec![Reply::Says(503, String::new())]);
    let house = telling(&webhook(&server.url("/in?key=hunter2"), "events = [\"switched\"]"), "bake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.wait_for("it is tried again", |_| server.asked().len() > 1);
    let shown = house.cli(&["status"]).out;
    assert!(shown.contains("NOTIFY-FAILING") && shown.contains("status 503"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    server.answer(Reply::Says(200, String::new()));
    house.wait_for("the trouble is over", |house| !house.cli(&["status"]).out.contains("NOTIFY-FAILING"));
    let asked = server.asked();
    let first = asked[0].field("webhook-id").to_owned();
    assert!(asked.iter().all(|one| one.field("webhook-id") == first && one.body == asked[0].body && is_signed(one)));
}

#[test]
fn a_kill_between_what_happens_and_its_telling_loses_nothing() {
    // A port that is taken by nobody yet: nothing can be delivered before the kill.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut house =
        telling(&webhook(&url, "events = [\"switched\", \"paused\"]\ntimeout = \"300ms\""), "bake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    // As if it had been killed before it put down what is to be told: the journal alone says it.
    house.cli(&["pause"]).ended(0);
    house.kill_daemon();
    remove(&house.state().join("apps/shop/notify.json"));
    house.serve();
    house.wait_for("it is put down again", |house| {
        std::fs::read_to_string(house.state().join("apps/shop/notify.json"))
            .is_ok_and(|kept| kept.contains("release.switched") && kept.contains("release.paused"))
    });
    // And killed once more, with both in the queue.
    house.kill_daemon();
    let server = Server::on(&listener, vec![Reply::Says(200, String::new())]);
    house.serve();
    house.wait_for("both are told", |_| {
        let told = types(&server.asked());
        told.contains(&"release.switched".to_owned()) && told.contains(&"release.paused".to_owned())
    });
    let mut bodies = BTreeMap::new();
    for one in server.asked() {
        let known = bodies.entry(one.field("webhook-id").to_owned()).or_insert_with(|| one.body.clone());
        assert_eq!(*known, one.body, "the same id says the same");
    }
    assert_eq!(bodies.len(), 2, "{bodies:?}");
}

fn remove(path: &Path) {
    if path.exists() {
        std::fs::remove_file(path).expect("the file goes");
    }
}

#[test]
fn a_command_reads_the_message_and_is_tried_again_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (script, told) = (folder.path().join("tell"), folder.path().join("told"));
    let text = format!(
        "#!/bin/sh\ntest -e {0}.once || {{ touch {0}.once; echo no line to the team; exit 1; }}\ncat >> {0}\necho >> {0}\n",
        told.display()
    );
    std::fs::write(&script, text).unwrap();
    Command::new("chmod").arg("+x").arg(&script).stdin(Stdio::null()).status().unwrap();
    let notify = format!("[[notify]]\ncommand = \"{}\"\nevents = [\"switched\"]", script.display());
    let house = telling(&notify, "bake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.wait_for("the command was told", |_| std::fs::read_to_string(&told).is_ok_and(|text| text.ends_with('\n')));
    let text = std::fs::read_to_string(&told).unwrap();
    let message: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(message["type"], "release.switched");
}

#[test]
fn a_command_that_never_ends_holds_nobody_up() {
    let server = Server::start(vec![Reply::Says(200, String::new())]);
    let hangs = "[[notify]]\ncommand = \"sleep 600\"\nevents = [\"switched\"]\ntimeout = \"200ms\"\n";
    let house = telling(&format!("{hangs}{}", webhook(&server.url("/"), "events = [\"switched\"]")), "bake = \"1h\"");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.wait_for("the other one is told", |_| server.asked().len() == 1);
    house.wait_for("the trouble is shown", |house| {
        let shown = house.cli(&["status"]).out;
        shown.contains("NOTIFY-FAILING") && shown.contains("was not done within 200ms")
    });
}
