//! A connection that has changed its protocol: bytes both ways, until one side ends or the slot's drain does.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::bounds::{FRAME_END_TIME, TUNNEL_CLOSE_SPREAD, TUNNEL_HALF_CLOSED_TIME, TUNNEL_IDLE_TIME};
use super::buffers::{BufferPool, Inbound};
use super::lane_io::LaneIo;
use super::outgoing::Outgoing;
use super::roster::Seat;
use super::websocket::{CLOSE_SERVICE_RESTART, Frames};
use crate::lane::{TunnelEnd, TunnelTicket};

/// Both ends of a tunnel, with what was read ahead from them.
#[derive(Debug)]
pub(super) struct Tunnel<'a> {
    pub(super) io: &'a LaneIo,
    pub(super) seat: &'a Seat,
    pub(super) client: &'a mut TcpStream,
    pub(super) from_client: &'a mut Inbound,
    pub(super) to_client: &'a mut Outgoing,
    pub(super) upstream: &'a mut TcpStream,
    pub(super) from_upstream: &'a mut Inbound,
    pub(super) to_upstream: &'a mut Outgoing,
    pub(super) is_websocket: bool,
}

/// How far a tunnel is with ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    NotYet,
    /// It must close; it does so when its turn comes.
    At {
        ms: u64,
    },
    /// Its turn has come: nothing new is passed to the client but the rest of the frame under way.
    AtFrameEnd,
    /// The Close frame is on its way.
    Saying,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Moving,
    /// The source has ended; the sink is still to be told.
    Ending,
    Ended,
}

