use super::*;

/// Without lanes; its table is `table.json` there, and `synced` is the directory that is brought to the disk with it.
fn switchboard(directory: &std::path::Path, synced: PathBuf) -> Switchboard {
    let (kept, found) = Kept::open(directory.join("table.json"));
    Switchboard::new(Begin {
        directory: synced,
        http: "127.0.0.1:1".parse().unwrap(),
        generation: Generation::default(),
        lanes: Vec::new(),
        left_over: Vec::new(),
        living: Vec::new(),
        kept,
        apps: found.apps,
        goals: crate::goals::Kept::default(),
        split_key: 1,
        kept_problem: found.problem,
        is_incomplete: found.is_incomplete,
    })
}

fn routes(version: u64) -> Routes {
    Routes { hosts: vec!["shop.example".parse().unwrap()], ..Routes::nowhere("shop".parse().unwrap(), version) }
}

#[tokio::test]
async fn what_was_set_is_taken_for_all_there_is_only_when_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    std::fs::write(&path, "").unwrap();
    let mut switchboard = switchboard(directory.path(), directory.path().to_owned());
    switchboard.confirm().await;
    assert!(switchboard.is_incomplete, "nothing was set yet");
    switchboard.ensure(routes(1), Setting { client: 1, serial: 1 }).await.unwrap();
    switchboard.confirm().await;
    assert!(switchboard.is_incomplete && Kept::open(path.clone()).1.is_incomplete);
    switchboard.confirmed_at = Some(Instant::now());
    switchboard.confirm().await;
    let (_, found) = Kept::open(path);
    assert!(!switchboard.is_incomplete && !found.is_incomplete && found.apps.len() == 1);
    switchboard.finish_writing().await;
}

#[tokio::test]
async fn a_table_that_is_not_safe_on_disk_is_told_until_a_sync_has_ended_well() {
    let directory = tempfile::tempdir().unwrap();
    // Nothing can be brought to the disk there as long as it is missing.
    let synced = directory.path().join("missing");
    let mut switchboard = switchboard(directory.path(), synced.clone());
    switchboard.ensure(routes(1), Setting { client: 1, serial: 1 }).await.unwrap();
    async fn tick(switchboard: &mut Switchboard) -> Option<String> {
        while switchboard.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            tokio::task::yield_now().await;
        }
        switchboard.keep().await;
        switchboard.status().await.unwrap().kept_problem
    }
    for _ in 0..3 {
        let problem = tick(&mut switchboard).await;
        assert!(problem.is_some_and(|problem| problem.contains("not safe on disk")) && switchboard.must_be_kept);
    }
    switchboard.ensure(routes(2), Setting { client: 1, serial: 2 }).await.unwrap();
    assert!(switchboard.status().await.unwrap().kept_problem.is_some(), "nobody knows yet whether this one is safe");
    std::fs::create_dir(synced).unwrap();
    // The sync that was begun before may fail still; the next one does not.
    tick(&mut switchboard).await;
    assert_eq!(tick(&mut switchboard).await, None);
    assert!(!switchboard.must_be_kept && switchboard.syncing.is_none());
}
