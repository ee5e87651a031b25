//! `CREATE INDEX` as the database writes it, over other columns and under another name.

use std::collections::BTreeMap;
use std::ops::Range;

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode as _};

use crate::{Ident, reference, sql};

/// The statement that builds the index of `definition` beside running writes as `name`, with columns replaced as
/// `columns` says. Everything else (order, collations, operator classes, storage, predicate) stays byte by byte.
///
/// Errors: why the definition was not understood.
pub(crate) fn rebuilt(definition: &str, name: &Ident, columns: &BTreeMap<Ident, Ident>) -> Result<String, String> {
    let parsed = sql::parse("", definition, "").map_err(|(_, cause)| cause)?;
    let create = parsed.root.descendants().find_map(ast::CreateIndex::cast).ok_or("it is no CREATE INDEX")?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let place = |node: &SyntaxNode| usize::from(node.text_range().start())..usize::from(node.text_range().end());
    let old = create.index().ok_or("it has no name")?;
    edits.push((place(old.syntax()), format!("CONCURRENTLY {name}")));
    let items = create.partition_item_list().into_iter().flat_map(|list| list.partition_items());
    let mut values: Vec<SyntaxNode> =
        items.filter_map(|item| item.expr()).map(|value| value.syntax().clone()).collect();
    values.extend(create.where_clause().map(|clause| clause.syntax().clone()));
    for value in &values {
        for reference in reference::columns(value)? {
            if let Some(column) = columns.get(&reference.column) {
                edits.push((reference.whole.clone(), column.to_string()));
            }
        }
    }
    if let Some(include) = create.index_include_clause() {
        for token in include.syntax().descendants_with_tokens().filter_map(squawk_syntax::SyntaxElement::into_token) {
            let column = reference::ident(&token).ok().and_then(|name| columns.get(&name));
            if let Some(column) = column {
                let range = usize::from(token.text_range().start())..usize::from(token.text_range().end());
                edits.push((range, column.to_string()));
            }
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let whole = parsed.root.text().to_string();
    let mut text = String::new();
    let mut from = parsed.start;
    for (range, new) in edits {
        text.push_str(&whole[from..range.start]);
        text.push_str(&new);
        from = range.end;
    }
    text.push_str(&whole[from..parsed.end]);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};

    use super::rebuilt;
    use crate::Ident;

    fn check(definition: &str, expected: &Expect) {
        let name = |name: &str| Ident::new(name).unwrap();
        let columns = BTreeMap::from([(name("name"), name("new")), (name("Other"), name("N\"ew"))]);
        expected.assert_eq(&rebuilt(definition, &name("ours"), &columns).unwrap());
    }

    #[test]
    fn everything_but_the_columns_stays() {
        check(
            "CREATE INDEX by_name ON public.users USING btree (name)",
            &expect![[r#"CREATE INDEX CONCURRENTLY "ours" ON public.users USING btree ("new")"#]],
        );
        check(
            r#"CREATE UNIQUE INDEX "by Name" ON public.users USING btree (lower(name) text_pattern_ops DESC NULLS LAST, "Other" COLLATE "C", age) INCLUDE (name, age) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE ((name IS NOT NULL) AND (age > 3))"#,
            &expect![[
                r#"CREATE UNIQUE INDEX CONCURRENTLY "ours" ON public.users USING btree (lower("new") text_pattern_ops DESC NULLS LAST, "N""ew" COLLATE "C", age) INCLUDE ("new", age) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE (("new" IS NOT NULL) AND (age > 3))"#
            ]],
        );
        check(
            "CREATE INDEX i ON public.name USING gin (to_tsvector('english'::regconfig, name), ((name)::text) gin_trgm_ops)",
            &expect![[
                r#"CREATE INDEX CONCURRENTLY "ours" ON public.name USING gin (to_tsvector('english'::regconfig, "new"), (("new")::text) gin_trgm_ops)"#
            ]],
        );
    }
}
