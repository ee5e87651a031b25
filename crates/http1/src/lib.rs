//! A strict HTTP/1.1 codec: heads, body framing and chunked bodies, as pure functions over the caller's bytes.
//!
//! Promises: whatever two parsers could read differently is refused, with the section of the RFC that decides it and
//! the status to answer; how the bytes were cut into reads never changes the result; no allocation per field; every
//! size has a bound with a name ([`bounds`]).
//! Must never: do I/O, look at a clock, guess what a sender meant, or depend on another room of this project.
//! Begin reading at [`RequestParser`], then [`Framing`], [`ChunkedDecoder`] and, for forwarding, [`HeadWriter`].
//!
//! Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 3986 (targets and authorities).

pub mod bounds;
mod chunked;
mod fields;
mod framing;
mod grammar;
mod head_writer;
mod hop_by_hop;
mod host;
mod lines;
mod method;
mod name;
mod refusal;
mod request;
mod request_head;
mod response;

pub use chunked::{ChunkPart, ChunkedDecoder, Gathered, chunk_size_line};
pub use fields::{Field, Fields, FieldsIter};
pub use framing::Framing;
pub use grammar::{is_field_value, is_token};
pub use head_writer::HeadWriter;
pub use method::Method;
pub use name::Name;
pub use refusal::Refusal;
pub use request::RequestParser;
pub use request_head::{RequestHead, TargetForm};
pub use response::{ResponseHead, ResponseParser};

/// How far a parser came with the bytes it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No complete head yet: call again with the same bytes and more behind them.
    Partial,
    /// A head is complete and takes the first `head_bytes` bytes of the input; what follows is body or next message.
    Complete {
        /// Length of the head, its closing empty line included.
        head_bytes: usize,
    },
}

/// The protocol versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, connections end after one exchange unless agreed otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}
