//! The parser of request heads (RFC 9112 3).

use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::bounds::{HEAD_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::fields::{FieldSpan, FieldTable};
use crate::hop_by_hop::ConnectionOptions;
use crate::lines::{LineFault, Lines};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::request_head::{RequestHead, RequestParts, TargetForm};
use crate::{Method, Progress, Version, grammar, host};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    StartLine { skipped_empty: bool },
    Fields,
    Complete,
    Refused(Refusal),
}

/// Reads one request head after the other.
///
/// Flow: [`parse`](Self::parse) with all the bytes that are there, again with more while it says
/// [`Progress::Partial`]; then [`head`](Self::head) with the same bytes; [`reset`](Self::reset) before the next message.
/// Guarantees: each byte is looked at once; the result does not depend on how the bytes were cut; after a refusal every
/// further call refuses the same way.
/// Assumes: the bytes given before are a prefix of the bytes given now.
#[derive(Debug)]
pub struct RequestParser {
    stage: Stage,
    lines: Lines,
    table: FieldTable,
    parts: RequestParts,
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestParser {
    /// A parser at the start of a message.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::StartLine { skipped_empty: false },
            lines: Lines::default(),
            table: FieldTable::default(),
            parts: RequestParts::NONE,
        }
    }

    /// Back to the start of a message; keeps its memory.
    pub fn reset(&mut self) {
        self.stage = Stage::StartLine { skipped_empty: false };
        self.lines = Lines::default();
        self.table.clear();
        self.parts = RequestParts::NONE;
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
    pub fn head<'a>(&'a self, input: &'a [u8]) -> RequestHead<'a> {
        assert!(self.stage == Stage::Complete, "a head is asked for when parse() said that it is complete");
        RequestHead { bytes: &input[..self.lines.start], parts: &self.parts, table: &self.table }
    }

    fn advance(&mut self, input: &[u8]) -> Result<Progress, Refusal> {
        loop {
            match self.stage {
                Stage::Complete => return Ok(Progress::Complete { head_bytes: self.lines.start }),
                Stage::Refused(refusal) => return Err(refusal),
                Stage::StartLine { skipped_empty } => {
                    check_first_byte(input, self.lines.start)?;
                    let Some(line) = self.line(input)? else { return Ok(Progress::Partial) };
                    if !line.is_empty() {
                        self.request_line(input, line)?;
                        self.stage = Stage::Fields;
                    } else if skipped_empty {
                        return Err(Refusal::LeadingJunk);
                    } else {
                        // RFC 9112 2.2: at least one empty line before a request line is ignored.
                        self.stage = Stage::StartLine { skipped_empty: true };
                    }
                }
                Stage::Fields => {
                    let Some(line) = self.line(input)? else { return Ok(Progress::Partial) };
                    if line.is_empty() {
                        self.complete(input)?;
                        self.stage = Stage::Complete;
                    } else {
                        self.field(input, line)?;
                    }
                }
            }
        }
    }

    fn line(&mut self, input: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        let in_start_line = self.stage != Stage::Fields;
        self.lines.next(input, HEAD_BYTES_MAX).map_err(|fault| match fault {
            LineFault::BareLf => Refusal::BareLf,
            LineFault::TooLong if in_start_line => Refusal::TargetTooLong,
            LineFault::TooLong => Refusal::HeadTooLarge,
        })
    }

    fn request_line(&mut self, input: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let bytes = &input[line.clone()];
        let method_len = grammar::token_len(bytes);
        match bytes.get(method_len) {
            Some(b' ') if method_len > 0 => {}
            Some(0) => return Err(Refusal::Nul),
            Some(b'\r') => return Err(Refusal::BareCr),
            Some(_) => return Err(Refusal::MethodBytes),
            None => return Err(Refusal::RequestLine),
        }
        if method_len > METHOD_BYTES_MAX {
            return Err(Refusal::MethodTooLong);
        }
        let rest = &bytes[method_len + 1..];
        let target_len = memchr(b' ', rest).ok_or(Refusal::RequestLine)?;
        if target_len > TARGET_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        let target = &rest[..target_len];
        if !grammar::is_target(target) {
            return Err(target_fault(target));
        }
        let version = version(&rest[target_len + 1..]).ok_or_else(|| version_fault(&rest[target_len + 1..]))?;

        let target_start = line.start + method_len + 1;
        let parts = &mut self.parts;
        parts.method = Method::of(&bytes[..method_len]);
        parts.method_bytes = line.start..line.start + method_len;
        parts.target = target_start..target_start + target_len;
        parts.path_and_query = parts.target.clone();
        parts.version = version;
        parts.read_target(target, target_start)
    }

    fn field(&mut self, input: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let span = FieldSpan::read(input, line.start, line.end)?;
        let value = span.value(input);
        let parts = &mut self.parts;
        match span.name() {
            Name::Host => {
                if parts.host.is_some() {
                    return Err(Refusal::HostRepeated);
                }
                if !host::is_authority(value) {
                    return Err(Refusal::HostInvalid);
                }
                parts.host = Some(span.value_range());
            }
            Name::ContentLength => parts.framing.content_length(value)?,
            Name::TransferEncoding => parts.framing.transfer_encoding(value, parts.version)?,
            // More than one, or a list: whoever passes it on looks at all of it; the first one decides here.
            Name::Upgrade if parts.upgrade.is_none() => parts.upgrade = Some(span.value_range()),
            // RFC 9110 10.1.1: a server ignores the expectation of an HTTP/1.0 client.
            Name::Expect => {
                parts.expects_continue |=
                    parts.version == Version::Http11 && value.eq_ignore_ascii_case(b"100-continue");
            }
            Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::ProxyAuthenticate
            | Name::ProxyAuthorization
            | Name::Te
            | Name::Trailer
            | Name::Upgrade
            | Name::Http2Settings
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

    fn complete(&mut self, input: &[u8]) -> Result<(), Refusal> {
        let parts = &mut self.parts;
        parts.framing.check()?;
        parts.connection = ConnectionOptions::read(input, &mut self.table)?;
        match (&parts.host, &parts.authority) {
            (Some(host), Some(authority)) => {
                if !input[host.clone()].eq_ignore_ascii_case(&input[authority.clone()]) {
                    return Err(Refusal::HostMismatch);
                }
            }
            (Some(_), None) => {}
            (None, authority) => match parts.version {
                Version::Http11 => return Err(Refusal::HostMissing),
                Version::Http10 => parts.host.clone_from(authority),
            },
        }
        Ok(())
    }
}

impl RequestParts {
    fn read_target(&mut self, target: &[u8], start: usize) -> Result<(), Refusal> {
        if self.method == Method::Connect {
            // RFC 9112 3.2.3: host and port, nothing else.
            if !host::is_authority(target) || !target.contains(&b':') {
                return Err(Refusal::Target);
            }
            self.form = TargetForm::Authority;
            self.authority = Some(self.target.clone());
            return Ok(());
        }
        if target[0] == b'/' {
            self.form = TargetForm::Origin;
            return Ok(());
        }
        if target == b"*" && self.method == Method::Options {
            self.form = TargetForm::Asterisk;
            return Ok(());
        }
        let scheme_len = [&b"http://"[..], b"https://"]
            .iter()
            .find(|scheme| target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)))
            .map(|scheme| scheme.len())
            .ok_or(Refusal::Target)?;
        let after = &target[scheme_len..];
        // RFC 3986 3.2: a query may follow it at once.
        let authority_len = memchr2(b'/', b'?', after).unwrap_or(after.len());
        if !host::is_authority(&after[..authority_len]) {
            return Err(Refusal::Target);
        }
        self.form = TargetForm::Absolute;
        let path_start = start + scheme_len + authority_len;
        self.authority = Some(start + scheme_len..path_start);
        self.path_and_query = path_start..self.target.end;
        Ok(())
    }
}

