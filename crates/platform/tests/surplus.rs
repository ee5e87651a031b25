//! Instances that are too many: out of service first, told to stop when what they had is answered.

mod process_bed;

use std::time::{Duration, Instant};

use process_bed::{app_command, bed, kill};
use switchover_model::seam::{InstanceSeen, Phase, Platform};
use switchover_model::{Slot, Span};

fn is_stopping(seen: &InstanceSeen) -> bool {
    matches!(seen.phase, Phase::Stopping { .. })
}

fn answers(seen: &InstanceSeen) -> bool {
    seen.address.is_some_and(|address| std::net::TcpStream::connect(address).is_ok())
}

#[tokio::test]
async fn one_too_many_is_out_of_service_at_once_and_lives_until_its_drain_is_over() {
    let mut bed = bed().await;
    let config = bed.web_config(&app_command(""));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    bed.until_healthy(2).await;
    bed.drain = Span::from_secs(1);
    let begun = Instant::now();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.observe().await.instances;
    let leaving: Vec<_> = seen.iter().filter(|seen| is_stopping(seen)).collect();
    assert_eq!((seen.len(), leaving.len()), (2, 1), "{seen:#?}");
    assert!(answers(leaving[0]));
    let left = bed.until("it has ended", |seen| seen.len() == 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "told to stop before its drain was over");
    assert!(!is_stopping(&left[0]));
    bed.end().await;
}

#[tokio::test]
async fn one_that_is_wanted_again_while_it_drains_stays() {
    let mut bed = bed().await;
    let config = bed.web_config(&app_command(""));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    let before: Vec<_> = bed.until_healthy(2).await.into_iter().map(|seen| seen.id).collect();
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    let after: Vec<_> = bed.until_healthy(2).await.into_iter().map(|seen| seen.id).collect();
    assert_eq!(after, before);
    bed.end().await;
}

#[tokio::test]
async fn one_that_ends_by_itself_while_it_drains_is_not_started_again() {
    let mut bed = bed().await;
    let config = bed.web_config(&app_command(""));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    bed.until_healthy(2).await;
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.observe().await.instances;
    let leaving = seen.iter().find(|seen| is_stopping(seen)).unwrap();
    kill(bed.app_pids(leaving)[0], rustix::process::Signal::KILL);
    bed.until("it is gone", |seen| seen.len() == 1).await;
    bed.end().await;
}

#[tokio::test]
async fn a_slot_that_is_stopped_waits_for_no_drain() {
    let mut bed = bed().await;
    let config = bed.web_config(&app_command(""));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 2).await;
    bed.until_healthy(2).await;
    bed.drain = Span::from_secs(60);
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    bed.until("all have ended", <[InstanceSeen]>::is_empty).await;
    bed.end().await;
}
