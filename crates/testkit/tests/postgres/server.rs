//! A server starts, is killed, starts again, and leaves nothing behind.

use std::path::Path;
use std::time::{Duration, Instant};

use switchover_testkit::postgres::{Durability, Major, Server, Session};

async fn a_committed_row_survives(major: Major, durability: Durability) {
    let Some(mut server) = Server::start(major, durability) else { return };
    let url = server.create_database().await;
    let session = Session::open(&url).await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    session.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
    for _ in 0..3 {
        server.kill_9();
        assert!(session.batch_execute("SELECT").await.is_err(), "a killed server answers");
        assert!(Session::try_open(&url).await.is_err(), "a killed server takes connections");
        server.start_again();
        let rows = Session::open(&url).await.column("SELECT id FROM t").await.unwrap();
        assert_eq!(rows, [Some("1".to_owned())]);
    }
}

#[tokio::test]
async fn what_was_committed_survives_a_kill_on_15() {
    a_committed_row_survives(Major::V15, Durability::Real).await;
}

#[tokio::test]
async fn what_was_committed_survives_a_kill_on_18() {
    a_committed_row_survives(Major::V18, Durability::Fast).await;
}

#[tokio::test]
async fn each_major_version_is_the_one_that_was_asked_for() {
    for major in Major::ALL {
        let Some(server) = Server::shared(major) else { return };
        let session = Session::open(&server.create_database().await).await;
        let told = session
            .column("SELECT current_setting('server_version_num')::int / 10000 || ' ' || current_setting('wal_level')")
            .await
            .unwrap();
        assert_eq!(told, [Some(format!("{} logical", major.number()))]);
        session.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        assert_ne!(session.column("SELECT count(*) FROM pg_stat_statements").await.unwrap(), [Some("0".to_owned())]);
    }
}

#[tokio::test]
async fn databases_are_made_at_the_same_time() {
    let Some(server) = Server::shared(Major::V15) else { return };
    let (one, two, three) = tokio::join!(server.create_database(), server.create_database(), server.create_database());
    assert!(one != two && two != three && three != one, "{one} {two} {three}");
}

#[tokio::test]
async fn a_role_with_a_password_needs_it() {
    let Some(server) = Server::start_with(Major::V15, Durability::Fast, &[("work_mem", "5MB")]) else { return };
    let session = Session::open(&server.url("postgres")).await;
    session
        .batch_execute("CREATE ROLE with_password; CREATE ROLE shop LOGIN PASSWORD 'right' IN ROLE with_password")
        .await
        .unwrap();
    assert_eq!(session.column("SHOW work_mem").await.unwrap(), [Some("5MB".to_owned())]);
    let url = server.url_as("shop", "postgres");
    assert!(Session::try_open(&url.replacen("shop@", "shop:right@", 1)).await.is_ok());
    let error = Session::try_open(&url.replacen("shop@", "shop:wrong@", 1)).await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("28P01"), "{error:?}");
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    for is_killed in [false, true] {
        let Some(mut server) = Server::start(Major::V15, Durability::Fast) else { return };
        let directory = server.directory().to_owned();
        let session = Session::open(&server.url("postgres")).await;
        if is_killed {
            server.kill_9();
        }
        drop(server);
        assert!(!directory.exists(), "{} is still there", directory.display());
        assert!(session.batch_execute("SELECT").await.is_err());
        assert_eq!(working_under(&directory), [0; 0]);
    }
}

/// The process that this test starts of itself: it says where its server is, and is then killed.
#[test]
#[ignore = "the other half of the test below"]
fn starts_a_server_and_waits_for_its_own_end() {
    let Some(server) = Server::start(Major::V15, Durability::Fast) else { return };
    println!("directory={}", server.directory().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_process_leaves_nothing() {
    use std::io::BufRead as _;
    if Server::shared(Major::V15).is_none() {
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "server::starts_a_server_and_waits_for_its_own_end"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find_map(|line| Some(line.split_once("directory=")?.1.to_owned()));
    child.kill().unwrap();
    child.wait().unwrap();
    let directory = std::path::PathBuf::from(line.expect("the child's server starts"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while directory.exists() || !working_under(&directory).is_empty() {
        assert!(Instant::now() < deadline, "{} is still there", directory.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn working_under(directory: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
