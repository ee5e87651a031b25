//! The listening sockets: one a lane on the same address, the kernel spreads the connections.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds ready for one lane (`listen(2)`; the kernel's own bound may be lower).
const BACKLOG: i32 = 4096;

/// Where connections come in, as far as a request's handling depends on it.
#[derive(Debug)]
pub(crate) struct Listener {
    scheme: &'static str,
}

impl Listener {
    /// A listener for plain HTTP that nobody stands before.
    pub(crate) const fn http() -> Self {
        Self { scheme: "http" }
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether what `peer` says about who it speaks for is believed.
    ///
    /// No load balancer can be named yet, so nobody is: a client can not choose its own address.
    #[expect(clippy::unused_self, reason = "which peers are trusted belongs to the listener")]
    pub(crate) fn trusts_forwarded(&self, _peer: SocketAddr) -> bool {
        false
    }
}

/// Binds `lanes` sockets to `address`; with port 0 the first one chooses and the others share its port.
///
/// Guarantees: fails with `AddrInUse` when anybody listens there already, also another router of the same user, which
/// the kernel would let in beside us. With `beside` that one is ending, and we take over from it.
pub(crate) fn bind(address: SocketAddr, lanes: usize, beside: bool) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 && !beside {
        let probe = socket(address)?;
        probe.bind(&address.into())?;
        probe.listen(1)?;
    }
    let mut bound = address;
    let mut listeners = Vec::with_capacity(lanes);
    for _ in 0..lanes {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        bound = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::bind;

    #[test]
    fn a_port_is_taken_even_for_one_who_may_share_it() {
        let held = bind("127.0.0.1:0".parse().unwrap(), 2, false).unwrap();
        let address = held[0].local_addr().unwrap();
        assert_eq!(address, held[1].local_addr().unwrap());
        assert_eq!(bind(address, 1, false).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        assert!(bind(address, 2, true).is_ok());
        drop(held);
        assert!(bind(address, 2, false).is_ok());
    }
}
