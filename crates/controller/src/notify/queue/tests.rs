//! The queue keeps its order, its bounds and its place over a restart.

use switchover_model::config::{AppConfig, Tells, parse};
use switchover_model::record::{Actor, Event, IdempotencyKey};
use switchover_model::release::{Command, ReleaseKind};
use switchover_model::revision::Source;
use switchover_model::{ReleaseId, RevisionId};

use super::*;

fn config(notify: &str) -> AppConfig {
    let file = format!(
        "name = \"shop\"\n{notify}\n[secrets]\nfile = \"/etc/shop.env\"\n[process.web]\ncommand = \"bin/shop\"\n"
    );
    parse(&file, "switchover.toml", Path::new("/srv/shop")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn app() -> AppName {
    "shop".parse().unwrap()
}

fn record(sequence: u64, event: Event) -> Record {
    Record { sequence, at: Timestamp::from_micros(sequence * 1_000_000), actor: Actor::Controller, event }
}

fn applied(sequence: u64, notify: &str) -> Record {
    let command = Command::Apply { config: Box::new(config(notify)) };
    record(sequence, Event::Commanded { key: IdempotencyKey(sequence.to_string()), command })
}

fn opened(sequence: u64) -> Record {
    let event = Event::Opened {
        release: ReleaseId(1),
        kind: ReleaseKind::Deploy,
        revision: RevisionId(1),
        from: None,
        source: Source::Directory { path: "/srv/shop".into() },
        ledger: None,
    };
    record(sequence, event)
}

fn switched(sequence: u64) -> Record {
    record(sequence, Event::Switched { release: ReleaseId(1), ledger: None })
}

const TWO: &str = "[[notify]]\nurl = \"http://a/\"\nsecret = \"S\"\n[[notify]]\ncommand = \"b\"\n";

async fn queue(records: &[Record]) -> (tempfile::TempDir, Queue) {
    let folder = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(folder.path(), &app()).await.unwrap();
    records.iter().for_each(|record| queue.take(&app(), record));
    (folder, queue)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

const A: &str = "a:80/";
const B: &str = "command b";

fn due(queue: &Queue, seconds: u64) -> Vec<(String, String)> {
    queue.due(at(seconds)).into_iter().map(|due| (due.key.id, due.key.target)).collect()
}

fn key(id: &str, target: &str) -> Key {
    Key { id: id.to_owned(), target: target.to_owned() }
}

#[tokio::test]
async fn each_who_is_told_gets_its_messages_one_by_one_in_order() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3), switched(4)]).await;
    let (first, second) = ("shop-3-3000000".to_owned(), "shop-4-4000000".to_owned());
    assert_eq!(due(&queue, 10), [(first.clone(), A.to_owned()), (first.clone(), B.to_owned())]);
    assert!(!queue.end(&key(&first, A), Outcome::Refused("no".into()), at(10)));
    assert!(queue.end(&key(&first, B), Outcome::Taken, at(10)));
    // The one that fails holds up its own, after its pause, and nobody else.
    assert_eq!(due(&queue, 10), [(second.clone(), B.to_owned())]);
    assert_eq!(due(&queue, 11), [(first.clone(), A.to_owned()), (second.clone(), B.to_owned())]);
    assert!(!queue.end(&key(&first, A), Outcome::Refused("no".into()), at(11)));
    assert_eq!(queue.pause(at(12)), Some(Duration::ZERO));
    assert!(queue.end(&key(&second, B), Outcome::Taken, at(12)));
    assert_eq!(queue.pause(at(12)), Some(Duration::from_secs(1)));
    let troubles = queue.troubles();
    assert_eq!(troubles.len(), 1);
    assert!(
        troubles[0].cause.contains("http://a/") && troubles[0].cause.contains("in 2 tries; 1 more message waits"),
        "{troubles:?}"
    );
}

#[tokio::test]
async fn what_waits_and_the_place_in_the_journal_are_there_again_after_a_restart() {
    let (folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3)]).await;
    queue.save().await.unwrap();
    let mut again = Queue::open(folder.path(), &app()).await.unwrap();
    assert_eq!((again.sequence(), due(&again, 10)), (3, due(&queue, 10)));
    // What was known of the release is known again.
    again.take(&app(), &switched(4));
    assert!(
        again
            .kept
            .waiting
            .iter()
            .any(|waiting| waiting.body.contains("\"revision\":\"r1\"") && waiting.key.id.starts_with("shop-4-"))
    );
}

#[tokio::test]
async fn a_full_queue_gives_up_its_oldest_and_says_so() {
    let mut records = vec![applied(1, "[[notify]]\ncommand = \"b\"\n"), opened(2)];
    records.extend((3..).take(NOTIFY_QUEUE + 5).map(switched));
    let (_folder, queue) = queue(&records).await;
    assert_eq!(queue.kept.waiting.len(), NOTIFY_QUEUE);
    assert_eq!(due(&queue, 10_000), [("shop-8-8000000".to_owned(), B.to_owned())]);
    let troubles = queue.troubles();
    assert!(troubles[0].code == "NOTIFY-GIVEN-UP" && troubles[0].cause.contains("5 messages"), "{troubles:?}");
}

