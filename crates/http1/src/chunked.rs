//! The chunked coding (RFC 9112 7.1).

use std::ops::Range;

use crate::bounds::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::fields::{FieldSpan, FieldTable, Fields};
use crate::grammar;
use crate::lines::{LineFault, Lines};
use crate::refusal::Refusal;

/// What stands next in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkPart {
    /// Nothing can be told without more bytes. The caller keeps what was not consumed and adds to it.
    Starved,
    /// So many bytes of content, at the start of the input.
    Data {
        /// Their number, never 0.
        bytes: usize,
    },
    /// So many bytes of framing, to be skipped.
    Frame {
        /// Their number, never 0.
        bytes: usize,
    },
    /// The body is over; its trailer section with the closing empty line takes the last so many bytes.
    /// [`ChunkedDecoder::trailers`] reads them.
    End {
        /// Their number, at least 2.
        bytes: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailers,
    Over,
    Refused(Refusal),
}

/// Reads the framing of one chunked body.
///
/// Flow: [`next`](Self::next) with the bytes not consumed yet; drop from the front as many as the part says; again,
/// until [`ChunkPart::End`]. Bytes behind the end are the next message's.
/// Guarantees: never consumes half a line, so the caller's buffer must hold
/// [`TRAILER_BYTES_MAX`] bytes; extensions are checked, counted and thrown away.
#[derive(Debug)]
pub struct ChunkedDecoder {
    stage: Stage,
    extension_bytes: u32,
    lines: Lines,
    table: FieldTable,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self { stage: Stage::Size, extension_bytes: 0, lines: Lines::default(), table: FieldTable::default() }
    }

    /// What stands at the start of `input`.
    ///
    /// # Errors
    /// The body is refused, for good.
    pub fn next(&mut self, input: &[u8]) -> Result<ChunkPart, Refusal> {
        let result = self.advance(input);
        if let Err(refusal) = result {
            self.stage = Stage::Refused(refusal);
        }
        result
    }

    /// Gathers all content that `buffer` holds at its start, in place, and says how many bytes of content are there now
    /// and how many bytes of the coding they were. When the body is over, `over` has the length of its trailer section,
    /// which lies in `buffer` just before `consumed`.
    ///
    /// # Errors
    /// The body is refused, for good; content before the fault was not passed on.
    pub fn gather(&mut self, buffer: &mut [u8]) -> Result<Gathered, Refusal> {
        let mut gathered = Gathered { content: 0, consumed: 0, over: None };
        loop {
            match self.next(&buffer[gathered.consumed..])? {
                ChunkPart::Starved => return Ok(gathered),
                ChunkPart::Frame { bytes } => gathered.consumed += bytes,
                ChunkPart::Data { bytes } => {
                    buffer.copy_within(gathered.consumed..gathered.consumed + bytes, gathered.content);
                    gathered.content += bytes;
                    gathered.consumed += bytes;
                }
                ChunkPart::End { bytes } => {
                    gathered.consumed += bytes;
                    gathered.over = Some(bytes);
                    return Ok(gathered);
                }
            }
        }
    }

    /// True when the end was seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The trailers, when the body is over. `section` is the last part of the body, as [`ChunkPart::End`] measured it.
    #[must_use]
    pub fn trailers<'a>(&'a self, section: &'a [u8]) -> Fields<'a> {
        self.table.view(section)
    }

    fn advance(&mut self, input: &[u8]) -> Result<ChunkPart, Refusal> {
        match self.stage {
            Stage::Refused(refusal) => Err(refusal),
            Stage::Over => Ok(ChunkPart::Starved),
            Stage::Size => self.size_line(input),
            Stage::Data { left } => {
                let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                if bytes == 0 {
                    return Ok(ChunkPart::Starved);
                }
                let left = left - bytes as u64;
                self.stage = if left == 0 { Stage::DataEnd } else { Stage::Data { left } };
                Ok(ChunkPart::Data { bytes })
            }
            Stage::DataEnd => match input {
                [] | [b'\r'] => Ok(ChunkPart::Starved),
                [b'\r', b'\n', ..] => {
                    self.stage = Stage::Size;
                    Ok(ChunkPart::Frame { bytes: 2 })
                }
                [..] => Err(Refusal::ChunkEnd),
            },
            Stage::Trailers => self.trailer_section(input),
        }
    }

    fn size_line(&mut self, input: &[u8]) -> Result<ChunkPart, Refusal> {
        let line = match self.lines.next(input, CHUNK_LINE_BYTES_MAX) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(ChunkPart::Starved),
            Err(LineFault::BareLf) => return Err(Refusal::BareLf),
            Err(LineFault::TooLong) => return Err(Refusal::ChunkLineTooLong),
        };
        self.lines = Lines::default();
        let bytes = line.end + 2;
        let (size, extension) = chunk_size(&input[line])?;
        if !extension.is_empty() {
            check_extensions(extension)?;
            self.extension_bytes =
                self.extension_bytes.saturating_add(u32::try_from(extension.len()).unwrap_or(u32::MAX));
            if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
                return Err(Refusal::ChunkLineTooLong);
            }
        }
        self.stage = if size == 0 { Stage::Trailers } else { Stage::Data { left: size } };
        Ok(ChunkPart::Frame { bytes })
    }

    fn trailer_section(&mut self, input: &[u8]) -> Result<ChunkPart, Refusal> {
        loop {
            let line = match self.lines.next(input, TRAILER_BYTES_MAX) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(ChunkPart::Starved),
                Err(LineFault::BareLf) => return Err(Refusal::BareLf),
                Err(LineFault::TooLong) => return Err(Refusal::TrailerTooLarge),
            };
            if line.is_empty() {
                self.stage = Stage::Over;
                return Ok(ChunkPart::End { bytes: self.lines.start });
            }
            let Range { start, end } = line;
            let span = FieldSpan::read(input, start, end)?;
            if span.name().is_forbidden_in_trailers() {
                return Err(Refusal::TrailerForbidden);
            }
            self.table.push(span)?;
        }
    }
}

