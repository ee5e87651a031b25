//! A contracted migration comes back: what was put aside with the values it had, what was written since through `down`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, of_the_app, run};
use switchover_postgres::{MigrateError, Phase, Purge};
use switchover_testkit::postgres::dump;

const MORE: &str = "
ALTER TABLE users ADD COLUMN note text NOT NULL DEFAULT 'none', ADD COLUMN code text UNIQUE,
    ADD COLUMN amount numeric, ADD CONSTRAINT amount_is_some CHECK (amount IS NULL OR amount >= 0);
UPDATE users SET code = 'c' || id, amount = id + 0.4, note = 'note ' || id;
CREATE INDEX users_by_email ON users (email DESC);
CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
INSERT INTO visits SELECT id, id FROM users WHERE id < 10;
";

const CHANGE: &str = r#"
operations:
  - add_column:
      table: users
      up: split_part(name, ' ', 1)
      column: { name: first, type: text, nullable: false }
  - add_column:
      table: users
      up: split_part(name, ' ', 2)
      column: { name: last, type: text, nullable: false }
  - drop_column: { table: users, column: name, down: "first || ' ' || last" }
  - alter_column: { table: users, column: amount, type: bigint, up: "round(amount)::bigint", down: "amount" }
  - alter_column: { table: users, column: age, nullable: false, up: "coalesce(age, 0)", down: "age" }
  - drop_column: { table: users, column: note }
  - drop_column: { table: users, column: code, down: "'made ' || id" }
  - drop_index: { name: users_by_email }
  - rename_column: { table: users, from: email, to: mail }
  - drop_table: { name: visits }
  - rename_table: { from: orders, to: purchases }
"#;

/// Without what a check can not be dropped for: `amount` is converted, so nothing may stand on it.
const READY: &str = "ALTER TABLE users DROP CONSTRAINT amount_is_some";

async fn contracted(bed: &Bed) {
    bed.session.batch_execute(MORE).await.unwrap();
    bed.session.batch_execute(READY).await.unwrap();
    bed.expand("01_change", CHANGE).await.unwrap();
    bed.contract().await;
}

#[test]
fn values_come_back_as_they_were_and_rows_written_since_get_theirs_through_down() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.session.batch_execute(MORE).await.unwrap();
        bed.session.batch_execute(READY).await.unwrap();
        let before = dump(&bed.url).await;
        bed.expand("01_change", CHANGE).await.unwrap();
        bed.contract().await;
        bed.session
            .batch_execute(
                "INSERT INTO public_01_change.users (first, last, amount, age) VALUES ('New', 'One', 7, 1);
                 UPDATE public_01_change.users SET last = 'Changed' WHERE id = 1;
                 UPDATE public_01_change.users SET amount = 1000 WHERE id = 2;
                 UPDATE public_01_change.users SET mail = 'm' WHERE id = 3;
                 DELETE FROM public_01_change.users WHERE id = 20;",
            )
            .await
            .unwrap();
        bed.restore().await;
        let old = |id: u32| {
            format!("SELECT concat_ws('/', name, amount, code, note, email) FROM public_base.users WHERE id = {id}")
        };
        assert_eq!(
            bed.told(&old(5)).await,
            "First5 Last5/5.4/c5/note 5",
            "what a lossy conversion would lose is there"
        );
        assert_eq!(bed.told(&old(1)).await, "First1 Changed/1.4/c1/note 1");
        assert_eq!(bed.told(&old(2)).await, "First2 Last2/1000/c2/note 2");
        assert_eq!(bed.told(&old(3)).await, "First3 Last3/3.4/c3/note 3/m");
        assert_eq!(bed.told(&old(3001)).await, "New One/7/made 3001/none");
        assert_eq!(bed.told("SELECT count(*) FROM public_base.users").await, "3000");
        assert_eq!(bed.told("SELECT count(*) FROM visits").await, "9");

        // In step again, both ways.
        bed.session
            .batch_execute(
                "INSERT INTO public_base.users (name, amount, code) VALUES ('Old Two', 2.5, 'c');
                 INSERT INTO public_01_change.users (first, last, amount, age) VALUES ('New', 'Two', 8, 1);
                 UPDATE public_base.users SET name = 'Back Again' WHERE id = 1;
                 UPDATE public_01_change.users SET first = 'Forth' WHERE id = 2;",
            )
            .await
            .unwrap();
        let new = "SELECT string_agg(first || '/' || last || '/' || amount, ',' ORDER BY id) FROM public_01_change.users WHERE id IN (1, 2, 3002, 3003)";
        assert_eq!(bed.told(new).await, "Back/Again/1,Forth/Last2/1000,Old/Two/3,New/Two/8");
        assert_eq!(bed.told("SELECT name FROM users WHERE id = 3003").await, "New Two");
        assert_eq!(bed.told("SELECT name FROM users WHERE id = 2").await, "Forth Last2");

        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
    });
}

