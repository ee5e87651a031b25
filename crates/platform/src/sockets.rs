//! Who listens on a port: a port says nothing about who took it.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use crate::processes::Identity;

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
    let (mut exact, mut every) = (BTreeSet::new(), BTreeSet::new());
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
            if u16::from_str_radix(hex_port, 16) != Ok(port) {
                continue;
            }
            let Ok(inode) = inode.parse() else { continue };
            match address {
                "0100007F" | "0000000000000000FFFF00000100007F" => exact.insert(inode),
                "00000000" | "00000000000000000000000000000000" => every.insert(inode),
                _ => false,
            };
        }
    }
    Ok(if exact.is_empty() { every } else { exact })
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
}
