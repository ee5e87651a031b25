//! Who listens on a port: a port says nothing about who took it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use crate::processes::Identity;
use crate::sock_diag;

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Who answers a connection to `127.0.0.1` on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Nobody.
    None,
    /// The asked-about processes alone.
    Ours,
    /// Someone else, or someone else too.
    Stranger,
}

/// Whether those who get connections to `127.0.0.1:port` are among `processes`.
pub(crate) fn listener(port: u16, processes: &BTreeSet<Identity>) -> io::Result<Listener> {
    let listening = listening_inodes(port)?;
    if listening.is_empty() {
        return Ok(Listener::None);
    }
    let mut missing = listening;
    for process in processes {
        for inode in socket_inodes(process.pid) {
            missing.remove(&inode);
        }
        if missing.is_empty() {
            return Ok(Listener::Ours);
        }
    }
    Ok(Listener::Stranger)
}

/// The sockets that the kernel chooses from for `127.0.0.1:port`: those bound to that address where there is one, else
/// those bound to every address.
fn listening_inodes(port: u16) -> io::Result<BTreeSet<u64>> {
    // A kernel that is built without it, or a sandbox, does not answer; the table is there all the same.
    let listening = sock_diag::listening(port).or_else(|_| listed(port))?;
    let bound_to = |is_meant: fn(IpAddr) -> bool| {
        let meant = listening.iter().filter(|(address, _)| is_meant(address.to_canonical()));
        meant.map(|(_, inode)| *inode).collect::<BTreeSet<u64>>()
    };
    let exact = bound_to(|address| address == Ipv4Addr::LOCALHOST);
    Ok(if exact.is_empty() { bound_to(|address| address.is_unspecified()) } else { exact })
}

/// What [`sock_diag::listening`] tells, by the kernel's table of every socket.
fn listed(port: u16) -> io::Result<Vec<(IpAddr, u64)>> {
    let mut found = Vec::new();
    for (table, may_be_missing) in [("/proc/self/net/tcp", false), ("/proc/self/net/tcp6", true)] {
        let text = match fs::read_to_string(table) {
            Ok(text) => text,
            Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, local, _, LISTEN, _, _, _, _, _, inode, ..] = fields.as_slice() else { continue };
            let Some((address, hex_port)) = local.rsplit_once(':') else { continue };
            if u16::from_str_radix(hex_port, 16) == Ok(port)
                && let (Some(address), Ok(inode)) = (address_of(address), inode.parse())
            {
                found.push((address, inode));
            }
        }
    }
    Ok(found)
}

/// An address as the table writes it: words of 32 bits in hexadecimal, whose bytes in memory are the address.
fn address_of(hex_words: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex_words.get(8 * at..8 * (at + 1))?, 16).ok().map(u32::to_ne_bytes);
    match hex_words.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The sockets that a process holds.
fn socket_inodes(pid: i32) -> Vec<u64> {
    let Ok(handles) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    handles
        .filter_map(|handle| {
            let target = fs::read_link(handle.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_ours_only_while_we_listen_on_it() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port, &[own].into()).unwrap(), Listener::Ours);
        assert_eq!(listener(port, &BTreeSet::new()).unwrap(), Listener::Stranger);
        drop(socket);
        assert_eq!(listener(port, &[own].into()).unwrap(), Listener::None);
    }

    #[test]
    fn the_kernel_asked_and_its_table_tell_the_same() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "127.0.0.2:0", "[::1]:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
            // Where the machine has no IPv6, there is nothing to compare.
            let Ok(socket) = std::net::TcpListener::bind(bound) else { continue };
            let port = socket.local_addr().unwrap().port();
            let told = listed(port).unwrap();
            assert_eq!(
                told.iter().map(|(address, _)| *address).collect::<Vec<_>>(),
                [socket.local_addr().unwrap().ip()]
            );
            assert_eq!(sock_diag::listening(port).unwrap(), told, "{bound}");
        }
    }
}
