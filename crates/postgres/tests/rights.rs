//! What a role may not do is told before anything begins, with what to grant.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, migration, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Settings};
use switchover_testkit::postgres::Server;

const RENAME: &str = "
operations:
  - alter_column: { table: users, column: age, type: bigint, up: age, down: age::integer }
  - create_index: { table: orders, name: totals, columns: { total: {} } }
";

#[test]
fn a_role_without_rights_changes_nothing() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, bed::SHOP).await else { return };
        let role = format!("limited_{}_{}", std::process::id(), major.number());
        bed.session.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
        let database = bed.told("SELECT current_database()").await;
        let url = Server::shared(major).unwrap().url_as(&role, &database);
        let expand = async || {
            let mut migrator = loop {
                match Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await {
                    Err(MigrateError::Busy(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                    connected => break connected?,
                }
            };
            migrator.expand(&migration("01_wider", RENAME), &mut |_| {}).await
        };
        let said = |result: Result<_, MigrateError>| match result {
            Err(MigrateError::Refused(problems)) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            other => panic!("{other:?}"),
        };

        let told = said(expand().await.map(|_| ()));
        assert!(told.contains("RIGHTS-MISSING"), "{told}");
        assert!(told.contains(&format!("GRANT CREATE ON DATABASE {database} TO {role}")), "{told}");
        assert_eq!(bed.told("SELECT to_regnamespace('switchover') IS NULL").await, "t");

        bed.session.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO {role}")).await.unwrap();
        let told = said(expand().await.map(|_| ()));
        assert!(told.contains(&format!("GRANT CREATE ON SCHEMA public TO {role}")), "{told}");
        assert!(told.contains("table users belongs to postgres") && told.contains("table orders belongs"), "{told}");
        assert_eq!(bed.told("SELECT count(*) FROM switchover.migration").await, "0");

        let give = format!(
            "GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE users OWNER TO {role}; ALTER TABLE orders OWNER TO {role}"
        );
        bed.session.batch_execute(&give).await.unwrap();
        assert_eq!(expand().await.unwrap().phase, Phase::Expanded);

        // What is ours belongs to that role now.
        let other = format!("other_{}_{}", std::process::id(), major.number());
        bed.session
            .batch_execute(&format!("CREATE ROLE {other} LOGIN; GRANT CREATE ON DATABASE {database} TO {other}"))
            .await
            .unwrap();
        let url = Server::shared(major).unwrap().url_as(&other, &database);
        let result = Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await;
        assert!(said(result.map(|_| ())).contains(&format!("GRANT {role} TO {other}")));
        bed.session
            .batch_execute(&format!(
                "DROP OWNED BY {other}; DROP ROLE {other}; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
            ))
            .await
            .unwrap();
    });
}
