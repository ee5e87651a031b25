//! Read buffers, held only while there is something in them or on its way.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::bounds::{BUFFER_BYTES, BUFFERS_KEPT_MAX};

/// Buffers not in use, last in first out so that warm memory is used again.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: RefCell<Vec<Vec<u8>>>,
    /// Buffers that somebody holds.
    held: Cell<usize>,
}

impl BufferPool {
    fn take(&self) -> Vec<u8> {
        self.held.set(self.held.get() + 1);
        self.free.borrow_mut().pop().unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    fn give(&self, buffer: Vec<u8>) {
        self.held.set(self.held.get() - 1);
        let mut free = self.free.borrow_mut();
        if free.len() < BUFFERS_KEPT_MAX {
            free.push(buffer);
        }
    }

    /// Buffers that connections hold now.
    #[cfg(test)]
    pub(super) fn held_count(&self) -> usize {
        self.held.get()
    }
}

/// What was read from a peer and not used yet.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Empty while no buffer is held.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl Inbound {
    /// The bytes not used yet.
    pub(super) fn held(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn held_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Any part of the buffer; a range stays valid until the next [`poll_fill`](Self::poll_fill) or release.
    pub(super) fn part(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Where `held` begins, as an offset for [`part`](Self::part).
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Marks the first `count` bytes as used.
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
    }

    /// True when the peer has closed its sending side and all before that is in the buffer.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads once. `Ok(0)` is the end; no buffer is held while nothing is there to be read.
    ///
    /// Assumes: what was consumed is needed no more.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut TcpStream,
        pool: &BufferPool,
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        match stream.poll_read_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                self.release(pool);
                return Poll::Pending;
            }
        }
        if self.bytes.is_empty() {
            self.bytes = pool.take();
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            // Parsers refuse what does not fit long before.
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let mut space = ReadBuf::new(&mut self.bytes[self.end..]);
        let result = ready!(Pin::new(stream).poll_read(cx, &mut space));
        let count = space.filled().len();
        result?;
        self.end += count;
        self.ended = count == 0;
        Poll::Ready(Ok(count))
    }

    /// Gives the buffer back when nothing is in it.
    pub(super) fn release(&mut self, pool: &BufferPool) {
        if self.start == self.end && !self.bytes.is_empty() {
            pool.give(std::mem::take(&mut self.bytes));
            (self.start, self.end) = (0, 0);
        }
    }

    /// Throws away what is there and gives the buffer back: the next message comes from another connection.
    pub(super) fn clear(&mut self, pool: &BufferPool) {
        self.start = self.end;
        self.release(pool);
        self.ended = false;
    }
}
