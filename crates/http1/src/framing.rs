//! Where a message's body ends (RFC 9112 6.3).

use crate::refusal::Refusal;
use crate::{Method, Version};

/// How the body of a message is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// Exactly so many bytes follow; never 0.
    Length(u64),
    /// The chunked coding follows.
    Chunked,
    /// Everything until the connection ends; responses only.
    UntilClose,
    /// No message any more: the connection is a tunnel (101, or 2xx to CONNECT).
    Tunnel,
}

/// What the fields of a head say about its body, collected while they are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
}

impl FramingFields {
    pub(crate) const NONE: Self = Self { length: None, chunked: false };

    /// Takes in a `Content-Length` value.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() || memchr::memchr(b',', value).is_some() {
            return Err(Refusal::ContentLengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Refusal::ContentLength)?);
        Ok(())
    }

    /// Takes in a `Transfer-Encoding` value.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), Refusal> {
        match version {
            Version::Http10 => return Err(Refusal::CodingInHttp10),
            Version::Http11 => {}
        }
        if self.chunked {
            return Err(Refusal::CodingRepeated);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::CodingUnknown);
        }
        self.chunked = true;
        Ok(())
    }

    /// To be asked once, when the head is complete.
    pub(crate) fn check(self) -> Result<(), Refusal> {
        if self.chunked && self.length.is_some() { Err(Refusal::LengthAndCoding) } else { Ok(()) }
    }

    pub(crate) fn of_request(self) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, None | Some(0)) => Framing::Empty,
            (false, Some(bytes)) => Framing::Length(bytes),
        }
    }

    pub(crate) fn of_response(self, status: u16, asked_by: Method) -> Framing {
        if status == 101 || (asked_by == Method::Connect && (200..300).contains(&status)) {
            return Framing::Tunnel;
        }
        if status < 200 || status == 204 || status == 304 || asked_by == Method::Head {
            return Framing::Empty;
        }
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, Some(0)) => Framing::Empty,
            (false, Some(bytes)) => Framing::Length(bytes),
            (false, None) => Framing::UntilClose,
        }
    }
}

/// A plain decimal number of at most 63 bits: digits alone, no sign, no white space.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut number = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (number <= i64::MAX as u64).then_some(number)
}
