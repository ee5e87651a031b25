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
