//! What the clients do: two versions of an application, and how much of them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A version of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that is live before the change.
    Old,
    /// The one that comes with it.
    New,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Old, Self::New];

    pub(super) fn place(self) -> usize {
        match self {
            Self::Old => 0,
            Self::New => 1,
        }
    }
}

/// What a row holds: who wrote it last, and the number that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The version that wrote.
    pub by: Side,
    /// What it wrote; no two writes have the same number.
    pub number: u64,
}

/// One version's statements. In each `$1` is the row's key (`int8`), `$2` the text that [`Application::writes`] made.
#[derive(Clone)]
pub struct Application {
    /// The schemas in which it finds its tables, as `search_path` has them.
    pub search_path: String,
    /// Inserts one row, such as `INSERT INTO users (id, name) VALUES ($1, $2)`.
    pub insert: String,
    /// Updates one row.
    pub update: String,
    /// Reads one row, by key, as one column of type text.
    pub select: String,
    /// Deletes one row.
    pub delete: String,
    /// The text that stands for a number: `$2` of insert and update.
    pub writes: Arc<dyn Fn(u64) -> String + Send + Sync>,
    /// What `select` must read after a write, also after one of the other version.
    pub reads: Arc<dyn Fn(Write) -> String + Send + Sync>,
}

impl Application {
    /// An application of `table (id, column)`, a text column that reads as it was written: `value 7`.
    ///
    /// Names go into the statements as they are: quote what needs quotes.
    #[must_use]
    pub fn of(search_path: &str, table: &str, column: &str) -> Self {
        Self {
            search_path: search_path.to_owned(),
            insert: format!("INSERT INTO {table} (id, {column}) VALUES ($1, $2)"),
            update: format!("UPDATE {table} SET {column} = $2 WHERE id = $1"),
            select: format!("SELECT {column} FROM {table} WHERE id = $1"),
            delete: format!("DELETE FROM {table} WHERE id = $1"),
            writes: Arc::new(|number| format!("value {number}")),
            reads: Arc::new(|write| format!("value {}", write.number)),
        }
    }
}

/// How long a client keeps a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparing {
    /// As long as its connection: the statement is held across changes of the schema.
    Once,
    /// For one execution.
    EachTime,
}

/// How much the clients do. [`Load::new`] has the bounds that most tests want.
#[derive(Clone)]
pub struct Load {
    /// The database.
    pub url: String,
    /// The old version of the application.
    pub old: Application,
    /// The new version.
    pub new: Application,
    /// How many clients; each has a connection to every version in use.
    pub clients: usize,
    /// The rate of all of them together. What could not be done in a stall is done after it.
    pub operations_per_second: u32,
    /// The most operations; then the clients wait for their end.
    pub most_operations: u64,
    /// The longest that they work.
    pub lasts_at_most: Duration,
    /// The rows that were there before: the one with key `k` as if the old version had written the number `k`.
    pub seeded: Range<i64>,
    /// How long statements stay prepared.
    pub preparing: Preparing,
    /// Where their random choices begin; the same seed chooses the same.
    pub seed: u64,
}

impl Load {
    /// Eight clients, 200 operations a second, at most 100,000 of them and ten minutes, on an empty table.
    #[must_use]
    pub fn new(url: &str, old: Application, new: Application) -> Self {
        Self {
            url: url.to_owned(),
            old,
            new,
            clients: 8,
            operations_per_second: 200,
            most_operations: 100_000,
            lasts_at_most: Duration::from_secs(600),
            seeded: 0..0,
            preparing: Preparing::Once,
            seed: 1,
        }
    }

    pub(super) fn application(&self, side: Side) -> &Application {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }
}
