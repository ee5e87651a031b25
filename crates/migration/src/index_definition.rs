//! `CREATE INDEX` as the database writes it: taken apart, over other columns, and for one partition.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use squawk_syntax::SyntaxKind::UNIQUE_KW;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode as _};

use crate::lint::Name;
use crate::version::OURS;
use crate::{Ident, QualifiedName, reference, sql};

/// An index that is built beside running writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexBuild {
    /// The index.
    pub index: QualifiedName,
    /// Its table.
    pub on: QualifiedName,
    /// Whether the table is partitioned: then each partition gets a part of the index first.
    pub partitioned: bool,
    /// Whether it is a unique one.
    pub unique: bool,
    /// What `CREATE INDEX` takes after the table: method, columns and all else.
    pub rest: String,
}

impl IndexBuild {
    /// As the database's own `definition` has it (`pg_get_indexdef`).
    #[must_use]
    pub fn of(definition: &str, index: &QualifiedName, on: &QualifiedName, partitioned: bool) -> Self {
        // Before the method there are names alone.
        let mut quoted = false;
        let method = definition.char_indices().find(|(at, letter)| {
            quoted ^= *letter == '"';
            !quoted && definition[*at..].starts_with(" USING ")
        });
        Self {
            index: index.clone(),
            on: on.clone(),
            partitioned,
            unique: definition.starts_with("CREATE UNIQUE "),
            rest: method.map_or_else(String::new, |(at, _)| definition[at + 1..].to_owned()),
        }
    }

    /// The statement for a table that is not partitioned.
    #[must_use]
    pub fn sql(&self) -> String {
        format!("CREATE {}INDEX CONCURRENTLY {} ON {} {}", self.kind(), self.index.name, self.on, self.rest)
    }

    /// The statement for a partitioned table alone: the index is complete once each partition has its own part of it.
    #[must_use]
    pub fn sql_of_parent(&self) -> String {
        format!("CREATE {}INDEX {} ON ONLY {} {}", self.kind(), self.index.name, self.on, self.rest)
    }

    /// The part of the index that a partition has, under a name of ours until the index takes it over.
    #[must_use]
    pub fn part(&self, partition: &QualifiedName) -> Self {
        let index = QualifiedName::new(&partition.schema, &loose_part(&partition.name, &self.index.name));
        Self { index, on: partition.clone(), partitioned: false, ..self.clone() }
    }

    fn kind(&self) -> &'static str {
        if self.unique { "UNIQUE " } else { "" }
    }
}

/// What a partition calls its part of an index or constraint of the whole table.
#[must_use]
pub fn part_name(partition: &Ident, whole: &Ident) -> Ident {
    whole.prefixed(&format!("{}_", partition.as_str()))
}

/// What the name of a part begins with until the whole takes it over.
#[must_use]
pub fn loose_prefix() -> String {
    format!("{OURS}part_")
}

/// What it is called, under a name of ours, until the whole takes it over.
#[must_use]
pub fn loose_part(partition: &Ident, whole: &Ident) -> Ident {
    part_name(partition, whole).prefixed(&loose_prefix())
}

