//! Several migrations are expanded at once: the live version goes on through all of them, and they settle one by one.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, migration, of_the_app, run};
use switchover_postgres::{MigrateError, Phase, Progress};
use switchover_testkit::postgres::dump;

const SPLIT: &str = r#"
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
  - alter_column:
      table: users
      column: age
      type: text
      up: "coalesce(age::text, 'unknown')"
      down: "CASE WHEN age ~ '^[0-9]+$' THEN age::integer END"
"#;

const SHOUT: &str = r#"
operations:
  - rename_column: { table: users, from: last, to: family }
  - alter_column: { table: users, column: first, type: text, up: upper(first), down: initcap(first) }
  - alter_column: { table: users, column: age, type: text, up: "'age ' || age", down: "substr(age, 5)" }
  - rename_table: { from: orders, to: purchases }
"#;

const PEOPLE: &str = r#"
operations:
  - add_column: { table: users, column: { name: vip, type: boolean, nullable: false, default: "false" } }
  - rename_table: { from: users, to: people }
  - drop_table: { name: purchases }
"#;

const BASE: &str = "SELECT concat_ws('/', name, coalesce(age, -1)) FROM public_base.users WHERE id = $";
const ONE: &str = "SELECT concat_ws('/', first, last, age) FROM public_01_split.users WHERE id = $";
const TWO: &str = "SELECT concat_ws('/', first, family, age) FROM public_02_shout.users WHERE id = $";
const THREE: &str = "SELECT concat_ws('/', first, family, age, vip) FROM public_03_people.people WHERE id = $";

async fn at(bed: &Bed, query: &str, id: u32) -> String {
    bed.told(&query.replace('$', &id.to_string())).await
}

#[test]
fn the_live_version_goes_on_through_three_migrations_and_each_version_sees_every_write() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_split", SPLIT).await.unwrap();
        bed.expand("02_shout", SHOUT).await.unwrap();
        bed.expand("03_people", PEOPLE).await.unwrap();
        let versions = ["public_base", "public_01_split", "public_02_shout", "public_03_people"];
        let there = bed.migrator().await.versions().await.unwrap();
        assert_eq!(there.iter().map(switchover_migration::Ident::as_str).collect::<Vec<_>>(), versions);
        bed.session
            .batch_execute(
                "INSERT INTO public_base.users (name, age) VALUES ('Ann Base', 41);
                 INSERT INTO public_01_split.users (first, last, age) VALUES ('Bob', 'One', '42');
                 INSERT INTO public_02_shout.users (first, family, age) VALUES ('CID', 'Two', 'age 43');
                 INSERT INTO public_03_people.people (first, family, age, vip) VALUES ('DAN', 'Three', 'age 44', true);
                 UPDATE public_base.users SET name = 'Eve Base' WHERE id = 1;
                 UPDATE public_01_split.users SET first = 'Fay' WHERE id = 2;
                 UPDATE public_02_shout.users SET first = 'GUS' WHERE id = 3;
                 UPDATE public_03_people.people SET age = 'age 99' WHERE id = 4;
                 UPDATE users SET age = NULL WHERE id = 5;",
            )
            .await
            .unwrap();
        let all = [
            (3001, "Ann Base/41", "Ann/Base/41", "ANN/Base/age 41"),
            (3002, "Bob One/42", "Bob/One/42", "BOB/One/age 42"),
            (3003, "Cid Two/43", "Cid/Two/43", "CID/Two/age 43"),
            (3004, "Dan Three/44", "Dan/Three/44", "DAN/Three/age 44"),
            (1, "Eve Base/1", "Eve/Base/1", "EVE/Base/age 1"),
            (2, "Fay Last2/2", "Fay/Last2/2", "FAY/Last2/age 2"),
            (3, "Gus Last3/3", "Gus/Last3/3", "GUS/Last3/age 3"),
            (4, "First4 Last4/99", "First4/Last4/99", "FIRST4/Last4/age 99"),
            (5, "First5 Last5/-1", "First5/Last5/unknown", "FIRST5/Last5/age unknown"),
        ];
        for (id, base, one, two) in all {
            assert_eq!(at(&bed, BASE, id).await, base, "{id}");
            assert_eq!(at(&bed, ONE, id).await, one, "{id}");
            assert_eq!(at(&bed, TWO, id).await, two, "{id}");
        }

        bed.contract().await;
        assert!(bed.session.column("SELECT 1 FROM public_base.users").await.is_err(), "the oldest went");
        bed.session
            .batch_execute(
                "INSERT INTO public_01_split.users (first, last, age) VALUES ('Hal', 'One', '45');
                 INSERT INTO public_02_shout.users (first, family, age) VALUES ('IDA', 'Two', 'age 46');
                 UPDATE public_01_split.users SET age = '7' WHERE id = 3001;
                 UPDATE public_02_shout.users SET first = 'JAN' WHERE id = 3002;",
            )
            .await
            .unwrap();
        for (id, one, two) in [
            (3005, "Hal/One/45", "HAL/One/age 45"),
            (3006, "Ida/Two/46", "IDA/Two/age 46"),
            (3001, "Ann/Base/7", "ANN/Base/age 7"),
            (3002, "Jan/One/42", "JAN/One/age 42"),
        ] {
            assert_eq!(at(&bed, ONE, id).await, one, "{id}");
            assert_eq!(at(&bed, TWO, id).await, two, "{id}");
        }

        let done = bed.migrator().await.contract_to("03_people", &mut |_| {}).await.unwrap();
        assert_eq!(done.len(), 2);
        assert_eq!(at(&bed, THREE, 3002).await, "JAN/One/age 42/f");
        assert_eq!(
            bed.told("SELECT concat_ws('/', first, family, age, vip) FROM people WHERE id = 3004").await,
            "DAN/Three/age 44/t"
        );
        bed.session
            .batch_execute("INSERT INTO public_03_people.people (first, family, age) VALUES ('KIM', 'Three', 'age 1')")
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT count(*) FROM pg_trigger WHERE tgname ~ 'switchover'").await, "0");
    });
}

