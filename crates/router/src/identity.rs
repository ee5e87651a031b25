//! Who a process or a port is: pids and ports are given to strangers again, these are not.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Listening sockets of one address that are remembered.
const SOCKETS_MAX: usize = 16;
/// The kernel's number for a listening socket (`include/net/tcp_states.h`).
const LISTENING: &str = "0A";

/// The identity of this boot; empty when the kernel does not tell, which equals no kept one.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// When the process was started, in clock ticks since boot (`proc_pid_stat(5)`, field 22); nothing when there is none.
pub(crate) fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets that may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A router of this user that was started in `directory` and runs, other than this process: for when its files are gone
/// and nothing else tells of it.
pub(crate) fn router_of(directory: &Path) -> Option<u32> {
    let directory = directory.canonicalize().ok()?;
    let user = rustix::process::geteuid().as_raw();
    std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|item| {
            let item = item.ok()?;
            let pid = item.file_name().to_str()?.parse::<u32>().ok()?;
            let is_other = pid != std::process::id() && item.metadata().ok()?.uid() == user;
            (is_other && is_router_of(&item.path(), &directory)).then_some(pid)
        })
        .next()
}

/// By what it was started with; one that has ended, and was not waited for yet, was started with nothing.
fn is_router_of(process: &Path, directory: &Path) -> bool {
    let Ok(arguments) = std::fs::read(process.join("cmdline")) else { return false };
    let mut arguments = arguments.split(|byte| *byte == 0).map(OsStr::from_bytes).skip(1);
    if arguments.next() != Some(OsStr::new("router")) {
        return false;
    }
    let Some(state) = arguments.skip_while(|argument| *argument != "--state").nth(1) else { return false };
    let from = std::fs::read_link(process.join("cwd")).unwrap_or_default();
    from.join(state).canonicalize().is_ok_and(|state| state == directory)
}

/// The sockets that listen where a connection to each of `addresses` would go, by the kernel's socket number, which it
/// does not use again within a boot.
pub(crate) fn listening_sockets(addresses: &[SocketAddr]) -> BTreeMap<SocketAddr, Vec<u64>> {
    let mut found: BTreeMap<SocketAddr, Vec<u64>> = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // No IPv6: no such file.
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        for (listens, socket) in text.lines().skip(1).filter_map(listening) {
            for address in addresses {
                if listens.port() == address.port() && takes(listens.ip(), address.ip()) {
                    found.entry(*address).or_default().push(socket);
                }
            }
        }
    }
    for sockets in found.values_mut() {
        sockets.sort_unstable();
        sockets.truncate(SOCKETS_MAX);
    }
    found
}

/// True when a socket bound to `bound` takes connections to `asked`.
fn takes(bound: IpAddr, asked: IpAddr) -> bool {
    let bound = bound.to_canonical();
    bound == asked.to_canonical() || bound.is_unspecified()
}

fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    let socket = fields.nth(5)?;
    if state != LISTENING {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let ip = match address.len() {
        // Each group of four bytes is written as one number of the machine's byte order.
        8 => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (at, place) in bytes.chunks_exact_mut(4).enumerate() {
                let group = u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?;
                place.copy_from_slice(&group.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), socket.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_taken_over_by_another_socket_is_told_apart() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let Ok(first) = TcpListener::bind(bind) else { continue };
            let port = first.local_addr().unwrap().port();
            let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
            let sockets = |address: SocketAddr| listening_sockets(&[address]).remove(&address);
            let before = sockets(address).unwrap_or_default();
            assert_eq!(before.len(), 1, "{bind}");
            assert_eq!(sockets(address), Some(before.clone()), "{bind}");
            drop(first);
            assert_eq!(sockets(address), None, "{bind}");
            let Ok(_second) = TcpListener::bind(address) else { continue };
            assert_ne!(sockets(address), Some(before), "{bind}");
        }
    }

    #[test]
    fn a_process_is_known_by_its_start() {
        assert!(started_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(started_ticks(u32::MAX), None);
        assert!(!boot_id().is_empty());
    }
}
