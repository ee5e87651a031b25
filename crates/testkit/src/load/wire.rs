//! One connection: bytes out, an answer in, nothing assumed.

use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::head::{Framing, Head, parse_head};
use super::outcome::{Cause, Failure};
use super::plan::Plan;

/// The largest body that is kept for checking.
const LARGEST_BODY: usize = 64 << 20;
/// The longest line before a chunk or in a trailer.
const LONGEST_LINE: usize = 8 * 1024;

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    pub(super) async fn connect(plan: &Plan) -> Result<Self, Failure> {
        let stream = TcpStream::connect(plan.address).await.map_err(|error| Failure::new(Cause::Connect, error))?;
        // A request goes out in one write, and nothing follows that it could wait for.
        stream.set_nodelay(true).map_err(|error| Failure::new(Cause::Connect, error))?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4096) })
    }

    /// Whether the server has left the connection as it is since the last answer: neither closed nor said anything.
    ///
    /// It asks the socket itself, because what the runtime knows of it may be older.
    pub(super) fn is_quiet(&self) -> Result<bool, Failure> {
        if !self.buffer.is_empty() {
            return Err(Failure::new(Cause::BadHead, "bytes that nobody asked for"));
        }
        match SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Ok(false),
            Ok(_) => Err(Failure::new(Cause::BadHead, "bytes that nobody asked for")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(_) => Ok(false),
        }
    }

    /// Sends a request and reads the head of its answer, interim answers (1xx but 101) skipped.
    ///
    /// Both at once: an answer that comes before the request's end is an answer, and the connection is then not for
    /// further use.
    pub(super) async fn ask(&mut self, request: &[&[u8]]) -> Result<Head, Failure> {
        let (mut reader, mut writer) = self.stream.split();
        let buffer = &mut self.buffer;
        let mut write = pin!(async move {
            for part in request {
                writer.write_all(part).await?;
            }
            Ok::<(), io::Error>(())
        });
        let mut read = pin!(read_final_head(&mut reader, buffer));
        let (mut is_writing, mut write_error) = (true, None);
        loop {
            tokio::select! {
                // First the write, so that an answer to a finished request is not taken for an early one.
                biased;
                written = &mut write, if is_writing => {
                    is_writing = false;
                    write_error = written.err();
                }
                head = &mut read => return match head {
                    Ok(mut head) => {
                        head.keep_alive &= !is_writing && write_error.is_none();
                        Ok(head)
                    }
                    Err(failure) => Err(match write_error {
                        Some(error) => failure.adding(&format!("; writing: {error}")),
                        None => failure,
                    }),
                },
            }
        }
    }

    /// Reads the body into `into`, which is emptied first.
    pub(super) async fn read_body(&mut self, framing: Framing, into: &mut Vec<u8>) -> Result<(), Failure> {
        into.clear();
        match framing {
            Framing::Length(length) => self.take(length, into).await,
            Framing::UntilClose => loop {
                self.keep(self.buffer.len(), into)?;
                if self.fill().await? == 0 {
                    return Ok(());
                }
            },
            Framing::Chunked => loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16)
                    .map_err(|_| Failure::new(Cause::BadBody, format!("a chunk's size is {line:?}")))?;
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(());
                }
                self.take(size, into).await?;
                if !self.line().await?.is_empty() {
                    return Err(Failure::new(Cause::BadBody, "a chunk is longer than it said"));
                }
            },
        }
    }

    /// The socket, and what was already read from it.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.buffer.to_vec())
    }

    async fn take(&mut self, mut length: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.buffer.len());
            self.keep(here, into)?;
            length -= here as u64;
            if length == 0 {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(Failure::new(Cause::TruncatedBody, format!("{length} bytes are missing")));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.advance(end + 2);
                return Ok(line);
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(Failure::new(Cause::BadBody, "a line between chunks does not end"));
            }
            if self.fill().await? == 0 {
                return Err(Failure::new(Cause::TruncatedBody, "the chunks do not end"));
            }
        }
    }

    fn keep(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), Failure> {
        if into.len() + length > LARGEST_BODY {
            return Err(Failure::new(Cause::BadBody, "the body is larger than anything asked for"));
        }
        into.extend_from_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        Ok(())
    }

    async fn fill(&mut self) -> Result<usize, Failure> {
        self.stream.read_buf(&mut self.buffer).await.map_err(|error| Failure::new(Cause::TruncatedBody, error))
    }
}

async fn read_final_head(reader: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<Head, Failure> {
    loop {
        match parse_head(buffer).map_err(|what| Failure::new(Cause::BadHead, what))? {
            Some((head, length)) => {
                buffer.advance(length);
                if head.status >= 200 || head.status == 101 {
                    return Ok(head);
                }
            }
            None => match reader.read_buf(buffer).await {
                Ok(0) => {
                    let so_far = buffer.len();
                    return Err(Failure::new(Cause::EofBeforeHead, format!("closed after {so_far} bytes of the head")));
                }
                Ok(_) => {}
                Err(error) => return Err(Failure::new(Cause::Reset, error)),
            },
        }
    }
}