#[test]
fn all_expanded_migrations_are_undone_newest_first_in_one_go() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let before = dump(&bed.url).await;
        for (name, text) in [("01_split", SPLIT), ("02_shout", SHOUT), ("03_people", PEOPLE)] {
            bed.expand(name, text).await.unwrap();
        }
        let done = bed.migrator().await.undo_to("01_split", &mut |_| {}).await.unwrap();
        assert_eq!(done.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["03_people", "02_shout"]);
        bed.session
            .batch_execute("INSERT INTO public_01_split.users (first, last, age) VALUES ('Ann', 'One', '41')")
            .await
            .unwrap();
        assert_eq!(at(&bed, BASE, 3001).await, "Ann One/41");
        bed.migrator().await.undo_to("base", &mut |_| {}).await.unwrap();
        bed.session.batch_execute("INSERT INTO users (name) VALUES ('Old One')").await.unwrap();
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
    });
}

#[test]
fn a_file_edited_after_its_expand_is_done_anew_and_one_edited_after_its_contract_refused() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let add = |value: &str| {
            format!(
                "operations: [{{add_column: {{table: users, up: \"'{value}'\", column: {{name: kind, type: text}}}}}}]"
            )
        };
        bed.expand("01_kind", &add("first")).await.unwrap();
        let mut told = Vec::new();
        let applied = bed
            .migrator()
            .await
            .expand(&migration("01_kind", &add("second")), &mut |progress| told.push(progress))
            .await
            .unwrap();
        assert_eq!(applied.phase, Phase::Expanded);
        assert!(told.contains(&Progress::Edited { name: "01_kind".to_owned() }), "{told:?}");
        assert_eq!(bed.told("SELECT DISTINCT kind FROM public_01_kind.users").await, "second");

        // What stands on it is not taken away unless it comes back with it.
        bed.expand("02_shout", "operations: [{rename_column: {table: users, from: kind, to: sort}}]").await.unwrap();
        let refused = bed.expand("01_kind", &add("third")).await;
        assert!(
            matches!(&refused, Err(MigrateError::Refused(why)) if why[0].code == "MIGRATION-EDITED"),
            "{refused:?}"
        );
        bed.migrator().await.contract_to("02_shout", &mut |_| {}).await.unwrap();
        let refused = bed.expand("01_kind", &add("third")).await;
        assert!(
            matches!(&refused, Err(MigrateError::Refused(why)) if why[0].code == "MIGRATION-EDITED"),
            "{refused:?}"
        );
    });
}

#[test]
fn a_column_by_which_older_rows_are_told_is_not_dropped_before_contract() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_split", SPLIT).await.unwrap();
        let drop = "operations: [{drop_column: {table: users, column: first, down: \"'x'\"}}]";
        let refused = bed.expand("02_drop", drop).await;
        assert!(
            matches!(&refused, Err(MigrateError::Refused(why)) if why[0].code == "STANDS-ON-PENDING"),
            "{refused:?}"
        );
    });
}

#[test]
fn a_contract_below_newer_versions_that_is_broken_off_at_any_step_goes_on() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_split", SPLIT).await.unwrap();
        bed.expand("02_shout", SHOUT).await.unwrap();
        bed.session
            .batch_execute(
                "CREATE TABLE stop_after (steps integer);
                 INSERT INTO stop_after VALUES (0);
                 CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF (SELECT count(*) FROM switchover.step WHERE phase = 'contracting') >= (SELECT steps FROM stop_after)
                    THEN RAISE EXCEPTION 'stopped'; END IF;
                    RETURN NEW; END $$;
                 CREATE TRIGGER stop BEFORE INSERT ON switchover.step FOR EACH ROW WHEN (NEW.phase = 'contracting') EXECUTE FUNCTION stop();
                 CREATE TRIGGER stop BEFORE UPDATE ON switchover.migration FOR EACH ROW WHEN (NEW.phase = 'contracted') EXECUTE FUNCTION stop();",
            )
            .await
            .unwrap();
        let mut tries = 0;
        while let Err(error) = bed.migrator().await.contract(&mut |_| {}).await {
            assert!(error.to_string().contains("stopped"), "{error}");
            tries += 1;
            assert!(tries < 30, "it never ends");
            // Both versions go on, whichever step it was.
            bed.session
                .batch_execute(
                    "INSERT INTO public_01_split.users (first, last, age) VALUES ('Ann', 'One', '41');
                     INSERT INTO public_02_shout.users (first, family, age) VALUES ('BOB', 'Two', 'age 42');
                     UPDATE stop_after SET steps = steps + 1",
                )
                .await
                .unwrap();
        }
        assert!(tries > 3, "it was stopped {tries} times");
        let one = "SELECT string_agg(DISTINCT concat_ws('/', first, last, age), ',') FROM public_01_split.users WHERE id > 3000";
        assert_eq!(bed.told(one).await, "Ann/One/41,Bob/Two/42");
        let two = "SELECT string_agg(DISTINCT concat_ws('/', first, family, age), ',') FROM public_02_shout.users WHERE id > 3000";
        assert_eq!(bed.told(two).await, "ANN/One/age 41,BOB/Two/age 42");
        bed.undo().await;
        assert_eq!(bed.told(one).await, "Ann/One/41,Bob/Two/42");
    });
}
