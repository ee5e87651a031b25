//! A state directory whose files are removed under living instances, or copied beside them.

mod process_bed;

use std::collections::BTreeSet;
use std::path::PathBuf;

use process_bed::{EXECUTABLE, ProcessBed, app_command, bed, eventually, is_alive, kill, platform_at};
use rustix::process::Signal;
use switchover_model::revision::Revision;
use switchover_model::seam::{InstanceSeen, Phase, Platform};
use switchover_model::{InstanceId, Slot};

/// A web process and a worker of which there must never be two.
async fn web_and_worker(bed: &ProcessBed) -> Revision {
    let config = bed.config(&format!(
        "[process.web]\ncommand = {:?}\nhealth = {{ path = \"/up\", interval = \"100ms\" }}\nstop = {{ grace = \"2s\" \
         }}\n[process.mailer]\ncommand = {:?}\nhandover = \"stop-first\"\nstop = {{ grace = \"2s\" }}\n",
        app_command(""),
        app_command("worker")
    ));
    bed.sealed(&config, 1).await
}

fn ids(seen: &[InstanceSeen]) -> BTreeSet<InstanceId> {
    seen.iter().map(|it| it.id.clone()).collect()
}

fn pids(bed: &ProcessBed, seen: &[InstanceSeen]) -> BTreeSet<i32> {
    seen.iter().flat_map(|it| bed.app_pids(it)).collect()
}

fn instances(bed: &ProcessBed) -> PathBuf {
    bed.state().join("apps").join(bed.app.as_str()).join("instances")
}

#[tokio::test]
async fn instances_whose_files_are_removed_stay_in_service_and_none_is_started_beside_them() {
    let mut bed = bed().await;
    let revision = web_and_worker(&bed).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(2).await;
    let apps = pids(&bed, &before);
    std::fs::remove_dir_all(instances(&bed)).unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        let seen = bed.observe().await.instances;
        assert_eq!(ids(&seen), ids(&before), "{seen:#?}");
        assert!(seen.iter().all(|it| matches!(it.phase, Phase::Healthy { .. })), "{seen:#?}");
        told.extend(bed.platform.take_notes(&bed.app).await);
        tokio::time::sleep(process_bed::LOOK).await;
    }
    assert!(told.iter().all(|problem| problem.code == "INSTANCE-ADRIFT"), "{told:?}");
    bed.ensure(&revision, Slot::Blue, 1).await;
    assert_eq!(ids(&bed.observe().await.instances), ids(&before), "nothing is started beside them");

    // Whoever comes after this controller finds them by their shims.
    bed.platform = platform_at(&bed.state());
    bed.ensure(&revision, Slot::Blue, 1).await;
    let after = bed.until_healthy(2).await;
    assert_eq!((ids(&after), pids(&bed, &after)), (ids(&before), apps.clone()));
    let addresses = |seen: &[InstanceSeen]| seen.iter().filter_map(|it| it.address).collect::<Vec<_>>();
    assert_eq!(addresses(&after), addresses(&before));

    // Told to stop, they do; what is started then has its files.
    bed.stop_all().await;
    assert!(apps.iter().all(|pid| !is_alive(*pid)), "{apps:?}");
    bed.ensure(&revision, Slot::Blue, 1).await;
    let new = bed.until_healthy(2).await;
    assert!(ids(&new).is_disjoint(&ids(&before)) && instances(&bed).join(new[0].id.as_str()).exists());
    bed.end().await;
}

#[tokio::test]
async fn an_instance_without_files_that_ends_is_replaced_by_a_new_one() {
    let bed = bed().await;
    let revision = web_and_worker(&bed).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(2).await;
    let apps = pids(&bed, &before);
    std::fs::remove_dir_all(instances(&bed)).unwrap();
    for app in apps {
        kill(app, Signal::KILL);
    }
    bed.until("both are gone", <[InstanceSeen]>::is_empty).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let new = bed.until_healthy(2).await;
    assert!(ids(&new).is_disjoint(&ids(&before)));
    bed.end().await;
}

