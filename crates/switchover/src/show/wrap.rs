//! Sentences in lines that fit a terminal, broken between words.

use console::measure_text_width;

/// How far the lines after the first stand in.
const INDENT: usize = 4;
/// A terminal that is narrower is not wrapped for: it would hold a word a line.
const NARROWEST: usize = 24;

/// `text` in lines of at most `width` columns. What stands in backticks is one word, so that it can be copied; a word that
/// is wider than a line has one of its own and is left to the terminal.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    if width < NARROWEST || measure_text_width(text) <= width {
        return vec![text.to_owned()];
    }
    broken(text, width, INDENT)
}

/// `text` in lines of at most `width` columns, each from the same column on: a cell of a table.
pub(crate) fn folded(text: &str, width: usize) -> Vec<String> {
    if measure_text_width(text) <= width { vec![text.to_owned()] } else { broken(text, width, 0) }
}

/// The width of the widest part of `text` that is not broken.
pub(crate) fn widest_word(text: &str) -> usize {
    words(text).into_iter().map(measure_text_width).max().unwrap_or(0)
}

fn broken(text: &str, width: usize, hanging: usize) -> Vec<String> {
    let lead = text.len() - text.trim_start_matches(' ').len();
    let indent = " ".repeat(lead + hanging);
    let mut lines = Vec::new();
    let mut line = " ".repeat(lead);
    let mut is_begun = false;
    for word in words(&text[lead..]) {
        if is_begun && measure_text_width(&line) + 1 + measure_text_width(word) > width {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    lines.push(line);
    lines
}

/// Split at spaces, but not within backticks. A backtick without its other one is a letter like any.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begin, mut is_quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '`' => is_quoted = !is_quoted && text[at + 1..].contains('`'),
            ' ' if !is_quoted => {
                words.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[begin..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_what_can_be_typed_stays_whole() {
        let text = "  next: Look again with `switchover status --watch`; undo it with `switchover abort`.";
        assert_eq!(
            wrapped(text, 40),
            ["  next: Look again with", "      `switchover status --watch`; undo", "      it with `switchover abort`."]
        );
        assert_eq!(wrapped(text, 200), [text]);
        assert_eq!(wrapped(text, 10), [text], "no terminal to speak of");
    }

    #[test]
    fn a_word_wider_than_the_line_is_left_whole_and_nothing_is_lost() {
        let long = "x".repeat(60);
        let text = format!("see {long} and a stray ` there");
        let lines = wrapped(&text, 30);
        assert!(lines.iter().any(|line| line.trim() == long), "{lines:?}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines.join("\n")), words(&text));
    }

    #[test]
    fn colours_take_no_room() {
        let text = "\u{1b}[1m\u{1b}[31merror\u{1b}[0m[CODE]: one two three four";
        assert_eq!(wrapped(text, 30), ["\u{1b}[1m\u{1b}[31merror\u{1b}[0m[CODE]: one two three", "    four"]);
    }
}
