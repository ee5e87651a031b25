//! Commands as a person uses them beside a release: what they print, what they write, what they watch.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::{BINARY, House, PATIENCE, Said, end_all_of, signal};

const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

/// One request on a connection of its own: status and body.
fn ask(house: &House, host: &str, path: &str, more: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(house.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (answer[9..12].parse().unwrap(), body)
}

#[test]
fn every_shell_gets_completions_that_it_can_read() {
    let house = House::closed();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = house.cli(&["completions", shell]).ended(0);
        assert!(said.out.contains("switchover") && said.out.contains("rollback"), "{shell}: {said:?}");
    }
    let script = house.cli(&["completions", "bash"]).out;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash does not take it");
    house.cli(&["completions", "tcsh"]).ended(2);
}

#[test]
fn the_manual_is_one_page_or_one_page_a_command() {
    let house = House::closed();
    let said = house.cli(&["man"]).ended(0);
    assert!(said.out.contains(".TH switchover 1") && said.out.contains("switchover\\-deploy"), "{said:?}");
    let pages = house.folder.path().join("new/pages");
    house.cli(&["man", "--dir", pages.to_str().unwrap()]).ended(0);
    for page in ["switchover.1", "switchover-deploy.1", "switchover-rollback.1", "switchover-db-plan.1"] {
        assert!(pages.join(page).exists(), "{page}");
    }
    let said = house.cli(&["man", "--dir", "/proc/no-such-directory"]).ended(1);
    assert!(said.err.contains("error[FILE-NOT-WRITTEN]"), "{said:?}");
}

#[test]
fn the_schema_knows_the_files_keys() {
    let house = House::closed();
    let schema = house.cli(&["schema"]).ended(0).json();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    for key in ["name", "process", "route", "release"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let answer = house.cli(&["schema", "--json"]).ended(0).json();
    assert_eq!(answer["schema"], schema);
}

#[test]
fn followed_logs_go_on_with_new_instances_and_over_a_restart_of_the_daemon() {
    let mut house = House::start();
    house.sample("", LONG);
    let file = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
    house.write(
        "switchover.toml",
        &file.replace("command = \"", "command = \"echo here is $SWITCHOVER_REVISION; exec "),
    );
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut following = house.command(&["logs", "-f"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let told = Arc::new(Mutex::new(Vec::<String>::new()));
    let (reader, lines) = (Arc::clone(&told), BufReader::new(following.stdout.take().unwrap()).lines());
    let reading =
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| reader.lock().unwrap().push(line)));
    let tells = |what: &str| told.lock().unwrap().iter().any(|line| line.ends_with(what));
    house.wait_for("the past is told", |_| tells("| here is r1"));
    for (version, line) in [("v2", "| here is r2"), ("v3", "| here is r3")] {
        house.write("VERSION", version);
        house.cli(&["deploy", "--wait"]).ended(0);
        house.wait_for("what a new instance prints is told", |_| tells(line));
        house.stop_daemon();
        house.serve();
    }
    let first = told.lock().unwrap().iter().filter(|line| line.ends_with("| here is r1")).count();
    assert_eq!(first, 1, "nothing is told twice");
    signal(following.id(), libc::SIGINT);
    assert_eq!(following.wait().unwrap().code(), Some(0));
    reading.join().unwrap();
}

#[test]
fn a_demo_that_is_kept_goes_on_and_says_how_to_go_on_with_it() {
    let folder = tempfile::Builder::new().prefix("switchover-kept-").tempdir().unwrap();
    let said: Said = Command::new(BINARY)
        .args(["demo", "--keep"])
        .env("TMPDIR", folder.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    // Whatever follows, nothing of it is left when this test is over.
    let left = std::panic::catch_unwind(|| {
        let said = said.ended(0);
        assert!(said.out.contains("Everything is left running."), "{said:?}");
        assert!(said.out.contains(&format!("export SWITCHOVER_STATE={}", kept.join("state").display())), "{said:?}");
        // What it says is what one can do.
        let again = |arguments: &[&str]| -> Said {
            let mut command = Command::new(BINARY);
            command.args(arguments).env("SWITCHOVER_STATE", kept.join("state")).current_dir(kept.join("app"));
            command.output().unwrap().into()
        };
        std::fs::write(kept.join("app/VERSION"), "v4").unwrap();
        std::fs::write(kept.join("app/SICK"), "").unwrap();
        again(&["deploy", "--wait"]).ended(0);
        again(&["rollback", "--wait"]).ended(0);
        let status = again(&["status", "--json"]).ended(0).json();
        assert!(status["live"].is_string(), "{status}");
    });
    end_all_of(&kept);
    left.unwrap();
}

#[test]
fn a_demo_that_is_interrupted_stops_and_removes_everything_and_says_only_that() {
    // While a release is waited for, while users are watched, and while one is undone.
    for moment in ["demo release 1: build", "users come to", "demo release 3: provision"] {
        let folder = tempfile::Builder::new().prefix("switchover-left-").tempdir().unwrap();
        let mut demo = Command::new(BINARY)
            .arg("demo")
            .env("TMPDIR", folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(moment)), "it comes to {moment:?}");
        signal(demo.id(), libc::SIGINT);
        let began = Instant::now();
        let rest: Vec<String> = lines.collect();
        let said: Said = demo.wait_with_output().unwrap().into();
        let took = began.elapsed();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "at {moment:?} something was left behind");
        let said = said.ended(130);
        assert_eq!(said.err.lines().last(), Some("stopped, everything removed"), "{said:?}");
        assert!(!said.err.contains("switchover ") && !rest.iter().any(|line| line.contains("switchover ")), "{said:?}");
        // The grace of an app is 5 s; daemon, router and shims end at once.
        assert!(took < Duration::from_secs(15), "at {moment:?} it took {took:?}");
    }
}

