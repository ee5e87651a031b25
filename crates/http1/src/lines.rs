//! Lines, one at a time, however the bytes arrive.

use std::ops::Range;

use memchr::memchr;

/// What can be wrong with the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFault {
    BareLf,
    TooLong,
}

/// Walks over complete lines and remembers how far it looked, so that no byte is looked at twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines {
    /// Where the next line starts.
    pub(crate) start: usize,
    /// No LF before this offset and after `start`.
    searched: usize,
}

impl Lines {
    /// The next complete line, without its CRLF; `None` when it has not come whole. No line may end behind `limit`.
    pub(crate) fn next(&mut self, input: &[u8], limit: usize) -> Result<Option<Range<usize>>, LineFault> {
        let end = input.len().min(limit);
        let Some(found) = input.get(self.searched..end).and_then(|rest| memchr(b'\n', rest)) else {
            self.searched = end.max(self.searched);
            return if input.len() >= limit { Err(LineFault::TooLong) } else { Ok(None) };
        };
        let line_feed = self.searched + found;
        if line_feed == self.start || input[line_feed - 1] != b'\r' {
            return Err(LineFault::BareLf);
        }
        let line = self.start..line_feed - 1;
        self.start = line_feed + 1;
        self.searched = self.start;
        Ok(Some(line))
    }
}
