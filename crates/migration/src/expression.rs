//! SQL expressions: the text of one value, read by a parser and rewritten by the places of its names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use squawk_syntax::SyntaxKind::{
    self, COMPOUND_SELECT, DELETE, FIELD_EXPR, INSERT, MERGE, NAME_REF, PAREN_EXPR, PAREN_SELECT, SELECT,
    SELECT_CLAUSE, SELECT_INTO, TABLE, TARGET, TARGET_LIST, UPDATE, VALUES,
};
use squawk_syntax::SyntaxNode;

use crate::reference::{self, Reference};
use crate::{Ident, sql};

/// The SQL text of one value, such as `coalesce(name, '?')`.
///
/// Guarantees: the whole text is one expression, so inside of brackets it can end nothing and begin nothing. It ends in
/// no comment. A `SELECT` written without brackets has them here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    sql: String,
    references: Vec<Reference>,
    /// It is nothing but its one reference.
    is_bare_column: bool,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnExpression {
    /// Nothing in it but space and comments.
    #[error("there is no expression")]
    Empty,
    /// Several values, or a list of them.
    #[error("it is not one value")]
    NotOneValue,
    /// It would change data.
    #[error("it holds {0}: an expression only reads")]
    Writes(&'static str),
    /// The parser does not take it.
    #[error("it is no SQL expression: {cause}")]
    Syntax {
        /// Byte of the text where that was found.
        at: usize,
        /// What the parser says.
        cause: String,
    },
    /// A name that the database would not keep as it is.
    #[error("{0}")]
    Name(String),
}

impl Expression {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, NotAnExpression> {
        let parsed = match sql::parse("SELECT (", text, ")") {
            Ok(parsed) => parsed,
            Err(_) if text.trim().is_empty() => return Err(NotAnExpression::Empty),
            Err((at, cause)) => return Err(NotAnExpression::Syntax { at, cause }),
        };
        let value = only_value(&parsed.root).ok_or(NotAnExpression::NotOneValue)?;
        if let Some(what) = value.descendants().find_map(|node| writes(node.kind())) {
            return Err(NotAnExpression::Writes(what));
        }
        let (first, last) = (parsed.words().next(), parsed.words().last());
        let (Some(first), Some(last)) = (first, last) else { return Err(NotAnExpression::Empty) };
        let (from, to) = (usize::from(first.text_range().start()), usize::from(last.text_range().end()));
        let bare = &text[from - parsed.start..to - parsed.start];
        let added = usize::from(is_query(value.kind()));
        let sql = if added == 0 { bare.to_owned() } else { format!("({bare})") };
        let mut references = reference::columns(&value).map_err(NotAnExpression::Name)?;
        for reference in &mut references {
            reference.at = reference.at.start - from + added..reference.at.end - from + added;
            reference.whole = reference.whole.start - from + added..reference.whole.end - from + added;
        }
        let is_bare_column = references.len() == 1 && is_bare_column(&value);
        Ok(Self { sql, references, is_bare_column })
    }

    /// The text, as written but for comments and space around it. One value: put it in brackets to combine it.
    #[must_use]
    pub fn as_sql(&self) -> &str {
        &self.sql
    }

    /// The columns it reads, qualified by their table or not. A name that stands alone in a query with a FROM of its own
    /// may mean either that query's tables or the row itself; it is one of [`Self::unsure`] and not in here.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<Ident> {
        self.references.iter().filter(|name| name.is_sure).map(|name| name.column.clone()).collect()
    }

    /// Names that may be columns of the row or of a query within the expression: only the database can tell. Qualified by
    /// their table they would be sure.
    #[must_use]
    pub fn unsure(&self) -> BTreeSet<Ident> {
        self.references.iter().filter(|name| !name.is_sure).map(|name| name.column.clone()).collect()
    }

    /// The text with its columns (those of [`Self::columns`]) under other names, each quoted. Everything else stays byte
    /// by byte; with an empty map it is [`Self::as_sql`].
    #[must_use]
    pub fn renamed(&self, names: &BTreeMap<Ident, Ident>) -> String {
        let mut renamed = String::with_capacity(self.sql.len());
        let mut from = 0;
        for reference in self.references.iter().filter(|name| name.is_sure) {
            if let Some(name) = names.get(&reference.column) {
                renamed.push_str(&self.sql[from..reference.at.start]);
                renamed.push_str(&name.to_string());
                from = reference.at.end;
            }
        }
        renamed.push_str(&self.sql[from..]);
        renamed
    }

    /// The text with each of its columns (those of [`Self::columns`]), the table before it included, as `written` says;
    /// the others stay.
    #[must_use]
    pub fn with_columns(&self, written: &dyn Fn(&Ident) -> Option<String>) -> String {
        let mut text = String::with_capacity(self.sql.len());
        let mut from = 0;
        for reference in self.references.iter().filter(|name| name.is_sure) {
            if let Some(column) = written(&reference.column) {
                text.push_str(&self.sql[from..reference.whole.start]);
                text.push_str(&column);
                from = reference.whole.end;
            }
        }
        text.push_str(&self.sql[from..]);
        text
    }

    /// Whether a query stands in it.
    #[must_use]
    pub fn has_query(&self) -> bool {
        let Ok(parsed) = sql::parse("SELECT (", &self.sql, ")") else { return true };
        only_value(&parsed.root).is_none_or(|value| value.descendants().any(|node| is_query(node.kind())))
    }

    /// Whether it is a literal, signed or cast at most.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        let Ok(parsed) = sql::parse("SELECT (", &self.sql, ")") else { return false };
        only_value(&parsed.root).is_some_and(|value| is_literal(&value))
    }

    /// Whether the value is just what is in this column, qualified, in brackets or not.
    #[must_use]
    pub fn is_column(&self, column: &Ident) -> bool {
        self.is_bare_column && self.references.iter().all(|reference| reference.column == *column)
    }
}

