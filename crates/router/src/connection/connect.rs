//! Getting a connection to an instance for a request.

use rustix::io::Errno;
use smallvec::SmallVec;
use tokio::net::TcpStream;

use super::bounds::{CONNECT_TIME, CONNECT_TRIES_MAX};
use super::lane_io::LaneIo;
use super::roster::Seat;
use crate::causes::OwnCause;
use crate::lane::{Endpoint, Ticket};

/// A connection to the instance that the ticket now counts the request on.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) stream: TcpStream,
    pub(super) endpoint: Endpoint,
    /// It has carried a request before, so the instance may have closed it meanwhile.
    pub(super) is_reused: bool,
}

/// Which instances were tried for one request, and why the last one failed.
#[derive(Debug)]
pub(super) struct Tries {
    failed: SmallVec<[Endpoint; CONNECT_TRIES_MAX]>,
    /// How many of them were of the arm that it is at.
    in_arm: usize,
    last: OwnCause,
}

impl Default for Tries {
    fn default() -> Self {
        Self { failed: SmallVec::new(), in_arm: 0, last: OwnCause::NoInstance }
    }
}

impl Tries {
    /// Goes from instance to instance until one takes the connection; not a byte of the request is sent meanwhile. After those of
    /// its own arm it tries as many of another arm of the split.
    ///
    /// # Errors
    /// Nobody took it: the cause of the last failure.
    pub(super) async fn reach(
        &mut self,
        io: &LaneIo,
        seat: &Seat,
        ticket: &mut Ticket,
        fresh: bool,
        once: bool,
    ) -> Result<Reached, OwnCause> {
        let mut made_room = false;
        while let Some(endpoint) = self.next(ticket) {
            if !fresh && let Some(stream) = io.upstreams.take(&endpoint, once, || io.exact_now()) {
                return Ok(Reached { stream, endpoint, is_reused: true });
            }
            seat.allow(CONNECT_TIME);
            let mut connecting = std::pin::pin!(TcpStream::connect(endpoint.address));
            self.last = match seat.wait(|cx| connecting.as_mut().poll(cx)).await {
                Ok(Ok(stream)) => {
                    // Heads and bodies leave in one write each; waiting for more would only delay them. Without it the
                    // connection is slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    return Ok(Reached { stream, endpoint, is_reused: false });
                }
                // Ours, not the instance's: it says nothing about any instance, so none is passed over for it.
                Ok(Err(error)) if is_want(&error) => {
                    if std::mem::replace(&mut made_room, true) {
                        tracing::debug!(%error, "no connection to an instance can be made");
                        return Err(OwnCause::OutOfSockets);
                    }
                    io.make_room();
                    continue;
                }
                Ok(Err(_)) => OwnCause::ConnectFailed,
                Err(_) => OwnCause::ConnectTimeout,
            };
            ticket.connect_failed(endpoint);
            io.forget(&endpoint);
            self.failed.push(endpoint);
            self.in_arm += 1;
        }
        Err(self.last)
    }

    /// Whom to try next.
    fn next(&mut self, ticket: &mut Ticket) -> Option<Endpoint> {
        let own = if self.in_arm < CONNECT_TRIES_MAX { ticket.pick(&self.failed) } else { None };
        if own.is_some() || !ticket.cross_over(&self.failed) {
            return own;
        }
        self.in_arm = 0;
        ticket.pick(&self.failed)
    }
}

/// True when the system lacks what a connection needs: descriptors of this process or of all, memory, local ports.
fn is_want(error: &std::io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| wants.iter().any(|want| want.raw_os_error() == code))
}
