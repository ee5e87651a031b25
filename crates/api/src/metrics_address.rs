//! The one address of a network that the daemon itself may listen at: where its metrics are read.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};

use crate::accept::Door;

/// A socket that listens for those who read metrics, and for nothing else.
#[derive(Debug)]
pub struct MetricsAddress {
    listener: std::net::TcpListener,
    at: SocketAddr,
}

impl MetricsAddress {
    /// Listens at `address`; with port 0 the kernel chooses one. Nobody is answered before it is served.
    ///
    /// # Errors
    /// Somebody else listens there, or it is none of this machine's.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        let at = listener.local_addr()?;
        Ok(Self { listener, at })
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub(crate) fn door(self) -> io::Result<impl Door + Sync> {
        self.listener.set_nonblocking(true)?;
        TcpListener::from_std(self.listener)
    }
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    /// Nobody is known who comes over the network.
    fn routes(routes: Router, _: &TcpStream) -> Router {
        routes
    }
}
