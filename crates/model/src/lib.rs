//! The words of Switchover as types, its file, and the seams between its rooms.
//!
//! What it is: names, slots, revisions, stages, records, receipts, the parsed `switchover.toml`, and the traits
//! (`seam`, `schema`) through which the controller reaches a platform, a router or a database.
//! Promises: a value that exists is valid (parsed once, at the edge); every type that is journaled or sent over a wire
//! keeps understanding what older versions wrote.
//! Must never: do I/O, read a clock, know an async runtime, or depend on another room of this house.
//! Begin reading at `name`, then `record` (what can happen to an app) and `seam` (what can be asked of the world).

pub mod answer;
pub mod config;
pub mod decimal;
pub mod evidence;
pub mod experiment;
pub mod framework;
pub mod histogram;
pub mod hook_view;
pub mod name;
pub mod problem;
pub mod receipt;
pub mod record;
pub mod release;
pub mod revision;
pub mod schema;
pub mod seam;
mod share;
pub mod sizes;
pub mod time;
pub mod timeline;
pub mod url;
pub mod view;

pub use name::{
    AppName, CookieName, FieldName, FieldPath, Host, InstanceId, ProcessName, ReleaseId, RevisionId, Share, Slot,
};
pub use problem::Problem;
pub use share::ShareError;
pub use time::{Span, Timestamp};
pub use url::Url;