fn check_first_byte(input: &[u8], start: usize) -> Result<(), Refusal> {
    match input.get(start) {
        None | Some(b'\r') => Ok(()),
        Some(b'\n') => Err(Refusal::BareLf),
        Some(byte) if grammar::is_token_byte(*byte) => Ok(()),
        Some(_) => Err(Refusal::LeadingJunk),
    }
}

fn target_fault(target: &[u8]) -> Refusal {
    if target.contains(&0) {
        Refusal::Nul
    } else if target.contains(&b'\r') {
        Refusal::BareCr
    } else if target.is_empty() {
        Refusal::RequestLine
    } else {
        Refusal::Target
    }
}

/// 1.0 or 1.1, in exactly this spelling (RFC 9112 2.3).
pub(crate) fn version(bytes: &[u8]) -> Option<Version> {
    match bytes {
        b"HTTP/1.1" => Some(Version::Http11),
        b"HTTP/1.0" => Some(Version::Http10),
        _ => None,
    }
}

fn version_fault(bytes: &[u8]) -> Refusal {
    match bytes {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Refusal::Version
        }
        _ if bytes.contains(&0) => Refusal::Nul,
        _ if bytes.contains(&b'\r') => Refusal::BareCr,
        _ => Refusal::RequestLine,
    }
}
