//! What the table of keys is made of.

use crate::time::Span;

use super::Part;
use super::text_rule::TextRule;

/// The most instances a process type may have in a slot.
pub const MAX_INSTANCES: u32 = 100;
/// The most revisions that may be kept on disk.
pub const MAX_KEPT_REVISIONS: u32 = 100;
/// The shortest interval between two health questions.
pub(super) const SHORTEST_INTERVAL: Span = Span::from_millis(10);
/// The longest of any duration in the file: what is longer is a mistake in the unit.
pub(super) const LONGEST_SPAN: Span = Span::from_secs(366 * 24 * 3600);

/// One key of the file.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// How it is written, as a whole line or table header.
    pub(super) example: &'static str,
    /// What holds when it is not written, as it would be written (without quotes); nothing when it is required or has no value then.
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
    /// Whether it belongs to the revision or to the policy of the app.
    pub(super) part: Part,
    pub(super) doc: &'static str,
}

/// What a key's value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A text that keeps a rule.
    Text(TextRule),
    /// One text or a list of them.
    TextOrList(TextRule),
    /// A list of texts.
    List(TextRule),
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Whole { least: u32, most: u32 },
    /// A whole number from 1 on, or a text that keeps a rule.
    CountOrText { most: u32, rule: TextRule },
    /// A duration with its unit.
    Duration { least: Span },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a table with these keys.
    WordOrTable { known: &'static [&'static str], keys: &'static [Key] },
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
    /// A table of tables: the name of each is a process name.
    Processes(&'static [Key]),
    /// A table of environment variables.
    Environment,
    /// A key of the design that is not carried out yet; `instead` says what to do today.
    Later { instead: &'static str },
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    part: Part,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, example, default, required: false, part, doc }
}

pub(super) const fn required(mut key: Key) -> Key {
    key.required = true;
    key
}

pub(super) const fn later(name: &'static str, example: &'static str, instead: &'static str) -> Key {
    key(name, Kind::Later { instead }, Part::Policy, None, example, "")
}
