//! Why a message is refused.

use std::fmt;

/// Why a message was refused. Nothing that follows it on its connection may be read as HTTP any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The first byte can not begin a start line.
    LeadingJunk,
    /// A line ends in LF without CR.
    BareLf,
    /// A CR that is not followed by LF.
    BareCr,
    /// A NUL byte in a head.
    Nul,
    /// The request line is not method, space, target, space, version.
    RequestLine,
    /// The method is no token.
    MethodBytes,
    /// The method's name is longer than [`METHOD_BYTES_MAX`](crate::bounds::METHOD_BYTES_MAX).
    MethodTooLong,
    /// The target has a byte that no target has, or a form that does not go with the method.
    Target,
    /// The target is longer than [`TARGET_BYTES_MAX`](crate::bounds::TARGET_BYTES_MAX).
    TargetTooLong,
    /// The version is a valid one, but neither 1.0 nor 1.1.
    Version,
    /// The status line is not version, space, three digits, reason.
    StatusLine,
    /// The head is larger than [`HEAD_BYTES_MAX`](crate::bounds::HEAD_BYTES_MAX).
    HeadTooLarge,
    /// More fields than [`FIELDS_MAX`](crate::bounds::FIELDS_MAX).
    TooManyFields,
    /// A line begins with white space: the folding of old.
    ObsoleteFold,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// A field's name is empty or no token.
    FieldName,
    /// A field's value has a control byte.
    FieldValue,
    /// No `Host` in an HTTP/1.1 request.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is no host with an optional port.
    HostInvalid,
    /// `Host` differs from the authority in the target.
    HostMismatch,
    /// `Content-Length` is no plain decimal number that fits 63 bits.
    ContentLength,
    /// More than one `Content-Length`, or a list in one.
    ContentLengthRepeated,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthAndCoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    CodingInHttp10,
    /// More than one `Transfer-Encoding`.
    CodingRepeated,
    /// `Transfer-Encoding` is something else than exactly `chunked`.
    CodingUnknown,
    /// `Connection` is no list of tokens, too long a list, or names a field that frames or routes the message.
    ConnectionOptions,
    /// A chunk size is no plain hexadecimal number that fits 63 bits.
    ChunkSize,
    /// A chunk extension is against the grammar.
    ChunkExtension,
    /// A chunk-size line, or all extensions of one body together, are larger than their bound.
    ChunkLineTooLong,
    /// A chunk's data is not followed by CRLF.
    ChunkEnd,
    /// A trailer names a field that frames or routes the message.
    TrailerForbidden,
    /// The trailer section is larger than [`TRAILER_BYTES_MAX`](crate::bounds::TRAILER_BYTES_MAX).
    TrailerTooLarge,
}

impl Refusal {
    /// The status with which a server answers a request that is refused so.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailerTooLarge => 431,
            Self::MethodTooLong | Self::CodingUnknown => 501,
            Self::Version => 505,
            Self::LeadingJunk
            | Self::BareLf
            | Self::BareCr
            | Self::Nul
            | Self::RequestLine
            | Self::MethodBytes
            | Self::Target
            | Self::StatusLine
            | Self::ObsoleteFold
            | Self::SpaceBeforeColon
            | Self::FieldName
            | Self::FieldValue
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::HostMismatch
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::LengthAndCoding
            | Self::CodingInHttp10
            | Self::CodingRepeated
            | Self::ConnectionOptions
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkLineTooLong
            | Self::ChunkEnd
            | Self::TrailerForbidden => 400,
        }
    }

    /// The section that forbids it, or that allows to refuse it.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::LeadingJunk | Self::BareLf | Self::BareCr | Self::Nul => "RFC 9112 2.2",
            Self::RequestLine | Self::TargetTooLong => "RFC 9112 3",
            Self::MethodBytes | Self::MethodTooLong => "RFC 9112 3.1",
            Self::Target | Self::HostMissing | Self::HostRepeated | Self::HostInvalid => "RFC 9112 3.2",
            Self::HostMismatch => "RFC 9112 3.2.2",
            Self::Version => "RFC 9112 2.3",
            Self::StatusLine => "RFC 9112 4",
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailerTooLarge => "RFC 9110 5.4",
            Self::ObsoleteFold => "RFC 9112 5.2",
            Self::SpaceBeforeColon => "RFC 9112 5.1",
            Self::FieldName => "RFC 9110 5.1",
            Self::FieldValue => "RFC 9110 5.5",
            Self::ContentLength | Self::ContentLengthRepeated => "RFC 9110 8.6",
            Self::LengthAndCoding => "RFC 9112 6.3",
            Self::CodingInHttp10 | Self::CodingRepeated | Self::CodingUnknown => "RFC 9112 6.1",
            Self::ConnectionOptions => "RFC 9110 7.6.1",
            Self::ChunkSize | Self::ChunkEnd => "RFC 9112 7.1",
            Self::ChunkExtension | Self::ChunkLineTooLong => "RFC 9112 7.1.1",
            Self::TrailerForbidden => "RFC 9110 6.5.1",
        }
    }

    /// What is wrong, in a few words without the section.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LeadingJunk => "the first byte can not begin a start line",
            Self::BareLf => "a line ends in LF without CR",
            Self::BareCr => "a CR without LF",
            Self::Nul => "a NUL byte in the head",
            Self::RequestLine => "the request line is not method, target and version",
            Self::MethodBytes => "the method is no token",
            Self::MethodTooLong => "the method's name is too long",
            Self::Target => "the request target is invalid",
            Self::TargetTooLong => "the request target is too long",
            Self::Version => "neither HTTP/1.0 nor HTTP/1.1",
            Self::StatusLine => "the status line is invalid",
            Self::HeadTooLarge => "the head is too large",
            Self::TooManyFields => "too many fields",
            Self::ObsoleteFold => "a folded field line",
            Self::SpaceBeforeColon => "white space before a field's colon",
            Self::FieldName => "a field name is no token",
            Self::FieldValue => "a control byte in a field value",
            Self::HostMissing => "no Host",
            Self::HostRepeated => "more than one Host",
            Self::HostInvalid => "Host is no host and port",
            Self::HostMismatch => "Host differs from the target's authority",
            Self::ContentLength => "Content-Length is no plain number",
            Self::ContentLengthRepeated => "more than one Content-Length",
            Self::LengthAndCoding => "both Content-Length and Transfer-Encoding",
            Self::CodingInHttp10 => "Transfer-Encoding in HTTP/1.0",
            Self::CodingRepeated => "more than one Transfer-Encoding",
            Self::CodingUnknown => "a transfer coding other than chunked",
            Self::ConnectionOptions => "invalid Connection options",
            Self::ChunkSize => "an invalid chunk size",
            Self::ChunkExtension => "an invalid chunk extension",
            Self::ChunkLineTooLong => "chunk extensions are too long",
            Self::ChunkEnd => "a chunk does not end with CRLF",
            Self::TrailerForbidden => "a field that no trailer may carry",
            Self::TrailerTooLarge => "the trailer section is too large",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words(), self.section())
    }
}

impl std::error::Error for Refusal {}
