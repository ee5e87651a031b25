//! One client: chooses an operation, does it through one version, and reads back through all that are in use.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Statement};

use super::plan::{Preparing, Side, Write};
use super::report::{ClientError, Difference, Operation, Stall};
use super::rows::Rows;
use super::{Orders, Shared};
use crate::postgres::session::Session;

/// The longest that one answer is waited for.
const ANSWERED: Duration = Duration::from_secs(60);
/// The pause after a connection that could not be made.
const AGAIN: Duration = Duration::from_millis(20);
/// The most rows of one client that are read once more at the end.
const MOST_READ_AT_THE_END: usize = 5000;
/// The rows of one [`Operation::UpdateSeveral`].
const SEVERAL: usize = 3;

/// Why there is no answer.
enum Failure {
    /// The server said no: nothing happened.
    Refused(tokio_postgres::Error),
    /// The way to the server was lost, or its answer, with its code where it had a last word: it may have happened.
    Lost(Option<String>, String),
}

struct Connection {
    session: Session,
    prepared: HashMap<String, Statement>,
}

pub(super) struct Client {
    place: usize,
    shared: Arc<Shared>,
    rows: Rows,
    connections: [Option<Connection>; 2],
    random: u64,
}

impl Client {
    pub(super) fn new(place: usize, shared: Arc<Shared>) -> Self {
        let load = &shared.load;
        let rows = Rows::of(place, load.clients, load.seeded.clone());
        let own = u64::try_from(place).expect("clients are few") + 1;
        let random = (load.seed ^ own.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1);
        Self { place, shared, rows, connections: [None, None], random }
    }