#[test]
fn a_restored_migration_is_contracted_and_restored_again() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        contracted(&bed).await;
        let settled = dump(&bed.url).await;
        bed.restore().await;
        bed.contract().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&settled));
        bed.session
            .batch_execute("INSERT INTO public_01_change.users (first, last, age) VALUES ('New', 'One', 1)")
            .await
            .unwrap();
        bed.restore().await;
        assert_eq!(bed.told("SELECT name FROM public_base.users WHERE id = 3001").await, "New One");
        assert_eq!(bed.told("SELECT amount FROM public_base.users WHERE id = 5").await, "5.4");
    });
}

#[test]
fn rows_that_an_older_rule_forbids_hold_the_restore_up_until_they_are_mended() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let retype = "operations: [{alter_column: {table: users, column: name, type: text, up: name, down: \"nullif(name, 'bad')\"}}]";
        bed.expand("01_name", retype).await.unwrap();
        bed.contract().await;
        bed.session.batch_execute("INSERT INTO public_01_name.users (name) VALUES ('bad')").await.unwrap();
        let stopped = bed.migrator().await.undo(&mut |_| {}).await;
        let Err(MigrateError::Found { keys, .. }) = stopped else { panic!("{stopped:?}") };
        assert_eq!(keys, ["3001"]);
        assert_eq!(
            bed.told("SELECT name FROM public_01_name.users WHERE id = 3001").await,
            "bad",
            "it goes on as it is"
        );
        bed.session.batch_execute("UPDATE public_01_name.users SET name = 'good' WHERE id = 3001").await.unwrap();
        bed.restore().await;
        assert_eq!(bed.told("SELECT name FROM public_base.users WHERE id = 3001").await, "good");
    });
}

#[test]
fn a_restore_that_is_broken_off_at_any_step_goes_on() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        contracted(&bed).await;
        // Each try ends at a statement that another session's lock, or the first row, holds up.
        bed.session
            .batch_execute(
                "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.phase = 'restoring' AND (SELECT count(*) FROM switchover.step WHERE phase = 'restoring') >= (SELECT steps FROM stop_after)
                    THEN RAISE EXCEPTION 'stopped'; END IF;
                    RETURN NEW; END $$;
                 CREATE TABLE stop_after (steps integer);
                 INSERT INTO stop_after VALUES (0);
                 CREATE TRIGGER stop BEFORE INSERT ON switchover.step FOR EACH ROW EXECUTE FUNCTION stop();",
            )
            .await
            .unwrap();
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries < 60, "it never ends");
            match bed.migrator().await.undo(&mut |_| {}).await {
                Ok(applied) => {
                    assert_eq!(applied.phase, Phase::Expanded);
                    break;
                }
                Err(error) => assert!(error.to_string().contains("stopped"), "{error}"),
            }
            bed.session.batch_execute("UPDATE stop_after SET steps = steps + 1").await.unwrap();
        }
        assert!(tries > 6, "it was stopped {tries} times");
        assert_eq!(
            bed.told("SELECT name || note || amount FROM public_base.users WHERE id = 5").await,
            "First5 Last5note 55.4"
        );
    });
}