#[tokio::test]
async fn what_nobody_takes_for_days_or_never_wants_again_is_given_up_until_one_is_taken() {
    let (_folder, mut queue) =
        queue(&[applied(1, "[[notify]]\ncommand = \"b\"\n"), opened(2), switched(3), switched(4), switched(5)]).await;
    let key = |id: &str| key(id, B);
    let days = 3 * 24 * 3600 + 3;
    assert!(!queue.end(&key("shop-3-3000000"), Outcome::Refused("no".into()), at(days - 1)));
    assert!(queue.end(&key("shop-3-3000000"), Outcome::Refused("no".into()), at(days)));
    assert!(queue.end(&key("shop-4-4000000"), Outcome::Gone("it answered 410".into()), at(days)));
    let troubles = queue.troubles();
    assert!(troubles[0].cause.contains("2 messages") && troubles[0].cause.contains("410"), "{troubles:?}");
    assert!(queue.end(&key("shop-5-5000000"), Outcome::Taken, at(days)));
    assert!(queue.troubles().is_empty() && queue.pause(at(days)).is_none());
}

#[tokio::test]
async fn what_waits_for_one_is_never_told_to_another_who_stands_in_its_place() {
    let (folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3), switched(4)]).await;
    queue.take(&app(), &applied(5, "[[notify]]\nurl = \"http://customer/\"\nsecret = \"T\"\n"));
    queue.save().await.unwrap();
    assert!(queue.due(at(10)).is_empty() && queue.pause(at(10)).is_none());
    let told = |queue: &Queue| queue.troubles().iter().map(|one| (one.code.clone(), one.cause.clone())).next();
    let (code, cause) = told(&queue).expect("it is said");
    assert!(code == "NOTIFY-GIVEN-UP" && cause.contains("4 messages were dropped"), "{cause}");
    let mut again = Queue::open(folder.path(), &app()).await.unwrap();
    assert_eq!(told(&again), told(&queue));
    again.take(&app(), &switched(6));
    let sent = again.due(at(10)).pop().expect("the new one is told of what is new");
    assert_eq!(sent.to.tells.to_string(), "http://customer/");
    assert!(again.end(&sent.key, Outcome::Taken, at(10)) && again.troubles().is_empty());
}

#[tokio::test]
async fn who_has_another_secret_or_place_in_the_file_is_the_same_one() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3)]).await;
    let other_way_round = "[[notify]]\ncommand = \"b\"\n[[notify]]\nurl = \"http://a/\"\nsecret = \"T\"\n";
    queue.take(&app(), &applied(4, other_way_round));
    queue.save().await.unwrap();
    let due = queue.due(at(10));
    let sent: Vec<String> = due.iter().map(|due| due.to.tells.to_string()).collect();
    assert_eq!(sent, ["http://a/", "`b`"]);
    assert!(matches!(&due[0].to.tells, Tells::Webhook { secret, .. } if secret == "T"));
}

#[tokio::test]
async fn a_queue_that_was_written_by_places_is_understood() {
    let (folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3)]).await;
    assert!(!queue.end(&key("shop-3-3000000", A), Outcome::Refused("no".into()), at(10)));
    queue.save().await.unwrap();
    let path = folder.path().join("apps/shop/notify.json");
    let mut written: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    written["waiting"][0]["target"] = 0.into();
    written["waiting"][1]["target"] = 1.into();
    written["given_up"] = serde_json::json!({ "1": { "count": 2, "last": "it answered 410" } });
    std::fs::write(&path, written.to_string()).unwrap();
    let again = Queue::open(folder.path(), &app()).await.unwrap();
    assert_eq!(due(&again, 100), due(&queue, 100));
    let causes: Vec<String> = again.troubles().into_iter().map(|one| one.cause).collect();
    assert!(causes[0].contains("http://a/") && causes[1].contains("`b` was not told of 2"), "{causes:?}");
}

#[tokio::test]
async fn what_could_not_be_told_is_counted_as_people_do() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3)]).await;
    let why = |queue: &Queue| queue.troubles().into_iter().map(|one| one.cause).next().unwrap_or_default();
    assert!(!queue.end(&key("shop-3-3000000", A), Outcome::Refused("no".into()), at(10)));
    assert_eq!(why(&queue), "http://a/ could not be told of `switched` in 1 try: no.");
    queue.take(&app(), &switched(4));
    assert_eq!(why(&queue), "http://a/ could not be told of `switched` in 1 try; 1 more message waits: no.");
}

#[tokio::test]
async fn one_that_owes_an_answer_holds_up_nobody_else_and_is_told_nothing_meanwhile() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3), switched(4)]).await;
    let (first, second) = ("shop-3-3000000", "shop-4-4000000");
    queue.begin(&key(first, A));
    queue.begin(&key(first, B));
    assert!(queue.due(at(10)).is_empty() && queue.pause(at(10)).is_none());
    assert!(queue.end(&key(first, B), Outcome::Taken, at(10)));
    assert_eq!(due(&queue, 10), [(second.to_owned(), B.to_owned())]);
    // One that is dropped from the file meanwhile leaves nothing behind.
    queue.take(&app(), &applied(5, "[[notify]]\ncommand = \"b\"\n"));
    queue.save().await.unwrap();
    assert!(!queue.end(&key(first, A), Outcome::Taken, at(11)));
    queue.take(&app(), &applied(6, TWO));
    queue.take(&app(), &switched(7));
    assert_eq!(due(&queue, 11).last(), Some(&("shop-7-7000000".to_owned(), A.to_owned())));
}

#[tokio::test]
async fn a_queue_that_is_broken_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps/shop/notify.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{\"teller\":").unwrap();
    let Err(error) = Queue::open(folder.path(), &app()).await else { panic!("it is cut short") };
    assert!(error.to_string().contains("notify.json is broken"), "{error}");
}

#[test]
fn pauses_grow_to_a_bound() {
    let pause = |failures| pause_after(failures, NOTIFY_FIRST, NOTIFY_LONGEST).as_secs();
    assert_eq!([1, 2, 3, 10, 11, 40, u32::MAX].map(pause), [1, 2, 4, 512, 900, 900, 900]);
}
