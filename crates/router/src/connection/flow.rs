//! One direction of an exchange: a body that is read from one peer and written to the other as it comes.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use switchover_http1::{ChunkedDecoder, Framing, Refusal, chunk_size_line};
use tokio::net::TcpStream;

use super::buffers::{BufferPool, Inbound};
use super::outgoing::Outgoing;
use crate::mirror::Tee;

/// What is left of a body that is being read.
#[derive(Debug)]
enum Reader {
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    Over,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is: its length was announced, or it ends with the connection.
    Plain,
    /// In chunks of our own making, one for each read.
    Chunked,
}

/// Why a flow ended early.
#[derive(Debug)]
pub(super) enum FlowError {
    /// The peer that is read from failed, or ended in the middle.
    Source(#[expect(dead_code, reason = "seen in debug output")] Option<io::Error>),
    /// The peer that is written to failed.
    Sink(#[expect(dead_code, reason = "seen in debug output")] io::Error),
    /// The framing of the body is refused.
    Refused(Refusal),
}

/// One direction. Holds at most one buffer of content: when the sink does not take it, the source is not read.
#[derive(Debug)]
pub(super) struct Flow {
    reader: Reader,
    coding: Coding,
    pub(super) out: Outgoing,
    /// What was written before can not be had again.
    moved_on: bool,
    /// Keeps the content for a copy.
    pub(super) tee: Option<Tee>,
    /// Counts every read and every complete write, to see progress.
    pub(super) steps: u32,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            reader: Reader::Over,
            coding: Coding::Plain,
            out: Outgoing::default(),
            moved_on: false,
            tee: None,
            steps: 0,
        }
    }
}

impl Flow {
    /// Ready for a new message; its head is to be written to `out.lead`.
    pub(super) fn clear(&mut self) {
        self.reader = Reader::Over;
        self.coding = Coding::Plain;
        self.out.clear();
        self.moved_on = false;
        self.tee = None;
    }

    /// Says what body follows the head, and takes in as much of it as is there already, so that it leaves with the head.
    pub(super) fn begin(&mut self, framing: Framing, coding: Coding, source: &mut Inbound) -> Result<(), Refusal> {
        self.coding = coding;
        self.reader = match framing {
            Framing::Empty => Reader::Over,
            Framing::Length(bytes) => Reader::Length(bytes),
            Framing::Chunked => Reader::Chunked(ChunkedDecoder::new()),
            Framing::UntilClose | Framing::Tunnel => Reader::UntilClose,
        };
        if !source.held().is_empty() {
            self.take(source)?;
        }
        Ok(())
    }

    /// True when the whole body was read and written.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.reader, Reader::Over) && self.out.is_flushed()
    }

    /// True when the whole body was read, written or not.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.reader, Reader::Over)
    }

    /// True when anything of the body was read.
    pub(super) fn has_begun(&self) -> bool {
        self.moved_on || !self.out.content.is_empty()
    }

    /// True when all that was read of this message can be written once more to another connection.
    pub(super) fn is_repeatable(&self) -> bool {
        !self.moved_on && (matches!(self.reader, Reader::Over) || self.out.content.is_empty())
    }

    /// Moves bytes until the body is over or a peer must be waited for.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source_stream: &mut TcpStream,
        source: &mut Inbound,
        sink: &mut TcpStream,
        pool: &BufferPool,
    ) -> Poll<Result<(), FlowError>> {
        loop {
            if !self.out.is_flushed() {
                ready!(self.out.poll_flush(cx, sink, source)).map_err(FlowError::Sink)?;
                self.steps = self.steps.wrapping_add(1);
            }
            if matches!(self.reader, Reader::Over) {
                return Poll::Ready(Ok(()));
            }
            if self.take(source).map_err(FlowError::Refused)? {
                continue;
            }
            let count =
                ready!(source.poll_fill(cx, source_stream, pool)).map_err(|error| FlowError::Source(Some(error)))?;
            self.steps = self.steps.wrapping_add(1);
            if count == 0 && !matches!(self.reader, Reader::UntilClose) {
                return Poll::Ready(Err(FlowError::Source(None)));
            }
        }
    }

    /// Turns what is held of the body into output. False when there is nothing to be had without reading.
    fn take(&mut self, source: &mut Inbound) -> Result<bool, Refusal> {
        let at = source.start();
        let (content, over, trailers): (Range<usize>, bool, Range<usize>) = match &mut self.reader {
            Reader::Over => return Ok(false),
            Reader::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(source.held().len());
                source.consume(count);
                *left -= count as u64;
                (at..at + count, *left == 0, 0..0)
            }
            Reader::UntilClose => {
                let count = source.held().len();
                source.consume(count);
                (at..at + count, source.has_ended(), 0..0)
            }
            Reader::Chunked(decoder) => {
                let gathered = decoder.gather(source.held_mut())?;
                source.consume(gathered.consumed);
                let end = at + gathered.consumed;
                (at..at + gathered.content, gathered.over.is_some(), end - gathered.over.unwrap_or(0)..end)
            }
        };
        if content.is_empty() && !over {
            return Ok(false);
        }
        if let Some(tee) = &mut self.tee {
            tee.saw(source.part(content.clone()));
        }
        if self.out.sent() > 0 {
            self.moved_on = true;
            self.out.clear();
        }
        if self.coding == Coding::Chunked {
            if !content.is_empty() {
                self.out.lead.extend_from_slice(chunk_size_line(content.len(), &mut [0; 18]));
                self.out.tail.extend_from_slice(b"\r\n");
            }
            if over {
                self.out.tail.extend_from_slice(b"0\r\n");
                // The section is checked and ends with its empty line; other framings have none.
                let section = if trailers.is_empty() { b"\r\n" } else { source.part(trailers) };
                self.out.tail.extend_from_slice(section);
            }
        }
        self.out.content = content;
        if over {
            self.reader = Reader::Over;
        }
        Ok(true)
    }
}
