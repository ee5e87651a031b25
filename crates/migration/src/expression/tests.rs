use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::Expression;
use crate::{Ident, is_type};

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn names(idents: &BTreeSet<Ident>) -> String {
    idents.iter().map(Ident::as_str).collect::<Vec<_>>().join(" ")
}

/// The expression's columns, those that are not sure behind a `?`, and its text with each column `x` as `new x`.
#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(text: &str, expect: Expect) {
    let told = match Expression::parse(text) {
        Ok(expression) => {
            let columns = expression.columns();
            let map = columns.iter().map(|name| (name.clone(), ident(&format!("new {}", name.as_str())))).collect();
            let unsure = expression.unsure();
            let unsure = if unsure.is_empty() { String::new() } else { format!(" ? {}", names(&unsure)) };
            format!("{}{unsure}\n{}", names(&columns), expression.renamed(&map))
        }
        Err(why) => why.to_string(),
    };
    expect.assert_eq(&told);
}

#[test]
fn columns_are_renamed_and_nothing_else() {
    check(
        "name",
        expect![[r#"
        name
        "new name""#]],
    );
    check(
        "  Name || ' name' ",
        expect![[r#"
        name
        "new name" || ' name'"#]],
    );
    check(
        "\"Name\" || users.name || public.users.name",
        expect![[r#"
        Name name
        "new Name" || users."new name" || public.users."new name""#]],
    );
    check(
        "\"a\"\"b\" + a",
        expect![[r#"
        a a"b
        "new a""b" + "new a""#]],
    );
    check(
        "coalesce(name, lower(email)::text) -- the name",
        expect![[r#"
        email name
        coalesce("new name", lower("new email")::text)"#]],
    );
    check(
        "/* name */ name /* name */ + 1 -- name",
        expect![[r#"
        name
        "new name" /* name */ + 1"#]],
    );
    check(
        "name::name || name 'name' || $q$name$q$ || E'\\'name'",
        expect![[r#"
        name
        "new name"::name || name 'name' || $q$name$q$ || E'\'name'"#]],
    );
    check(
        "make_date(year => year, month := month, day => 1)",
        expect![[r#"
        month year
        make_date(year => "new year", month := "new month", day => 1)"#]],
    );
    check(
        "extract(year from created) + year",
        expect![[r#"
        created year
        extract(year from "new created") + "new year""#]],
    );
    check(
        "name collate \"name\" < current_user || user || \"user\"",
        expect![[r#"
        name user
        "new name" collate "name" < current_user || user || "new user""#]],
    );
    check(
        "(home).street || home || tags[number] || data->>'name'",
        expect![[r#"
        data home number tags
        ("new home").street || "new home" || "new tags"["new number"] || "new data"->>'name'"#]],
    );
    check(
        "case kind when 'kind' then amount else -amount end",
        expect![[r#"
        amount kind
        case "new kind" when 'kind' then "new amount" else -"new amount" end"#]],
    );
    check(
        "count(*) filter (where name is not null) over (partition by kind order by name)",
        expect![[r#"
        kind name
        count(*) filter (where "new name" is not null) over (partition by "new kind" order by "new name")"#]],
    );
    check(
        "cast(amount as numeric(10, 2)) at time zone zone",
        expect![[r#"
        amount zone
        cast("new amount" as numeric(10, 2)) at time zone "new zone""#]],
    );
    check(
        "row(name, users.*)",
        expect![[r#"
        name
        row("new name", users.*)"#]],
    );
    check(
        "schema.function(name) operator(pg_catalog.+) größe",
        expect![[r#"
        größe name
        schema.function("new name") operator(pg_catalog.+) "new größe""#]],
    );
    check(
        "type || value || \"order\"",
        expect![[r#"
        order type value
        "new type" || "new value" || "new order""#]],
    );
}

#[test]
fn a_query_within_keeps_its_own_tables() {
    check(
        "SELECT CASE WHEN name IS NULL THEN 'x' ELSE name END",
        expect![[r#"
        name
        (SELECT CASE WHEN "new name" IS NULL THEN 'x' ELSE "new name" END)"#]],
    );
    check(
        "(SELECT max(o.total) FROM orders o WHERE o.user_id = users.id)",
        expect![[r#"
        id
        (SELECT max(o.total) FROM orders o WHERE o.user_id = users."new id")"#]],
    );
    check(
        "(SELECT max(total) FROM orders WHERE orders.user_id = users.id)",
        expect![[r#"
        id ? total
        (SELECT max(total) FROM orders WHERE orders.user_id = users."new id")"#]],
    );
    check(
        "(SELECT string_agg(tag, ',') FROM unnest(tags) AS tag) || name",
        expect![[r#"
        name tags ? tag
        (SELECT string_agg(tag, ',') FROM unnest("new tags") AS tag) || "new name""#]],
    );
    check(
        "(SELECT a.x FROM a JOIN LATERAL f(a.y, z) AS b ON a.i = users.i)",
        expect![[r#"
        i ? z
        (SELECT a.x FROM a JOIN LATERAL f(a.y, z) AS b ON a.i = users."new i")"#]],
    );
    check(
        "exists (select from users where users.name = name)",
        expect![[r#"
         ? name
        exists (select from users where users.name = name)"#]],
    );
    check(
        "values (name)",
        expect![[r#"
        name
        (values ("new name"))"#]],
    );
    check(
        "(select a) union select b",
        expect![[r#"
        a b
        ((select "new a") union select "new b")"#]],
    );
}

#[test]
fn what_is_not_one_value_is_refused() {
    check("", expect!["there is no expression"]);
    check("  -- nothing\n", expect!["it is no SQL expression: `-` does not fit here"]);
    check("a, b", expect!["it is not one value"]);
    check("a) + (b", expect!["it is no SQL expression: `)` closes what it did not open"]);
    check("a); DROP TABLE users; SELECT (1", expect!["it is no SQL expression: `)` closes what it did not open"]);
    check("a; DROP TABLE users", expect!["it is no SQL expression: `;` does not fit here"]);
    check("a) FROM users WHERE (true", expect!["it is no SQL expression: `)` closes what it did not open"]);
    check("a) x, (b", expect!["it is no SQL expression: `)` closes what it did not open"]);
    check("'open", expect!["it is no SQL expression: missing trailing `'` symbol to terminate the string literal"]);
    check("\"open", expect![[r#"it is no SQL expression: missing trailing " to terminate the quoted identifier"#]]);
    check("$q$open", expect!["it is no SQL expression: unterminated dollar quoted string literal"]);
    check("/* open", expect!["it is no SQL expression: missing trailing `*/` symbols to terminate the block comment"]);
    check(
        "/* /* */ open",
        expect!["it is no SQL expression: missing trailing `*/` symbols to terminate the block comment"],
    );
    check("a b", expect!["it is no SQL expression: `b` does not fit here"]);
    check("a +", expect!["it is no SQL expression: it ends too early"]);
    check("a AS b", expect!["it is no SQL expression: `AS` does not fit here"]);
    check("a ORDER BY b", expect!["it is no SQL expression: `ORDER` does not fit here"]);
    check("*", expect!["it is no SQL expression: invalid operator."]);
    check("users.*, 1", expect!["it is not one value"]);
    check("DEFAULT", expect!["it is no SQL expression: dEFAULT is not allowed in this context"]);
    check("$1", expect!["it is no SQL expression: `$1` stands for no value here"]);
    check(":name", expect!["it is no SQL expression: there is no parameter here"]);
    check("a \\ b", expect![[r#"it is no SQL expression: `\` does not fit here"#]]);
    check("a\0", expect!["it is no SQL expression: a NUL character stands in it"]);
    check(
        "(WITH gone AS (DELETE FROM users RETURNING 1) SELECT 1)",
        expect!["it holds a DELETE: an expression only reads"],
    );
    check("(SELECT 1 INTO made)", expect!["it is no SQL expression: sELECT ... INTO is not allowed here"]);
    check("DROP TABLE users", expect!["it is no SQL expression: `TABLE` does not fit here"]);
    check("U&\"d\\0061ta\" + 1", expect![[r#"write the name U&"d\0061ta" without U&"#]]);
    check(
        &format!("a{}", "b".repeat(63)),
        expect![
            "`abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` is longer than 63 bytes, the database would cut it"
        ],
    );
}

#[test]
fn what_would_take_the_stack_is_refused() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let texts = [
        nested("(", "1", ")", 65),
        nested("f(", "1", ")", 65),
        nested("not ", "a", "", 501),
        nested("- ", "a", "", 501),
        nested("with as ", "a", "", 501),
        nested("a = ", "b", "", 501),
        nested("case when a then b else ", "c", " end", 300),
        nested("a[", "1", "]", 10_000),
        nested("", "a", ".a", 600),
        nested("a", "", "", super::sql::LONGEST_TEXT + 1),
    ];
    for text in &texts {
        let why = Expression::parse(text).unwrap_err().to_string();
        assert!(why.contains("more than") || why.contains("longer than"), "{why}");
    }
    // All at once, as much as is read, on the stack that a test has.
    let deep = nested("f(", &nested("not ", &nested("a = ", "b", "", 230), "", 230), ")", 64);
    Expression::parse(&deep).unwrap();
    let deep = nested("(select ", &nested("not ", "a", "", 430), ")", 64);
    Expression::parse(&deep).unwrap();
}

#[test]
fn only_a_column_is_a_column() {
    let is = |text: &str, column: &str| Expression::parse(text).unwrap().is_column(&ident(column));
    for text in ["name", " NAME ", "(name)", "((users.name)) -- it", "\"name\"", "public.users.name"] {
        assert!(is(text, "name"), "{text}");
    }
    for text in
        ["\"Name\"", "name || ''", "name::text", "lower(name)", "name[1]", "(name).name", "(select name)", "users"]
    {
        assert!(!is(text, "name"), "{text}");
    }
    assert!(!is("current_user", "current_user"));
    assert!(is("\"current_user\"", "current_user"));
}

#[test]
fn a_query_gets_its_brackets_and_a_comment_at_the_end_goes() {
    let sql = |text: &str| Expression::parse(text).unwrap().as_sql().to_owned();
    assert_eq!(sql(" select a -- it\n"), "(select a)");
    assert_eq!(sql("(select a)"), "(select a)");
    assert_eq!(sql("a -- first\n + b -- last"), "a -- first\n + b");
}

#[test]
fn types_are_types_and_nothing_else() {
    let types = [
        "int",
        "bigserial",
        "varchar(255)",
        "character varying(10)",
        "double precision",
        "numeric(10, 2)",
        "numeric(3,-1)",
        "timestamp(3) with time zone",
        "time without time zone",
        "interval day to second",
        "bit varying(3)",
        "text[]",
        "int[3][]",
        "int array",
        "shop.\"Kind\"",
        "geometry(Point, 4326)",
        "\"char\"",
        " uuid ",
        "jsonb",
    ];
    for text in types {
        assert!(is_type(text), "{text}");
    }
    let others = [
        "",
        "int; DROP TABLE users",
        "int) + (1",
        "int DEFAULT 1",
        "int NOT NULL",
        "int, b int",
        "int + 1",
        "setof int",
        "int -- it",
        "int /* it */",
        "text COLLATE \"C\"",
        "users.id%TYPE",
        "numeric((select 1))",
        "varchar(f(1))",
        "int)",
        "'int'",
        "1",
        "int::text",
        "int[",
        "int a",
        "$1",
        "text[(select 1)]",
    ];
    for text in others {
        assert!(!is_type(text), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_out_or_breaks_down(text in "[a-c1 ().,;'\"\\[\\]$/*+-]{0,40}") {
        if let Ok(expression) = Expression::parse(&text) {
            // What was read once reads the same in brackets, and again by itself.
            prop_assert_eq!(expression.renamed(&BTreeMap::new()), expression.as_sql());
            let again = Expression::parse(expression.as_sql()).unwrap();
            prop_assert_eq!(&again, &expression);
            let inner = Expression::parse(&format!("f(({}), 1)", expression.as_sql())).unwrap();
            prop_assert_eq!(inner.columns(), expression.columns());
        }
    }

    #[test]
    fn a_rename_and_its_reverse_meet(name in "[a-z\"A-Z .;'()-]{1,20}", other in "[a-zA-Z\"' ]{1,20}") {
        let (from, to) = (ident(&name), ident(&format!("{other} 2")));
        let expression = Expression::parse(&format!("coalesce({from}, 'x') || f({from}) || '{}'", name.replace('\'', "''"))).unwrap();
        prop_assert_eq!(expression.columns(), BTreeSet::from([from.clone()]));
        let renamed = Expression::parse(&expression.renamed(&BTreeMap::from([(from.clone(), to.clone())]))).unwrap();
        prop_assert_eq!(renamed.columns(), BTreeSet::from([to.clone()]));
        prop_assert_eq!(renamed.renamed(&BTreeMap::from([(to, from)])), expression.as_sql());
    }
}
