//! Both versions of a schema are used at once, and each sees what the other writes.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, migration, of_the_app, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Progress, Settings};
use switchover_testkit::postgres::dump;

const SPLIT: &str = r#"
operations:
  - add_column:
      table: users
      up: split_part(name, ' ', 1)
      column: { name: first, type: text, nullable: false }
  - add_column:
      table: users
      up: split_part(users.name, ' ', 2)
      column: { name: last, type: text, nullable: false }
  - drop_column:
      table: users
      column: name
      down: first || ' ' || last
"#;

#[test]
fn a_split_column_is_kept_in_step_both_ways_and_settles_on_the_new_one() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_split", SPLIT).await.unwrap();
        assert_eq!(
            bed.told("SELECT first || '/' || last FROM public_01_split.users WHERE id = 7").await,
            "First7/Last7"
        );
        // By whatever way a write comes, it counts for the version whose columns it gives.
        bed.session
            .batch_execute(
                "INSERT INTO users (name) VALUES ('Old One');
                 INSERT INTO public_base.users (name) VALUES ('Old Two');
                 INSERT INTO public_01_split.users (first, last) VALUES ('New', 'One'), ('New', 'Two');
                 SET search_path = public_01_split, public;
                 INSERT INTO users (first, last) VALUES ('New', 'Three');
                 INSERT INTO public.users (name) VALUES ('Old Three');
                 COPY public.users (name) FROM PROGRAM 'echo Old Four';
                 UPDATE users SET last = 'Changed' WHERE id = 1;
                 UPDATE public.users SET name = 'Also Changed' WHERE id = 2;
                 UPDATE public.users SET age = 99 WHERE id = 1;
                 RESET search_path;",
            )
            .await
            .unwrap();
        let names = "SELECT string_agg(name, ', ' ORDER BY id) FROM users WHERE id > 3000 OR id < 3";
        let all = "First1 Changed, Also Changed, Old One, Old Two, New One, New Two, New Three, Old Three, Old Four";
        assert_eq!(bed.told(names).await, all);
        let parts = "SELECT string_agg(first || ' ' || last, ', ' ORDER BY id) FROM public_01_split.users WHERE id > 3000 OR id < 3";
        assert_eq!(bed.told(parts).await, all);
        bed.contract().await;
        assert_eq!(bed.told(parts).await, all);
        assert_eq!(bed.told("SELECT count(*) FROM users WHERE first IS NULL").await, "0");
        assert!(bed.session.column("SELECT name FROM users").await.is_err(), "the old column is put aside");
        assert!(bed.session.batch_execute("INSERT INTO users (first) VALUES ('x')").await.is_err(), "NOT NULL now");
    });
}

#[test]
fn undo_leaves_the_older_version_as_it_was_and_expand_can_be_done_again() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let before = dump(&bed.url).await;
        bed.expand("01_split", SPLIT).await.unwrap();
        bed.session
            .batch_execute("INSERT INTO public_01_split.users (first, last) VALUES ('Kept', 'Here')")
            .await
            .unwrap();
        bed.undo().await;
        assert_eq!(bed.told("SELECT name FROM users WHERE id = 3001").await, "Kept Here", "new writes are kept");
        bed.session.batch_execute("INSERT INTO users (name) VALUES ('After Undo')").await.unwrap();
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_split", SPLIT).await.unwrap();
        assert_eq!(bed.told("SELECT last FROM public_01_split.users WHERE id = 3002").await, "Undo");
    });
}

#[test]
fn a_retyped_column_keeps_both_values_and_what_a_lossy_way_would_lose() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let retype = "operations: [{alter_column: {table: users, column: age, type: text, \
                      up: \"coalesce(age::text, 'unknown')\", down: \"CASE WHEN age ~ '^[0-9]+$' THEN age::integer END\"}}]";
        bed.expand("01_age", retype).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE public_01_age.users SET age = 'very old' WHERE id = 1;
                 UPDATE users SET name = 'untouched age' WHERE id = 1;
                 UPDATE users SET age = 7 WHERE id = 2;
                 INSERT INTO public_01_age.users (name, age) VALUES ('n', '12') ON CONFLICT (id) DO NOTHING;",
            )
            .await
            .unwrap();
        let new = "SELECT string_agg(age, ',' ORDER BY id) FROM public_01_age.users WHERE id IN (1, 2, 3001)";
        assert_eq!(bed.told(new).await, "very old,7,12");
        let old = "SELECT string_agg(coalesce(age::text, '-'), ',' ORDER BY id) FROM users WHERE id IN (1, 2, 3001)";
        assert_eq!(bed.told(old).await, "-,7,12");
        bed.contract().await;
        assert_eq!(bed.told(new).await, "very old,7,12");
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM users LIMIT 1").await, "text");
    });
}