impl Tunnel<'_> {
    /// Runs it to its end and counts it.
    ///
    /// Guarantees: a WebSocket that must close is sent Close 1012 between two frames when the instance comes to the end
    /// of one in time; tunnels that must close do so spread over a short time.
    pub(super) async fn run(mut self, ticket: TunnelTicket) {
        let mut closing = Closing::NotYet;
        let (mut up, mut down) = (Side::Moving, Side::Moving);
        let mut frames = self.is_websocket.then(Frames::default);
        self.seat.allow(TUNNEL_IDLE_TIME);
        let end = poll_fn(|cx| {
            self.seat.remember(cx);
            loop {
                if closing == Closing::NotYet && ticket.must_close() {
                    closing = Closing::At { ms: self.turn_ms() };
                }
                match closing {
                    Closing::NotYet => {}
                    Closing::At { ms } if self.io.now_ms() >= ms => {
                        if frames.is_none() {
                            return Poll::Ready(TunnelEnd::Cut);
                        }
                        closing = Closing::AtFrameEnd;
                        self.seat.allow(FRAME_END_TIME);
                    }
                    Closing::At { .. } => {}
                    Closing::AtFrameEnd | Closing::Saying if self.seat.is_over() => return Poll::Ready(TunnelEnd::Cut),
                    Closing::AtFrameEnd | Closing::Saying => {}
                }
                let mut moved = false;
                let went = self.poll_up(cx, &mut up, &mut moved).is_err()
                    || self.poll_down(cx, &mut down, &mut closing, frames.as_mut(), &mut moved).is_err();
                if went || (up == Side::Ended && down == Side::Ended) {
                    return Poll::Ready(if closing == Closing::NotYet { TunnelEnd::Closed } else { TunnelEnd::Cut });
                }
                match closing {
                    Closing::NotYet if moved => self.seat.allow(idle_time(up, down)),
                    Closing::NotYet if self.seat.is_over() => return Poll::Ready(TunnelEnd::Closed),
                    Closing::At { ms } => self.seat.allow(Duration::from_millis(ms.saturating_sub(self.io.now_ms()))),
                    Closing::NotYet | Closing::AtFrameEnd | Closing::Saying => {}
                }
                match closing {
                    // The turn came while the bytes moved.
                    Closing::At { ms } if self.io.now_ms() >= ms => {}
                    _ => return Poll::Pending,
                }
            }
        })
        .await;
        ticket.finish(end);
    }

    /// When it is this tunnel's turn: spread by a number that differs from tunnel to tunnel.
    fn turn_ms(&self) -> u64 {
        let spread = u64::try_from(TUNNEL_CLOSE_SPREAD.as_millis()).unwrap_or(u64::MAX).max(1);
        let dice = self.io.request_ids.make().iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
        self.io.now_ms() + dice % spread
    }

    fn poll_up(&mut self, cx: &mut Context<'_>, side: &mut Side, moved: &mut bool) -> io::Result<()> {
        loop {
            match side {
                Side::Ended => return Ok(()),
                Side::Ending => match Pin::new(&mut *self.upstream).poll_shutdown(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(result) => {
                        *side = Side::Ended;
                        return result;
                    }
                },
                Side::Moving => {}
            }
            let step = poll_step(
                cx,
                (self.client, self.from_client),
                (self.upstream, self.to_upstream),
                &self.io.buffers,
                <[u8]>::len,
            );
            match step {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(true)) => *moved = true,
                Poll::Ready(Ok(false)) => (*side, *moved) = (Side::Ending, true),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        side: &mut Side,
        closing: &mut Closing,
        mut frames: Option<&mut Frames>,
        moved: &mut bool,
    ) -> io::Result<()> {
        loop {
            match side {
                Side::Ended => return Ok(()),
                Side::Ending => match Pin::new(&mut *self.client).poll_shutdown(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(result) => {
                        *side = Side::Ended;
                        return result;
                    }
                },
                Side::Moving => {}
            }
            if *closing == Closing::AtFrameEnd
                && frames.as_ref().is_some_and(|frames| frames.is_at_boundary())
                && self.to_client.is_flushed()
            {
                self.to_client.clear();
                self.to_client.lead.extend_from_slice(&CLOSE_SERVICE_RESTART);
                *closing = Closing::Saying;
            }
            if *closing == Closing::Saying {
                match self.to_client.poll_flush(cx, self.client, self.from_upstream) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(result) => {
                        result?;
                        *side = Side::Ending;
                        continue;
                    }
                }
            }
            let to_boundary = *closing == Closing::AtFrameEnd;
            let step = poll_step(
                cx,
                (self.upstream, self.from_upstream),
                (self.client, self.to_client),
                &self.io.buffers,
                |bytes| match &mut frames {
                    Some(frames) if to_boundary => frames.follow_to_boundary(bytes),
                    Some(frames) => {
                        frames.follow(bytes);
                        bytes.len()
                    }
                    None => bytes.len(),
                },
            );
            match step {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(true)) => *moved = true,
                Poll::Ready(Ok(false)) => (*side, *moved) = (Side::Ending, true),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }
}

/// How long a tunnel may be silent.
fn idle_time(up: Side, down: Side) -> Duration {
    if up == Side::Moving && down == Side::Moving { TUNNEL_IDLE_TIME } else { TUNNEL_HALF_CLOSED_TIME }
}

/// Writes what is to be written, then takes what was read, then reads. True when bytes moved, false at the end.
/// `allowed` says how many of the bytes at hand may go.
fn poll_step(
    cx: &mut Context<'_>,
    (source, inbound): (&mut TcpStream, &mut Inbound),
    (sink, out): (&mut TcpStream, &mut Outgoing),
    pool: &BufferPool,
    allowed: impl FnOnce(&[u8]) -> usize,
) -> Poll<io::Result<bool>> {
    if !out.is_flushed() {
        ready!(out.poll_flush(cx, sink, inbound))?;
        return Poll::Ready(Ok(true));
    }
    out.clear();
    if inbound.held().is_empty() {
        let count = ready!(inbound.poll_fill(cx, source, pool))?;
        return Poll::Ready(Ok(count > 0));
    }
    let count = allowed(inbound.held());
    out.content = inbound.start()..inbound.start() + count;
    inbound.consume(count);
    Poll::Ready(Ok(true))
}
