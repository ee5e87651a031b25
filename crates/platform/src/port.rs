//! A port for an instance to listen on.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::durable;

/// The lowest port given to an instance.
const LOWEST: u16 = 20_000;

/// How many ports are tried before the OS is asked for one of its own choice.
const TRIES: u32 = 64;

/// A port that is spoken for: no other instance of this state directory is given it while this value lives.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) port: u16,
    _lock: File,
}

/// A free port below those that the kernel gives to outgoing connections, so that none of them can take it between now
/// and the moment when the app listens.
pub(crate) fn reserve(ports: &Path) -> io::Result<Reserved> {
    durable::make_private_dir(ports)?;
    let highest = first_outgoing_port();
    if highest > LOWEST {
        for _ in 0..TRIES {
            let mut random = [0; 2];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let port = LOWEST + u16::from_ne_bytes(random) % (highest - LOWEST);
            if let Some(reserved) = reserve_one(ports, port)? {
                return Ok(reserved);
            }
        }
    }
    for _ in 0..TRIES {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if let Some(reserved) = reserve_one(ports, port)? {
            return Ok(reserved);
        }
    }
    Err(io::ErrorKind::AddrNotAvailable.into())
}

/// This port, when nobody has it.
pub(crate) fn reserve_one(ports: &Path, port: u16) -> io::Result<Option<Reserved>> {
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(ports.join(port.to_string()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(is_free(port).then_some(Reserved { port, _lock: lock }))
}

/// Whether an app could listen on `port` now, on every address.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// The lowest port of outgoing connections; 32768 where the kernel does not say.
fn first_outgoing_port() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let first = reserve(dir.path()).unwrap();
        assert!(reserve_one(dir.path(), first.port).unwrap().is_none());
        let port = first.port;
        drop(first);
        let again = reserve_one(dir.path(), port).unwrap().expect("given back");
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, again.port)).unwrap();
        drop(again);
        assert!(reserve_one(dir.path(), port).unwrap().is_none(), "somebody listens on it");
        drop(socket);
    }
}