/// The index that the database's own `definition` makes, as `name` and over columns replaced as `columns` says. Everything
/// else (order, collations, operator classes, storage, predicate) stays byte by byte.
///
/// Errors: why the definition was not understood.
pub(crate) fn rebuilt(
    definition: &str,
    name: &Ident,
    columns: &BTreeMap<Ident, Ident>,
    partitioned: bool,
) -> Result<IndexBuild, String> {
    let parsed = sql::parse("", definition, "").map_err(|(_, cause)| cause)?;
    let create = parsed.root.descendants().find_map(ast::CreateIndex::cast).ok_or("it is no CREATE INDEX")?;
    let relation = create.table_relation_name().ok_or("it has no table")?;
    let table = Name::first_in(relation.syntax()).ok_or("its table has no name")?;
    let schema = table.schema.ok_or("its table has no schema")?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
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
    let mut rest = String::new();
    let mut from = usize::from(relation.syntax().text_range().end());
    for (range, new) in edits {
        rest.push_str(&whole[from..range.start]);
        rest.push_str(&new);
        from = range.end;
    }
    rest.push_str(&whole[from..parsed.end]);
    Ok(IndexBuild {
        index: QualifiedName::new(&schema, name),
        on: QualifiedName::new(&schema, &table.name),
        partitioned,
        unique: create.syntax().children_with_tokens().any(|element| element.kind() == UNIQUE_KW),
        rest: rest.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};

    use super::{IndexBuild, rebuilt};
    use crate::{Ident, QualifiedName};

    fn check(definition: &str, expected: &Expect) {
        let name = |name: &str| Ident::new(name).unwrap();
        let columns = BTreeMap::from([(name("name"), name("new")), (name("Other"), name("N\"ew"))]);
        expected.assert_eq(&rebuilt(definition, &name("ours"), &columns, false).unwrap().sql());
    }

    #[test]
    fn everything_but_the_columns_stays() {
        check(
            "CREATE INDEX by_name ON public.users USING btree (name)",
            &expect![[r#"CREATE INDEX CONCURRENTLY "ours" ON "public"."users" USING btree ("new")"#]],
        );
        check(
            r#"CREATE UNIQUE INDEX "by Name" ON public.users USING btree (lower(name) text_pattern_ops DESC NULLS LAST, "Other" COLLATE "C", age) INCLUDE (name, age) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE ((name IS NOT NULL) AND (age > 3))"#,
            &expect![[
                r#"CREATE UNIQUE INDEX CONCURRENTLY "ours" ON "public"."users" USING btree (lower("new") text_pattern_ops DESC NULLS LAST, "N""ew" COLLATE "C", age) INCLUDE ("new", age) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE (("new" IS NOT NULL) AND (age > 3))"#
            ]],
        );
        check(
            "CREATE INDEX i ON public.name USING gin (to_tsvector('english'::regconfig, name), ((name)::text) gin_trgm_ops)",
            &expect![[
                r#"CREATE INDEX CONCURRENTLY "ours" ON "public"."name" USING gin (to_tsvector('english'::regconfig, "new"), (("new")::text) gin_trgm_ops)"#
            ]],
        );
    }
    #[test]
    fn names_may_look_like_the_method() {
        let name = |name: &str| QualifiedName::new(&Ident::new("public").unwrap(), &Ident::new(name).unwrap());
        let definition = r#"CREATE INDEX "a USING b" ON ONLY public."c"" USING " USING hash (d) WHERE (e = ' USING ')"#;
        let build = IndexBuild::of(definition, &name("a USING b"), &name("c\" USING "), true);
        expect![[
            r#"CREATE INDEX CONCURRENTLY "a USING b" ON "public"."c"" USING " USING hash (d) WHERE (e = ' USING ')"#
        ]]
        .assert_eq(&build.sql());
    }

    #[test]
    fn a_partition_has_a_part_of_its_own() {
        let name = |name: &str| Ident::new(name).unwrap();
        let whole = "CREATE UNIQUE INDEX once ON ONLY public.events USING btree (at, what DESC)";
        let whole = rebuilt(whole, &name("once"), &BTreeMap::new(), true).unwrap();
        expect![[r#"CREATE UNIQUE INDEX "once" ON ONLY "public"."events" USING btree (at, what DESC)"#]]
            .assert_eq(&whole.sql_of_parent());
        let part = whole.part(&QualifiedName::new(&name("old"), &name("events 1")));
        expect![[
            r#"CREATE UNIQUE INDEX CONCURRENTLY "_switchover_part_events 1_once" ON "old"."events 1" USING btree (at, what DESC)"#
        ]]
        .assert_eq(&part.sql());
    }
}
