//! SQL text that is no value: types, collations, options of sequences and indexes, as a file gives them.
//!
//! Each is read in the one place of a statement where it may stand, so that nothing else can come in with it.

use squawk_syntax::SyntaxKind::{
    ARG, ARRAY_BOUND, ARRAY_TYPE, BIT_TYPE, BIT_VARYING_TYPE, CAST_EXPR, CHARACTER_TYPE, COMMENT, DOUBLE_TYPE,
    INTERVAL_TYPE, LITERAL, NAME_REF, PATH_TYPE, PREFIX_EXPR, SETOF_KW, TIME_TYPE, TIMESTAMP_TYPE, VARCHAR_TYPE,
};

use crate::sql;

/// Whether `text` is a type and nothing else: `int`, `varchar(255)`, `timestamp(3) with time zone`, `shop."Kind"[]`.
#[must_use]
pub fn is_type(text: &str) -> bool {
    let Ok(parsed) = sql::parse("SELECT (NULL::", text, ")") else { return false };
    let Some(cast) = parsed.root.descendants().find(|node| node.kind() == CAST_EXPR) else { return false };
    let Some(kind) = cast.last_child() else { return false };
    let types = [
        ARRAY_TYPE,
        BIT_TYPE,
        BIT_VARYING_TYPE,
        CHARACTER_TYPE,
        DOUBLE_TYPE,
        INTERVAL_TYPE,
        PATH_TYPE,
        TIMESTAMP_TYPE,
        TIME_TYPE,
        VARCHAR_TYPE,
    ];
    let covers_all = parsed.words().all(|word| kind.text_range().contains_range(word.text_range()));
    let is_clean = parsed.tokens().all(|token| !matches!(token.kind(), COMMENT | SETOF_KW));
    let arguments_are_plain =
        kind.descendants().filter(|node| matches!(node.kind(), ARG | ARRAY_BOUND)).all(|argument| {
            argument
                .descendants()
                .all(|node| matches!(node.kind(), ARG | ARRAY_BOUND | LITERAL | NAME_REF | PREFIX_EXPR))
        });
    types.contains(&kind.kind()) && covers_all && is_clean && arguments_are_plain
}

/// Text that goes into a statement as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// What may stand in `GENERATED ALWAYS AS IDENTITY (...)`.
    SequenceOptions,
    /// What may stand in `WITH (...)` of an index.
    StorageParameters,
    /// A collation's name.
    Collation,
    /// An operator class's name.
    OperatorClass,
    /// What may stand in the brackets after an operator class.
    OperatorParameters,
    /// What may stand in `EXCLUDE USING gist (...)`.
    ExclusionElements,
    /// An index method's name.
    IndexMethod,
}

impl Fragment {
    /// Whether `text` is one, and nothing else.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        let (before, after) = self.around();
        let parsed = sql::parse(before, text, after).map_err(|(_, cause)| cause)?;
        if parsed.words().next().is_none() {
            return Err("there is nothing in it".to_owned());
        }
        if parsed.tokens().any(|token| token.kind() == COMMENT) {
            return Err("a comment stands in it".to_owned());
        }
        let is_name = matches!(self, Self::Collation | Self::OperatorClass | Self::IndexMethod);
        if is_name && !is_a_name(text) { Err("it is no name".to_owned()) } else { Ok(()) }
    }

    fn around(self) -> (&'static str, &'static str) {
        match self {
            Self::SequenceOptions => ("CREATE TABLE t (c int GENERATED ALWAYS AS IDENTITY (", "))"),
            Self::StorageParameters => ("CREATE INDEX i ON t (c) WITH (", ")"),
            Self::Collation => ("SELECT (c COLLATE", ")"),
            Self::OperatorClass => ("CREATE INDEX i ON t (c", ")"),
            Self::OperatorParameters => ("CREATE INDEX i ON t (c o (", "))"),
            Self::ExclusionElements => ("ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (", ")"),
            Self::IndexMethod => ("CREATE INDEX i ON t USING", "(c)"),
        }
    }
}

/// Whether `text` is a name, qualified or not.
fn is_a_name(text: &str) -> bool {
    sql::parse("DROP COLLATION", text, "CASCADE").is_ok_and(|parsed| parsed.words().all(|word| word.text() != ","))
}
