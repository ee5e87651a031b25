//! Field lines: checked once, then known by their offsets.

use std::ops::Range;

use crate::bounds::FIELDS_MAX;
use crate::grammar;
use crate::name::Name;
use crate::refusal::Refusal;

/// Where one field line lies in its head. Offsets fit u16, see `bounds`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldSpan {
    line_start: u16,
    name_end: u16,
    value_start: u16,
    value_end: u16,
    /// Behind the line's CRLF.
    line_end: u16,
    name: Name,
    /// Not passed on: hop-by-hop by its name, or named by `Connection`.
    pub(crate) is_hop: bool,
}

impl FieldSpan {
    /// Checks the line `input[start..end]` (without its CRLF).
    pub(crate) fn read(input: &[u8], start: usize, end: usize) -> Result<Self, Refusal> {
        let line = &input[start..end];
        let name_len = grammar::token_len(line);
        match line.get(name_len) {
            Some(b':') if name_len > 0 => {}
            Some(b' ' | b'\t') if name_len == 0 => return Err(Refusal::ObsoleteFold),
            Some(b' ' | b'\t') => return Err(Refusal::SpaceBeforeColon),
            Some(0) => return Err(Refusal::Nul),
            Some(b'\r') => return Err(Refusal::BareCr),
            Some(_) | None => return Err(Refusal::FieldName),
        }
        let (value_start, value_end) = grammar::trimmed(input, start + name_len + 1, end);
        if !grammar::is_field_value(&input[value_start..value_end]) {
            return Err(value_fault(&input[value_start..value_end]));
        }
        let name = Name::of(&line[..name_len]);
        Ok(Self {
            line_start: offset(start),
            name_end: offset(start + name_len),
            value_start: offset(value_start),
            value_end: offset(value_end),
            line_end: offset(end + 2),
            name,
            is_hop: name.is_hop_by_hop(),
        })
    }

    pub(crate) fn name(&self) -> Name {
        self.name
    }

    pub(crate) fn name_bytes<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[usize::from(self.line_start)..usize::from(self.name_end)]
    }

    pub(crate) fn value_range(&self) -> Range<usize> {
        usize::from(self.value_start)..usize::from(self.value_end)
    }

    pub(crate) fn value<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.value_range()]
    }
}

fn value_fault(value: &[u8]) -> Refusal {
    match value.iter().find(|byte| !grammar::is_field_value(&[**byte])) {
        Some(0) => Refusal::Nul,
        Some(b'\r') => Refusal::BareCr,
        Some(_) | None => Refusal::FieldValue,
    }
}

/// Every offset is below `HEAD_BYTES_MAX`, which `bounds` asserts to fit.
#[expect(clippy::cast_possible_truncation, reason = "bounded by HEAD_BYTES_MAX")]
pub(crate) fn offset(at: usize) -> u16 {
    debug_assert!(u16::try_from(at).is_ok());
    at as u16
}

/// The spans of one head, reused from message to message.
#[derive(Debug, Default)]
pub(crate) struct FieldTable {
    spans: Vec<FieldSpan>,
}

impl FieldTable {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
    }

    pub(crate) fn push(&mut self, span: FieldSpan) -> Result<(), Refusal> {
        if self.spans.len() >= FIELDS_MAX {
            return Err(Refusal::TooManyFields);
        }
        self.spans.push(span);
        Ok(())
    }

    pub(crate) fn spans(&self) -> &[FieldSpan] {
        &self.spans
    }

    pub(crate) fn spans_mut(&mut self) -> &mut [FieldSpan] {
        &mut self.spans
    }

    pub(crate) fn view<'a>(&'a self, head: &'a [u8]) -> Fields<'a> {
        Fields { head, spans: &self.spans }
    }
}

/// The fields of a head, in the order they came.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    head: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> Fields<'a> {
    /// All of them.
    #[must_use]
    pub fn iter(&self) -> FieldsIter<'a> {
        FieldsIter { head: self.head, spans: self.spans.iter() }
    }

    /// The first field of this name (in any case), of names that have no [`Name`].
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|field| field.name_bytes().eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value())
    }

    /// The first field of this known name.
    #[must_use]
    pub fn first_known(&self, name: Name) -> Option<&'a [u8]> {
        self.iter().find(|field| field.name() == name).map(|field| field.value())
    }

    /// Bytes of the head, for copying whole lines.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> &'a [u8] {
        &self.head[from..to]
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = Field<'a>;
    type IntoIter = FieldsIter<'a>;

    fn into_iter(self) -> FieldsIter<'a> {
        self.iter()
    }
}

/// Walks over [`Fields`].
#[derive(Debug, Clone)]
pub struct FieldsIter<'a> {
    head: &'a [u8],
    spans: std::slice::Iter<'a, FieldSpan>,
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.spans.next().map(|span| Field { head: self.head, span })
    }
}

/// One field: slices of the caller's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    head: &'a [u8],
    span: &'a FieldSpan,
}

impl<'a> Field<'a> {
    /// What its name means, if it means something on the way.
    #[must_use]
    pub fn name(&self) -> Name {
        self.span.name
    }

    /// Its name as it was sent; compare without case.
    #[must_use]
    pub fn name_bytes(&self) -> &'a [u8] {
        self.span.name_bytes(self.head)
    }

    /// Its value, without the white space around it.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.span.value(self.head)
    }

    /// True when it speaks of this connection alone: by its name, or because `Connection` names it (RFC 9110 7.6.1).
    #[must_use]
    pub fn is_hop_by_hop(&self) -> bool {
        self.span.is_hop
    }

    /// Start and end of the whole line in the head, CRLF included.
    pub(crate) fn line(&self) -> (usize, usize) {
        (usize::from(self.span.line_start), usize::from(self.span.line_end))
    }
}
