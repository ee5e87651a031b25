//! Carries plans of schema changes out on PostgreSQL: step by step, each noted in the database in the transaction that
//! makes it, so that a run that was broken off goes on where it was.
//!
//! Promises: a lock that an application can meet is waited for 40 ms at a time and with a deadline, and who holds it up is
//! named; rows are brought in step in small batches that wait for nobody; one migrator at a time; a secret in a URL is
//! never shown.
//! Must never: decide what a migration means (that is `switchover-migration`), change rows outside of a plan.
//! Begin reading at [`Migrator`], then `run.rs` and `backfill.rs`.

mod backfill;
mod bystanders;
mod catalog;
mod connection;
mod error;
mod fence;
mod goal;
mod migrator;
mod notes;
mod parts;
mod probe;
mod rights;
mod run;
mod statements;
mod store;
mod tls;
mod told;
mod tree;

pub use connection::{ConnectError, Database};
pub use goal::PostgresSchema;
pub use migrator::{
    InTheWay, MigrateError, Migrator, Observation, Progress, Purge, Refusal, Session, Settings, Use, application_name,
};
pub use store::{Applied, Entry, Phase};
