//! A rule that the newer version brings: refused to the older one, or accepted and named before contract, as the app chooses.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::collections::BTreeSet;

use bed::{Bed, of_the_app, run};
use switchover_postgres::MigrateError;
use switchover_testkit::postgres::dump;

const TABLES: &str = "
CREATE TABLE t (id int PRIMARY KEY, a text, low int, high int);
INSERT INTO t SELECT n, CASE WHEN n <> 7 THEN 'a' || n END, n, n + 1 FROM generate_series(1, 20) AS n;
";
const RULES: &str = r#"
operations:
  - alter_column: { table: t, column: a, nullable: false, up: a, down: a }
  - create_constraint: { table: t, name: ordered, type: check, columns: [low, high], check: low < high, up: { low: low, high: high }, down: { low: low, high: high } }
"#;

#[test]
fn what_only_the_new_rules_forbid_is_accepted_of_the_older_version_and_holds_contract_up() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.expand_and_accept("01_rules", RULES).await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO t VALUES (30, NULL, 5, 1); UPDATE t SET a = NULL WHERE id = 3; UPDATE t SET low = 99 WHERE id = 4;
                 INSERT INTO public_01_rules.t VALUES (31, 'x', 1, 2); UPDATE public_01_rules.t SET a = 'mended' WHERE id = 7;",
            )
            .await
            .unwrap();
        for refused in [
            "INSERT INTO public_01_rules.t VALUES (32, NULL, 1, 2)",
            "INSERT INTO public_01_rules.t VALUES (32, 'x', 2, 1)",
            "UPDATE public_01_rules.t SET a = NULL WHERE id = 9",
            "UPDATE public_01_rules.t SET high = 0 WHERE id = 9",
        ] {
            assert!(bed.session.batch_execute(refused).await.is_err(), "{refused}");
        }
        let held = bed.migrator().await.contract(&mut |_| {}).await;
        let Err(MigrateError::Found { keys, .. }) = held else { panic!("{held:?}") };
        assert_eq!(keys.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["3", "30"]));
        bed.session
            .batch_execute("UPDATE t SET a = 'given' WHERE a IS NULL; UPDATE t SET low = 0 WHERE low > high")
            .await
            .unwrap();
        bed.contract().await;
        for refused in ["INSERT INTO t VALUES (40, NULL, 1, 2)", "INSERT INTO t VALUES (40, 'x', 2, 1)"] {
            assert!(bed.session.batch_execute(refused).await.is_err(), "{refused}");
        }
        assert_eq!(
            bed.told("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'").await,
            "ordered"
        );
    });
}

#[test]
fn undo_of_accepted_rules_leaves_nothing() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let before = dump(&bed.url).await;
        bed.expand_and_accept("01_rules", RULES).await.unwrap();
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
    });
}

#[test]
fn a_rule_over_several_rows_can_not_be_had_for_one_version_and_the_refusal_says_why() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let unique = "operations:\n  - create_constraint: { table: t, name: once, type: unique, columns: [a], up: { a: a }, down: { a: a } }\n";
        let result = bed.expand_and_accept("01_once", unique).await;
        let Err(MigrateError::Refused(problems)) = result else { panic!("{result:?}") };
        assert_eq!(problems[0].code, "OLD-ROWS-NOT-ACCEPTED");
    });
}
