//! The two examples, apps that nobody wrote for this: each is deployed twice and rolled back, under visitors who notice
//! nothing.
//!
//! Needs Python with `venv`; the build of the Django app fetches its packages as pip is set up to.

mod house;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use house::{House, Said};
use serde_json::Value;

/// The host that the Django example answers for.
const GUESTBOOK: &str = "guestbook.localhost";

/// How many tasks a Celery worker may still take after SIGTERM: one for each of its processes, because it looks whether it
/// shall stop only between two messages.
const LATE_TASKS: usize = 2;

/// How long a task takes that shall be at work during a switch.
const LONG_TASK_SECONDS: u32 = 6;

/// The longest that a build with its downloads, and what comes before the gate, is waited for.
const BUILD_PATIENCE: Duration = Duration::from_secs(180);

/// Between two questions of a visitor.
const VISITOR_EVERY: Duration = Duration::from_millis(20);

/// A house with an example in its app directory and a running daemon.
fn house_of(example: &str) -> House {
    let house = House::start();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    house::copy_tree(&examples.join(example), &house.app());
    house
}

/// Puts `new` in the place of `old` in a file of the app.
fn change(house: &House, name: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(house.app().join(name)).expect("a file of the app");
    assert!(text.contains(old), "{name} has no {old}");
    house.write(name, &text.replace(old, new));
}

/// Someone who asks for one page again and again.
struct Visitor {
    leave: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Vec<String>)>,
}

impl Visitor {
    fn come(address: SocketAddr, host: &'static str) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&leave);
        let thread = std::thread::spawn(move || {
            let (mut answered, mut failed) = (0, Vec::new());
            while !asked.load(Ordering::Relaxed) {
                match house::get(address, host, "/") {
                    Ok((200, _)) => answered += 1,
                    other => failed.push(format!("{other:?}")),
                }
                std::thread::sleep(VISITOR_EVERY);
            }
            (answered, failed)
        });
        Self { leave, thread }
    }

    /// Lets the visitor go; none of the answers was wrong.
    #[track_caller]
    fn leave_content(self) {
        self.leave.store(true, Ordering::Relaxed);
        let (answered, failed) = self.thread.join().expect("a visitor's account");
        assert!(failed.is_empty(), "{} of {answered} went wrong, first {}", failed.len(), failed[0]);
        assert!(answered > 10, "only {answered} visits: this shows nothing");
    }
}

/// The latest release has lost no request.
#[track_caller]
fn nothing_lost(house: &House) {
    let receipt = house.receipt(None);
    assert_eq!((&receipt["lost"], &receipt["balanced"]), (&Value::from(0), &Value::Bool(true)), "{receipt:#}");
}

#[test]
fn a_directory_of_files_is_released_twice_and_rolled_back() {
    let house = house_of("http-server");
    let shows = |version: &str| {
        let (status, page) = house.get("/").expect("a page");
        assert_eq!(status, 200, "{page}");
        assert!(page.contains(&format!("Hello, version {version}")), "{page}");
    };
    house.cli(&["deploy", "--wait"]).ended(0);
    shows("1");
    let visitor = Visitor::come(house.address, "localhost");
    change(&house, "site/index.html", "version 1", "version 2");
    house.cli(&["deploy", "--wait"]).ended(0);
    shows("2");
    nothing_lost(&house);
    house.cli(&["rollback", "--wait"]).ended(0);
    shows("1");
    nothing_lost(&house);
    visitor.leave_content();
    assert_eq!(house.get("/no-such-file").expect("an answer").0, 404, "the app's own 404 comes through");
}

// === the guestbook ===

fn guestbook() -> House {
    let house = house_of("django");
    house.write("secrets.env", "DJANGO_SECRET_KEY=only-for-this-test-0123456789-0123456789-0123456789\n");
    house
}

/// What the app says of itself: version, revision, entries.
#[track_caller]
fn entries(house: &House) -> Value {
    let (status, body) = house::get(house.address, GUESTBOOK, "/api/entries").expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Leaves a task that writes an entry after `takes` seconds of work.
#[track_caller]
fn sign(house: &House, name: &str, takes: u32) {
    let form = format!("name={name}&message=hello&takes={takes}");
    let (status, body) = house::post(house.address, GUESTBOOK, "/api/entries", &form).expect("an answer");
    assert_eq!(status, 202, "{body}");
}

/// The revision whose worker wrote the entry of `name`.
fn written_by(house: &House, name: &str) -> Option<String> {
    let all = entries(house);
    let entry = all["entries"].as_array()?.iter().find(|entry| entry["name"] == name)?;
    Some(entry["written_by"].as_str()?.to_owned())
}

/// Waits for the entry of `name`; the worker of `revision` has written it.
#[track_caller]
fn is_written(house: &House, name: &str, revision: &str) {
    house.wait_for(&format!("the entry of {name} is written"), |house| written_by(house, name).is_some());
    assert_eq!(written_by(house, name).as_deref(), Some(revision), "who wrote the entry of {name}");
}

/// Waits until a worker has taken every task from the queue.
#[track_caller]
fn queue_is_taken(house: &House) {
    let queue = house.state().join("apps/guestbook/shared/data/queue");
    house.wait_for("a worker takes the task", |_| {
        std::fs::read_dir(&queue).is_ok_and(|mut messages| messages.next().is_none())
    });
}

/// Version and revision answer, tasks are done by `revision`'s worker, the page carries its collected style sheet.
#[track_caller]
fn works(house: &House, version: &str, revision: &str, signer: &str) {
    let said = entries(house);
    assert_eq!((&said["version"], &said["revision"]), (&version.into(), &revision.into()), "{said}");
    let mut writers = (0..=LATE_TASKS).map(|number| {
        let name = format!("{signer}-{number}");
        sign(house, &name, 0);
        house.wait_for(&format!("the entry of {name} is written"), |house| written_by(house, &name).is_some());
        written_by(house, &name).expect("an entry stays")
    });
    assert!(writers.any(|writer| writer == revision), "none of the tasks was done by the worker of {revision}");

    let (status, page) = house::get(house.address, GUESTBOOK, "/").expect("a page");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(signer) && page.contains(&format!("revision {revision}")), "{page}");
    let sheet = page.split('"').find(|text| text.ends_with(".css")).expect("a style sheet in the page");
    assert!(sheet.starts_with("/static/guestbook."), "not a collected file: {sheet}");
    let (status, style) = house::get(house.address, GUESTBOOK, sheet).expect("the style sheet");
    assert_eq!(status, 200, "{sheet}");
    assert!(style.contains("font-family"), "{style}");
}

