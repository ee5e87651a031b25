//! The journal: the append-only record of everything that was decided, and the only truth of decisions.
//!
//! What it is: the [`Journal`] trait, and [`SqliteJournal`], one file in the state directory.
//! Promises: an append is whole or not at all, durable when it returns, and refused when somebody else was faster; a
//! record is chained by its hash to the one before; what an older version wrote is still understood; one controller at
//! a time; a full disk never forbids going back (a reserve is kept for that).
//! Must never: change or remove a record, interpret what it stores, or let another room touch its files.
//! Begin reading at `journal` (the trait), then `store`, `tables` (the file) and `reserve` (the full disk).

mod chain;
mod event;
mod insert;
mod journal;
mod link;
mod lock;
mod owner;
mod reserve;
mod signs;
mod store;
mod tables;

pub use chain::{Broken, Verified};
pub use journal::{AppendError, Journal, ReadError, Snapshot};
pub use lock::{LockError, StateLock};
pub use owner::SqliteJournal;
pub use reserve::RESERVE_BYTES;
pub use tables::OpenError;
