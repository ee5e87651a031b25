//! The names under which we keep things of our own beside the app's: until contract, and in the attic after it.

use crate::version::OURS;
use crate::{Ident, Literal, QualifiedName};

/// A name of ours for a column, check or the like that stands in for one of the app's until contract.
pub(super) fn ours(number: u32, name: &Ident) -> Ident {
    name.prefixed(&format!("{OURS}{number}_"))
}

/// The name under which what contract or undo takes away is kept.
pub(super) fn attic(number: u32, name: &Ident) -> Ident {
    name.prefixed(&attic_prefix(number))
}

/// Our column that is NULL in rows that were made after contract.
pub(super) fn kept_mark(number: u32) -> Ident {
    ours(number, &Ident::new("kept").expect("a name"))
}

pub(super) fn attic_prefix(number: u32) -> String {
    format!("{OURS}attic_{number}_")
}

/// The statements that keep a table under a name of ours, its indexes too, and without its ties to other tables.
pub(super) fn put_table_aside(number: u32, on: &QualifiedName, table: &Ident) -> Vec<String> {
    let (whole, prefix) = (on.to_string(), attic_prefix(number));
    vec![
        format!("SELECT switchover.set_apart({}, {})", Literal(&whole), Literal(&prefix)),
        format!("ALTER TABLE {on} RENAME TO {}", attic(number, table)),
    ]
}
