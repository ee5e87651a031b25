//! Instances that are too many: out of service first, told to stop when what they had is answered.

mod process_bed;

use std::time::{Duration, Instant};

use process_bed::{ProcessBed, app_command, bed, kill};
use switchover_model::revision::Revision;
use switchover_model::seam::{InstanceSeen, Phase, Platform};
use switchover_model::{Slot, Span};

fn is_stopping(seen: &InstanceSeen) -> bool {
    matches!(seen.phase, Phase::Stopping { .. })
}

fn answers(seen: &InstanceSeen) -> bool {
    seen.address.is_some_and(|address| std::net::TcpStream::connect(address).is_ok())
}

/// A platform with so many healthy instances in blue.
async fn serving(count: u32) -> (ProcessBed, Revision) {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, count).await;
    bed.until_healthy(count as usize).await;
    (bed, revision)
}

/// One of two begins to leave, and drains for longer than a test lasts.
async fn one_leaves(bed: &mut ProcessBed, revision: &Revision) -> InstanceSeen {
    bed.drain = Span::from_secs(60);
    bed.ensure(revision, Slot::Blue, 1).await;
    bed.observe().await.instances.into_iter().find(is_stopping).expect("one is too many")
}

#[tokio::test]
async fn one_too_many_is_out_of_service_at_once_and_lives_until_its_drain_is_over() {
    let (mut bed, revision) = serving(2).await;
    bed.drain = Span::from_secs(1);
    let begun = Instant::now();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.observe().await.instances;
    let leaving: Vec<_> = seen.iter().filter(|seen| is_stopping(seen)).collect();
    assert_eq!((seen.len(), leaving.len()), (2, 1), "{seen:#?}");
    assert!(answers(leaving[0]));
    let left = bed.until("it has ended", |seen| seen.len() == 1).await;
    assert!(
        begun.elapsed() >= Duration::from_secs(5),
        "told to stop before its drain was over and upgrades were closed"
    );
    assert!(!is_stopping(&left[0]));
    bed.end().await;
}

#[tokio::test]
async fn a_drain_can_be_made_shorter_while_it_runs_but_not_shorter_than_leaving_the_table_takes() {
    let (mut bed, revision) = serving(2).await;
    bed.drain = Span::from_secs(600);
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.drain = Span::ZERO;
    let begun = Instant::now();
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.until("it has ended", |seen| seen.len() == 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(4), "the table may still have it");
    bed.end().await;
}

#[tokio::test]
async fn one_that_is_known_to_have_nothing_to_answer_is_told_to_stop_at_once_and_nobody_else_is() {
    let (mut bed, revision) = serving(3).await;
    bed.drain = Span::from_secs(600);
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.observe().await.instances;
    let (leaving, staying): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| is_stopping(seen));
    let begun = Instant::now();
    // Who is not too many is not told by this.
    bed.idle = [leaving[0].id.clone(), staying[0].id.clone()].into();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let left = bed.until("one has ended", |seen| seen.len() == 2).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited for nothing");
    assert!(left.iter().all(|seen| seen.id != leaving[0].id), "{left:#?}");
    assert!(left.iter().all(answers), "{left:#?}");
    bed.end().await;
}

#[tokio::test]
async fn one_that_is_wanted_again_while_it_drains_stays() {
    let (mut bed, revision) = serving(2).await;
    let before: Vec<_> = bed.observe().await.instances.into_iter().map(|seen| seen.id).collect();
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    let after: Vec<_> = bed.until_healthy(2).await.into_iter().map(|seen| seen.id).collect();
    assert_eq!(after, before);
    bed.end().await;
}

#[tokio::test]
async fn one_that_ends_by_itself_while_it_drains_is_not_started_again() {
    let (mut bed, revision) = serving(2).await;
    let leaving = one_leaves(&mut bed, &revision).await;
    kill(bed.app_pids(&leaving)[0], rustix::process::Signal::KILL);
    bed.until("it is gone", |seen| seen.len() == 1).await;
    bed.end().await;
}

#[tokio::test]
async fn a_slot_that_is_stopped_waits_for_no_drain() {
    let (mut bed, revision) = serving(2).await;
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    bed.until("all have ended", <[InstanceSeen]>::is_empty).await;
    bed.end().await;
}

#[tokio::test]
async fn saying_it_again_changes_nothing_and_wakes_nobody() {
    let (mut bed, revision) = serving(2).await;
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.observe().await.instances;
    let mut changed = bed.platform.changed();
    changed.mark_unchanged();
    for _ in 0..3 {
        bed.ensure(&revision, Slot::Blue, 1).await;
        assert_eq!(bed.observe().await.instances, seen);
    }
    assert!(!changed.has_changed().unwrap(), "whoever waits for a change would ask without an end");
    bed.end().await;
}

#[tokio::test]
async fn those_who_can_serve_stay_and_the_ill_go_first() {
    let (bed, revision) = serving(3).await;
    let seen = bed.observe().await.instances;
    let ill: Vec<_> = seen.iter().filter(|seen| !seen.id.as_str().contains("-web-2.")).collect();
    let well = seen.iter().find(|seen| seen.id.as_str().contains("-web-2.")).unwrap();
    for ill in &ill {
        kill(bed.app_pids(ill)[0], rustix::process::Signal::STOP);
    }
    bed.until("two hang", |seen| seen.iter().filter(|seen| matches!(seen.phase, Phase::Unhealthy { .. })).count() == 2)
        .await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    for ill in &ill {
        kill(bed.app_pids(ill)[0], rustix::process::Signal::CONT);
    }
    let left = bed.until_healthy(1).await;
    assert_eq!(left[0].id, well.id);
    // Its place is not one of the first; it stays all the same, and a second one gets a place beside it.
    bed.ensure(&revision, Slot::Blue, 2).await;
    let two = bed.until_healthy(2).await;
    assert!(two.iter().any(|seen| seen.id == well.id), "{two:#?}");
    bed.end().await;
}

#[tokio::test]
async fn one_whose_shim_is_killed_while_it_drains_goes_on_answering() {
    let (mut bed, revision) = serving(2).await;
    let leaving = one_leaves(&mut bed, &revision).await;
    let (app, shim) = (bed.app_pids(&leaving)[0], bed.shim_pid(&leaving).unwrap());
    kill(shim, rustix::process::Signal::KILL);
    let deadline = Instant::now() + process_bed::DEADLINE;
    while bed.shim_pid(&leaving).is_none_or(|now| now == shim) {
        assert!(Instant::now() < deadline, "it gets no new shim");
        tokio::time::sleep(process_bed::LOOK).await;
    }
    assert_eq!(bed.app_pids(&leaving).first(), Some(&app));
    // What was told to stop would end at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(answers(&leaving), "it was told to stop");
    bed.end().await;
}
