//! Clients of both versions work the whole time, hold their prepared statements, and check every row: none may notice.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; figures are told")]

use switchover_migration::{Ident, parse};
use switchover_postgres::{Migrator, Phase, Settings};
use switchover_testkit::postgres::{Application, Clients, Load, Major, Server, Session, Side};

const ROWS: i64 = 20_000;
const SPLIT: &str = "
operations:
  - add_column: {table: users, up: \"split_part(name, ' ', 1)\", column: {name: first, type: text, nullable: false}}
  - add_column: {table: users, up: \"split_part(name, ' ', 2)\", column: {name: last, type: text, nullable: false}}
  - drop_column: {table: users, column: name, down: \"first || ' ' || last\"}
";
const RETYPE: &str = "
operations:
  - alter_column: {table: users, column: name, type: bytea, up: \"convert_to(name, 'UTF8')\", down: \"convert_from(name, 'UTF8')\"}
";

fn new_of_split() -> Application {
    Application {
        insert: "INSERT INTO users (id, first, last) VALUES ($1, split_part($2, ' ', 1), split_part($2, ' ', 2))"
            .into(),
        update: "UPDATE users SET first = split_part($2, ' ', 1), last = split_part($2, ' ', 2) WHERE id = $1".into(),
        select: "SELECT first || ' ' || last FROM users WHERE id = $1".into(),
        ..Application::of("public_01_change", "users", "first")
    }
}

fn new_of_retype() -> Application {
    Application {
        insert: "INSERT INTO users (id, name) VALUES ($1, convert_to($2, 'UTF8'))".into(),
        update: "UPDATE users SET name = convert_to($2, 'UTF8') WHERE id = $1".into(),
        select: "SELECT convert_from(name, 'UTF8') FROM users WHERE id = $1".into(),
        ..Application::of("public_01_change", "users", "name")
    }
}

async fn unharmed(major: Major, text: &str, new: Application) {
    let Some(server) = Server::shared(major) else { return };
    let url = server.create_database().await;
    let session = Session::open(&url).await;
    let shop = format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
         INSERT INTO users SELECT n, 'value ' || n FROM generate_series(0, {ROWS} - 1) AS n; ANALYZE users"
    );
    session.batch_execute(&shop).await.unwrap();
    let migration = parse(text, "01_change.yaml").unwrap();
    let old = Application::of("public", "users", "name");
    let load = Load { seeded: 0..ROWS, operations_per_second: 400, ..Load::new(&url, old, new) };
    let clients = Clients::start(load, &[Side::Old]);
    clients.work(200).await;
    let schema = Ident::new("public").unwrap();
    let mut migrator = Migrator::connect(&url, schema, Settings::default()).await.unwrap();
    // There, back, and there again.
    migrator.expand(&migration, &mut |_| {}).await.unwrap();
    clients.admit(Side::New);
    clients.work(600).await;
    clients.retire(Side::New).await;
    migrator.undo(&mut |_| {}).await.unwrap();
    clients.work(200).await;
    migrator.expand(&migration, &mut |_| {}).await.unwrap();
    clients.admit(Side::New);
    clients.work(600).await;
    clients.retire(Side::Old).await;
    migrator.contract(&mut |_| {}).await.unwrap();
    clients.work(300).await;
    // Contracted it comes back as well, with what was written since, and goes on from there.
    assert_eq!(migrator.undo(&mut |_| {}).await.unwrap().phase, Phase::Expanded);
    clients.admit(Side::Old);
    clients.work(600).await;
    clients.retire(Side::Old).await;
    migrator.contract(&mut |_| {}).await.unwrap();
    clients.work(200).await;
    let report = clients.finish().await;
    println!(
        "{major}: {} operations, {} errors, {} differences, longest {:?}, median {:?}",
        report.operations, report.error_count, report.difference_count, report.longest, report.median
    );
    report.assert_unharmed();
}

#[test]
fn a_split_column_harms_no_client_there_and_back() {
    for major in Major::ALL {
        runtime().block_on(unharmed(major, SPLIT, new_of_split()));
    }
}

#[test]
fn a_retyped_column_harms_no_client_there_and_back() {
    for major in Major::ALL {
        runtime().block_on(unharmed(major, RETYPE, new_of_retype()));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
