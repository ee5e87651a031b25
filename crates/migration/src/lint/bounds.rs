//! Refuses a text that could take the parser's stack or a long time: the parser calls itself for each bracket and operator.

use crate::sql::{MOST_OPEN_BRACKETS, MOST_OPERATORS, NESTING_WORDS, OPERATOR_CHARACTERS};

/// The longest file that is read, in bytes.
pub(crate) const LONGEST_FILE: usize = 1 << 20;

/// Whether `text` can be parsed; else the byte where it gets too much, and what.
///
/// Brackets and operators are counted per statement and not within quotes and comments, where they nest nothing.
pub(crate) fn within(text: &str) -> Result<(), (usize, String)> {
    if text.len() > LONGEST_FILE {
        return Err((0, format!("it is longer than {LONGEST_FILE} bytes")));
    }
    if let Some(at) = text.find('\0') {
        return Err((at, "a NUL character stands in it".to_owned()));
    }
    let (mut open, mut operators) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if let Some(length) = passed_over(rest) {
            at += length;
            continue;
        }
        let mut length = first.len_utf8();
        match first {
            '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            ';' => operators = 0,
            _ if OPERATOR_CHARACTERS.contains(first) => operators += 1,
            _ if first.is_alphabetic() || first == '_' => {
                length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                if rest[..length].eq_ignore_ascii_case("e") && rest[length..].starts_with('\'') {
                    length += escaped(&rest[length..]);
                }
                operators += usize::from(NESTING_WORDS.iter().any(|word| rest[..length].eq_ignore_ascii_case(word)));
            }
            _ => {}
        }
        if open > MOST_OPEN_BRACKETS {
            return Err((at, format!("more than {MOST_OPEN_BRACKETS} brackets are open here")));
        }
        if operators > MOST_OPERATORS {
            return Err((at, format!("this statement has more than {MOST_OPERATORS} operators up to here")));
        }
        at += length;
    }
    Ok(())
}

/// The length of what stands at the start of `rest` and nests nothing: a quoted text, a dollar-quoted one, a comment.
fn passed_over(rest: &str) -> Option<usize> {
    let until = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |found| from + found + end.len());
    match rest.as_bytes() {
        [b'-', b'-', ..] => Some(until(2, "\n")),
        [b'/', b'*', ..] => Some(until(2, "*/")),
        [quote @ (b'\'' | b'"'), ..] => Some(until(1, if *quote == b'\'' { "'" } else { "\"" })),
        [b'$', ..] => {
            let tag = rest[1..].find('$').filter(|end| {
                rest[1..=*end].chars().all(|letter| letter.is_alphanumeric() || letter == '_')
                    && !rest[1..].starts_with(|first: char| first.is_ascii_digit())
            })?;
            let fence = &rest[..tag + 2];
            Some(until(fence.len(), fence))
        }
        _ => None,
    }
}

/// The length of `E'...'` from its quote on, in which a backslash keeps a quote from ending it.
fn escaped(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nests_in_one_statement_counts() {
        assert_eq!(within(&"SELECT 1 + 1;\n".repeat(2_000)), Ok(()));
        assert_eq!(within(&format!("SELECT '{}'", "(".repeat(5_000))), Ok(()));
        assert_eq!(within(&format!("DO $x$ {} $x$; -- {}", "(".repeat(500), "(".repeat(500))), Ok(()));
        assert_eq!(within(&format!(r"SELECT E'\'{}'", "(".repeat(500))), Ok(()));
        assert!(within(&format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))).is_err());
        assert!(within(&format!("SELECT {}1", "1 + ".repeat(5_000))).is_err());
        assert!(within(&" ".repeat(LONGEST_FILE + 1)).is_err());
        assert!(within("SELECT 'ä', $é").is_ok(), "a text of other letters");
    }
}
