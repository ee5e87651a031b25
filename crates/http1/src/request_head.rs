//! What a complete request head says, as slices of the caller's bytes (RFC 9112 3).

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::fields::{FieldTable, Fields};
use crate::framing::{Framing, FramingFields};
use crate::hop_by_hop::ConnectionOptions;
use crate::{Method, Version};

/// The form in which a target was written (RFC 9112 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, with CONNECT alone.
    Authority,
    /// `*`, with OPTIONS alone.
    Asterisk,
}

/// What a request head says, as offsets into the caller's bytes.
#[derive(Debug, Clone)]
pub(crate) struct RequestParts {
    pub(crate) method: Method,
    pub(crate) method_bytes: Range<usize>,
    pub(crate) form: TargetForm,
    pub(crate) target: Range<usize>,
    /// Path and query; empty for an absolute target without a path.
    pub(crate) path_and_query: Range<usize>,
    pub(crate) authority: Option<Range<usize>>,
    pub(crate) version: Version,
    pub(crate) host: Option<Range<usize>>,
    pub(crate) framing: FramingFields,
    pub(crate) connection: ConnectionOptions,
    pub(crate) upgrade: Option<Range<usize>>,
    pub(crate) expects_continue: bool,
}

impl RequestParts {
    pub(crate) const NONE: Self = Self {
        method: Method::Other,
        method_bytes: 0..0,
        form: TargetForm::Origin,
        target: 0..0,
        path_and_query: 0..0,
        authority: None,
        version: Version::Http11,
        host: None,
        framing: FramingFields::NONE,
        connection: ConnectionOptions::NONE,
        upgrade: None,
        expects_continue: false,
    };
}

/// A complete request head: slices of the caller's bytes.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) parts: &'a RequestParts,
    pub(crate) table: &'a FieldTable,
}

impl<'a> RequestHead<'a> {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.parts.method
    }

    /// The method's name as it was sent.
    #[must_use]
    pub fn method_bytes(&self) -> &'a [u8] {
        &self.bytes[self.parts.method_bytes.clone()]
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The form the target was written in.
    #[must_use]
    pub fn target_form(&self) -> TargetForm {
        self.parts.form
    }

    /// Path and query, as an origin is asked for them: `/` for an absolute target without a path, `*` for the whole server.
    /// With CONNECT the host and port.
    #[must_use]
    pub fn path_and_query(&self) -> Cow<'a, [u8]> {
        match self.path_and_query_as_sent() {
            [] => Cow::Borrowed(self.path()),
            // RFC 9112 3.2.1: an empty path is sent on as `/`.
            query @ [b'?', ..] => Cow::Owned([b"/", query].concat()),
            path => Cow::Borrowed(path),
        }
    }

    fn path_and_query_as_sent(&self) -> &'a [u8] {
        &self.bytes[self.parts.path_and_query.clone()]
    }

    /// The path alone, as it was sent (nothing is decoded).
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        match self.path_and_query_as_sent() {
            [] if self.parts.method == Method::Options => b"*", // RFC 9112 3.2.4
            [] | [b'?', ..] => b"/",
            whole => &whole[..memchr(b'?', whole).unwrap_or(whole.len())],
        }
    }

    /// The host and port that were asked for; `None` only in HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> Option<&'a [u8]> {
        self.parts.host.clone().map(|range| &self.bytes[range])
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.table.view(self.bytes)
    }

    /// Where the body ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.parts.framing.of_request()
    }

    /// True when the client would send another request on this connection (RFC 9112 9.3).
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.parts.connection.is_persistent(self.parts.version)
    }

    /// True when the client waits for a 100 before it sends its body (RFC 9110 10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.parts.expects_continue
    }

    /// The protocol the client would change to: `Upgrade` in an HTTP/1.1 request whose `Connection` names it (RFC 9110 7.8).
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        match self.parts.version {
            Version::Http11 if self.parts.connection.upgrade => {
                self.parts.upgrade.clone().map(|range| &self.bytes[range])
            }
            Version::Http11 | Version::Http10 => None,
        }
    }
}
