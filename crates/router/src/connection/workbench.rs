//! What one exchange works with, reused from request to request.

use std::ops::{Deref, DerefMut};

use switchover_http1::{RequestParser, ResponseParser};

use super::buffers::{BufferPool, Inbound};
use super::client_wait::ClientWait;
use super::flow::Flow;
use super::lane_io::LaneIo;
use crate::mirror::Sample;

/// Parsers, write buffers and the upstream's read buffer of one exchange: kept by the lane, so that a request allocates
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Workbench {
    pub(super) request: RequestParser,
    pub(super) response: ResponseParser,
    /// From the instance.
    pub(super) answered: Inbound,
    /// Client to instance.
    pub(super) upload: Flow,
    /// Instance to client.
    pub(super) download: Flow,
    /// What of the request's time was its client's.
    pub(super) client_wait: ClientWait,
    /// The request is copied.
    pub(super) sample: Option<Box<Sample>>,
}

impl Workbench {
    pub(super) fn clear(&mut self, buffers: &BufferPool) {
        self.request.reset();
        self.response.reset();
        self.answered.clear(buffers);
        self.upload.clear();
        self.download.clear();
        self.client_wait = ClientWait::default();
        self.sample = None;
    }
}

/// A workbench that goes back to the lane when dropped.
pub(super) struct Bench<'a> {
    io: &'a LaneIo,
    /// `Some` until dropped.
    bench: Option<Box<Workbench>>,
}

impl<'a> Bench<'a> {
    pub(super) fn take(io: &'a LaneIo) -> Self {
        Self { io, bench: Some(io.take_workbench()) }
    }
}

impl Deref for Bench<'_> {
    type Target = Workbench;

    fn deref(&self) -> &Workbench {
        self.bench.as_ref().expect("it is there until the drop")
    }
}

impl DerefMut for Bench<'_> {
    fn deref_mut(&mut self) -> &mut Workbench {
        self.bench.as_mut().expect("it is there until the drop")
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        if let Some(bench) = self.bench.take() {
            self.io.give_workbench(bench);
        }
    }
}
