//! Response heads (RFC 9112 4).

use std::ops::Range;

use crate::bounds::HEAD_BYTES_MAX;
use crate::fields::{FieldSpan, FieldTable, Fields};
use crate::framing::{Framing, FramingFields};
use crate::hop_by_hop::ConnectionOptions;
use crate::lines::{LineFault, Lines};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::request::version;
use crate::{Method, Progress, Version, grammar};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    StatusLine,
    Fields,
    Complete,
    Refused(Refusal),
}

/// Reads one response head after the other; used like [`RequestParser`](crate::RequestParser), with the same guarantees.
#[derive(Debug)]
pub struct ResponseParser {
    stage: Stage,
    lines: Lines,
    table: FieldTable,
    parts: ResponseParts,
}

#[derive(Debug, Clone)]
struct ResponseParts {
    version: Version,
    status: u16,
    reason: Range<usize>,
    framing: FramingFields,
    connection: ConnectionOptions,
    upgrade: Option<Range<usize>>,
}

impl ResponseParts {
    const NONE: Self = Self {
        version: Version::Http11,
        status: 0,
        reason: 0..0,
        framing: FramingFields::NONE,
        connection: ConnectionOptions::NONE,
        upgrade: None,
    };
}

impl Default for ResponseParser {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseParser {
    /// A parser at the start of a message.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::StatusLine,
            lines: Lines::default(),
            table: FieldTable::default(),
            parts: ResponseParts::NONE,
        }
    }

    /// Back to the start of a message; keeps its memory.
    pub fn reset(&mut self) {
        self.stage = Stage::StatusLine;
        self.lines = Lines::default();
        self.table.clear();
        self.parts = ResponseParts::NONE;
    }

    /// Reads on, as far as `input` goes.
    ///
    /// # Errors
    /// The head is refused, for good.
    pub fn parse(&mut self, input: &[u8]) -> Result<Progress, Refusal> {
        let result = self.advance(input);
        if let Err(refusal) = result {
            self.stage = Stage::Refused(refusal);
        }
        result
    }

    /// The complete head. `input` is what [`parse`](Self::parse) was given.
    ///
    /// # Panics
    /// When no head is complete.
    #[must_use]
    pub fn head<'a>(&'a self, input: &'a [u8]) -> ResponseHead<'a> {
        assert!(self.stage == Stage::Complete, "a head is asked for when parse() said that it is complete");
        ResponseHead { bytes: &input[..self.lines.start], parts: &self.parts, table: &self.table }
    }

    fn advance(&mut self, input: &[u8]) -> Result<Progress, Refusal> {
        loop {
            match self.stage {
                Stage::Complete => return Ok(Progress::Complete { head_bytes: self.lines.start }),
                Stage::Refused(refusal) => return Err(refusal),
                Stage::StatusLine => {
                    match input.first() {
                        None | Some(b'H') => {}
                        Some(_) => return Err(Refusal::LeadingJunk),
                    }
                    let Some(line) = self.line(input)? else { return Ok(Progress::Partial) };
                    self.status_line(input, line)?;
                    self.stage = Stage::Fields;
                }
                Stage::Fields => {
                    let Some(line) = self.line(input)? else { return Ok(Progress::Partial) };
                    if line.is_empty() {
                        self.parts.framing.check()?;
                        self.parts.connection = ConnectionOptions::read(input, &mut self.table)?;
                        self.stage = Stage::Complete;
                    } else {
                        self.field(input, line)?;
                    }
                }
            }
        }
    }

    fn line(&mut self, input: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        self.lines.next(input, HEAD_BYTES_MAX).map_err(|fault| match fault {
            LineFault::BareLf => Refusal::BareLf,
            LineFault::TooLong => Refusal::HeadTooLarge,
        })
    }

    fn status_line(&mut self, input: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let bytes = &input[line.clone()];
        let parts = &mut self.parts;
        let (begin, rest) = bytes.split_at_checked(8).ok_or(Refusal::StatusLine)?;
        parts.version = version(begin).ok_or(match begin {
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Refusal::Version,
            _ => Refusal::StatusLine,
        })?;
        // The space before an empty reason is left out by some; nothing can be read two ways in that.
        let (code, reason) = match rest {
            [b' ', a, b, c] => ([*a, *b, *c], &rest[4..]),
            [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
            _ => return Err(Refusal::StatusLine),
        };
        if !code.iter().all(u8::is_ascii_digit) || code[0] == b'0' {
            return Err(Refusal::StatusLine);
        }
        parts.status = code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        if !grammar::is_field_value(reason) {
            return Err(if reason.contains(&0) {
                Refusal::Nul
            } else if reason.contains(&b'\r') {
                Refusal::BareCr
            } else {
                Refusal::StatusLine
            });
        }
        parts.reason = line.end - reason.len()..line.end;
        Ok(())
    }

    fn field(&mut self, input: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let span = FieldSpan::read(input, line.start, line.end)?;
        let parts = &mut self.parts;
        match span.name() {
            Name::ContentLength => parts.framing.content_length(span.value(input))?,
            Name::TransferEncoding => parts.framing.transfer_encoding(span.value(input), parts.version)?,
            Name::Upgrade if parts.upgrade.is_none() => parts.upgrade = Some(span.value_range()),
            Name::Host
            | Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::ProxyAuthenticate
            | Name::ProxyAuthorization
            | Name::Te
            | Name::Trailer
            | Name::Upgrade
            | Name::Http2Settings
            | Name::Expect
            | Name::Cookie
            | Name::Forwarded
            | Name::XForwardedFor
            | Name::XForwardedProto
            | Name::XForwardedHost
            | Name::XRequestId
            | Name::Disguised
            | Name::ForwardedLike
            | Name::Other => {}
        }
        self.table.push(span)
    }
}

/// A complete response head: slices of the caller's bytes.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    bytes: &'a [u8],
    parts: &'a ResponseParts,
    table: &'a FieldTable,
}

impl<'a> ResponseHead<'a> {
    /// Length of the head, its closing empty line included.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The status, 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.parts.status
    }

    /// The reason phrase; often empty, never to be relied on.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        &self.bytes[self.parts.reason.clone()]
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.table.view(self.bytes)
    }

    /// Where the body of this answer to a request with method `asked_by` ends.
    #[must_use]
    pub fn framing(&self, asked_by: Method) -> Framing {
        self.parts.framing.of_response(self.parts.status, asked_by)
    }

    /// True when the connection can carry another request after this answer, if the body's framing allows it too.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.parts.connection.is_persistent(self.parts.version)
    }

    /// The protocol a 101 changes to.
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        self.parts.upgrade.clone().map(|range| &self.bytes[range])
    }
}
