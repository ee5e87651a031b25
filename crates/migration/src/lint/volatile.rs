//! Whether an expression may give another value for each row.

use squawk_syntax::SyntaxKind::CALL_EXPR;
use squawk_syntax::SyntaxNode;

/// Functions that give one value within a statement (PostgreSQL: `provolatile` is not `v`), as far as defaults use them. Any
/// other may be volatile: the parser can not know it.
const ONE_VALUE: &[&str] = &[
    "abs",
    "age",
    "array_append",
    "array_fill",
    "array_to_json",
    "ceil",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "current_setting",
    "date_part",
    "date_trunc",
    "daterange",
    "decode",
    "encode",
    "extract",
    "floor",
    "format",
    "greatest",
    "int4range",
    "int8range",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "make_date",
    "make_interval",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "now",
    "nullif",
    "numrange",
    "replace",
    "right",
    "round",
    "rpad",
    "sha256",
    "statement_timestamp",
    "string_to_array",
    "substr",
    "substring",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "trim",
    "trunc",
    "tsrange",
    "tstzrange",
    "upper",
];

pub(super) fn is_volatile(value: &SyntaxNode) -> bool {
    value.descendants().filter(|node| node.kind() == CALL_EXPR).any(|call| {
        let function = call.first_child().map(|name| name.text().to_string()).unwrap_or_default();
        let function = function.trim().to_ascii_lowercase();
        let function = function.strip_prefix("pg_catalog.").unwrap_or(&function);
        !ONE_VALUE.contains(&function)
    })
}

#[cfg(test)]
mod tests {
    use squawk_syntax::SourceFile;
    use squawk_syntax::ast::AstNode as _;

    #[test]
    fn a_default_that_may_differ_from_row_to_row_is_told_from_one_that_does_not() {
        for (default, expected) in [
            ("0", false),
            ("'new'::kind", false),
            ("now()", false),
            ("CURRENT_TIMESTAMP", false),
            ("now() + interval '1 day'", false),
            ("pg_catalog.now()", false),
            ("ARRAY[]::text[]", false),
            ("gen_random_uuid()", true),
            ("clock_timestamp()", true),
            ("nextval('s')", true),
            ("shop.next_number()", true),
            ("lower(md5(random()::text))", true),
        ] {
            let file = SourceFile::parse(&format!("SELECT {default}"));
            assert!(file.errors().is_empty(), "{default}");
            assert_eq!(super::is_volatile(file.tree().syntax()), expected, "{default}");
        }
    }
}