#[test]
fn renames_and_indexes_copy_nothing_and_a_plain_column_needs_no_backfill() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let text = "operations:
  - rename_table: {from: orders, to: purchases}
  - rename_column: {table: users, from: email, to: mail}
  - add_column: {table: users, column: {name: vip, type: boolean, nullable: false, default: 'false'}}
  - create_index: {name: users_by_age, table: users, columns: [age]}
  - create_table: {name: notes, columns: [{name: id, type: bigint, pk: true}, {name: body, type: text}]}
";
        let mut began = Vec::new();
        bed.migrator()
            .await
            .expand(&migration("01_names", text), &mut |progress| {
                if let Progress::Began { step } = progress {
                    began.push(step);
                }
            })
            .await
            .unwrap();
        assert!(!began.iter().any(|step| step.contains("in step")), "{began:?}");
        bed.session
            .batch_execute(
                "INSERT INTO public_01_names.users (name, mail) VALUES ('n', 'm');
                 INSERT INTO public_01_names.purchases (id) VALUES (1);
                 INSERT INTO public_01_names.notes (id, body) VALUES (1, 'x');
                 INSERT INTO users (name) VALUES ('o');",
            )
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT email FROM users WHERE id = 3001").await, "m");
        assert_eq!(bed.told("SELECT vip FROM users WHERE id = 3002").await, "f");
        bed.contract().await;
        assert_eq!(bed.told("SELECT mail FROM users WHERE id = 3001").await, "m");
        assert_eq!(bed.told("SELECT total FROM purchases").await, "0");
        assert_eq!(
            bed.told("SELECT mail FROM public_01_names.users WHERE id = 3001").await,
            "m",
            "its version goes on"
        );
    });
}

#[test]
fn what_can_not_work_is_refused_before_anything_is_begun() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let wrong = "operations:
  - add_column: {table: userz, column: {name: a, type: text}}
  - add_column: {table: users, column: {name: b, type: text, nullable: false}}
  - rename_column: {table: users, from: emial, to: mail}
  - alter_column: {table: users, column: id, type: text, up: id::text, down: id::bigint}
";
        let Err(MigrateError::Refused(problems)) = bed.expand("01_wrong", wrong).await else {
            panic!("it was not refused")
        };
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!(codes, ["TABLE-UNKNOWN", "OLD-INSERTS-FAIL", "COLUMN-UNKNOWN", "COLUMN-GENERATED"]);
        assert!(bed.migrator().await.applied().await.unwrap().is_empty());
    });
}

#[test]
fn a_lock_that_is_not_to_be_had_is_tried_for_a_while_and_its_holder_named() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.session.batch_execute("BEGIN; SELECT count(*) FROM users").await.unwrap();
        let settings = Settings { lock_timeout: std::time::Duration::from_secs(1), ..Settings::default() };
        let schema = Ident::new("public").unwrap();
        let mut migrator = Migrator::connect(&bed.url, schema.clone(), settings).await.unwrap();
        let second = Migrator::connect(&bed.url, schema, settings).await;
        assert!(matches!(second, Err(MigrateError::Busy(_))), "one migrator at a time");
        let blocked = migrator.expand(&migration("01_split", SPLIT), &mut |_| {}).await;
        let Err(MigrateError::Blocked { blockers, .. }) = blocked else { panic!("{blocked:?}") };
        assert!(blockers[0].contains("idle in transaction"), "{blockers:?}");
        bed.session.batch_execute("COMMIT").await.unwrap();
        let applied = migrator.expand(&migration("01_split", SPLIT), &mut |_| {}).await.unwrap();
        assert_eq!(applied.phase, Phase::Expanded, "the same command goes on");
    });
}
