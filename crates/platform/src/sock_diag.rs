//! The sockets that listen on a port, asked of the kernel itself: `sock_diag(7)` over `netlink(7)`.
//!
//! The table in `/proc/net/tcp` tells the same, with every other socket of the machine: also those that were closed a minute ago,
//! thousands where it is busy. What is asked for here is listed alone, whatever else there is.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

/// How long the kernel may take for a part of its answer; it answers at once.
const PART_TIME: Duration = Duration::from_secs(1);
/// Most parts of an answer that are read; one has room for some hundred sockets.
const PARTS_MAX: usize = 64;
/// Room for a part: the kernel makes none longer (`netlink_dump` in `net/netlink/af_netlink.c`).
const PART_BYTES: usize = 32 * 1024;

// Of `linux/netlink.h`.
const HEADER_BYTES: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const WAS_INTERRUPTED: u16 = 0x10;

// Of `linux/sock_diag.h` and `linux/inet_diag.h`.
const BY_FAMILY: u16 = 20;
const QUESTION_BYTES: usize = HEADER_BYTES + 56;
const TOLD_BYTES: usize = 72;
const TCP: u8 = 6;

/// The one state that is asked for (`TCP_LISTEN` in `net/tcp_states.h`), as a set of states.
const LISTENING: u32 = 1 << 10;

/// Marks a question and its answer. Each has a connection of its own, so that one is enough.
const NUMBER: u32 = 1;

/// The addresses that are listened on at `port` over TCP, each with the number of its socket.
///
/// # Errors
/// The kernel does not tell: it is built without it, or this process may not ask.
pub(crate) fn listening(port: u16) -> io::Result<Vec<(IpAddr, u64)>> {
    let line = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    set_socket_timeout(&line, Timeout::Recv, Some(PART_TIME))?;
    let mut found = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        ask(&line, family, port, &mut found)?;
    }
    Ok(found)
}

fn ask(line: &OwnedFd, family: AddressFamily, port: u16, found: &mut Vec<(IpAddr, u64)>) -> io::Result<()> {
    send(line.as_fd(), &question(family, port), SendFlags::empty())?;
    let mut part = vec![0; PART_BYTES];
    for _ in 0..PARTS_MAX {
        let (length, _) = recv(line.as_fd(), &mut part[..], RecvFlags::empty())?;
        if take(&part[..length], port, found)? {
            return Ok(());
        }
    }
    Err(io::Error::other("the kernel's answer does not end"))
}

/// A `struct inet_diag_req_v2` behind its header.
fn question(family: AddressFamily, port: u16) -> [u8; QUESTION_BYTES] {
    let mut bytes = [0; QUESTION_BYTES];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, &(QUESTION_BYTES as u32).to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &(REQUEST | DUMP).to_ne_bytes());
    put(8, &NUMBER.to_ne_bytes());
    put(HEADER_BYTES, &[family.as_raw() as u8, TCP]);
    put(HEADER_BYTES + 4, &LISTENING.to_ne_bytes());
    put(HEADER_BYTES + 8, &port.to_be_bytes());
    bytes
}

/// Takes the sockets of one part of an answer. Whether it was the last one.
fn take(mut part: &[u8], port: u16, found: &mut Vec<(IpAddr, u64)>) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is broken off");
    while !part.is_empty() {
        let length = number(part, 0).ok_or_else(broken)? as usize;
        let message = part.get(..length).filter(|message| message.len() >= HEADER_BYTES).ok_or_else(broken)?;
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let flags = u16::from_ne_bytes([message[6], message[7]]);
        let told = &message[HEADER_BYTES..];
        if number(message, 8) == Some(NUMBER) {
            if flags & WAS_INTERRUPTED != 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match kind {
                // Both carry an error's number, negative; the end does where the kernel found out late.
                ERROR | DONE => {
                    return match number(told, 0).ok_or_else(broken)?.cast_signed() {
                        0 if kind == DONE => Ok(true),
                        code @ ..0 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                        _ => Err(broken()),
                    };
                }
                BY_FAMILY => {
                    let (at, address, inode) = socket(told).ok_or_else(broken)?;
                    if at == port {
                        found.push((address, inode));
                    }
                }
                _ => {}
            }
        }
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Port, address and number of the socket that a `struct inet_diag_msg` tells of; nothing where it is none.
fn socket(told: &[u8]) -> Option<(u16, IpAddr, u64)> {
    let told: &[u8; TOLD_BYTES] = told.first_chunk()?;
    let address = match AddressFamily::from_raw(told[0].into()) {
        AddressFamily::INET => IpAddr::from(*told[8..].first_chunk::<4>()?),
        AddressFamily::INET6 => IpAddr::from(*told[8..].first_chunk::<16>()?),
        _ => return None,
    };
    let inode = number(told, TOLD_BYTES - 4)?;
    Some((u16::from_be_bytes([told[4], told[5]]), address, inode.into()))
}

/// The number at a place, in the machine's own order.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
    use std::os::fd::AsRawFd as _;

    use super::*;

    fn inode(socket: &TcpListener) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap()
    }

    #[test]
    fn a_listener_is_told_with_its_address_and_its_socket_and_nobody_else_is() {
        let (one, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("0.0.0.0:0").unwrap());
        let port = one.local_addr().unwrap().port();
        let _connected = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(listening(port).unwrap(), [(IpAddr::V4(Ipv4Addr::LOCALHOST), inode(&one))]);
        let port = other.local_addr().unwrap().port();
        assert_eq!(listening(port).unwrap(), [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), inode(&other))]);
        drop(other);
        assert_eq!(listening(port).unwrap(), []);
    }

    #[test]
    fn a_listener_of_the_newer_protocol_is_told_too() {
        // Where the machine has none, there is nothing to tell.
        let Ok(socket) = TcpListener::bind("[::]:0") else { return };
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listening(port).unwrap(), [(IpAddr::V6(Ipv6Addr::UNSPECIFIED), inode(&socket))]);
    }

    fn message(kind: u16, flags: u16, told: &[u8]) -> Vec<u8> {
        let length = (HEADER_BYTES + told.len()) as u32;
        let (kind, flags) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        [&length.to_ne_bytes()[..], &kind, &flags, &NUMBER.to_ne_bytes(), &[0; 4], told].concat()
    }

    #[test]
    fn an_answer_that_is_none_is_never_taken_for_nobody() {
        let code = |code: i32| code.to_ne_bytes();
        let read = |part: &[u8]| take(part, 80, &mut Vec::new());
        assert!(read(&message(DONE, 0, &code(0))).unwrap());
        for refused in [
            message(DONE, 0, &code(-2)),
            message(ERROR, 0, &code(-1)),
            message(BY_FAMILY, WAS_INTERRUPTED, &[0; TOLD_BYTES]),
            message(BY_FAMILY, 0, &[2; 20]),
            message(BY_FAMILY, 0, &[0; TOLD_BYTES]),
            message(DONE, 0, &[]),
            message(ERROR, 0, &code(0)),
            message(DONE, 0, &code(0))[..HEADER_BYTES].to_vec(),
            vec![0; HEADER_BYTES],
            vec![1; 3],
        ] {
            assert!(read(&refused).is_err(), "{refused:?}");
        }
    }
}
