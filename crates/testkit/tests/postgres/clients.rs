//! Clients notice what an application would notice, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use switchover_testkit::postgres::{
    Application, ClientError, Clients, Durability, Load, Major, Operation, Preparing, Server, Session, Side,
};

/// A table that two versions see through views of their own, with 200 rows.
const SHOP: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO users SELECT number, 'value ' || number FROM generate_series(0, 199) number;
CREATE SCHEMA \"v 1\"; CREATE VIEW \"v 1\".users AS SELECT id, name FROM public.users;
CREATE SCHEMA v2; CREATE VIEW v2.users AS SELECT id, name AS full_name FROM public.users;
";

async fn shop(server: &Server) -> (Session, Load) {
    let url = server.create_database().await;
    let session = Session::open(&url).await;
    session.batch_execute(SHOP).await.unwrap();
    let old = Application::of("\"v 1\"", "users", "name");
    let new = Application::of("v2", "users", "full_name");
    (session, Load { seeded: 0..200, operations_per_second: 800, ..Load::new(&url, old, new) })
}

#[tokio::test]
async fn clients_of_two_versions_agree_on_every_row() {
    for (major, preparing) in [(Major::V15, Preparing::Once), (Major::V18, Preparing::EachTime)] {
        let Some(server) = Server::shared(major) else { return };
        let (session, load) = shop(server).await;
        let clients = Clients::start(Load { preparing, ..load }, &[Side::Old]);
        clients.work(200).await;
        clients.admit(Side::New);
        clients.work(400).await;
        clients.retire(Side::Old).await;
        session.batch_execute("DROP SCHEMA \"v 1\" CASCADE").await.unwrap();
        clients.work(200).await;
        let report = clients.finish().await;
        report.assert_unharmed();
        assert!(report.operations >= 800 && report.operations_by.iter().all(|count| *count > 200), "{report:#?}");
        assert!(report.checks > report.operations && report.longest >= report.percentile_99, "{report:#?}");
    }
}

#[tokio::test]
async fn an_error_made_on_purpose_is_told_with_its_code_and_statement() {
    let Some(server) = Server::shared(Major::V15) else { return };
    let (session, load) = shop(server).await;
    let clients = Clients::start(load, &Side::BOTH);
    clients.work(100).await;
    // Prepared statements are read anew after a change, so these fail as well.
    session.batch_execute("ALTER VIEW v2.users RENAME COLUMN full_name TO other").await.unwrap();
    clients.work(300).await;
    let report = clients.finish().await;
    assert!(report.error_count > 50 && report.difference_count == 0, "{report:#?}");
    for error in &report.errors {
        assert_eq!((error.by, error.sqlstate.as_deref()), (Side::New, Some("42703")), "{error:?}");
        assert!(error.statement.contains("full_name") || error.statement == "COMMIT", "{error:?}");
        assert!(!error.is_lost_connection());
    }
}

#[tokio::test]
async fn a_lost_write_a_changed_row_and_a_missing_one_are_told() {
    let spoilt = [
        ("UPDATE users SET name = name || '!'", "!"),
        ("DELETE FROM users", "[]"),
        ("CREATE RULE lost AS ON UPDATE TO users DO INSTEAD NOTHING", "rows changed"),
    ];
    for (statement, found) in spoilt {
        let Some(server) = Server::shared(Major::V15) else { return };
        let (session, load) = shop(server).await;
        let clients = Clients::start(load, &Side::BOTH);
        clients.work(100).await;
        // The lock first: a change of many rows in no order would be a deadlock with theirs.
        session.batch_execute(&format!("BEGIN; LOCK TABLE users; {statement}; COMMIT")).await.unwrap();
        clients.work(300).await;
        let report = clients.finish().await;
        assert!(report.differences.iter().any(|one| one.found.contains(found)), "{statement}: {report:#?}");
    }
}

#[tokio::test]
async fn a_version_that_reads_what_the_other_did_not_write_is_told() {
    let Some(server) = Server::shared(Major::V18) else { return };
    let (_session, mut load) = shop(server).await;
    load.new.reads = Arc::new(|write| format!("{:?} {}", write.by, write.number));
    let clients = Clients::start(load, &Side::BOTH);
    clients.work(50).await;
    let report = clients.finish().await;
    assert!(report.difference_count > 0 && report.differences.iter().all(|one| one.by == Side::New), "{report:#?}");
}

#[tokio::test]
async fn a_held_lock_is_the_longest_stall() {
    let Some(server) = Server::shared(Major::V15) else { return };
    let (session, load) = shop(server).await;
    let clients = Clients::start(load, &[Side::Old]);
    clients.work(50).await;
    session.batch_execute("BEGIN; LOCK TABLE users; SELECT pg_sleep(0.3); COMMIT").await.unwrap();
    let report = clients.finish().await;
    report.assert_unharmed();
    assert!(report.longest >= Duration::from_millis(200), "{report:#?}");
    assert_eq!(report.slowest[0].took, report.longest);
}

#[tokio::test]
async fn a_killed_server_costs_answers_but_no_acknowledged_write() {
    let Some(mut server) = Server::start(Major::V15, Durability::Fast) else { return };
    let (_session, load) = shop(&server).await;
    let clients = Clients::start(load, &Side::BOTH);
    for _ in 0..3 {
        clients.work(200).await;
        server.kill_9();
        server.start_again();
    }
    clients.work(200).await;
    let report = clients.finish().await;
    assert_eq!(report.differences, []);
    assert!(report.error_count > 0 && report.acknowledged > 300, "{report:#?}");
    assert!(report.errors.iter().all(ClientError::is_lost_connection), "{report:#?}");
    assert!(report.errors.iter().any(|error| error.operation != Operation::Connect), "{report:#?}");
}

#[tokio::test]
async fn a_load_stays_in_its_bounds() {
    let Some(server) = Server::shared(Major::V15) else { return };
    let (_session, load) = shop(server).await;
    let most_operations = 60;
    let clients = Clients::start(Load { most_operations, ..load.clone() }, &[Side::Old]);
    clients.work(most_operations).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(clients.finish().await.operations, most_operations);

    let clients = Clients::start(Load { lasts_at_most: Duration::ZERO, ..load }, &[Side::Old]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(clients.finish().await.operations <= 8);
}
