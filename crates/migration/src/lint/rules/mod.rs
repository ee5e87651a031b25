//! The rules, one a file: what it finds, why, and the two-phase way to write it.

mod backfill;
mod changed_default;
mod changed_type;
mod constraint_not_valid_first;
mod dropped_column;
mod dropped_constraint;
mod dropped_default;
mod dropped_index;
mod dropped_not_null;
mod dropped_table;
mod enum_value_used;
mod index_not_concurrent;
mod new_check;
mod new_foreign_key;
mod new_not_null;
mod new_unique;
mod no_lock_timeout;
mod renamed_column;
mod renamed_enum_value;
mod renamed_table;
mod required_column;
mod rewrites_table;
mod several_tables_locked;
mod two_columns;
mod unread_code;
mod volatile_default;

use super::Kind;
use super::act::Act;
use super::finding::Said;
use super::scene::Scene;
use super::statement::Statement;

/// One rule.
pub(crate) struct Rule {
    /// As it is written in findings and comments.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it says about one thing that a statement does.
    pub(crate) check: fn(&Scene<'_>, &Statement, &Act) -> Option<Said>,
}

/// All of them.
pub(crate) const RULES: &[Rule] = &[
    backfill::RULE,
    changed_default::RULE,
    changed_type::RULE,
    constraint_not_valid_first::RULE,
    dropped_column::RULE,
    dropped_constraint::RULE,
    dropped_default::RULE,
    dropped_index::RULE,
    dropped_not_null::RULE,
    dropped_table::RULE,
    enum_value_used::RULE,
    index_not_concurrent::RULE,
    new_check::RULE,
    new_foreign_key::RULE,
    new_not_null::RULE,
    new_unique::RULE,
    no_lock_timeout::RULE,
    renamed_column::RULE,
    renamed_enum_value::RULE,
    renamed_table::RULE,
    required_column::RULE,
    rewrites_table::RULE,
    several_tables_locked::RULE,
    unread_code::RULE,
    volatile_default::RULE,
];

/// `name` as a person writes it.
fn written(name: &crate::Ident) -> String {
    super::name::written(name)
}

/// The same for a text, cut to what the database takes.
fn written_text(name: &str) -> String {
    let cut: String = name.chars().take(60).collect();
    crate::Ident::new(cut).map_or_else(|_| "name".to_owned(), |name| super::name::written(&name))
}

/// The name of what is made for a column or a constraint: the one that stands there, else one of the table and `end`.
fn name_or(table: &super::name::Name, given: Option<&crate::Ident>, end: &str) -> String {
    given.map_or_else(|| written_text(&format!("{}_{end}", table.name.as_str())), written)
}

/// Columns as a list.
fn listed(columns: &[crate::Ident]) -> String {
    columns.iter().map(written).collect::<Vec<_>>().join(", ")
}
