//! What a role may not do is told before anything begins, with what to grant.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, connect, migration, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Settings};
use switchover_testkit::postgres::{Major, Server};

const WIDER: &str = "
operations:
  - alter_column: { table: users, column: age, type: bigint, up: age, down: age::integer }
  - create_index: { table: orders, name: totals, columns: { total: {} } }
";

/// A database with a role that owns nothing in it.
struct Limited {
    bed: Bed,
    database: String,
    role: String,
    url: String,
}

impl Limited {
    async fn new(major: Major, name: &str, tables: &str) -> Option<Self> {
        let bed = Bed::new(major, tables).await?;
        let role = format!("{name}_{}_{}", std::process::id(), major.number());
        bed.session.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
        let database = bed.told("SELECT current_database()").await;
        let url = Server::shared(major).unwrap().url_as(&role, &database);
        Some(Self { bed, database, role, url })
    }

    async fn migrator(&self) -> Result<Migrator, MigrateError> {
        connect(&self.url, Settings::default()).await
    }

    async fn expand(&self, text: &str) -> Result<Phase, MigrateError> {
        self.migrator().await?.expand(&migration("01_wider", text), &mut |_| {}).await.map(|applied| applied.phase)
    }

    async fn give(&self, statements: &str) {
        self.bed.session.batch_execute(&statements.replace("ROLE", &self.role)).await.unwrap();
    }
}

fn said<T: std::fmt::Debug>(result: Result<T, MigrateError>) -> String {
    match result {
        Err(MigrateError::Refused(problems)) => {
            assert!(problems.iter().all(|problem| problem.code == "RIGHTS-MISSING"), "{problems:?}");
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_role_without_rights_changes_nothing() {
    run(|major| async move {
        let Some(limited) = Limited::new(major, "limited", bed::SHOP).await else { return };
        let Limited { bed, database, role, .. } = &limited;
        limited.give("REVOKE USAGE ON SCHEMA public FROM PUBLIC").await;
        assert!(said(limited.expand(WIDER).await).contains(&format!("GRANT USAGE ON SCHEMA public TO {role}")));
        limited.give("GRANT USAGE ON SCHEMA public TO PUBLIC").await;
        let told = said(limited.expand(WIDER).await);
        assert!(told.contains(&format!("GRANT CREATE ON DATABASE {database} TO {role}")), "{told}");
        assert_eq!(bed.told("SELECT to_regnamespace('switchover') IS NULL").await, "t");

        limited.give(&format!("GRANT CREATE ON DATABASE {database} TO ROLE")).await;
        let told = said(limited.expand(WIDER).await);
        assert!(told.contains(&format!("GRANT CREATE ON SCHEMA public TO {role}")), "{told}");
        assert!(told.contains("users belongs to postgres") && told.contains("orders belongs to postgres"), "{told}");
        assert_eq!(bed.told("SELECT count(*) FROM switchover.migration").await, "0");

        // Nothing is made in the schema itself by this one.
        limited.give("ALTER TABLE users OWNER TO ROLE; GRANT SELECT ON orders TO ROLE").await;
        let renamed = "operations: [{rename_column: {table: users, from: age, to: years}}]";
        assert_eq!(limited.expand(renamed).await.unwrap(), Phase::Expanded);
        limited.migrator().await.unwrap().undo(&mut |_| {}).await.unwrap();

        limited.give("GRANT CREATE ON SCHEMA public TO ROLE; ALTER TABLE orders OWNER TO ROLE").await;
        assert_eq!(limited.expand(WIDER).await.unwrap(), Phase::Expanded);

        // Contract and undo look first, too.
        limited.give("ALTER TABLE users OWNER TO postgres").await;
        assert!(said(limited.migrator().await.unwrap().contract(&mut |_| {}).await).contains("users belongs"));
        assert!(said(limited.migrator().await.unwrap().undo(&mut |_| {}).await).contains("users belongs"));
        assert_eq!(bed.told("SELECT phase FROM switchover.migration WHERE phase <> 'undone'").await, "expanded");
        limited.give("ALTER TABLE users OWNER TO ROLE").await;
        limited.migrator().await.unwrap().undo(&mut |_| {}).await.unwrap();

        // What is ours belongs to that role now.
        let other = Limited::new(major, "other", "").await.unwrap();
        let url = Server::shared(major).unwrap().url_as(&other.role, database);
        bed.session.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO {}", other.role)).await.unwrap();
        let result = Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await;
        assert!(said(result).contains(&format!("GRANT {role} TO {}", other.role)));
        bed.session
            .batch_execute(&format!("ALTER ROLE {} NOINHERIT; GRANT {role} TO {}", other.role, other.role))
            .await
            .unwrap();
        let result = Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await;
        assert!(said(result).contains("by SET ROLE alone"));
        bed.session.batch_execute(&format!("ALTER ROLE {} SET role = {role}", other.role)).await.unwrap();
        drop(Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await.unwrap());
        bed.session
            .batch_execute(&format!(
                "DROP OWNED BY {}; DROP ROLE {}; DROP OWNED BY {role} CASCADE; DROP ROLE {role}",
                other.role, other.role
            ))
            .await
            .unwrap();
    });
}

#[test]
fn partitions_referred_tables_and_dropped_indexes_count_too() {
    run(|major| async move {
        let tables = "CREATE TABLE events (at int, who int) PARTITION BY RANGE (at);
                      CREATE TABLE events_late PARTITION OF events FOR VALUES FROM (1) TO (100);
                      CREATE TABLE people (id int PRIMARY KEY); CREATE TABLE plain (id int); CREATE INDEX by_id ON plain (id);";
        let Some(limited) = Limited::new(major, "parted", tables).await else { return };
        let Limited { bed, database, role, .. } = &limited;
        limited.give(&format!("GRANT CREATE ON DATABASE {database} TO ROLE; GRANT CREATE ON SCHEMA public TO ROLE; ALTER TABLE events OWNER TO ROLE")).await;
        let add = "operations: [{add_column: {table: events, column: {name: what, type: text, nullable: true}}}]";
        assert!(said(limited.expand(add).await).contains("events_late belongs to postgres"));
        limited.give("ALTER TABLE events_late OWNER TO ROLE").await;
        let key = "operations: [{create_constraint: {table: events, name: of_people, type: foreign_key, columns: [who], references: {table: people, columns: [id]}, up: {who: who}, down: {who: who}}}]";
        assert!(said(limited.expand(key).await).contains(&format!("GRANT REFERENCES ON people TO {role}")));
        let dropped = "operations: [{drop_index: {name: by_id}}]";
        assert!(said(limited.expand(dropped).await).contains("by_id belongs to postgres"));
        // A foreign key that comes along with its column is made anew.
        limited.give("GRANT REFERENCES ON people TO ROLE").await;
        limited
            .give(
                "CREATE TABLE guests (id int PRIMARY KEY, who int REFERENCES people); ALTER TABLE guests OWNER TO ROLE",
            )
            .await;
        limited.give("REVOKE REFERENCES ON people FROM ROLE").await;
        let wider =
            "operations: [{alter_column: {table: guests, column: who, type: bigint, up: who, down: 'who::int'}}]";
        assert!(said(limited.expand(wider).await).contains(&format!("GRANT REFERENCES ON people TO {role}")));
        // Who only looks may plan what another role will do.
        let reader = Migrator::look(&limited.url, Ident::new("public").unwrap()).await.unwrap();
        reader.plan(&migration("02_drop", dropped)).await.unwrap();
        assert_eq!(bed.told("SELECT count(*) FROM switchover.migration").await, "0");
        bed.session.batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
    });
}
