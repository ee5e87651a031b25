//! The commands, one a file; the doc comment of each is its help.

pub(crate) mod abort;
pub(crate) mod apply;
pub(crate) mod apps;
pub(crate) mod completions;
pub(crate) mod db;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod experiment;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod inner;
pub(crate) mod judge;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod receipt;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod serve;

pub(crate) mod status;
pub(crate) mod steer;
pub(crate) mod traffic;
pub(crate) mod validate;
