//! The output of instances, for people: the past, what comes, and going on after a break.

mod process_bed;

use process_bed::{ProcessBed, app_command, bed, kill};
use rustix::process::Signal;
use switchover_model::Slot;
use switchover_model::answer::{LogLine, LogNews, LogPlace};
use switchover_platform::LogQuery;
use tokio::sync::mpsc;

fn query(bed: &ProcessBed) -> LogQuery {
    let app = bed.app.clone();
    LogQuery { app, slot: None, process: None, instance: None, all: false, lines: 10, follow: false, after: Vec::new() }
}

async fn next(follow: &mut mpsc::Receiver<LogNews>) -> LogNews {
    let news = tokio::time::timeout(process_bed::DEADLINE, follow.recv()).await;
    news.expect("something is told in time").expect("a followed log has no end")
}

async fn next_line(follow: &mut mpsc::Receiver<LogNews>) -> LogLine {
    loop {
        if let LogNews::Line(line) = next(follow).await {
            return line;
        }
    }
}

async fn next_place(follow: &mut mpsc::Receiver<LogNews>) -> LogPlace {
    loop {
        if let LogNews::Place(place) = next(follow).await {
            return place;
        }
    }
}

async fn all(mut receiver: mpsc::Receiver<LogNews>) -> Vec<LogLine> {
    let mut lines = Vec::new();
    while let Some(news) = receiver.recv().await {
        match news {
            LogNews::Line(line) => lines.push(line),
            other @ (LogNews::Place(_) | LogNews::Gone { .. }) => panic!("nobody follows, and yet {other:?} is told"),
        }
    }
    lines
}

#[tokio::test]
async fn logs_give_the_past_and_follow_what_comes() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("says=first")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let past = all(bed.platform.logs(query(&bed))).await;
    assert!(past.iter().all(|line| line.instance == seen[0].id));
    assert_eq!(past[0].line, "first");

    let mut follow = bed.platform.logs(LogQuery { lines: 0, follow: true, ..query(&bed) });
    // It prints the same again when it is started again.
    next_place(&mut follow).await;
    kill(bed.app_pids(&seen[0])[0], Signal::KILL);
    assert_eq!(next_line(&mut follow).await.line, "first");
    drop(follow);

    bed.until_healthy(1).await;
    bed.stop_all().await;
    assert!(
        !all(bed.platform.logs(query(&bed))).await.is_empty(),
        "the log of an ended instance is kept, and shown when none runs"
    );
    bed.ensure(&revision, Slot::Blue, 1).await;
    let running = bed.until_healthy(1).await[0].id.clone();
    let shown = all(bed.platform.logs(query(&bed))).await;
    assert!(shown.iter().all(|line| line.instance == running), "an ended instance is shown beside one that runs");
    let every = all(bed.platform.logs(LogQuery { all: true, ..query(&bed) })).await;
    assert_eq!(every[0].instance, seen[0].id);
    let one = all(bed.platform.logs(LogQuery { instance: Some(seen[0].id.clone()), ..query(&bed) })).await;
    assert_eq!(one[0].instance, seen[0].id);
    let kept = [seen[0].id.clone(), running].map(|id| (id, seen[0].process.clone()));
    assert_eq!(bed.platform.logged(&bed.app), kept, "the ended one and the one that runs");
    bed.end().await;
}

#[tokio::test]
async fn a_follower_that_comes_back_is_told_what_was_printed_meanwhile_once() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("says=first")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let mut follow = bed.platform.logs(LogQuery { follow: true, ..query(&bed) });
    let place = next_place(&mut follow).await;
    drop(follow);

    // Meanwhile: the one that is known prints again, and another one begins.
    kill(bed.app_pids(&seen[0])[0], Signal::KILL);
    bed.ensure(&revision, Slot::Green, 1).await;
    bed.until("it was started again", |seen| seen.iter().any(|seen| seen.restarts == 1)).await;
    bed.until_healthy(2).await;
    let mut follow = bed.platform.logs(LogQuery { follow: true, after: vec![place], ..query(&bed) });
    let (mut told, mut places) = (Vec::new(), Vec::new());
    while places.len() < 2 {
        match next(&mut follow).await {
            LogNews::Line(line) => told.push((line.slot, line.line)),
            LogNews::Place(place) => places.push(place),
            LogNews::Gone { gone } => panic!("{gone} is gone"),
        }
    }
    told.retain(|(_, line)| line == "first");
    assert_eq!(told, [(Slot::Blue, "first".to_owned()), (Slot::Green, "first".to_owned())]);
    drop(follow);

    // Who knows all of it is told nothing, until more comes.
    let mut follow = bed.platform.logs(LogQuery { follow: true, after: places, ..query(&bed) });
    kill(bed.app_pids(&seen[0])[0], Signal::KILL);
    let line = next_line(&mut follow).await;
    assert_eq!((line.slot, line.line.as_str()), (Slot::Blue, "first"));
    drop(follow);
    bed.end().await;
}
