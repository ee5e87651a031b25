//! Pictures for people: from the answers of the daemon to lines of text. Nothing here prints.

pub(crate) mod boxes;
pub(crate) mod checks;
pub(crate) mod experiment;
pub(crate) mod experiment_page;
pub(crate) mod history;
mod hooks;
pub(crate) mod moment;
pub(crate) mod receipt;
pub(crate) mod release;
mod schema;
pub(crate) mod shadow;
pub(crate) mod status;
pub(crate) mod steps;
#[cfg(test)]
mod steps_tests;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;
pub(crate) mod wrap;
