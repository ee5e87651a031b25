//! Connections to instances that wait for their next request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::bounds::{UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_TIME, UPSTREAM_IDLE_TIME_ONCE};
use crate::lane::Endpoint;

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since_ms: u64,
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

    fn is_younger_than(&self, time: Duration, now_ms: u64) -> bool {
        u128::from(now_ms.saturating_sub(self.since_ms)) < time.as_millis()
    }
}

/// The idle upstream connections of a lane. They stay registered with its reactor, so taking one costs nothing.
#[derive(Debug, Default)]
pub(super) struct UpstreamPool {
    idle: RefCell<HashMap<Endpoint, Vec<Idle>>>,
}

impl UpstreamPool {
    /// The connection used last. `once` asks for more certainty, for a request that may not be sent twice.
    pub(super) fn take(&self, endpoint: &Endpoint, once: bool, now_ms: u64) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(endpoint)?;
        while let Some(connection) = waiting.pop() {
            if !connection.is_quiet() {
                continue;
            }
            if !once {
                return Some(connection.stream);
            }
            if !connection.is_younger_than(UPSTREAM_IDLE_TIME_ONCE, now_ms) {
                // The ones below are older still.
                waiting.push(connection);
                return None;
            }
            if connection.is_quiet_for_sure() {
                return Some(connection.stream);
            }
        }
        None
    }

    pub(super) fn give(&self, endpoint: Endpoint, stream: TcpStream, now_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(endpoint).or_default();
        if waiting.len() < UPSTREAM_IDLE_MAX {
            waiting.push(Idle { stream, since_ms: now_ms });
        }
    }

    /// Closes what is idle too long or was closed by the instance.
    pub(super) fn sweep(&self, now_ms: u64) {
        self.idle.borrow_mut().retain(|_, waiting| {
            waiting
                .retain(|connection| connection.is_younger_than(UPSTREAM_IDLE_TIME, now_ms) && connection.is_quiet());
            !waiting.is_empty()
        });
    }

    pub(super) fn forget(&self, endpoint: &Endpoint) {
        self.idle.borrow_mut().remove(endpoint);
    }
}