/// What [`ChunkedDecoder::gather`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    /// Bytes of content, now at the start of the buffer.
    pub content: usize,
    /// Bytes of the buffer that were used up.
    pub consumed: usize,
    /// When the body is over: the length of its trailer section.
    pub over: Option<usize>,
}

/// Size and what follows it. At most 63 bits, hexadecimal digits alone.
fn chunk_size(line: &[u8]) -> Result<(u64, &[u8]), Refusal> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    if digits == 0 || digits > 16 {
        return Err(Refusal::ChunkSize);
    }
    let mut size = 0_u64;
    for digit in &line[..digits] {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | 0x20) - b'a' + 10,
        };
        size = size << 4 | u64::from(value);
    }
    if size > i64::MAX as u64 {
        return Err(Refusal::ChunkSize);
    }
    match line.get(digits) {
        None | Some(b';' | b' ' | b'\t') => Ok((size, &line[digits..])),
        Some(_) => Err(Refusal::ChunkSize),
    }
}

/// RFC 9112 7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, to the end of the line.
fn check_extensions(mut rest: &[u8]) -> Result<(), Refusal> {
    while !rest.is_empty() {
        rest = expect_byte(skip_blank(rest), b';')?;
        rest = skip_token(skip_blank(rest))?;
        let after = skip_blank(rest);
        if let Some((b'=', value)) = after.split_first() {
            let value = skip_blank(value);
            rest = match value.split_first() {
                Some((b'"', quoted)) => skip_quoted(quoted)?,
                _ => skip_token(value)?,
            };
        }
    }
    Ok(())
}

fn skip_blank(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|byte| grammar::is_blank(**byte)).count();
    &bytes[blank..]
}

fn expect_byte(bytes: &[u8], wanted: u8) -> Result<&[u8], Refusal> {
    match bytes.split_first() {
        Some((byte, rest)) if *byte == wanted => Ok(rest),
        Some(_) | None => Err(Refusal::ChunkExtension),
    }
}

fn skip_token(bytes: &[u8]) -> Result<&[u8], Refusal> {
    match grammar::token_len(bytes) {
        0 => Err(Refusal::ChunkExtension),
        len => Ok(&bytes[len..]),
    }
}

/// The rest of a quoted string (RFC 9110 5.6.4), its opening quote being read already.
fn skip_quoted(mut bytes: &[u8]) -> Result<&[u8], Refusal> {
    loop {
        bytes = match bytes {
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', escaped, rest @ ..] if grammar::is_field_value(&[*escaped]) => rest,
            [b'\\', ..] => return Err(Refusal::ChunkExtension),
            [byte, rest @ ..] if grammar::is_field_value(&[*byte]) => rest,
            _ => return Err(Refusal::ChunkExtension),
        };
    }
}

/// Writes the line that opens a chunk of `size` bytes into `space` and returns it.
#[must_use]
pub fn chunk_size_line(size: usize, space: &mut [u8; 18]) -> &[u8] {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1) as usize;
    for (at, slot) in space[..digits].iter_mut().enumerate() {
        *slot = b"0123456789abcdef"[size >> (4 * (digits - 1 - at)) & 15];
    }
    space[digits..digits + 2].copy_from_slice(b"\r\n");
    &space[..digits + 2]
}