#[test]
fn the_preview_shows_the_idle_slot_to_whoever_has_its_token_or_comes_from_a_listed_network() {
    let house = House::start();
    let route = |networks: &str| {
        format!(
            "[route]\nhosts = [\"shop.test\"]\npreview = {{ host = \"idle.shop.test\"{networks} }}\n[release]\napprove = true\nbake = \"1h\""
        )
    };
    house.sample("", &route(""));
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the release waits for approval", |house| house.is_in("approve"));
    house.cli(&["promote"]).ended(0);
    house.wait_for("v1 is live", |house| house.live_revision().as_deref() == Some("r1"));
    house.write("VERSION", "v2");
    house.cli(&["deploy"]).ended(0);
    house.wait_for("the next release waits for approval", |house| house.is_in("approve"));

    let preview = house.status()["preview"].clone();
    assert_eq!((&preview["host"], &preview["slot"]), (&"idle.shop.test".into(), &"green".into()), "{preview}");
    let token = format!("X-Switchover-Preview: {}\r\n", preview["token"].as_str().unwrap());
    let (status, body) = ask(&house, "idle.shop.test", "/version", "");
    assert_eq!(status, 401, "{body}");
    assert_eq!(ask(&house, "idle.shop.test", "/version", "X-Switchover-Preview: guessed\r\n").0, 401);
    let (status, body) = ask(&house, "idle.shop.test", "/version", &token);
    assert!(status == 200 && body.contains("v2"), "{status} {body}");
    let (status, body) = ask(&house, "shop.test", "/version", &token);
    assert!(status == 200 && body.contains("v1"), "users see what is live: {status} {body}");

    house.sample("", &route(", networks = [\"127.0.0.0/8\"]"));
    house.cli(&["apply"]).ended(0);
    house.wait_for("a listed network needs no token", |house| {
        let (status, body) = ask(house, "idle.shop.test", "/version", "");
        status == 200 && body.contains("v2")
    });
    house.sample("", &route(", networks = [\"192.0.2.0/24\"]"));
    house.cli(&["apply"]).ended(0);
    house.wait_for("another network needs it", |house| ask(house, "idle.shop.test", "/version", "").0 == 401);
    house.cli(&["abort"]).ended(0);
}

