//! Instances that hang or end again and again: shown, and replaced where they are not wanted.

#![expect(clippy::unwrap_used, reason = "what cannot be had is a failed test")]

mod process_bed;

use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Instant, SystemTime};

use process_bed::{ProcessBed, app_command, bed, eventually, kill, platform_at};
use rustix::process::Signal;
use switchover_model::revision::Revision;
use switchover_model::seam::{InstanceSeen, Phase, Platform};
use switchover_model::{InstanceId, Slot, Span, Timestamp};

async fn serving(count: u32) -> (ProcessBed, Revision, Vec<InstanceSeen>) {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, count).await;
    let seen = bed.until_healthy(count as usize).await;
    (bed, revision, seen)
}

fn healthy(seen: &[InstanceSeen]) -> Vec<&InstanceId> {
    let is_healthy = |seen: &&InstanceSeen| matches!(seen.phase, Phase::Healthy { .. });
    seen.iter().filter(is_healthy).map(|seen| &seen.id).collect()
}

/// Whether it is started again in more than a second.
fn waits_for_long(seen: &InstanceSeen) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let in_a_second = Timestamp::from_micros(u64::try_from(now.as_micros()).unwrap()) + Span::from_secs(1);
    matches!(&seen.phase, Phase::Crashed { retry_at, .. } if *retry_at > in_a_second)
}

#[tokio::test]
async fn one_that_hangs_is_shown_as_silent_before_it_counts_as_ill() {
    let (bed, _, seen) = serving(1).await;
    assert_eq!(seen[0].unanswered_since, None);
    let app = bed.app_pids(&seen[0])[0];
    kill(app, Signal::STOP);
    let silent = bed.until("it is silent", |seen| seen[0].unanswered_since.is_some()).await;
    assert_eq!(healthy(&silent), [&seen[0].id]);
    let mut changed = bed.platform.changed();
    changed.borrow_and_update();
    kill(app, Signal::CONT);
    tokio::time::timeout(process_bed::DEADLINE, changed.changed()).await.expect("its answer is told").unwrap();
    bed.until("it has answered", |seen| seen[0].unanswered_since.is_none()).await;
    bed.end().await;
}

#[tokio::test]
async fn one_that_hung_a_moment_ago_has_not_answered_who_asks_now() {
    let (mut bed, revision, seen) = serving(2).await;
    let app = bed.app_pids(&seen[0])[0];
    kill(app, Signal::STOP);
    let asked = bed.observe().await.at;
    bed.asked_since = Some(asked);
    bed.ensure(&revision, Slot::Blue, 2).await;
    let one = bed.until("the other one has answered", |seen| seen[1].answered_since == Some(asked)).await;
    assert_eq!(healthy(&one).len(), 2, "its illness was not noticed yet");
    assert_eq!(one[0].answered_since, None);
    kill(app, Signal::CONT);
    bed.until("both have answered", |seen| seen.iter().all(|seen| seen.answered_since == Some(asked))).await;

    // A new one in the slot has answered when it is healthy.
    bed.ensure(&revision, Slot::Blue, 3).await;
    let three = bed.until_healthy(3).await;
    assert!(three.iter().all(|seen| seen.answered_since == Some(asked)), "{three:#?}");

    // Whoever takes the platform over has seen no answer, and asks anew.
    let before = bed.observe().await.since;
    let next = platform_at(&bed.state());
    let first = next.observe(&bed.app).await.unwrap();
    assert!(first.since > before);
    assert_eq!(healthy(&first.instances).len(), 3);
    assert!(first.instances.iter().all(|seen| seen.answered_since.is_none()), "{first:#?}");
    drop(next);
    bed.end().await;
}

#[tokio::test]
async fn who_carries_the_mark_of_an_instance_is_ended_with_it_wherever_it_comes_from() {
    let (bed, _, seen) = serving(1).await;
    let environment = std::fs::read(format!("/proc/{}/environ", bed.app_pids(&seen[0])[0])).unwrap();
    let pairs = environment.split(|byte| *byte == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    let marks = pairs.filter(|(name, _)| name.starts_with("SWITCHOVER_"));
    // In a group of its own: who is killed is killed with its group.
    let stranger = Command::new("sleep").arg("600").envs(marks).process_group(0).spawn().unwrap();
    let stranger = RefCell::new(stranger);
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    bed.until("it has ended", <[InstanceSeen]>::is_empty).await;
    eventually("it has ended", || stranger.borrow_mut().try_wait().unwrap().is_some()).await;
    assert!(stranger.borrow_mut().wait().unwrap().code().is_none(), "it was killed");
    bed.end().await;
}

#[tokio::test]
async fn one_that_boots_stays_rather_than_one_that_is_ill() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("boots-in=2500")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let ill = bed.until_healthy(1).await;
    kill(bed.app_pids(&ill[0])[0], Signal::STOP);
    bed.until("it is ill", |seen| matches!(seen[0].phase, Phase::Unhealthy { .. })).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    // Asked, and not listening yet.
    bed.until("the second one boots", |seen| {
        seen.len() == 2 && seen.iter().all(|seen| seen.unanswered_since.is_some())
    })
    .await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let left = bed.until_healthy(1).await;
    assert_ne!(left[0].id, ill[0].id);
    bed.end().await;
}

#[tokio::test]
async fn one_that_is_ill_is_not_taken_for_healthy_by_the_next_platform() {
    let (mut bed, _, seen) = serving(1).await;
    let app = bed.app_pids(&seen[0])[0];
    kill(app, Signal::STOP);
    bed.until("it is ill", |seen| matches!(seen[0].phase, Phase::Unhealthy { .. })).await;
    bed.platform = platform_at(&bed.state());
    assert_eq!(healthy(&bed.observe().await.instances), Vec::<&InstanceId>::new());
    kill(app, Signal::CONT);
    bed.until_healthy(1).await;
    bed.platform = platform_at(&bed.state());
    assert_eq!(healthy(&bed.observe().await.instances), [&seen[0].id]);
    bed.end().await;
}

#[tokio::test]
async fn a_replaced_one_does_not_come_back_with_the_next_platform() {
    let (mut bed, revision, seen) = serving(1).await;
    let app = bed.app_pids(&seen[0])[0];
    kill(app, Signal::STOP);
    // It drains for longer than the test lasts.
    bed.drain = Span::from_secs(600);
    bed.without = [seen[0].id.clone()].into();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let new = bed.until("another one has its place", |seen| healthy(seen).len() == 1).await;
    let new = healthy(&new)[0].clone();
    bed.platform = platform_at(&bed.state());
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.drain = Span::ZERO;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let left = bed.until("the ill one is gone", |seen| seen.len() == 1).await;
    assert_eq!(left[0].id, new);
    bed.end().await;
    eventually("nothing is left of it", || !process_bed::is_alive(app)).await;
}

#[tokio::test]
async fn one_that_ends_again_and_again_is_replaced_at_once_whatever_its_back_off() {
    let (mut bed, revision, seen) = serving(1).await;
    let deadline = Instant::now() + process_bed::DEADLINE;
    while !waits_for_long(&bed.observe().await.instances[0]) {
        assert!(Instant::now() < deadline, "its back-off does not grow");
        for app in bed.app_pids(&seen[0]) {
            kill(app, Signal::KILL);
        }
        tokio::time::sleep(process_bed::LOOK).await;
    }
    bed.without = [seen[0].id.clone()].into();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let new = bed.until("another one is healthy", |now| healthy(now).len() == 1).await;
    assert_ne!(healthy(&new)[0], &seen[0].id);
    bed.end().await;
}
