//! What is seen of a schema in use, and an older version that is in use holds contract up.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::time::Duration;

use bed::{Bed, SHOP, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, application_name};
use switchover_testkit::postgres::Session;

const WIDEN: &str =
    "operations: [{alter_column: {table: users, column: age, type: bigint, up: age, down: age::integer}}]";
const QUIET: Duration = Duration::from_secs(3600);

async fn in_the_way(bed: &Bed) -> switchover_postgres::InTheWay {
    let looker = Migrator::look(&bed.url, Ident::new("public").unwrap()).await.unwrap();
    looker.observe().await.unwrap().in_the_way(None, QUIET)
}

#[test]
fn sessions_are_known_by_their_name_their_locks_and_their_role() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_widen", WIDEN).await.unwrap();
        assert!(in_the_way(&bed).await.is_nothing());

        let tagged = Session::open(&bed.url).await;
        let base = Ident::new("public_base").unwrap();
        let name = application_name("shop", "r3", &base);
        tagged.batch_execute(&format!("SET application_name = '{name}'")).await.unwrap();
        let seen = in_the_way(&bed).await;
        assert_eq!((seen.sessions.len(), seen.sessions[0].application.as_str()), (1, "switchover:shop:r3:public_base"));
        let patience = Duration::from_millis(10);
        let refused = bed.migrator().await.wait_until_unused(None, QUIET, patience).await;
        let Err(MigrateError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why[0].code == "OLD-VERSION-IN-USE" && why[0].cause.contains(&name), "{why:?}");
        drop(tagged);

        let newer = Session::open(&bed.url).await;
        newer.batch_execute("SET application_name = 'switchover:shop:r4:public_01_widen'").await.unwrap();
        let reader = Session::open(&bed.url).await;
        reader.batch_execute("SET search_path = public_base; BEGIN; SELECT count(*) FROM users").await.unwrap();
        // The dropped session's end is seen when the server notices.
        let mut seen = in_the_way(&bed).await;
        for _ in 0..100 {
            if seen.sessions.len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen = in_the_way(&bed).await;
        }
        assert_eq!(seen.sessions.len(), 1, "{seen:?}");
        assert_eq!(seen.sessions[0].evidence, "it has view users in use");
        reader.batch_execute("ROLLBACK").await.unwrap();
        assert!(in_the_way(&bed).await.is_nothing());
    });
}

#[test]
fn a_write_of_an_older_version_is_seen_and_one_of_the_newer_is_not() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_widen", WIDEN).await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO public_01_widen.users (name, age) VALUES ('n', 5);
                 UPDATE public_01_widen.users SET age = 6 WHERE id = 1;
                 UPDATE public_01_widen.users SET name = 'x' WHERE id = 2;",
            )
            .await
            .unwrap();
        assert_eq!(in_the_way(&bed).await.wrote, None);
        // Also by a role that has nothing but its rights on the table.
        bed.session
            .batch_execute(
                "DO $$ BEGIN CREATE ROLE plain_writer; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                 GRANT SELECT, UPDATE ON users TO plain_writer;
                 SET ROLE plain_writer; UPDATE users SET age = 7 WHERE id = 1; RESET ROLE",
            )
            .await
            .unwrap();
        let wrote = in_the_way(&bed).await.wrote.unwrap();
        assert!(wrote.0 == "01_widen" && wrote.1 < 60.0, "{wrote:?}");
        bed.session.batch_execute("DROP OWNED BY plain_writer").await.unwrap();
    });
}
