//! Mistakes in a file of operations, collected so that all of them are told at once.

use std::ops::Range;

pub use switchover_model::config::Mistake;
pub(crate) use switchover_model::config::nearest;

/// How many mistakes of one file are told; each costs a walk to its line.
pub(crate) const MOST_MISTAKES: usize = 200;

/// Collects the mistakes of one file.
pub(crate) struct Mistakes<'a> {
    source: &'a str,
    file: &'a str,
    found: Vec<(usize, Mistake)>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(source: &'a str, file: &'a str) -> Self {
        Self { source, file, found: Vec::new() }
    }

    /// A mistake at the bytes `at` of the file; beyond [`MOST_MISTAKES`] none is added.
    pub(crate) fn add(&mut self, at: &Range<usize>, cause: impl Into<String>, write: impl Into<String>) {
        if self.found.len() == MOST_MISTAKES {
            return;
        }
        self.found.push((at.start, Mistake::at(self.source, self.file, at, cause.into(), write.into())));
    }

    /// The place of byte `within` of `text`, a value that stands at `at`; the whole value where its line is not written
    /// there letter by letter.
    pub(crate) fn within(&self, at: &Range<usize>, text: &str, within: usize) -> Range<usize> {
        let Some((before, after)) = text.split_at_checked(within) else { return at.clone() };
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(text.len(), |newline| within + newline);
        let line = &text[line_start..line_end];
        match self.source.get(at.clone()).and_then(|written| written.find(line)) {
            Some(offset) if within < line_end => {
                let place = at.start + offset + (within - line_start);
                place..place + after.chars().next().map_or(1, char::len_utf8)
            }
            Some(_) | None => at.clone(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether the file is JSON, and is answered in JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.file.to_ascii_lowercase().ends_with(".json")
    }

    /// `name` with `value`, which is JSON, as it is written in this file.
    pub(crate) fn written(&self, name: &str, value: &str) -> String {
        if self.is_json() { format!("\"{name}\": {value}") } else { format!("{name}: {value}") }
    }

    /// The mistakes in the order of the file, each once.
    pub(crate) fn in_order(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|(start, _)| *start);
        let mut mistakes: Vec<Mistake> = self.found.into_iter().map(|(_, mistake)| mistake).collect();
        mistakes.dedup();
        mistakes
    }
}

/// What was meant by `word`, or all that may stand there.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}
