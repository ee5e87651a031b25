//! Why there is no answer.

use std::io;
use std::time::Duration;

use crate::bounds::{HEAD_BYTES, HEAD_FIELDS};

/// Why a request has no answer. Says no secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name has no address.
    #[error("the name {name} was not found: {cause}")]
    Name {
        /// The host of the URL.
        name: String,
        /// What the resolver said.
        cause: io::Error,
    },
    /// No address of the host took the connection.
    #[error("{place} took no connection: {cause}")]
    Connect {
        /// Host and port.
        place: String,
        /// Why the last address that was tried did not.
        cause: io::Error,
    },
    /// Finding, connecting and TLS took longer than their bound.
    #[error("{place} was not connected to within {limit:?}")]
    ConnectTimedOut {
        /// Host and port.
        place: String,
        /// The bound.
        limit: Duration,
    },
    /// No trusted TLS: a certificate that is not right, or no TLS at all.
    #[error("no TLS with {place}: {cause}")]
    Tls {
        /// Host and port.
        place: String,
        /// What rustls said.
        cause: io::Error,
    },
    /// There are no authorities that could be trusted.
    #[error("this system trusts no certificate authority: install its bundle (ca-certificates), or set SSL_CERT_FILE")]
    NoAuthorities,
    /// The whole took longer than its bound.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// The other side ended before its answer did.
    #[error("the connection ended before the answer did: {0}")]
    BrokenOff(String),
    /// What came is no HTTP/1.1.
    #[error("what came back is no HTTP answer: {0}")]
    NotHttp(String),
    /// The head is longer than [`HEAD_BYTES`] or has more than [`HEAD_FIELDS`] fields.
    #[error("the head of the answer has more than {HEAD_BYTES} bytes or {HEAD_FIELDS} fields")]
    HeadTooLong,
    /// The body is longer than its bound.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// The answer sends somewhere else. It is not followed: what is asked, and what is told to whom, is the user's to say.
    #[error("the answer is a redirect ({status}) to {to}, which is not followed: write the final URL")]
    Redirected {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to, without what may be secret.
        to: String,
    },
}
