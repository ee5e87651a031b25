//! Pictures for people: from the answers of the daemon to lines of text. Nothing here prints.

pub(crate) mod boxes;
pub(crate) mod history;
pub(crate) mod moment;
pub(crate) mod receipt;
pub(crate) mod release;
mod schema;
mod shadow;
pub(crate) mod status;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;
pub(crate) mod wrap;
