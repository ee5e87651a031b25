//! What is being written to a peer: a lead, content that still lies in the other side's read buffer, and a tail.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::bounds::WRITE_BUFFER_KEPT_BYTES_MAX;
use super::buffers::Inbound;

/// One write of up to three parts, so that a head and the body behind it leave in one system call.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Head and chunk-size line.
    pub(super) lead: Vec<u8>,
    /// Content, as a range of the source's [`Inbound`].
    pub(super) content: Range<usize>,
    /// End of a chunk, last chunk, trailers.
    pub(super) tail: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(super) fn clear(&mut self) {
        self.lead.clear();
        self.tail.clear();
        if self.lead.capacity() > WRITE_BUFFER_KEPT_BYTES_MAX {
            self.lead = Vec::new();
        }
        if self.tail.capacity() > WRITE_BUFFER_KEPT_BYTES_MAX {
            self.tail = Vec::new();
        }
        self.content = 0..0;
        self.sent = 0;
    }

    /// Bytes written so far.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// From the first byte again, on another connection.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    fn len(&self) -> usize {
        self.lead.len() + self.content.len() + self.tail.len()
    }

    /// True when everything is written.
    pub(super) fn is_flushed(&self) -> bool {
        self.sent == self.len()
    }

    /// Writes on until everything is written. `source` is where the content lies.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut TcpStream,
        source: &Inbound,
    ) -> Poll<io::Result<()>> {
        while !self.is_flushed() {
            let content: &[u8] = if self.content.is_empty() { &[] } else { source.part(self.content.clone()) };
            let mut parts: [IoSlice<'_>; 3] = [IoSlice::new(&[]), IoSlice::new(&[]), IoSlice::new(&[])];
            let (mut count, mut skip) = (0, self.sent);
            for part in [self.lead.as_slice(), content, self.tail.as_slice()] {
                if skip >= part.len() {
                    skip -= part.len();
                } else {
                    parts[count] = IoSlice::new(&part[skip..]);
                    count += 1;
                    skip = 0;
                }
            }
            let written = match &parts[..count] {
                [one] => ready!(Pin::new(&mut *sink).poll_write(cx, one))?,
                several => ready!(Pin::new(&mut *sink).poll_write_vectored(cx, several))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        Poll::Ready(Ok(()))
    }
}
