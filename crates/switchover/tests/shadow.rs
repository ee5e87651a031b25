//! Copies of live requests on a real daemon, router and app: a changed field is found before any user saw it, what changes by
//! itself is not, nothing is done twice, nothing passes without requests, and nobody waits for a copy.

mod house;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use house::House;
use serde_json::Value;

/// The longest that a comparison under this load may take.
const VERDICT: Duration = Duration::from_secs(60);

/// Answers JSON with a price and the time; tells a file of each request but those for its health, with its method, its version
/// and whether it is a copy.
const APP: &str = r#"
import http.server, json, os, sys, time

VERSION = open("VERSION").read().strip()
SEEN = sys.argv[2]

class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        if self.path != "/up":
            copy = "copy" if self.headers.get("X-Switchover-Shadow") == "1" else "user"
            line = f"{self.command} {VERSION} {copy}\n".encode()
            file = os.open(SEEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(file, line)
            os.close(file)
            if VERSION == "hangs":
                time.sleep(60)
        price = 6 if VERSION == "dearer" else 5
        item = {"price": price, "session_token": "s3cr3t-" + VERSION}
        body = json.dumps({"item": item, "at": time.time_ns()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
"#;

/// `v1` live, with a file whose releases are compared like this.
fn live(shadow: &str) -> House {
    let house = House::start();
    let seen = house.folder.path().join("seen");
    let file = format!(
        "name = \"shop\"\n[process.web]\ncommand = \"exec python3 app.py $PORT {}\"\nhealth = {{ path = \"/up\" }}\n\
         stop = {{ grace = \"1s\" }}\n[release]\nbake = \"0s\"\nkeep_warm = \"1h\"\nevidence_timeout = \"3s\"\n\
         [release.shadow]\nshare = \"100%\"\n{shadow}\n",
        seen.display()
    );
    house.write("switchover.toml", &file);
    house.write("app.py", APP);
    house.write("VERSION", "v1");
    house.cli(&["deploy", "--wait"]).ended(0);
    house
}

fn deploy(house: &House, version: &str) {
    house.write("VERSION", version);
    house.cli(&["deploy"]).ended(0);
}

fn newest(house: &House) -> Value {
    house.releases().pop().expect("a release")
}

fn ended(house: &House) -> Value {
    house.wait_within(VERDICT, "an outcome", |house| !newest(house)["outcome"].is_null());
    newest(house)
}

/// How often the app was asked like this, such as `GET v1 user`.
fn asked(house: &House, line: &str) -> u64 {
    let seen = std::fs::read_to_string(house.folder.path().join("seen")).unwrap_or_default();
    seen.lines().filter(|known| *known == line).count() as u64
}

/// What one user was answered.
#[derive(Debug, Default)]
struct Account {
    answered: u64,
    posted: u64,
    wrong: Vec<String>,
}

/// Users who ask again and again, each fourth time with a `POST`, and expect the price that is live.
struct Users {
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Account>>,
}

impl Users {
    fn come(address: SocketAddr, count: usize) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|_| {
            let leave = Arc::clone(&leave);
            std::thread::spawn(move || {
                let mut account = Account::default();
                while !leave.load(Ordering::Relaxed) {
                    let posts = account.answered % 4 == 3;
                    let answer = if posts {
                        house::post(address, "localhost", "/items", "a=1")
                    } else {
                        house::get(address, "localhost", "/items")
                    };
                    match answer {
                        Ok((200, body)) if body.contains("\"price\": 5") => account.answered += 1,
                        other => account.wrong.push(format!("{other:?}")),
                    }
                    account.posted += u64::from(posts);
                    std::thread::sleep(Duration::from_millis(5));
                }
                account
            })
        });
        Self { threads: threads.collect(), leave }
    }

    /// Lets them go; none of the answers was wrong.
    #[track_caller]
    fn leave_content(self) -> Account {
        self.leave.store(true, Ordering::Relaxed);
        let mut all = Account::default();
        for thread in self.threads {
            let account = thread.join().expect("an account");
            all.answered += account.answered;
            all.posted += account.posted;
            all.wrong.extend(account.wrong);
        }
        assert_eq!(all.wrong, Vec::<String>::new());
        all
    }
}

/// The comparison's verdict of the newest receipt.
fn verdict(house: &House) -> Value {
    let receipt = house.receipt(None);
    let judged = receipt["judged"].as_array().cloned().unwrap_or_default();
    let of_it = judged.iter().find(|judged| judged["watch"]["during"] == "shadow");
    of_it.unwrap_or_else(|| panic!("no verdict: {receipt:#}"))["verdicts"][0].clone()
}

#[test]
fn a_changed_field_undoes_the_release_before_any_user_saw_it() {
    let house = live("for = \"30s\"\nenough = 50");
    let plan = house.cli(&["plan"]).ended(0);
    assert!(plan.out.contains("shadow") && plan.out.contains("copies 100% of the live requests"), "{}", plan.out);
    let users = Users::come(house.address, 4);
    deploy(&house, "dearer");
    let release = ended(&house);
    users.leave_content();
    assert_eq!(release["outcome"]["kind"], "aborted", "{release:#}");
    assert_eq!(release["outcome"]["cause"]["code"], "SHADOW-DIFFERS", "{release:#}");
    let detail = release["outcome"]["cause"]["detail"].to_string();
    assert!(detail.contains("body /item/price") && detail.contains("GET /items: 5, r2 6"), "{detail}");
    assert!(!detail.contains("s3cr3t") && !detail.contains("body /at:"), "{detail}");
    let receipt = house.receipt(None);
    assert_eq!(receipt["lost"], 0, "{receipt:#}");
    assert!(receipt["by_revision"]["r2"].is_null(), "no user was led there: {receipt:#}");
    assert_eq!(asked(&house, "GET dearer user") + asked(&house, "POST dearer copy"), 0);
    assert_eq!(verdict(&house)["verdict"], "fail");
    assert_eq!(house.live_revision().as_deref(), Some("r1"));
    house.cli(&["judge", "replay"]).ended(0);
    house.wait_for("the copies to end", |house| house.status()["slots"]["green"]["instances"] == serde_json::json!([]));
    let copies = asked(&house, "GET v1 copy");
    assert_eq!(house.get("/items").unwrap().0, 200);
    assert_eq!(asked(&house, "GET v1 copy"), copies, "nothing is copied any more");
}

#[test]
fn what_changes_by_itself_passes_and_nothing_is_done_twice_though_the_daemon_is_killed() {
    let mut house = live("for = \"4s\"\nenough = 100\ncompare = { ignore_fields = [\"/item/session_token\"] }");
    let users = Users::come(house.address, 4);
    deploy(&house, "v2");
    house.wait_for("copies", |house| asked(house, "GET v2 copy") > 20);
    assert!(newest(&house)["shadow"]["in_force_at"].is_u64());
    house.kill_daemon();
    house.serve();
    let release = ended(&house);
    let account = users.leave_content();
    assert_eq!(release["outcome"]["kind"], "succeeded", "{release:#}");
    assert_eq!(verdict(&house)["verdict"], "pass");
    assert_eq!(house.receipt(None)["lost"], 0);
    let posts: u64 = ["v1", "v2"].iter().map(|version| asked(&house, &format!("POST {version} user"))).sum();
    assert_eq!(posts, account.posted, "each was done once");
    assert_eq!(asked(&house, "POST v2 copy") + asked(&house, "POST v1 copy"), 0);
    let told = house.cli(&["judge", "replay", "2"]).ended(0);
    assert!(told.out.contains("the shadow comparison"), "{told:?}");
    assert!(house.cli(&["receipt"]).out.contains("shadow"), "the receipt tells it");
}

#[test]
fn without_requests_nothing_passes_and_a_person_may_go_on() {
    let house = live("for = \"1s\"");
    deploy(&house, "v2");
    house.wait_for("copies to be made", |house| newest(house)["shadow"]["in_force_at"].is_u64());
    assert!(house.cli(&["status"]).out.contains("copies of 100% of the requests"));
    house.cli(&["pause"]).ended(0);
    house.cli(&["resume"]).ended(0);
    let release = ended(&house);
    assert_eq!(release["outcome"]["cause"]["code"], "NO-EVIDENCE", "{release:#}");
    assert_eq!(verdict(&house)["verdict"], "inconclusive");
    deploy(&house, "v3");
    house.wait_for("copies to be made", |house| newest(house)["shadow"]["in_force_at"].is_u64());
    house.cli(&["promote"]).ended(0);
    house.wait_for("all traffic", |house| house.live_revision().as_deref() == Some("r3"));
}

#[test]
fn nobody_waits_for_copies_that_hang() {
    let house = live("for = \"30s\"\nenough = 10");
    let users = Users::come(house.address, 4);
    deploy(&house, "hangs");
    house.wait_for("copies that hang", |house| asked(house, "GET hangs copy") >= 4);
    let before = asked(&house, "GET v1 user");
    house.wait_for("users who go on", |house| asked(house, "GET v1 user") > before + 400);
    // Thirty-two are on their way at most in a lane, for ten seconds each.
    assert!(asked(&house, "GET hangs copy") <= 32 * lanes(), "{}", asked(&house, "GET hangs copy"));
    let release = ended(&house);
    users.leave_content();
    assert_eq!(release["outcome"]["cause"]["code"], "SHADOW-DIFFERS", "{release:#}");
    assert!(release["outcome"]["cause"]["detail"].to_string().contains("answer:"), "{release:#}");
    assert_eq!(house.receipt(None)["lost"], 0);
}

fn lanes() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}
