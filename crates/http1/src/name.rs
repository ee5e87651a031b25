//! Field names that change how a message is handled on its way.

/// What a field's name means to someone who passes the message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the fields' own names")]
pub enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Te,
    Trailer,
    Upgrade,
    Http2Settings,
    Expect,
    Cookie,
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XRequestId,
    /// `Proxy`, or a field that an application behind CGI rules (`_` for `-`) would take for one that frames the message or
    /// speaks of one connection: never passed on.
    Disguised,
    /// Any other `X-Forwarded-` field, or one that an application behind CGI rules (`_` for `-`) would take for one.
    ForwardedLike,
    Other,
}

impl Name {
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("te") => Self::Te,
            4 if is("host") => Self::Host,
            // A CGI-like interface makes HTTP_PROXY of it, which many programs read as their own setting.
            5 if is("proxy") => Self::Disguised,
            6 if is("expect") => Self::Expect,
            6 if is("cookie") => Self::Cookie,
            7 if is("upgrade") => Self::Upgrade,
            7 if is("trailer") => Self::Trailer,
            9 if is("forwarded") => Self::Forwarded,
            9 => Self::forwarded_like(name),
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            12 if is("x-request-id") => Self::XRequestId,
            14 if is("content-length") => Self::ContentLength,
            14 if is("http2-settings") => Self::Http2Settings,
            15 if is("x-forwarded-for") => Self::XForwardedFor,
            16 if is("x-forwarded-host") => Self::XForwardedHost,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("x-forwarded-proto") => Self::XForwardedProto,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            18 if is("proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is("proxy-authorization") => Self::ProxyAuthorization,
            10 | 14 | 16..=19 if is_disguised(name) => Self::Disguised,
            12.. => Self::forwarded_like(name),
            _ => Self::Other,
        }
    }

    /// `X-Forwarded-*`, `X-Real-IP` and `X-Request-ID` in the spellings that CGI-like interfaces fold into one.
    fn forwarded_like(name: &[u8]) -> Self {
        if !matches!(name.first(), Some(b'x' | b'X')) {
            return Self::Other;
        }
        let same = |known: &[u8]| name.len() == known.len() && folds_to(name, known);
        if folds_to(name, b"x-forwarded-") || same(b"x-real-ip") || same(b"x-request-id") {
            Self::ForwardedLike
        } else {
            Self::Other
        }
    }

    /// True for the fields that speak of one connection alone and are never passed on (RFC 9110 7.6.1).
    #[must_use]
    pub fn is_hop_by_hop(self) -> bool {
        // `Trailer` only announces; it stays as long as the trailers do (RFC 9110 6.6.2).
        self == Self::TransferEncoding || self.speaks_of() == About::Connection
    }

    /// True for the fields that say where a message ends or goes: nothing that `Connection` says may take them away.
    pub(crate) fn says_where_it_ends_or_goes(self) -> bool {
        self.speaks_of() == About::Message
    }

    /// True for the fields that may not stand in a trailer section (RFC 9110 6.5.1) because they frame or route the message.
    pub(crate) fn is_forbidden_in_trailers(self) -> bool {
        self.speaks_of() != About::Nothing
    }

    fn speaks_of(self) -> About {
        match self {
            Self::Host | Self::ContentLength | Self::TransferEncoding => About::Message,
            Self::Connection
            | Self::KeepAlive
            | Self::ProxyConnection
            | Self::ProxyAuthenticate
            | Self::ProxyAuthorization
            | Self::Te
            | Self::Upgrade
            | Self::Http2Settings
            | Self::Disguised => About::Connection,
            Self::Trailer
            | Self::Expect
            | Self::Cookie
            | Self::Forwarded
            | Self::XForwardedFor
            | Self::XForwardedProto
            | Self::XForwardedHost
            | Self::XRequestId
            | Self::ForwardedLike => About::Handling,
            Self::Other => About::Nothing,
        }
    }
}

/// What a field's name speaks of, as far as it matters on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Where the message ends or goes.
    Message,
    /// One connection alone.
    Connection,
    /// How the message is handled.
    Handling,
    /// Nothing that matters here.
    Nothing,
}

/// Names with a `-` that frame a message or speak of one connection.
const DISGUISES: [&[u8]; 7] = [
    b"keep-alive",
    b"content-length",
    b"http2-settings",
    b"proxy-connection",
    b"transfer-encoding",
    b"proxy-authenticate",
    b"proxy-authorization",
];

fn is_disguised(name: &[u8]) -> bool {
    name.contains(&b'_') && DISGUISES.iter().any(|known| name.len() == known.len() && folds_to(name, known))
}

/// True when `name` begins with `known`, letters in any case and `_` for `-`.
fn folds_to(name: &[u8], known: &[u8]) -> bool {
    name.len() >= known.len()
        && name
            .iter()
            .zip(known)
            .all(|(byte, want)| byte.to_ascii_lowercase() == *want || (*want == b'-' && *byte == b'_'))
}
