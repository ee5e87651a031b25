//! Request ids: 128 bits in hexadecimal, made from a counter and a secret of the lane.

use std::cell::Cell;

use super::bounds::REQUEST_ID_BYTES_MAX;

/// Makes ids that do not repeat and can not be told from outside without effort. They name requests, they guard nothing.
#[derive(Debug)]
pub(super) struct RequestIds {
    secret: [u64; 2],
    made: Cell<u64>,
}

/// An id as it is written.
pub(super) type RequestId = [u8; 32];

impl RequestIds {
    pub(super) fn new(secret: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = secret;
        let secret = [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes([i, j, k, l, m, n, o, p])];
        Self { secret, made: Cell::new(0) }
    }

    pub(super) fn make(&self) -> RequestId {
        let count = self.made.get().wrapping_add(1);
        self.made.set(count);
        let high = mixed(count.wrapping_add(self.secret[0]));
        let low = mixed(count ^ self.secret[1] ^ high.rotate_left(32));
        let mut id = [0; 32];
        for (at, byte) in high.to_be_bytes().into_iter().chain(low.to_be_bytes()).enumerate() {
            id[2 * at] = b"0123456789abcdef"[usize::from(byte >> 4)];
            id[2 * at + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        id
    }
}

/// The finalizer of `SplitMix64`: a bijection, so different counts give different ids.
fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// True for an id that may be taken over: short, and of bytes that no log and no shell trips over.
pub(super) fn is_acceptable(id: &[u8]) -> bool {
    !id.is_empty()
        && id.len() <= REQUEST_ID_BYTES_MAX
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_hexadecimal() {
        let ids = RequestIds::new([7; 16]);
        let mut made: Vec<_> = (0..10_000).map(|_| ids.make()).collect();
        assert!(made.iter().flatten().all(u8::is_ascii_hexdigit));
        made.sort_unstable();
        made.dedup();
        assert_eq!(made.len(), 10_000);
        assert_ne!(RequestIds::new([8; 16]).make(), RequestIds::new([7; 16]).make());
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        assert!(is_acceptable(b"Root=1-67891233-abcdef") && is_acceptable(&[b'a'; REQUEST_ID_BYTES_MAX]));
        for bad in [&b""[..], b"a b", b"a\"", b"a\xff", &[b'a'; REQUEST_ID_BYTES_MAX + 1]] {
            assert!(!is_acceptable(bad));
        }
    }
}