/// Whether a worker of `revision` is still there.
fn has_worker(house: &House, revision: &str) -> bool {
    let status = house.status();
    let mut instances = ["blue", "green"].into_iter().filter_map(|slot| status["slots"][slot]["instances"].as_array());
    instances.any(|all| all.iter().any(|one| one["process"] == "worker" && one["revision"] == revision))
}

fn newest_stage(house: &House) -> Option<String> {
    let status = house.status();
    let stage = status["releases"].as_array()?.last()?["stages"].as_array()?.last()?;
    Some(stage["stage"].as_str()?.to_owned())
}

#[test]
fn a_django_app_with_its_celery_worker_is_released_twice_and_rolled_back() {
    let house = guestbook();
    house.cli(&["deploy", "--wait"]).ended(0);
    works(&house, "1", "r1", "Ada");
    // The router answers for the app's host alone.
    assert_eq!(house::get(house.address, "elsewhere.localhost", "/up").expect("an answer").0, 404);

    // The second waits at a gate, so that the switch comes while the first one's worker is at work.
    let visitor = Visitor::come(house.address, GUESTBOOK);
    house.write("app/VERSION", "2\n");
    change(&house, "switchover.toml", "[release]\n", "[release]\napprove = true\n");
    house.cli(&["deploy"]).ended(0);
    house.wait_within(BUILD_PATIENCE, "the second release waits to be approved", |house| {
        newest_stage(house).as_deref() == Some("approve")
    });
    assert_eq!(entries(&house)["revision"], "r1");
    sign(&house, "Grace", LONG_TASK_SECONDS);
    queue_is_taken(&house);
    house.cli(&["promote"]).ended(0);
    house.wait_for("the second release is switched", |house| newest_stage(house).as_deref() == Some("bake"));
    assert_eq!(written_by(&house, "Grace"), None, "the first one's worker is still at work");
    works(&house, "2", "r2", "Edsger");
    is_written(&house, "Grace", "r1");
    house.wait_for("the first one's worker has ended", |house| !has_worker(house, "r1"));
    nothing_lost(&house);

    // And the same on the way back.
    sign(&house, "Barbara", LONG_TASK_SECONDS);
    queue_is_taken(&house);
    house.cli(&["rollback", "--wait"]).ended(0);
    assert_eq!(written_by(&house, "Barbara"), None, "the second one's worker is still at work");
    works(&house, "1", "r1", "Donald");
    is_written(&house, "Barbara", "r2");
    nothing_lost(&house);
    visitor.leave_content();
}

/// The deploy was undone because of its health; it says why and what to do.
#[track_caller]
fn undone(said: Said, why: &str, next: &str) {
    let said = said.ended(4);
    let (cause, step) = said.err.rsplit_once("next: ").unwrap_or_else(|| panic!("no next step: {}", said.err));
    assert!(cause.contains("error[HEALTH-NEVER-GREEN]") && cause.contains(why), "{}", said.err);
    assert!(step.contains(next), "{}", said.err);
}

#[test]
fn a_django_app_that_refuses_its_host_or_insists_on_https_is_undone_and_explained() {
    let house = guestbook();
    change(&house, "switchover.toml", "deadline = \"60s\"", "deadline = \"8s\"");
    let said = house.cli(&["deploy", "--wait", "--env", "DJANGO_ALLOWED_HOSTS=www.guestbook.example"]);
    undone(
        said,
        "/up answered 400: it may not accept the host guestbook.localhost (Django: ALLOWED_HOSTS)",
        "its first host",
    );
    let said = house.cli(&["deploy", "--wait", "--env", "DJANGO_HTTPS=1"]);
    let moved = "/up answered 301 to https://guestbook.localhost/up: a redirect is not a healthy answer; it was asked for \
                 host guestbook.localhost with X-Forwarded-Proto: http, an app that insists on https";
    undone(said, moved, "without a redirect");
    assert_eq!(house.live_revision(), None, "nothing was switched");
}
