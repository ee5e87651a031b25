//! One mistake in a file, as a person reads it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One mistake in a file that a person wrote: where, what, and how to write it.
///
/// `Display` shows it over several lines, with the file's own line and a caret under the mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// Name of the file, as given by the caller.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// How many characters of the line are meant; at least 1.
    pub width: usize,
    /// The line itself, without its line break.
    pub text: String,
    /// What is wrong.
    pub cause: String,
    /// How to write it.
    pub write: String,
}

impl Mistake {
    /// A mistake at the bytes `at` of `source`; what goes beyond the first line of `at` is cut off.
    #[must_use]
    pub fn at(source: &str, file: &str, at: &Range<usize>, cause: String, write: String) -> Self {
        let mut start = at.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        // The end of the file belongs to its last line that has something on it.
        let start = if start == source.len() { source.trim_end().len().min(start) } else { start };
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |newline| start + newline);
        let text = source[line_start..line_end].trim_end_matches('\r');
        let mut end = at.end.clamp(start, line_start + text.len().max(start - line_start));
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            file: file.to_owned(),
            line: source[..line_start].matches('\n').count() + 1,
            column: source[line_start..start].chars().count() + 1,
            width: source[start..end.max(start)].chars().count().max(1),
            text: text.to_owned(),
            cause,
            write,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab is as wide as the terminal likes, so the caret's line repeats it.
        let indent: String = self
            .text
            .chars()
            .chain(std::iter::repeat(' '))
            .take(self.column - 1)
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.cause)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        writeln!(f, "{gutter} | {indent}{}", "^".repeat(self.width))?;
        let mut lines = self.write.lines();
        write!(f, "{gutter} = {}", lines.next().unwrap_or_default())?;
        for line in lines {
            write!(f, "\n{gutter}   {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistake {}
