//! Behind PgBouncer in transaction pooling: each version of the app has a line of its own there, as `docs/database.md` says, and
//! shares no session's settings with the other.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, run};
use switchover_testkit::postgres::{Pooler, Server, Session};

const SPLIT: &str = "
operations:
  - add_column: {table: users, up: \"split_part(name, ' ', 1)\", column: {name: first, type: text, nullable: false}}
  - add_column: {table: users, up: \"split_part(name, ' ', 2)\", column: {name: last, type: text, nullable: false}}
  - drop_column: {table: users, column: name, down: \"first || ' ' || last\"}
";

/// Clients of each version, and what each of them writes: more clients than sessions, so that these go round.
const CLIENTS: usize = 8;
const WRITES: usize = 40;

/// The line of each version, as the page on the database writes it.
fn lines(versions: &[&str]) -> Vec<(String, String)> {
    let line = |version: &&str| ((*version).to_owned(), format!("SET search_path = \"{version}\", public"));
    versions.iter().map(line).collect()
}

/// One client of a version: writes in transactions of two statements, and reads back what it wrote.
async fn work(url: String, client: usize, is_new: bool) {
    let session = Session::open(&url).await;
    for number in 0..WRITES {
        let name = format!("{}{client} N{number}", if is_new { "New" } else { "Old" });
        let (first, last) = name.split_once(' ').unwrap();
        let written = if is_new {
            format!("INSERT INTO users (first, last) VALUES ('{first}', '{last}') RETURNING id")
        } else {
            format!("INSERT INTO users (name) VALUES ('{name}') RETURNING id")
        };
        session.batch_execute("BEGIN").await.unwrap();
        let id = session.column(&written).await.unwrap()[0].clone().unwrap();
        let read = if is_new { "first || ' ' || last" } else { "name" };
        let told = session.column(&format!("SELECT {read} FROM users WHERE id = {id}")).await.unwrap();
        session.batch_execute("COMMIT").await.unwrap();
        assert_eq!(told, [Some(name)]);
    }
}

#[test]
fn both_versions_work_through_a_pooler_that_keeps_no_session_for_anyone() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_split", SPLIT).await.unwrap();
        let server = Server::shared(major).unwrap();
        let pooler = Pooler::start(server, &bed.url, &lines(&["public_base", "public_01_split"]));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            clients.push(tokio::spawn(work(pooler.url("public_base"), client, false)));
            clients.push(tokio::spawn(work(pooler.url("public_01_split"), client, true)));
        }
        for client in clients {
            client.await.unwrap_or_else(|error| panic!("{error}\n{}", pooler.log()));
        }
        let all = (3000 + 2 * CLIENTS * WRITES).to_string();
        assert_eq!(bed.told("SELECT count(*) FROM users").await, all);
        let differing = "SELECT count(*) FROM public_base.users AS old JOIN public_01_split.users AS new USING (id) WHERE old.name <> new.first || ' ' || new.last";
        assert_eq!(bed.told(differing).await, "0");
        let new_ones = "SELECT count(*) FROM public_base.users WHERE name LIKE 'New%'";
        assert_eq!(bed.told(new_ones).await, (CLIENTS * WRITES).to_string());

        // What a URL's options would set is refused there, not lost without a word.
        let url = format!("{}?options=-csearch_path%3Dpublic_01_split", pooler.url("public_base"));
        let error = Session::try_open(&url).await.expect_err("it takes no options");
        let told = format!("{error:?}");
        assert!(told.contains("startup parameter"), "{told}");

        // The older line goes with the older version; the newer one works on after contract.
        drop(pooler);
        bed.contract().await;
        let pooler = Pooler::start(server, &bed.url, &lines(&["public_01_split"]));
        work(pooler.url("public_01_split"), CLIENTS, true).await;
    });
}
