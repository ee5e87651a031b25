//! A text of SQL as statements, split by the parser: in quotes, dollar quotes and comments a semicolon ends nothing.

use std::ops::Range;

use squawk_syntax::SyntaxKind::{COMMENT, SEMICOLON, WHITESPACE};
use squawk_syntax::ast::{AstNode as _, Stmt};
use squawk_syntax::{SourceFile, SyntaxElement, SyntaxNode, SyntaxToken};

use super::act::Act;
use super::{bounds, read};

/// One statement of a file.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// What it does.
    pub(crate) acts: Vec<Act>,
    /// From its first word to its last, without the semicolon.
    pub(crate) at: Range<usize>,
    /// Comments within it and before it, up to the statement before.
    pub(crate) comments: Vec<(Range<usize>, String)>,
    /// Why it can not share a transaction with another statement.
    pub(crate) alone: Option<&'static str>,
    /// The parser's tree of it.
    pub(crate) node: SyntaxNode,
}

/// The statements of `text`.
///
/// Errors: what the parser does not take, each with its place.
pub(crate) fn statements(text: &str) -> Result<Vec<Statement>, Vec<(Range<usize>, String)>> {
    bounds::within(text).map_err(|(at, cause)| vec![(at..at, cause)])?;
    let parse = SourceFile::parse(text);
    if !parse.errors().is_empty() {
        let told = |error: &squawk_syntax::syntax_error::SyntaxError| {
            let range = error.range();
            (usize::from(range.start())..usize::from(range.end()), format!("it is no SQL: {}", error.message()))
        };
        return Err(parse.errors().iter().map(told).collect());
    }
    let root = parse.tree();
    let mut from = 0;
    let mut statements = Vec::new();
    for statement in root.stmts() {
        let Some(at) = words(statement.syntax()) else { continue };
        let comments = comments(root.syntax(), from..at.end);
        from = at.end;
        let (acts, alone) = (read::acts(&statement), alone(&statement));
        statements.push(Statement { acts, at, comments, alone, node: statement.syntax().clone() });
    }
    Ok(statements)
}

/// From the first to the last word.
fn words(node: &SyntaxNode) -> Option<Range<usize>> {
    let is_word = |token: &SyntaxToken| !matches!(token.kind(), WHITESPACE | COMMENT | SEMICOLON);
    let mut words = node.descendants_with_tokens().filter_map(SyntaxElement::into_token).filter(is_word);
    let first = words.next()?;
    let last = words.last().unwrap_or_else(|| first.clone());
    Some(usize::from(first.text_range().start())..usize::from(last.text_range().end()))
}

fn comments(root: &SyntaxNode, within: Range<usize>) -> Vec<(Range<usize>, String)> {
    root.descendants_with_tokens()
        .filter_map(SyntaxElement::into_token)
        .filter(|token| token.kind() == COMMENT)
        .map(|token| {
            (usize::from(token.text_range().start())..usize::from(token.text_range().end()), token.text().to_owned())
        })
        .filter(|(at, _)| within.contains(&at.start))
        .collect()
}

/// Statements that the database refuses in a transaction block (its `PreventInTransactionBlock`).
fn alone(statement: &Stmt) -> Option<&'static str> {
    match statement {
        Stmt::CreateIndex(index) => index.concurrently_token().map(|_| "CREATE INDEX CONCURRENTLY"),
        Stmt::DropIndex(index) => index.concurrently_token().map(|_| "DROP INDEX CONCURRENTLY"),
        Stmt::Reindex(reindex) => reindex.is_concurrently().then_some("REINDEX CONCURRENTLY"),
        Stmt::Vacuum(_) => Some("VACUUM"),
        Stmt::CreateDatabase(_) => Some("CREATE DATABASE"),
        Stmt::DropDatabase(_) => Some("DROP DATABASE"),
        Stmt::CreateTablespace(_) => Some("CREATE TABLESPACE"),
        Stmt::DropTablespace(_) => Some("DROP TABLESPACE"),
        Stmt::AlterSystem(_) => Some("ALTER SYSTEM"),
        Stmt::CreateSubscription(_) => Some("CREATE SUBSCRIPTION"),
        Stmt::DropSubscription(_) => Some("DROP SUBSCRIPTION"),
        Stmt::AlterTable(_) => {
            let text = statement.syntax().text().to_string().to_ascii_lowercase();
            let detaches = text.contains("detach") && text.contains("concurrently");
            detaches.then_some("DETACH PARTITION CONCURRENTLY")
        }
        _ => None,
    }
}

/// Statements that share a transaction: what stands between BEGIN and COMMIT, else all that follow each other. One that can not
/// share one, and one that goes through a whole table under a lock that it does not need for it, is alone.
pub(crate) fn transactions(statements: &[Statement]) -> Vec<Range<usize>> {
    let mut transactions: Vec<Range<usize>> = Vec::new();
    let mut open: Option<usize> = None;
    let mut is_explicit = false;
    let mut close = |open: &mut Option<usize>, end: usize| {
        if let Some(start) = open.take()
            && start < end
        {
            transactions.push(start..end);
        }
    };
    for (index, statement) in statements.iter().enumerate() {
        let is = |act: &Act| statement.acts.contains(act);
        let validates = statement.acts.iter().any(|act| matches!(act, Act::ValidateConstraint { .. }));
        match () {
            () if is(&Act::Begin) => {
                close(&mut open, index);
                (open, is_explicit) = (Some(index + 1), true);
            }
            () if is(&Act::Commit) => {
                close(&mut open, index);
                is_explicit = false;
            }
            () if statement.alone.is_some() || (validates && !is_explicit) => {
                close(&mut open, index);
                close(&mut Some(index), index + 1);
                open = is_explicit.then_some(index + 1);
            }
            () => open = open.or(Some(index)),
        }
    }
    close(&mut open, statements.len());
    transactions
}
