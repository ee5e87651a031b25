//! What one exchange works with, reused from request to request.

use switchover_http1::{RequestParser, ResponseParser};

use super::buffers::{BufferPool, Inbound};
use super::flow::Flow;

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
}

impl Workbench {
    pub(super) fn clear(&mut self, buffers: &BufferPool) {
        self.request.reset();
        self.response.reset();
        self.answered.clear(buffers);
        self.upload.clear();
        self.download.clear();
    }
}