fn is_literal(value: &SyntaxNode) -> bool {
    match value.kind() {
        SyntaxKind::LITERAL => true,
        SyntaxKind::PREFIX_EXPR | PAREN_EXPR | SyntaxKind::CAST_EXPR => {
            value.first_child().is_some_and(|inner| is_literal(&inner))
        }
        _ => false,
    }
}

impl TryFrom<String> for Expression {
    type Error = NotAnExpression;
    fn try_from(text: String) -> Result<Self, NotAnExpression> {
        Self::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.sql
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.sql)
    }
}

/// The one node within the brackets of `SELECT (...)`, where that is all there is.
fn only_value(root: &SyntaxNode) -> Option<SyntaxNode> {
    let mut node = root.clone();
    for kind in [SELECT, SELECT_CLAUSE, TARGET_LIST, TARGET, PAREN_EXPR] {
        node = only_child(&node).filter(|child| child.kind() == kind)?;
    }
    only_child(&node)
}

fn only_child(node: &SyntaxNode) -> Option<SyntaxNode> {
    let mut children = node.children();
    children.next().filter(|_| children.next().is_none())
}

/// Whether the value is a single column, in brackets or not.
fn is_bare_column(value: &SyntaxNode) -> bool {
    match value.kind() {
        NAME_REF => true,
        FIELD_EXPR => value.children().all(|child| is_bare_column(&child) && child.kind() != PAREN_EXPR),
        PAREN_EXPR => only_child(value).is_some_and(|inner| is_bare_column(&inner)),
        _ => false,
    }
}

fn is_query(kind: SyntaxKind) -> bool {
    matches!(kind, SELECT | COMPOUND_SELECT | PAREN_SELECT | VALUES | TABLE)
}

/// What changes data, by the word for it.
fn writes(kind: SyntaxKind) -> Option<&'static str> {
    match kind {
        INSERT => Some("an INSERT"),
        UPDATE => Some("an UPDATE"),
        DELETE => Some("a DELETE"),
        MERGE => Some("a MERGE"),
        SELECT_INTO => Some("a SELECT INTO"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