/// A file of the sample app under this name.
fn file_of(name: &str, more: &str) -> String {
    let web = "health = { path = \"/up\", deadline = \"20s\" }\nstop = { grace = \"5s\" }";
    format!("name = \"{name}\"\n\n[process.web]\ncommand = \"{BINARY} sample-app\"\n{web}\n\n{more}\n")
}

#[test]
fn two_apps_live_beside_each_other_and_app_says_which_is_meant() {
    let house = House::start();
    let blog = house.folder.path().join("blog");
    std::fs::create_dir(&blog).unwrap();
    let in_blog = |arguments: &[&str]| -> Said { house.command(arguments).current_dir(&blog).output().unwrap().into() };
    let far = |arguments: &[&str]| -> Said { house.command(arguments).current_dir("/").output().unwrap().into() };
    house.sample("", LONG);
    house.write("VERSION", "shop-v1");
    house.cli(&["deploy", "--wait"]).ended(0);
    std::fs::write(blog.join("switchover.toml"), file_of("blog", &format!("[route]\nhosts = [\"blog.test\"]\n{LONG}")))
        .unwrap();
    for version in ["blog-v1", "blog-v2"] {
        std::fs::write(blog.join("VERSION"), version).unwrap();
        in_blog(&["deploy", "--wait"]).ended(0);
    }
    let version = |host: &str| ask(&house, host, "/version", "").1;
    assert!(version("blog.test").contains("blog-v2"));
    assert!(version("anything.test").contains("shop-v1"), "the app without hosts answers for every other one");

    let said = far(&["status"]).ended(2);
    assert!(said.err.contains("error[APP-UNSAID]") && said.err.contains("blog, shop"), "{said:?}");
    let said = in_blog(&["deploy", "--app", "shop"]).ended(2);
    assert!(said.err.contains("error[APP-MISMATCH]"), "{said:?}");
    let said = far(&["status", "--app", "nobody"]);
    assert!(said.err.contains("error[APP-UNKNOWN]") && said.err.contains("blog, shop"), "{said:?}");
    let said = far(&["apps"]).ended(0);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..4], ["blog", "r2", "in", "green"], "{said:?}");
    assert_eq!(lines[2][..4], ["shop", "r1", "in", "blue"], "{said:?}");
    assert_eq!(far(&["apps", "--json"]).ended(0).json()["apps"], serde_json::json!(["blog", "shop"]));
    assert_eq!(far(&["status", "--app", "blog", "--json"]).ended(0).json()["app"], "blog");

    far(&["rollback", "--app", "blog", "--wait"]).ended(0);
    assert!(version("blog.test").contains("blog-v1"), "blog went back");
    assert!(version("anything.test").contains("shop-v1"), "shop stays where it was");
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    assert_eq!(house.releases().len(), 1, "each app has a history of its own");
}

#[test]
fn an_artifact_is_deployed_from_a_directory_and_from_an_archive() {
    let house = House::start();
    house.sample("", LONG);
    let made = house.folder.path().join("made");
    std::fs::create_dir(&made).unwrap();
    std::fs::write(made.join("VERSION"), "from-a-directory").unwrap();
    house.cli(&["deploy", "--wait", "--artifact", "../made"]).ended(0);
    assert!(house.get("/version").unwrap().1.contains("from-a-directory"));
    for (archive, flags) in [("made.tar", "-cf"), ("made.tar.gz", "-czf"), ("made.tgz", "-czf")] {
        std::fs::write(made.join("VERSION"), format!("from-{archive}")).unwrap();
        let file = house.folder.path().join(archive);
        let packed = Command::new("tar").arg(flags).arg(&file).arg("-C").arg(&made).arg(".").status().unwrap();
        assert!(packed.success());
        house.cli(&["deploy", "--wait", "--artifact", file.to_str().unwrap()]).ended(0);
        assert!(house.get("/version").unwrap().1.contains(&format!("from-{archive}")));
    }
}

