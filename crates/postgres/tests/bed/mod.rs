//! A database of its own on a real server, and the phases by name.
#![allow(dead_code, reason = "not every test needs all of it")]

use switchover_migration::{Ident, Migration, parse};
use switchover_model::config::OldRows;
use switchover_postgres::{MigrateError, Migrator, Phase, Settings};
use switchover_testkit::postgres::{Major, Server, Session};

pub(crate) const SHOP: &str = "
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, age integer, email text);
CREATE TABLE orders (id bigint PRIMARY KEY, total integer NOT NULL DEFAULT 0);
INSERT INTO users (name, age) SELECT 'First' || n || ' Last' || n, n % 90 FROM generate_series(1, 3000) AS n;
";

pub(crate) struct Bed {
    pub(crate) url: String,
    pub(crate) session: Session,
}

impl Bed {
    pub(crate) async fn new(major: Major, tables: &str) -> Option<Self> {
        let Some(server) = Server::shared(major) else {
            println!("left out: SWITCHOVER_BEDS=none");
            return None;
        };
        let url = server.create_database().await;
        let session = Session::open(&url).await;
        session.batch_execute(tables).await.unwrap();
        Some(Self { url, session })
    }

    pub(crate) async fn migrator(&self) -> Migrator {
        connect(&self.url, Settings::default()).await.unwrap()
    }

    pub(crate) async fn expand(&self, name: &str, text: &str) -> Result<(), MigrateError> {
        let applied = self.migrator().await.expand(&migration(name, text), &mut |_| {}).await?;
        assert_eq!(applied.phase, Phase::Expanded);
        Ok(())
    }

    /// Where an older version's value that only a new rule forbids is accepted.
    pub(crate) async fn expand_and_accept(&self, name: &str, text: &str) -> Result<(), MigrateError> {
        let mut migrator = self.migrator().await.with_old_rows(OldRows::Accept);
        migrator.expand(&migration(name, text), &mut |_| {}).await.map(|_| ())
    }

    pub(crate) async fn contract(&self) {
        assert_eq!(self.migrator().await.contract(&mut |_| {}).await.unwrap().phase, Phase::Contracted);
    }

    /// Undoes a contract.
    pub(crate) async fn restore(&self) {
        assert_eq!(self.migrator().await.undo(&mut |_| {}).await.unwrap().phase, Phase::Expanded);
    }

    /// Why an expand is refused before anything is begun.
    pub(crate) async fn refused(&self, text: &str) -> String {
        let result = self.expand("01_refused", text).await;
        let Err(MigrateError::Refused(problems)) = result else { panic!("{text}: {result:?}") };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    pub(crate) async fn undo(&self) {
        assert_eq!(self.migrator().await.undo(&mut |_| {}).await.unwrap().phase, Phase::Undone);
    }

    /// The first column of what a statement gives.
    pub(crate) async fn told(&self, statement: &str) -> String {
        let rows = self.session.column(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        rows.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
    }
}

/// The lines of a dump that are about the app's own tables.
pub(crate) fn of_the_app(dump: &str) -> Vec<String> {
    let is_the_apps = |line: &&str| {
        line.contains(" public.")
            && !line.contains("_switchover_")
            && !line.contains("FROM")
            && !line.contains(" public_base.")
    };
    dump.lines().filter(is_the_apps).map(str::to_owned).collect()
}

/// A migrator, once the one before is gone; the server takes a moment to see that.
pub(crate) async fn connect(url: &str, settings: Settings) -> Result<Migrator, MigrateError> {
    for _ in 0..1_000 {
        match Migrator::connect(url, Ident::new("public").unwrap(), settings).await {
            Err(MigrateError::Busy(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            connected => return connected,
        }
    }
    panic!("a migrator keeps its place")
}

/// Why something is refused, by its code.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, MigrateError>) -> String {
    match result {
        Err(MigrateError::Refused(problems)) => problems[0].code.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn migration(name: &str, text: &str) -> Migration {
    parse(text, &format!("{name}.yaml")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

pub(crate) fn run<F: Future<Output = ()>>(test: impl Fn(Major) -> F) {
    for major in Major::ALL {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test(major));
    }
}