#[tokio::test]
async fn an_instance_of_a_revision_that_is_not_known_any_more_is_ended_and_nothing_runs_beside_it() {
    let mut bed = bed().await;
    let revision = web_and_worker(&bed).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(2).await;
    let apps = pids(&bed, &before);
    // Everything of the app, its revisions too: the next r1 is another one.
    std::fs::remove_dir_all(bed.state().join("apps").join(bed.app.as_str())).unwrap_or_default();
    bed.platform = platform_at(&bed.state());
    let seen = bed.observe().await.instances;
    assert_eq!(ids(&seen), ids(&before), "what ends is still seen");
    bed.until("both are gone", <[InstanceSeen]>::is_empty).await;
    assert!(apps.iter().all(|pid| !is_alive(*pid)), "{apps:?}");
    bed.end().await;
}

#[tokio::test]
async fn an_instance_without_files_and_shim_stays_and_stops_when_it_is_told() {
    let bed = bed().await;
    let revision = web_and_worker(&bed).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(2).await;
    let apps = pids(&bed, &before);
    let shims: Vec<i32> = before.iter().map(|it| bed.shim_pid(it).unwrap()).collect();
    // Frozen, so that neither is replaced before the files are gone.
    shims.iter().for_each(|shim| kill(*shim, Signal::STOP));
    std::fs::remove_dir_all(instances(&bed)).unwrap();
    shims.iter().for_each(|shim| kill(*shim, Signal::KILL));
    eventually("the shims are gone", || shims.iter().all(|shim| !is_alive(*shim))).await;
    let seen = bed.observe().await.instances;
    assert_eq!(ids(&seen), ids(&before));
    bed.ensure(&revision, Slot::Blue, 1).await;
    assert_eq!(ids(&bed.observe().await.instances), ids(&before));
    bed.stop_all().await;
    assert!(apps.iter().all(|pid| !is_alive(*pid)), "{apps:?}");
    bed.end().await;
}

#[tokio::test]
async fn a_copy_of_the_state_directory_leaves_the_instances_of_the_original_alone() {
    let bed = bed().await;
    let revision = web_and_worker(&bed).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(2).await;
    let apps = pids(&bed, &before);
    let copy = bed.dir.path().join("copy");
    let copied = std::process::Command::new("cp").arg("-a").args([bed.state(), copy.clone()]).status().unwrap();
    assert!(copied.success());
    let (app, platform) = (bed.app.clone(), platform_at(&copy));
    let other = ProcessBed {
        app,
        platform,
        dir: tempfile::tempdir().unwrap(),
        drain: bed.drain,
        without: bed.without.clone(),
        idle: bed.idle.clone(),
        asked_since: None,
    };
    let mut told = Vec::new();
    while told.len() < 2 {
        assert_eq!(other.observe().await.instances, [], "they are somebody else's");
        told.extend(other.platform.take_notes(&bed.app).await);
        tokio::time::sleep(process_bed::LOOK).await;
    }
    assert!(told.iter().all(|problem| problem.code == "INSTANCE-FOREIGN"), "{told:?}");
    // A shim that somebody starts there by hand takes nothing over either.
    let dir = instances(&bed).join(before[0].id.as_str());
    let by_hand = copy.join("apps").join(bed.app.as_str()).join("instances").join(before[0].id.as_str());
    let again = std::process::Command::new("cp").arg("-a").args([&dir, &by_hand]).status();
    assert!(again.unwrap().success());
    let refused = std::process::Command::new(EXECUTABLE).args(["shim", "--dir"]).arg(&by_hand).status().unwrap();
    assert!(!refused.success());

    other.ensure(&revision, Slot::Blue, 1).await;
    let own = other.until_healthy(2).await;
    assert!(ids(&own).is_disjoint(&ids(&before)));
    other.stop_all().await;
    assert_eq!((ids(&bed.observe().await.instances), pids(&bed, &before)), (ids(&before), apps));
    bed.until_healthy(2).await;
    bed.end().await;
}
