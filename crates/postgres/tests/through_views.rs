//! What the linter says of an app's statements is what real servers do with them on a version's views.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; figures are told")]

mod bed;

use bed::{Bed, SHOP, run};
use switchover_migration::lint::through_views::findings;
use switchover_testkit::postgres::Major;

/// Statements, each tried by itself in a transaction that is given up.
const STATEMENTS: &[&str] = &[
    "COPY users (name) TO '/dev/null'",
    "COPY (SELECT * FROM users) TO '/dev/null'",
    "TRUNCATE orders",
    "MERGE INTO orders USING users ON orders.id = users.id WHEN MATCHED THEN UPDATE SET total = 1",
    "INSERT INTO orders (id) VALUES (1) ON CONFLICT ON CONSTRAINT orders_pkey DO NOTHING",
    "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = excluded.total RETURNING id",
    "INSERT INTO orders (id) VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO users (id, name) OVERRIDING SYSTEM VALUE VALUES (90000, 'x') RETURNING id",
    "DECLARE c CURSOR FOR SELECT * FROM orders FOR UPDATE; FETCH c; UPDATE orders SET total = 2 WHERE CURRENT OF c",
    "SELECT count(*) FROM users TABLESAMPLE SYSTEM (1)",
    "SELECT nextval('users_id_seq')",
    "SELECT nextval('public.users_id_seq'), lastval()",
    "SELECT xmin FROM users LIMIT 1",
    "SELECT ctid FROM users LIMIT 1",
    "SELECT u.*, count(*) FROM users u JOIN orders o ON o.id = u.id GROUP BY u.id",
    "SELECT u.id, u.name, count(*) FROM users u GROUP BY u.id",
    "SELECT u.id, count(*), max(name) FROM users u GROUP BY u.id",
    "SELECT id, name FROM users GROUP BY 1, 2",
    "SELECT * FROM users WHERE id = 1 FOR UPDATE SKIP LOCKED",
    "SELECT * FROM ONLY users WHERE id = 1 FOR NO KEY UPDATE",
    "LOCK TABLE users IN SHARE MODE",
    "UPDATE users AS u SET age = 2 FROM orders AS o WHERE o.id = u.id RETURNING u.age",
    "DELETE FROM users USING orders WHERE orders.id = users.id",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone",
    "SELECT 'users'::regclass",
    "PREPARE p AS SELECT * FROM users WHERE id = $1; EXECUTE p (1)",
    "SELECT users FROM users LIMIT 1",
    "TRUNCATE public.orders",
    "UPDATE orders SET total = DEFAULT WHERE id = 1",
    "INSERT INTO orders (id, total) VALUES (5, DEFAULT)",
    "WITH events_late AS (SELECT 1 AS at) SELECT * FROM events_late",
    "SELECT u.id, upper(u.name) FROM users u GROUP BY u.id",
    "SELECT u.id FROM users u GROUP BY u.id ORDER BY u.name",
    "SELECT u.id, count(*) AS n FROM users u GROUP BY u.id ORDER BY n, max(u.age)",
    "SELECT u.id FROM users u GROUP BY u.id HAVING u.age > 10",
    "TRUNCATE public_01_a.orders",
    "SELECT upper(u.name) AS n, count(*) FROM users u GROUP BY n",
    "SELECT u.id, current_date, count(*), covar_pop(u.age, u.age) FROM users u GROUP BY u.id",
    "SELECT xmin FROM public.users LIMIT 1",
    "SELECT * FROM events WHERE at > 1",
    "SELECT * FROM events_late WHERE at > 1",
    "INSERT INTO events_late VALUES (7)",
    "INSERT INTO public.events_late VALUES (7)",
];

#[test]
fn what_is_told_fails_and_what_is_not_told_works() {
    async fn tried(major: Major) {
        let events = "CREATE TABLE events (at int) PARTITION BY RANGE (at);
                      CREATE TABLE events_late PARTITION OF events FOR VALUES FROM (1) TO (100);";
        let Some(bed) = Bed::new(major, &format!("{SHOP}{events}")).await else { return };
        bed.expand("01_a", "operations: [{create_index: {name: i, table: users, columns: {age: {}}}}]").await.unwrap();
        let number: u32 = bed.told("SELECT current_setting('server_version_num')").await.parse().unwrap();
        let catalog = bed.migrator().await.catalog().await.unwrap();
        bed.session.batch_execute("INSERT INTO orders (id) VALUES (1), (2)").await.unwrap();
        for sql in STATEMENTS {
            bed.session.batch_execute("BEGIN; SET LOCAL search_path = \"public_01_a\"").await.unwrap();
            let works = bed.session.batch_execute(sql).await.is_ok();
            bed.session.batch_execute("ROLLBACK").await.unwrap();
            let told = findings(sql, "app.sql", Some(number / 10_000), Some(&catalog)).unwrap();
            assert_eq!(told.is_empty(), works, "{sql} on {number}: {told:#?}");
        }
        // NULL, and no error: the sequence is the table's.
        let serial = "SELECT pg_get_serial_sequence('users', 'id')";
        bed.session.batch_execute("SET search_path = \"public_01_a\"").await.unwrap();
        assert_eq!(bed.told(serial).await, "NULL");
        assert_eq!(findings(serial, "app.sql", None, Some(&catalog)).unwrap().len(), 1);
    }
    run(tried);
}

#[test]
fn the_statements_of_an_app_are_read_from_the_database_that_counts_them() {
    async fn counted(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        assert_eq!(bed.migrator().await.statements().await.unwrap(), None);
    }
    run(counted);
}