    /// Works until it is told to end, or the load's bounds are reached; then reads its rows once more.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Orders>) {
        let load = &self.shared.load;
        let clients = u32::try_from(load.clients).expect("clients are few");
        let period = Duration::from_secs(1) * clients / load.operations_per_second;
        // One after the other, not all at the same moment.
        let first = period * u32::try_from(self.place).expect("clients are few") / clients;
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let now = *orders.borrow_and_update();
            self.follow(now);
            if !now.go_on {
                break;
            }
            let is_over = self.shared.began.elapsed() > self.shared.load.lasts_at_most
                || self.shared.begun_operations.load(Ordering::Relaxed) >= self.shared.load.most_operations;
            tokio::select! {
                biased;
                changed = orders.changed() => if changed.is_err() { return },
                _ = ticks.tick(), if !is_over => self.operate(now).await,
            }
        }
        let now = *orders.borrow();
        for key in self.rows.touched().take(MOST_READ_AT_THE_END).collect::<Vec<_>>() {
            self.read_back(key, now).await;
        }
        self.follow(Orders { number: u64::MAX, is_used: [false; 2], go_on: false });
    }

    async fn operate(&mut self, orders: Orders) {
        let sides: Vec<Side> = Side::BOTH.into_iter().filter(|side| orders.is_used[side.place()]).collect();
        if sides.is_empty() || self.shared.begun_operations.fetch_add(1, Ordering::Relaxed) >= self.most() {
            return;
        }
        let side = sides[self.random_below(sides.len())];
        let keys = match self.random_below(100) {
            0..25 => self.insert(side).await,
            25..65 => self.update(side, 1).await,
            65..80 => self.update(side, SEVERAL).await,
            80..90 => self.delete(side).await,
            _ => self.some_key().into_iter().collect(),
        };
        self.shared.ledger.ended(side);
        for key in keys {
            self.read_back(key, orders).await;
        }
    }

    fn most(&self) -> u64 {
        self.shared.load.most_operations
    }

    async fn insert(&mut self, side: Side) -> Vec<i64> {
        let key = self.shared.next_key.fetch_add(1, Ordering::Relaxed);
        let application = self.shared.load.application(side);
        let (write, statement) = (self.next_write(side), application.insert.clone());
        let text = (application.writes)(write.number);
        let done = self.execute(side, Operation::Insert, &statement, &[&key, &text]).await;
        self.settle(side, &[(key, Some(write))], done);
        vec![key]
    }

    async fn delete(&mut self, side: Side) -> Vec<i64> {
        let Some(key) = self.some_key() else { return Vec::new() };
        let statement = self.shared.load.application(side).delete.clone();
        let done = self.execute(side, Operation::Delete, &statement, &[&key]).await;
        self.settle(side, &[(key, None)], done);
        vec![key]
    }

    async fn update(&mut self, side: Side, rows: usize) -> Vec<i64> {
        let mut keys = Vec::new();
        for key in (0..rows).filter_map(|_| self.some_key()).collect::<Vec<_>>() {
            // In the order in which they were chosen: transactions of users have no order either.
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let statement = self.shared.load.application(side).update.clone();
        let writes: Vec<_> = keys.iter().map(|key| (*key, self.next_write(side))).collect();
        let operation = if rows == 1 { Operation::Update } else { Operation::UpdateSeveral };
        let mut done = Ok(0);
        if rows > 1 {
            done = self.control(side, operation, "BEGIN").await;
        }
        for (key, write) in &writes {
            let text = (self.shared.load.application(side).writes)(write.number);
            done = match done {
                Ok(before) => self.execute(side, operation, &statement, &[key, &text]).await.map(|rows| before + rows),
                failed => failed,
            };
        }
        if rows > 1 {
            done = match done {
                Ok(changed) => self.control(side, operation, "COMMIT").await.map(|_| changed),
                Err(failure) => {
                    let _ = self.control(side, operation, "ROLLBACK").await;
                    Err(failure)
                }
            };
        }
        let rows: Vec<_> = writes.into_iter().map(|(key, write)| (key, Some(write))).collect();
        self.settle(side, &rows, done);
        keys
    }

    /// Remembers what the rows hold after an answer, or without one.
    fn settle(&mut self, side: Side, rows: &[(i64, Option<Write>)], done: Result<u64, bool>) {
        let count = u64::try_from(rows.len()).unwrap_or_default();
        // Where an earlier answer was lost, a row may rightly not be there.
        let is_certain = rows.iter().all(|(key, row)| {
            let expected = self.rows.expected(*key);
            expected.len() == 1 && (expected[0].is_some() || row.is_some())
        });
        match done {
            Ok(changed) if changed == count => {
                self.shared.ledger.acknowledged(count);
                for (key, row) in rows {
                    self.rows.is_now(*key, *row);
                }
            }
            Ok(changed) => {
                for (key, row) in rows {
                    if is_certain {
                        let found = format!("{changed} of {count} rows changed");
                        self.differs(side, *key, found);
                    }
                    self.rows.may_be(*key, *row);
                }
            }
            Err(may_have_happened) => {
                for (key, row) in rows.iter().filter(|_| may_have_happened) {
                    self.rows.may_be(*key, *row);
                }
            }
        }
    }

    /// Reads a row through every version in use; what one of them saw is what the next must see.
    async fn read_back(&mut self, key: i64, orders: Orders) {
        for side in Side::BOTH.into_iter().filter(|side| orders.is_used[side.place()]) {
            let application = self.shared.load.application(side);
            let (statement, reads) = (application.select.clone(), Arc::clone(&application.reads));
            let rows = self.ask(side, Operation::Select, &statement, async |session, prepared| {
                session.query(&prepared, &[&key]).await
            });
            let Ok(rows) = rows.await else { continue };
            self.shared.ledger.checked();
            let texts: Result<Vec<Option<String>>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let expected = self.rows.expected(key);
            let matching = match texts.as_deref() {
                Ok([]) => expected.iter().find(|row| row.is_none()),
                Ok([Some(text)]) => expected.iter().find(|row| row.is_some_and(|write| reads(write) == *text)),
                Ok(_) | Err(_) => None,
            };
            match matching {
                Some(row) => self.rows.is_now(key, *row),
                None => self.differs(side, key, format!("{texts:?}")),
            }
        }
    }

    // === Asking the server ===

    /// How many rows changed, or whether it may have happened all the same.
    async fn execute(
        &mut self,
        side: Side,
        operation: Operation,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, bool> {
        let done = async |session: &Session, prepared: Statement| session.execute(&prepared, parameters).await;
        self.ask(side, operation, statement, done).await
    }

    async fn control(&mut self, side: Side, operation: Operation, statement: &str) -> Result<u64, bool> {
        if statement == "ROLLBACK" && self.connections[side.place()].is_none() {
            return Ok(0); // It went with the connection.
        }
        self.answer(side, operation, statement, async |connection: &mut Connection| {
            connection.session.batch_execute(statement).await.map(|()| 0)
        })
        .await
    }

    async fn ask<T>(
        &mut self,
        side: Side,
        operation: Operation,
        statement: &str,
        question: impl AsyncFnOnce(&Session, Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, bool> {
        let preparing = self.shared.load.preparing;
        self.answer(side, operation, statement, async |connection: &mut Connection| {
            let prepared = connection.prepared(statement, preparing).await?;
            question(&connection.session, prepared).await
        })
        .await
    }

    /// Asks, measures and records; the error says whether it may have happened.
    async fn answer<T>(
        &mut self,
        side: Side,
        operation: Operation,
        statement: &str,
        question: impl AsyncFnOnce(&mut Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, bool> {
        let mut connection = match self.connections[side.place()].take() {
            Some(connection) => connection,
            None => self.connect(side).await?,
        };
        let begun = Instant::now();
        let answer = within(ANSWERED, question(&mut connection)).await;
        let shared = &self.shared;
        shared.ledger.took(Stall { took: begun.elapsed(), at: shared.began.elapsed(), by: side, operation });
        let failure = match answer {
            Ok(answer) => {
                self.connections[side.place()] = Some(connection);
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let may_have_happened = matches!(failure, Failure::Lost(..));
        self.failed(side, operation, statement, &failure);
        if !may_have_happened {
            self.connections[side.place()] = Some(connection);
        }
        Err(may_have_happened)
    }

    async fn connect(&self, side: Side) -> Result<Connection, bool> {
        let load = &self.shared.load;
        let mut config: Config = load.url.parse().expect("a URL of a database");
        config.application_name(match side {
            Side::Old => "client of the old version",
            Side::New => "client of the new version",
        });
        config.options(format!("-c search_path={}", as_option(&load.application(side).search_path)));
        match within(ANSWERED, Session::connect(&config)).await {
            Ok(session) => Ok(Connection { session, prepared: HashMap::new() }),
            Err(failure) => {
                self.failed(side, Operation::Connect, "", &failure);
                tokio::time::sleep(AGAIN).await;
                Err(false)
            }
        }
    }

    /// Has connections to the versions in use alone, and says so.
    fn follow(&mut self, orders: Orders) {
        for side in Side::BOTH.into_iter().filter(|side| !orders.is_used[side.place()]) {
            self.connections[side.place()] = None;
        }
        self.shared.follows[self.place].store(orders.number, Ordering::Release);
    }

    // === Recording and choosing ===

    fn failed(&self, by: Side, operation: Operation, statement: &str, failure: &Failure) {
        let (sqlstate, message) = match failure {
            Failure::Refused(error) => {
                let message = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
                (error.code().map(|code| code.code().to_owned()), message)
            }
            Failure::Lost(code, message) => (code.clone(), message.clone()),
        };
        let at = self.shared.began.elapsed();
        let statement = statement.to_owned();
        self.shared.ledger.failed(ClientError { at, by, operation, statement, sqlstate, message });
    }

    fn differs(&self, by: Side, key: i64, found: String) {
        let (at, expected) = (self.shared.began.elapsed(), self.rows.expected(key));
        self.shared.ledger.differs(Difference { at, by, key, expected, found });
    }

    fn next_write(&self, by: Side) -> Write {
        Write { by, number: self.shared.next_number.fetch_add(1, Ordering::Relaxed) }
    }

    fn some_key(&mut self) -> Option<i64> {
        let random = self.random();
        self.rows.some(random)
    }

    fn random_below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from(self.random() % bound).expect("a small number")
    }

    /// Numbers that look random and are the same in every run (xorshift64*, Vigna 2016).
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}

impl Connection {
    async fn prepared(&mut self, statement: &str, preparing: Preparing) -> Result<Statement, tokio_postgres::Error> {
        if let Some(prepared) = self.prepared.get(statement) {
            return Ok(prepared.clone());
        }
        let types: &[Type] = if statement.contains("$2") { &[Type::INT8, Type::TEXT] } else { &[Type::INT8] };
        let prepared = self.session.prepare_typed(statement, types).await?;
        if preparing == Preparing::Once {
            self.prepared.insert(statement.to_owned(), prepared.clone());
        }
        Ok(prepared)
    }
}

/// The answer, or why there is none. An answer that ends the session may come after the deed.
async fn within<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let is_refusal = error.as_db_error().is_some_and(|said| said.severity() == "ERROR");
            if is_refusal {
                return Err(Failure::Refused(error));
            }
            let code = error.code().map(|code| code.code().to_owned());
            Err(Failure::Lost(code, format!("{error:?}")))
        }
        Err(_) => Err(Failure::Lost(None, format!("no answer in {limit:?}"))),
    }
}

/// `text` as one word of a connection's `options`: spaces and backslashes stand after a backslash.
fn as_option(text: &str) -> String {
    text.chars().flat_map(|one| (one == '\\' || one.is_whitespace()).then_some('\\').into_iter().chain([one])).collect()
}
