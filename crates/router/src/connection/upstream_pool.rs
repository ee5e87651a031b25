//! Connections to instances that wait for their next request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::bounds::{
    UPSTREAM_DISTRUST_TIME, UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_TIME, UPSTREAM_IDLE_TIME_ONCE, UPSTREAM_QUIET_TIME_ONCE,
};
use crate::lane::Endpoint;

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since: Duration,
}

impl Idle {
    /// True when nothing came: no end, no error, no byte that nobody asked for. Costs a system call only when the
    /// reactor has seen something.
    fn is_quiet(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The same, asked of the kernel: the reactor may not have heard of the end yet.
    fn is_quiet_for_sure(&self) -> bool {
        let answer = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        matches!(answer, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn is_younger_than(&self, time: Duration, now: Duration) -> bool {
        now.saturating_sub(self.since) < time
    }
}

/// The idle connections to one instance, the one used last at the end.
#[derive(Debug, Default)]
struct Waiting {
    idle: Vec<Idle>,
    /// Until then a request that may not be sent twice gets a connection of its own.
    distrusted_until: Duration,
}

impl Waiting {
    fn take_any(&mut self, now: impl Fn() -> Duration) -> Option<TcpStream> {
        while let Some(connection) = self.idle.pop() {
            if connection.is_quiet() {
                return Some(connection.stream);
            }
            self.learn(&connection, now());
        }
        None
    }

    /// The youngest that has been quiet for a while, and not for so long that the instance may be about to close it.
    fn take_certain(&mut self, now: Duration) -> Option<TcpStream> {
        while self.distrusted_until <= now {
            let at = self.idle.iter().rposition(|idle| !idle.is_younger_than(UPSTREAM_QUIET_TIME_ONCE, now))?;
            if !self.idle[at].is_younger_than(UPSTREAM_IDLE_TIME_ONCE, now) {
                // The ones below are older still.
                return None;
            }
            let connection = self.idle.remove(at);
            if connection.is_quiet() && connection.is_quiet_for_sure() {
                return Some(connection.stream);
            }
            self.learn(&connection, now);
        }
        None
    }

    /// A connection that was not quiet: closed right behind an answer that did not say so, it tells of those to come.
    fn learn(&mut self, connection: &Idle, now: Duration) {
        if connection.is_younger_than(UPSTREAM_IDLE_TIME_ONCE, now) {
            self.distrusted_until = now + UPSTREAM_DISTRUST_TIME;
        }
    }
}

/// The idle upstream connections of a lane. They stay registered with its reactor, so taking one costs nothing.
#[derive(Debug, Default)]
pub(super) struct UpstreamPool {
    waiting: RefCell<HashMap<Endpoint, Waiting>>,
}

impl UpstreamPool {
    /// The connection used last. `once` asks for more certainty, for a request that may not be sent twice.
    pub(super) fn take(&self, endpoint: &Endpoint, once: bool, now: impl Fn() -> Duration) -> Option<TcpStream> {
        let mut waiting = self.waiting.borrow_mut();
        let waiting = waiting.get_mut(endpoint)?;
        if once { waiting.take_certain(now()) } else { waiting.take_any(now) }
    }

    pub(super) fn give(&self, endpoint: Endpoint, stream: TcpStream, now: Duration) {
        let mut waiting = self.waiting.borrow_mut();
        let waiting = waiting.entry(endpoint).or_default();
        if waiting.idle.len() < UPSTREAM_IDLE_MAX {
            waiting.idle.push(Idle { stream, since: now });
        }
    }

    /// The instance closed a connection behind its answer, and a request was on its way already.
    pub(super) fn distrust(&self, endpoint: &Endpoint, now: Duration) {
        self.waiting.borrow_mut().entry(*endpoint).or_default().distrusted_until = now + UPSTREAM_DISTRUST_TIME;
    }

    /// Closes what is idle too long or was closed by the instance.
    pub(super) fn sweep(&self, now: Duration) {
        self.waiting.borrow_mut().retain(|_, waiting| {
            for connection in waiting.idle.extract_if(.., |idle| !idle.is_quiet()).collect::<Vec<_>>() {
                waiting.learn(&connection, now);
            }
            waiting.idle.retain(|idle| idle.is_younger_than(UPSTREAM_IDLE_TIME, now));
            !waiting.idle.is_empty() || waiting.distrusted_until > now
        });
    }

    pub(super) fn forget(&self, endpoint: &Endpoint) {
        self.waiting.borrow_mut().remove(endpoint);
    }

    /// Closes them all: what they hold is needed for requests.
    pub(super) fn clear(&self) {
        for waiting in self.waiting.borrow_mut().values_mut() {
            waiting.idle.clear();
        }
    }
}
