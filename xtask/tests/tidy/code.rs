//! Rust source as lines of code: what is text or comment does not count.

/// What a line is made of, besides code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    /// A string that ends with a quote and so many `#`; a plain one has none and knows `\`.
    Text {
        hashes: usize,
        is_raw: bool,
    },
    /// A block comment, so many deep.
    Comment(usize),
}

/// One line of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its code: texts are emptied, comments are gone.
    pub(crate) code: String,
    /// It lies within a text that began on a line before: data, such as a snapshot.
    pub(crate) is_text: bool,
}

/// The lines of `source`. Knows strings, raw strings, characters, and both kinds of comments.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let mut inside = Inside::Code;
    source.lines().map(|line| read_line(line, &mut inside)).collect()
}

fn read_line(line: &str, inside: &mut Inside) -> Line {
    let is_text = matches!(inside, Inside::Text { .. });
    let letters: Vec<char> = line.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        match *inside {
            Inside::Code if rest.starts_with(&['/', '/']) => break,
            Inside::Code => at += read_code(&letters, at, &mut code, inside),
            Inside::Comment(depth) if rest.starts_with(&['*', '/']) => {
                *inside = if depth > 1 { Inside::Comment(depth - 1) } else { Inside::Code };
                at += 2;
            }
            Inside::Comment(depth) if rest.starts_with(&['/', '*']) => {
                *inside = Inside::Comment(depth + 1);
                at += 2;
            }
            Inside::Comment(_) => at += 1,
            Inside::Text { is_raw: false, .. } if rest[0] == '\\' => at += 2,
            Inside::Text { hashes, .. } if closes(rest, hashes) => {
                code.push('"');
                *inside = Inside::Code;
                at += 1 + hashes;
            }
            Inside::Text { .. } => at += 1,
        }
    }
    Line { code, is_text }
}

/// Reads from code at `at`; gives how many letters were read.
fn read_code(letters: &[char], at: usize, code: &mut String, inside: &mut Inside) -> usize {
    let rest = &letters[at..];
    if rest.starts_with(&['/', '*']) {
        *inside = Inside::Comment(1);
        return 2;
    }
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if rest[0] == 'r' && (at == 0 || !is_word(letters[at - 1]) || letters[at - 1] == 'b') {
        let hashes = rest[1..].iter().take_while(|letter| **letter == '#').count();
        if rest.get(1 + hashes) == Some(&'"') {
            code.push('"');
            *inside = Inside::Text { hashes, is_raw: true };
            return 2 + hashes;
        }
    }
    if rest[0] == '"' {
        code.push('"');
        *inside = Inside::Text { hashes: 0, is_raw: false };
        return 1;
    }
    // A character, not a lifetime: `'x'`, `'\n'`, `'\u{1b}'`.
    if rest[0] == '\'' {
        let end = if rest.get(1) == Some(&'\\') {
            rest.iter().skip(3).position(|letter| *letter == '\'').map(|place| place + 3)
        } else {
            (rest.get(2) == Some(&'\'')).then_some(2)
        };
        if let Some(end) = end {
            code.push_str("''");
            return end + 1;
        }
    }
    code.push(rest[0]);
    1
}

fn closes(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|letter| *letter == '#')
}

/// The line number (from 1) on which the tests of a source begin, if it has any.
pub(crate) fn tests_begin(source: &str) -> Option<usize> {
    source.lines().position(|line| line == "#[cfg(test)]").map(|place| place + 1)
}

#[test]
fn texts_and_comments_are_no_code() {
    let code = |source: &str| lines(source).into_iter().map(|line| line.code).collect::<Vec<_>>();
    assert_eq!(code("a(\"b // {\"); // c"), ["a(\"\"); "]);
    assert_eq!(code(r#"a('"', '\'', '\u{1b}', 'static)"#), ["a('', '', '', 'static)"]);
    assert_eq!(code("a /* b\n/* c */ d */ e"), ["a ", " e"]);
    assert_eq!(code("r\"\\\" + b\"}\" + br#\"\"}\"#"), ["\"\" + b\"\" + b\"\""]);
    let long = lines("a(r#\"one {\n\"two\n#\"#);\nb");
    assert_eq!(long.iter().map(|line| line.is_text).collect::<Vec<_>>(), [false, true, true, false]);
    assert_eq!(long[2].code, "\");");
}
