//! A detached migration leaves the older version alone; attached again, both sides agree.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, run};
use switchover_postgres::{MigrateError, Phase, Progress};

const CHANGE: &str = "operations:
  - alter_column: {table: users, column: age, type: text, nullable: false, up: \"(100 / age)::text\", down: \"100 / age::integer\"}
  - create_constraint: {name: users_email_key, table: users, type: unique, columns: [email], up: {email: email}, down: {email: email}}
";

#[test]
fn the_older_version_goes_on_alone_and_what_it_wrote_is_brought_in_step_afterwards() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.session.batch_execute("UPDATE users SET age = 10 WHERE age = 0").await.unwrap();
        bed.expand("01_age", CHANGE).await.unwrap();
        // The newer version's rules break the older one's writes.
        let fails = "INSERT INTO public_base.users (name, age) VALUES ('x', 0)";
        assert!(bed.session.batch_execute(fails).await.is_err());
        assert_eq!(bed.migrator().await.detach("01_age", &mut |_| {}).await.unwrap().phase, Phase::Detached);
        bed.session
            .batch_execute(
                "INSERT INTO public_base.users (name, age, email) VALUES ('x', 0, 'same'), ('y', 0, 'same');
                 UPDATE public_base.users SET age = 50 WHERE id = 1;
                 UPDATE public_base.users SET name = 'other' WHERE id = 2;",
            )
            .await
            .unwrap();
        let refused = bed.migrator().await.contract(&mut |_| {}).await;
        assert!(
            matches!(&refused, Err(MigrateError::Refused(why)) if why[0].code == "MIGRATION-DETACHED"),
            "{refused:?}"
        );

        // What stands in the way is said; once it is mended the same command goes on.
        assert!(bed.migrator().await.attach("01_age", &mut |_| {}).await.is_err());
        bed.session.batch_execute("UPDATE users SET age = 20, email = 'mail ' || id WHERE id > 3000").await.unwrap();
        let applied = bed.migrator().await.attach("01_age", &mut |_| {}).await.unwrap();
        assert_eq!(applied.phase, Phase::Expanded);
        let new = "SELECT string_agg(age, ',' ORDER BY id) FROM public_01_age.users WHERE id IN (1, 2, 3002)";
        assert_eq!(bed.told(new).await, "2,50,5");
        bed.session.batch_execute("UPDATE public_01_age.users SET age = '4' WHERE id = 1").await.unwrap();
        assert_eq!(bed.told("SELECT age FROM public_base.users WHERE id = 1").await, "25");
        assert!(bed.session.batch_execute("UPDATE users SET email = 'mail 3002' WHERE id = 1").await.is_err());
        bed.contract().await;
    });
}

#[test]
fn rows_that_differ_are_told_with_their_keys_before_they_are_brought_in_step() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let widen =
            "operations: [{alter_column: {table: users, column: age, type: bigint, up: age, down: age::integer}}]";
        bed.expand("01_widen", widen).await.unwrap();
        bed.migrator().await.detach("01_widen", &mut |_| {}).await.unwrap();
        bed.session.batch_execute("UPDATE users SET age = age + 1 WHERE id IN (5, 7)").await.unwrap();
        let mut told = Vec::new();
        bed.migrator().await.attach("01_widen", &mut |progress| told.push(progress)).await.unwrap();
        let differ =
            Progress::Differ { table: "users".to_owned(), rows: 2, keys: vec!["5".to_owned(), "7".to_owned()] };
        assert!(told.contains(&differ), "{told:?}");
        assert_eq!(
            bed.told(
                "SELECT count(*) FROM public_01_widen.users AS new JOIN users USING (id) WHERE new.age <> users.age"
            )
            .await,
            "0"
        );
        // A detached one can be undone, too.
        bed.migrator().await.detach("01_widen", &mut |_| {}).await.unwrap();
        bed.undo().await;
        bed.session.batch_execute("INSERT INTO users (name, age) VALUES ('n', 1)").await.unwrap();
    });
}
