//! SQL text of a file, read by a real parser before any of it becomes part of a statement.
//!
//! The text stands on lines of its own between what surrounds it, so that a line comment at its end takes nothing along.

use squawk_syntax::ast::AstNode as _;
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};

/// The longest text that is read, in bytes.
pub(crate) const LONGEST_TEXT: usize = 32 << 10;
/// How many brackets may be open at once. The parser calls itself for each; this leaves it most of a 2 MiB stack.
pub(crate) const MOST_OPEN_BRACKETS: usize = 64;
/// How many operators and keywords that nest may stand in one text, for the same reason.
pub(crate) const MOST_OPERATORS: usize = 500;

/// Keywords after which the parser calls itself without a bracket.
pub(crate) const NESTING_WORDS: &[&str] =
    &["and", "between", "case", "else", "explain", "in", "is", "like", "not", "or", "prepare", "select", "with"];
/// Characters that operators and dotted names are made of.
pub(crate) const OPERATOR_CHARACTERS: &str = "+-*/<>=~!@#%^&|`?:.";

/// A text that the parser took, with what surrounds it.
pub(crate) struct Parsed {
    /// The file's syntax tree.
    pub(crate) root: SyntaxNode,
    /// Where the text begins in it.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// Parses `before`, `text` and `after`, three lines or more, as one statement.
///
/// Guarantees: the statement is the only one, has no syntax error, and no bracket of `before` or `after` is closed or
/// opened by `text`.
/// Errors: why not, and the byte of `text` where that was found.
pub(crate) fn parse(before: &str, text: &str, after: &str) -> Result<Parsed, (usize, String)> {
    refuse_what_is_too_much(text)?;
    let whole = format!("{before}\n{text}\n{after}");
    let start = before.len() + 1;
    let end = start + text.len();
    let parse = SourceFile::parse(&whole);
    let errors = parse.errors();
    let told = |error: &squawk_syntax::syntax_error::SyntaxError| {
        let at = usize::from(error.range().start()).saturating_sub(start).min(text.len());
        cause_of(error.message(), text, at)
    };
    // What is not closed swallows the rest, and a bracket too many takes the text out of its place: both are the reason of
    // what the parser says after them.
    let is_open = |message: &str| message.starts_with("Missing trailing") || message.starts_with("Unterminated");
    if let Some(error) = errors.iter().find(|error| is_open(error.message())) {
        return Err(told(error));
    }
    let parsed = Parsed { root: parse.tree().syntax().clone(), start, end };
    let is_balanced = refuse_what_leaves(&parsed)?;
    match errors.first() {
        Some(error) => Err(told(error)),
        None if !is_balanced => Err((text.len(), "a bracket stays open".to_owned())),
        None if parsed.root.children().count() != 1 => Err((0, "it is more than one statement".to_owned())),
        None => Ok(parsed),
    }
}

/// Refuses a text that ends what it stands in; whether it closes what it opens.
fn refuse_what_leaves(parsed: &Parsed) -> Result<bool, (usize, String)> {
    let mut depth = 0_usize;
    for token in parsed.tokens() {
        let at = usize::from(token.text_range().start()) - parsed.start;
        match token.kind() {
            SyntaxKind::SEMICOLON => return Err((at, "`;` does not fit here".to_owned())),
            SyntaxKind::POSITIONAL_PARAM => return Err((at, format!("`{token}` stands for no value here"))),
            SyntaxKind::L_PAREN | SyntaxKind::L_BRACK => depth += 1,
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK => {
                depth = depth.checked_sub(1).ok_or_else(|| (at, format!("`{token}` closes what it did not open")))?;
            }
            _ => {}
        }
    }
    Ok(depth == 0)
}

impl Parsed {
    /// The tokens of the text, without what surrounds it.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = SyntaxToken> {
        let within = self.start..self.end;
        self.root
            .descendants_with_tokens()
            .filter_map(squawk_syntax::SyntaxElement::into_token)
            .filter(move |token| within.contains(&usize::from(token.text_range().start())))
    }

    /// The tokens that mean something: no space, no comment.
    pub(crate) fn words(&self) -> impl Iterator<Item = SyntaxToken> {
        self.tokens().filter(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT))
    }
}

/// The parser's message, where it is about the text and not about what surrounds it.
fn cause_of(message: &str, text: &str, at: usize) -> (usize, String) {
    let rest = text.get(at..).unwrap_or_default();
    let at = text.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let word = match run(rest, |letter| letter.is_alphanumeric() || letter == '_') {
        0 => rest.chars().take(1).collect::<String>(),
        length => rest[..length].chars().take(40).collect(),
    };
    let is_about_words = ["expected", "Expected", "missing"].iter().any(|start| message.starts_with(start));
    match () {
        () if message.starts_with("Invalid parameter") => (at, "there is no parameter here".to_owned()),
        () if is_about_words && word.is_empty() => (at, "it ends too early".to_owned()),
        () if is_about_words => (at, format!("`{word}` does not fit here")),
        () => (at, message[..1].to_lowercase() + &message[1..]),
    }
}

/// Refuses a text that could take the parser's stack or a long time.
fn refuse_what_is_too_much(text: &str) -> Result<(), (usize, String)> {
    if text.len() > LONGEST_TEXT {
        return Err((0, format!("it is longer than {LONGEST_TEXT} bytes")));
    }
    if let Some(at) = text.find('\0') {
        return Err((at, "a NUL character stands in it".to_owned()));
    }
    let mut open = 0_usize;
    let mut operators = 0_usize;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = match first {
            '(' | '[' => {
                open += 1;
                1
            }
            ')' | ']' => {
                open = open.saturating_sub(1);
                1
            }
            _ if OPERATOR_CHARACTERS.contains(first) => {
                operators += 1;
                run(rest, |letter| OPERATOR_CHARACTERS.contains(letter))
            }
            _ if first.is_ascii_alphabetic() => {
                let length = run(rest, |letter| letter.is_alphanumeric() || letter == '_');
                operators += usize::from(NESTING_WORDS.iter().any(|word| rest[..length].eq_ignore_ascii_case(word)));
                length
            }
            _ => first.len_utf8(),
        };
        if open > MOST_OPEN_BRACKETS {
            return Err((at, format!("more than {MOST_OPEN_BRACKETS} brackets are open here")));
        }
        if operators > MOST_OPERATORS {
            return Err((at, format!("there are more than {MOST_OPERATORS} operators up to here")));
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// How many bytes at the start of `text` are made of such letters.
fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}