#[test]
fn init_proposes_a_valid_file_for_each_kind_of_project_and_overwrites_none() {
    for (files, found, holds) in [
        (
            &[("Procfile", "web: bin/shop --port $PORT\nmailer: bin/shop mail\nrelease: ./migrate\n")][..],
            "Procfile",
            &["command = \"bin/shop --port $PORT\"", "[process.mailer]", "command = \"./migrate\""][..],
        ),
        (
            &[("package.json", r#"{"scripts":{"start":"node .","build":"tsc"}}"#)],
            "package.json",
            &["npm install && npm run build", "command = \"npm start\""],
        ),
        (&[("go.mod", "module shop\n")], "go.mod", &["go build -o bin/app ."]),
        (
            &[("Cargo.toml", "[package]\nname = \"shopd\"\n")],
            "Cargo.toml",
            &["cargo build --release --locked", "target/release/shopd"],
        ),
        (&[("manage.py", ""), ("mysite/wsgi.py", "")], "manage.py", &["mysite.wsgi", "migrate --noinput"]),
    ] {
        let house = House::closed();
        for (name, content) in files {
            let file = house.app().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        let printed = house.cli(&["init", "--print"]).ended(0);
        assert!(!house.app().join("switchover.toml").exists(), "--print writes nothing");
        let said = house.cli(&["init"]).ended(0);
        assert!(said.out.contains(&format!("from {found}")), "{said:?}");
        let written = std::fs::read_to_string(house.app().join("switchover.toml")).unwrap();
        assert_eq!(written.trim_end(), printed.out.trim_end());
        for part in holds {
            assert!(written.contains(part), "{part} in\n{written}");
        }
        house.cli(&["validate"]).ended(0);
        let again = house.cli(&["init"]).ended(2);
        assert!(again.err.contains("error[CONFIG-EXISTS]"), "{again:?}");
        assert_eq!(std::fs::read_to_string(house.app().join("switchover.toml")).unwrap(), written);
    }
}

/// Replaces `from` by `to`, of the same length, wherever it stands in the file.
fn tamper(file: &Path, from: &str, to: &str) -> usize {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    for place in &places {
        bytes[*place..*place + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(file, bytes).unwrap();
    places.len()
}

#[test]
fn a_journal_is_walked_on_demand_and_a_changed_record_is_found() {
    let mut house = House::start();
    house.sample("", &format!("[build]\ncommand = \"true as-it-was\"\n{LONG}"));
    house.cli(&["deploy", "--wait"]).ended(0);
    let whole = house.cli(&["history", "--verify", "--json"]).ended(0).json();
    assert_eq!((&whole["schema_version"], &whole["whole"], &whole["app"]), (&1.into(), &true.into(), &"shop".into()));
    assert!(whole["records"].as_u64().unwrap() > 5 && whole["head"].as_str().unwrap().len() == 64, "{whole}");
    let said = house.cli(&["history", "--verify"]).ended(0);
    assert!(said.out.contains("the journal of shop is whole"), "{said:?}");

    house.stop_daemon();
    let deadline = Instant::now() + Duration::from_secs(5);
    while house.state().join("journal.sqlite-wal").metadata().is_ok_and(|wal| wal.len() > 0) {
        assert!(Instant::now() < deadline, "the journal was not closed in order");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(tamper(&house.state().join("journal.sqlite"), "true as-it-was", "true as-it-is!") > 0);
    house.serve();
    let said = house.cli(&["history", "--verify"]).ended(1);
    assert!(said.err.contains("error[JOURNAL-BROKEN]") && said.err.contains("record "), "{said:?}");
    let json = house.cli(&["history", "--verify", "--json"]).ended(1).json();
    assert_eq!(json["error"]["code"], "JOURNAL-BROKEN");
    // Users are served all the same.
    assert_eq!(house.get("/version").unwrap().0, 200);
}
