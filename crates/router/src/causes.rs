//! Why the router answers a request itself, and what such an answer says.

/// Seconds that a 503 asks a client to wait.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Why a request was answered by the router and not by an instance. Each is counted under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnCause {
    /// Its framing or its head is refused.
    Refused,
    /// No app answers for its host, or no process of the app for its path.
    UnknownHost,
    /// The preview address without token and from no listed network.
    PreviewForbidden,
    /// Nobody to send it to.
    NoInstance,
    /// No instance took the connection.
    ConnectFailed,
    /// No instance took the connection in time.
    ConnectTimeout,
    /// The instance went away before its answer.
    UpstreamClosed,
    /// The instance did not answer in time.
    UpstreamTimeout,
    /// The instance's answer can not be passed on.
    UpstreamInvalid,
    /// The request's body stood still.
    RequestTimeout,
    /// The lane serves as many connections as it may.
    TooManyConnections,
    /// The instance broke off in the middle of its answer: the client saw a part of it.
    AnswerBroken,
    /// This program failed while it served the request: its client saw the connection end.
    RouterPanicked,
    /// The preview address while nothing is previewed.
    NoPreview,
    /// The system gave the router no connection to an instance: file descriptors, ports or memory are used up.
    OutOfSockets,
}

impl OwnCause {
    /// All, in the order of their places in the ledger file: append only.
    pub(crate) const ALL: [Self; 15] = [
        Self::Refused,
        Self::UnknownHost,
        Self::PreviewForbidden,
        Self::NoInstance,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::UpstreamClosed,
        Self::UpstreamTimeout,
        Self::UpstreamInvalid,
        Self::RequestTimeout,
        Self::TooManyConnections,
        Self::AnswerBroken,
        Self::RouterPanicked,
        Self::NoPreview,
        Self::OutOfSockets,
    ];

    /// Its place in the ledger file.
    pub(crate) fn place(self) -> usize {
        self as usize
    }

    /// Its stable name in ledgers and receipts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::UnknownHost => "no-route",
            Self::PreviewForbidden => "preview-forbidden",
            Self::NoInstance => "no-healthy-instance",
            Self::ConnectFailed => "connect-failed",
            Self::ConnectTimeout => "connect-timeout",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamInvalid => "upstream-invalid",
            Self::RequestTimeout => "request-timeout",
            Self::TooManyConnections => "too-many-connections",
            Self::AnswerBroken => "answer-broken",
            Self::RouterPanicked => "router-panicked",
            Self::NoPreview => "no-preview",
            Self::OutOfSockets => "out-of-sockets",
        }
    }

    /// True when the client did nothing wrong: with a healthy instance at hand, such a request is lost.
    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Refused | Self::UnknownHost | Self::PreviewForbidden | Self::NoPreview | Self::RequestTimeout => {
                false
            }
            Self::NoInstance
            | Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::UpstreamClosed
            | Self::UpstreamTimeout
            | Self::UpstreamInvalid
            | Self::TooManyConnections
            | Self::AnswerBroken
            | Self::RouterPanicked
            | Self::OutOfSockets => true,
        }
    }

    /// Whose doing it is, where the request had its way to an instance.
    pub(crate) fn fault(self) -> Fault {
        match self {
            // Nobody of the revision was there, took the connection, answered in time, or finished its answer.
            Self::NoInstance
            | Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::UpstreamClosed
            | Self::UpstreamTimeout
            | Self::UpstreamInvalid
            | Self::AnswerBroken => Fault::App,
            Self::Refused | Self::RequestTimeout => Fault::Client,
            // Want of means of this machine, our own bug, and what is answered before an arm is chosen.
            Self::TooManyConnections
            | Self::RouterPanicked
            | Self::OutOfSockets
            | Self::UnknownHost
            | Self::PreviewForbidden
            | Self::NoPreview => Fault::Router,
        }
    }
}

/// Whose doing it was that a request which had its way to an instance ended without that instance's whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The app's: it counts against the revision and process that the request was led to.
    App,
    /// The client's: it says nothing about the app, like a client that went away.
    Client,
    /// The router's own or nobody's: no arm of the traffic is to blame.
    Router,
}

/// What the router answers itself; the byte path writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnAnswer {
    /// Status code.
    pub(crate) status: u16,
    /// One line that says what happened.
    pub(crate) text: &'static str,
    /// For 503: when to come again.
    pub(crate) retry_after_seconds: Option<u32>,
}

impl OwnAnswer {
    pub(crate) const UNKNOWN_HOST: Self = Self::plain(404, "no app is served under this host");
    pub(crate) const UNKNOWN_PATH: Self = Self::plain(404, "no process of the app answers under this path");
    pub(crate) const PREVIEW_FORBIDDEN: Self = Self::plain(401, "the preview asks for its token");
    pub(crate) const NO_PREVIEW: Self = Self::plain(404, "nothing is previewed here now");
    pub(crate) const NO_INSTANCE: Self = Self::later("no instance is healthy");
    pub(crate) const ENDED: Self = Self::later("this router has ended; the one after it answers");
    pub(crate) const NOT_CONFIRMED: Self = Self::later("the router waits for its table to be confirmed");

    const fn plain(status: u16, text: &'static str) -> Self {
        Self { status, text, retry_after_seconds: None }
    }

    const fn later(text: &'static str) -> Self {
        Self { status: 503, text, retry_after_seconds: Some(RETRY_AFTER_SECONDS) }
    }
}

#[cfg(test)]
mod tests {
    use super::OwnCause;

    #[test]
    fn every_cause_has_its_own_place_and_name() {
        for (place, cause) in OwnCause::ALL.into_iter().enumerate() {
            assert_eq!(cause.place(), place);
        }
        let names: std::collections::BTreeSet<_> = OwnCause::ALL.into_iter().map(OwnCause::name).collect();
        assert_eq!(names.len(), OwnCause::ALL.len());
    }
}