#[test]
fn an_emptied_attic_gives_nothing_back_and_says_so() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        contracted(&bed).await;
        let mut migrator = bed.migrator().await;
        assert!(migrator.purge(Purge::Due, &mut |_| {}).await.unwrap().is_empty(), "its time is not over");
        assert!(migrator.applied().await.unwrap()[0].is_restorable());
        assert_eq!(migrator.purge(Purge::All, &mut |_| {}).await.unwrap().len(), 1);
        let left = "SELECT count(*) FROM pg_attribute WHERE attname ~ '^_switchover_' AND NOT attisdropped";
        assert_eq!(bed.told(left).await, "0");
        assert_eq!(bed.told("SELECT count(*) FROM pg_class WHERE relname ~ '^_switchover_'").await, "0");
        let refused = migrator.undo(&mut |_| {}).await;
        assert!(matches!(&refused, Err(MigrateError::Refused(why)) if why[0].code == "ATTIC-EMPTY"), "{refused:?}");
        assert_eq!(bed.told("SELECT first FROM public_01_change.users WHERE id = 5").await, "First5");
        assert_eq!(migrator.applied().await.unwrap()[0].restorable_until, None);
    });
}

#[test]
fn constraints_and_rules_that_contract_dropped_hold_again() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.session.batch_execute(MORE).await.unwrap();
        let text = "operations:
  - drop_constraint: {table: users, name: users_code_key, up: code, down: \"coalesce(code, '') || id\"}
  - alter_column: {table: users, column: age, nullable: false, up: age, down: age}
  - alter_column: {table: users, column: note, default: \"'other'\"}
";
        bed.expand("01_rules", text).await.unwrap();
        bed.contract().await;
        let twice = "INSERT INTO public_01_rules.users (name, code, age) VALUES ('a b', 'same', 1), ('c d', 'same', 2)";
        bed.session.batch_execute(twice).await.unwrap();
        bed.restore().await;
        assert_eq!(
            bed.told("SELECT string_agg(code, ',' ORDER BY id) FROM public_base.users WHERE id > 3000").await,
            "same3001,same3002"
        );
        assert_eq!(
            bed.told("SELECT string_agg(code, ',' ORDER BY id) FROM public_01_rules.users WHERE id > 3000").await,
            "same,same"
        );
        assert!(bed.session.batch_execute("UPDATE public_base.users SET code = 'c1' WHERE id = 2").await.is_err());
        bed.session
            .batch_execute("INSERT INTO public_base.users (name, code, age) VALUES ('o', 'old', 1)")
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT note FROM public_base.users WHERE code = 'old'").await, "none");
        bed.undo().await;
        bed.session.batch_execute("INSERT INTO users (name) VALUES ('takes null again')").await.unwrap();
    });
}

#[test]
fn what_a_view_goes_past_is_purged_and_the_version_goes_on() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_age", "operations: [{drop_column: {table: users, column: age, down: '7'}}]").await.unwrap();
        bed.session.batch_execute("INSERT INTO public_01_age.users (name) VALUES ('first')").await.unwrap();
        assert_eq!(bed.told("SELECT age FROM users WHERE name = 'first'").await, "7");
        bed.contract().await;
        bed.session.batch_execute("INSERT INTO public_01_age.users (name) VALUES ('second')").await.unwrap();
        bed.restore().await;
        assert_eq!(bed.told("SELECT age FROM public_base.users WHERE name = 'second'").await, "7");
        bed.contract().await;
        bed.expand("02_more", "operations: [{rename_column: {table: users, from: email, to: mail}}]").await.unwrap();
        bed.migrator().await.purge(Purge::All, &mut |_| {}).await.unwrap();
        let left = "SELECT count(*) FROM pg_attribute WHERE attname LIKE '\\_switchover\\_attic%' AND NOT attisdropped";
        assert_eq!(bed.told(left).await, "0");
        bed.session
            .batch_execute(
                "INSERT INTO public_01_age.users (name) VALUES ('third'); INSERT INTO public_02_more.users (name, mail) VALUES ('fourth', 'm')",
            )
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT count(*) FROM public_01_age.users").await, "3004");
    });
}

