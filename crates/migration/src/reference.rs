//! Which names of an expression are columns of the row that it reads.

use std::ops::Range;

use squawk_syntax::SyntaxKind::{
    CALL_EXPR, FIELD_EXPR, FROM_CLAUSE, FUNCTION_FROM_ITEM, IDENT, NAME_REF, PAREN_FROM_ITEM, RELATION_NAME_REF,
    SELECT, STAR, TABLE_ALIAS,
};
use squawk_syntax::{SyntaxNode, SyntaxToken};

use crate::Ident;

/// Words that are values, not columns: the database keeps them for itself, a column of such a name needs quotes.
const VALUE_WORDS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

/// One place where a column is named.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The bytes of the column's name alone, without the table before it.
    pub(crate) at: Range<usize>,
    /// The same with the table before it.
    pub(crate) whole: Range<usize>,
    /// The column, as the database has it.
    pub(crate) column: Ident,
    /// No query within the expression has tables of its own that it could belong to.
    pub(crate) is_sure: bool,
}

/// The columns that `value` names, in order, at their places in its file.
pub(crate) fn columns(value: &SyntaxNode) -> Result<Vec<Reference>, String> {
    let mut references = Vec::new();
    for name in value.descendants().filter(|node| node.kind() == NAME_REF) {
        let Some(token) = name.first_token() else { continue };
        if is_value_word(&token) {
            continue;
        }
        let whole = outermost_path(&name);
        if !is_end_of(&name, &whole) || is_called(&whole) {
            continue;
        }
        let is_sure = match qualifier(&name)? {
            Some(Qualifier::Table(table)) if own_tables(&whole, value)?.contains(&Some(table.clone())) => continue,
            Some(Qualifier::Table(_)) => true,
            Some(Qualifier::Value) => continue,
            None => own_tables(&whole, value)?.is_empty(),
        };
        let at = usize::from(token.text_range().start())..usize::from(token.text_range().end());
        let begin = whole.first_token().map_or(at.start, |first| usize::from(first.text_range().start()));
        let whole = begin.min(at.start)..at.end;
        references.push(Reference { at, whole, column: ident(&token)?, is_sure });
    }
    Ok(references)
}

/// What stands before a name's dot.
enum Qualifier {
    Table(Ident),
    /// A value whose field it is, such as `(home).street`.
    Value,
}

fn qualifier(name: &SyntaxNode) -> Result<Option<Qualifier>, String> {
    let Some(field) = name.parent().filter(|parent| parent.kind() == FIELD_EXPR) else { return Ok(None) };
    let Some(base) = field.first_child().filter(|base| base != name) else { return Ok(None) };
    let is_path = base.descendants().all(|node| matches!(node.kind(), FIELD_EXPR | NAME_REF));
    match base.last_token() {
        Some(table) if is_path && table.kind() != STAR => ident(&table).map(|table| Some(Qualifier::Table(table))),
        _ => Ok(Some(Qualifier::Value)),
    }
}

/// The whole of `schema.table.column` around one of its names.
fn outermost_path(name: &SyntaxNode) -> SyntaxNode {
    let mut whole = name.clone();
    while let Some(parent) = whole.parent().filter(|parent| parent.kind() == FIELD_EXPR) {
        whole = parent;
    }
    whole
}

/// Whether `name` is the last of the path: the column, and not the table before it.
fn is_end_of(name: &SyntaxNode, whole: &SyntaxNode) -> bool {
    name.text_range().end() == whole.text_range().end()
}

fn is_called(whole: &SyntaxNode) -> bool {
    whole.parent().is_some_and(|parent| parent.kind() == CALL_EXPR && parent.first_child().as_ref() == Some(whole))
}

fn is_value_word(token: &SyntaxToken) -> bool {
    token.kind() != IDENT && VALUE_WORDS.iter().any(|word| token.text().eq_ignore_ascii_case(word))
}

/// The tables and aliases that `name` could belong to in the queries between it and the whole `value`; nothing for one
/// without a name. What is named within a FROM sees only what stands before it there.
fn own_tables(name: &SyntaxNode, value: &SyntaxNode) -> Result<Vec<Option<Ident>>, String> {
    let mut tables = Vec::new();
    let queries = name.ancestors().take_while(|node| node != value).chain([value.clone()]);
    for query in queries.filter(|node| node.kind() == SELECT) {
        for from in query.children().filter(|node| node.kind() == FROM_CLAUSE) {
            let is_within = from.text_range().contains_range(name.text_range());
            let is_before = |node: &SyntaxNode| !is_within || node.text_range().end() <= name.text_range().start();
            for node in from.descendants().filter(is_before) {
                match node.kind() {
                    // A table's alias hides its name; both are taken, since neither can be the row's table then.
                    RELATION_NAME_REF | TABLE_ALIAS => {
                        tables.push(node.last_token().map(|token| ident(&token)).transpose()?);
                    }
                    FUNCTION_FROM_ITEM | PAREN_FROM_ITEM => tables.push(None),
                    _ => {}
                }
            }
        }
    }
    Ok(tables)
}

/// The name that a token means: folded to lower case, or as quoted.
pub(crate) fn ident(token: &SyntaxToken) -> Result<Ident, String> {
    let text = token.text();
    if text.len() > 2 && text[..2].eq_ignore_ascii_case("u&") {
        return Err(format!("write the name {text} without U&"));
    }
    let name = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    };
    Ident::new(name).map_err(|why| why.to_string())
}
