//! The queue keeps its order, its bounds and its place over a restart.

use switchover_model::config::{AppConfig, parse};
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

fn due(queue: &Queue, seconds: u64) -> Vec<(String, usize)> {
    queue.due(at(seconds)).into_iter().map(|due| (due.key.id, due.key.target)).collect()
}

#[tokio::test]
async fn each_who_is_told_gets_its_messages_one_by_one_in_order() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3), switched(4)]).await;
    let (first, second) = ("shop-3-3000000".to_owned(), "shop-4-4000000".to_owned());
    assert_eq!(due(&queue, 10), [(first.clone(), 0), (first.clone(), 1)]);
    let key = |id: &str, target| Key { id: id.to_owned(), target };
    assert!(!queue.end(&key(&first, 0), Outcome::Refused("no".into()), at(10)));
    assert!(queue.end(&key(&first, 1), Outcome::Taken, at(10)));
    // The one that fails holds up its own, after its pause, and nobody else.
    assert_eq!(due(&queue, 10), [(second.clone(), 1)]);
    assert_eq!(due(&queue, 11), [(first.clone(), 0), (second.clone(), 1)]);
    assert!(!queue.end(&key(&first, 0), Outcome::Refused("no".into()), at(11)));
    assert_eq!(queue.pause(at(12)), Some(Duration::ZERO));
    assert!(queue.end(&key(&second, 1), Outcome::Taken, at(12)));
    assert_eq!(queue.pause(at(12)), Some(Duration::from_secs(1)));
    let troubles = queue.troubles();
    assert_eq!(troubles.len(), 1);
    assert!(troubles[0].cause.contains("http://a/") && troubles[0].cause.contains("2 tries; 2 wait"), "{troubles:?}");
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
    assert_eq!(due(&queue, 10_000), [("shop-8-8000000".to_owned(), 0)]);
    let troubles = queue.troubles();
    assert!(troubles[0].code == "NOTIFY-GIVEN-UP" && troubles[0].cause.contains("5 messages"), "{troubles:?}");
}

#[tokio::test]
async fn what_nobody_takes_for_days_or_never_wants_again_is_given_up_until_one_is_taken() {
    let (_folder, mut queue) =
        queue(&[applied(1, "[[notify]]\ncommand = \"b\"\n"), opened(2), switched(3), switched(4), switched(5)]).await;
    let key = |id: &str| Key { id: id.to_owned(), target: 0 };
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
async fn a_file_that_names_fewer_has_fewer_told_and_one_that_is_mended_is_used_at_once() {
    let (_folder, mut queue) = queue(&[applied(1, TWO), opened(2), switched(3)]).await;
    queue.take(&app(), &applied(4, "[[notify]]\nurl = \"http://b/\"\nsecret = \"T\"\n"));
    queue.save().await.unwrap();
    let due = queue.due(at(10));
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].to.tells.to_string(), "http://b/");
    assert_eq!(queue.kept.waiting.len(), 1);
}

#[test]
fn pauses_grow_to_a_bound() {
    let pause = |failures| pause_after(failures, NOTIFY_FIRST, NOTIFY_LONGEST).as_secs();
    assert_eq!([1, 2, 3, 10, 11, 40, u32::MAX].map(pause), [1, 2, 4, 512, 900, 900, 900]);
}