#[test]
fn a_rule_that_bound_the_newer_version_alone_does_so_again() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let rule = "operations: [{alter_column: {table: users, column: age, nullable: false, up: age, down: age}}]";
        bed.expand_and_accept("01_age", rule).await.unwrap();
        bed.contract().await;
        bed.restore().await;
        bed.session.batch_execute("INSERT INTO public_base.users (name) VALUES ('old')").await.unwrap();
        assert!(bed.session.batch_execute("INSERT INTO public_01_age.users (name) VALUES ('new')").await.is_err());
        let error = bed.migrator().await.contract(&mut |_| {}).await.unwrap_err();
        assert!(matches!(error, MigrateError::Found { .. }), "{error:?}");
        bed.session.batch_execute("UPDATE users SET age = 1 WHERE name = 'old'").await.unwrap();
        bed.contract().await;
    });
}

#[test]
fn rows_that_older_versions_can_not_have_are_named_and_the_live_version_stays_as_it_was() {
    run(|major| async move {
        let Some(bed) =
            Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1);").await
        else {
            return;
        };
        let wide = "operations:\n  - alter_column: { table: t, column: n, type: bigint, up: n, down: n::int }\n";
        bed.expand("01_wide", wide).await.unwrap();
        bed.contract().await;
        let write = "INSERT INTO public_01_wide.t VALUES (7, 5000000000), (9, 6000000000)";
        bed.session.batch_execute(write).await.unwrap();
        let Err(MigrateError::NotChanged(why)) = bed.migrator().await.undo(&mut |_| {}).await else {
            panic!("it has no way back")
        };
        let MigrateError::Found { keys, .. } = *why else { panic!("{why:?}") };
        assert_eq!(keys, ["7", "9"]);
        // One that was there before and was changed since.
        bed.session.batch_execute("UPDATE t SET n = 7000000000 WHERE id = 1").await.unwrap();
        let Err(MigrateError::NotChanged(why)) = bed.migrator().await.undo(&mut |_| {}).await else {
            panic!("it has no way back")
        };
        let MigrateError::Found { mut keys, .. } = *why else { panic!("{why:?}") };
        keys.sort();
        assert_eq!(keys, ["1", "7", "9"]);
        bed.session.batch_execute("INSERT INTO public_01_wide.t VALUES (70, 7000000000)").await.unwrap();
        bed.session.batch_execute("UPDATE t SET n = 2 WHERE id = 1; DELETE FROM t WHERE id = 70").await.unwrap();
        bed.session
            .batch_execute("INSERT INTO public_01_wide.t VALUES (8, 5000000001); UPDATE t SET n = n + 1 WHERE id = 7")
            .await
            .unwrap();
        // The next release is not held up; and once the rows are mended there is a way back.
        bed.expand(
            "02_more",
            "operations:\n  - add_column: { table: t, column: { name: more, type: int, nullable: true } }\n",
        )
        .await
        .unwrap();
        bed.undo().await;
        bed.session.batch_execute("DELETE FROM t WHERE id > 1").await.unwrap();
        bed.restore().await;
    });
}

#[test]
fn a_name_that_was_taken_since_contract_is_told_before_anything_comes_back() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, n int, note text); CREATE INDEX by_n ON t (n);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        bed.expand(
            "01_less",
            "operations:\n  - drop_column: { table: t, column: note, down: \"''\" }\n  - drop_index: { name: by_n }\n",
        )
        .await
        .unwrap();
        bed.contract().await;
        bed.session.batch_execute("ALTER TABLE t ADD COLUMN note int; CREATE INDEX by_n ON t (id)").await.unwrap();
        let Err(MigrateError::Refused(problems)) = bed.migrator().await.undo(&mut |_| {}).await else {
            panic!("it came back")
        };
        let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert!(told.contains("column \"note\"") && told.contains("index \"by_n\""), "{told}");
        bed.session.batch_execute("ALTER TABLE t DROP COLUMN note; DROP INDEX by_n").await.unwrap();
        bed.restore().await;
    });
}

#[test]
fn what_is_restored_is_detached_like_what_was_expanded() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL); INSERT INTO t VALUES (1, 'ann');";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let letters = "operations:
  - add_column: { table: t, up: length(name), column: { name: letters, type: int, nullable: false } }
  - alter_column: { table: t, column: name, type: bytea, up: \"convert_to(name, 'UTF8')\", down: \"convert_from(name, 'UTF8')\" }
";
        bed.expand("01_letters", letters).await.unwrap();
        let expanded = dump(&bed.url).await;
        bed.contract().await;
        bed.restore().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&expanded));
        bed.migrator().await.detach("01_letters", &mut |_| {}).await.unwrap();
        bed.session.batch_execute("INSERT INTO public_base.t VALUES (2, 'bob')").await.unwrap();
        bed.migrator().await.attach("01_letters", &mut |_| {}).await.unwrap();
        assert_eq!(bed.told("SELECT letters FROM public_01_letters.t ORDER BY id").await, "3|3");
        bed.contract().await;
    });
}

#[test]
fn an_expand_that_was_taken_back_leaves_nothing() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let before = dump(&bed.url).await;
        let fails =
            "operations: [{add_column: {table: t, up: 1 / n, column: {name: part, type: int, nullable: true}}}]";
        assert!(matches!(bed.expand("01_part", fails).await, Err(MigrateError::TakenBack { kept: None, .. })));
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        let ours = "SELECT count(*) FROM pg_attribute WHERE attname LIKE '\\_switchover%' AND NOT attisdropped";
        assert_eq!(bed.told(ours).await, "0");
    });
}

#[test]
fn what_an_expand_that_was_taken_back_could_not_drop_is_told() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0);
            CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_identity LIKE '%_attic_%') THEN RAISE 'nothing is dropped today'; END IF;
            END $$;
            CREATE EVENT TRIGGER keep ON sql_drop EXECUTE FUNCTION keep();";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let fails =
            "operations: [{add_column: {table: t, up: 1 / n, column: {name: part, type: int, nullable: true}}}]";
        let next = bed.expand("01_part", fails).await.unwrap_err().problem().next;
        assert!(next.contains("nothing is dropped today") && next.contains("switchover db purge"), "{next}");
        bed.session.batch_execute("DROP EVENT TRIGGER keep").await.unwrap();
        bed.migrator().await.purge(Purge::All, &mut |_| {}).await.unwrap();
        let ours = "SELECT count(*) FROM pg_attribute WHERE attname LIKE '\\_switchover%' AND NOT attisdropped";
        assert_eq!(bed.told(ours).await, "0");
    });
}

#[test]
fn an_older_value_that_is_not_needed_is_not_computed_and_one_whose_ground_is_gone_is_named() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, k int, u int, d int); INSERT INTO t VALUES (1, NULL, 1, 2), (2, 4, 1, 2);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let text = "operations:
  - alter_column: { table: t, column: k, type: text, up: \"coalesce(k::text, 'none')\", down: \"k::int\" }
  - alter_column: { table: t, column: u, type: bigint, up: u, down: \"u::int\" }
";
        bed.expand("01_text", text).await.unwrap();
        bed.contract().await;
        // `down` of 'none' fails, and is not asked for: the older value that it follows from is there.
        bed.session.batch_execute("UPDATE t SET u = 7 WHERE id = 1").await.unwrap();
        bed.restore().await;
        assert_eq!(bed.told("SELECT k FROM public_base.t ORDER BY id").await, "NULL|4");
        assert_eq!(bed.told("SELECT u FROM public_base.t ORDER BY id").await, "7|1");
        bed.undo().await;

        let ratio = "operations:
  - add_column: { table: t, up: k / d, column: { name: ratio, type: int, nullable: true } }
  - drop_column: { table: t, column: k, down: ratio * d }
";
        bed.expand("02_ratio", ratio).await.unwrap();
        bed.contract().await;
        bed.session.batch_execute("UPDATE t SET d = 0 WHERE id = 2").await.unwrap();
        let Err(MigrateError::NotChanged(why)) = bed.migrator().await.undo(&mut |_| {}).await else {
            panic!("whether its older value still holds can not be told")
        };
        let MigrateError::Found { keys, .. } = *why else { panic!("{why:?}") };
        assert_eq!(keys, ["2"]);
    });
}
