//! The key of the split: with it alone can be told on which side a client is, and which ids the router gave out.
//!
//! Why: without it anybody could compute clients of one side alone, and so make a split look off that is not, or decide an
//! experiment.
//! Guarantees: every lane and each router of the same directory has the same one; it is shown to nobody.
//! SipHash-2-4 is a pseudorandom function of short messages under a key that nobody knows (Aumasson and Bernstein, "SipHash: a
//! fast short-input PRF", 2012), which is what both uses need.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq as _;

use crate::split::{Client, ID_BYTES, Id, MARKED_BYTES, Marked};

/// The file in the router's directory.
const FILE: &str = "split.key";
/// Where it is written first.
const NEW_FILE: &str = "split.key.new";
/// Length of the key: 128 bits for either use.
const KEY_BYTES: usize = 32;

/// The key of the split.
#[derive(Clone)]
pub(crate) struct SplitKey {
    sides: SipHasher24,
    marks: SipHasher24,
}

impl std::fmt::Debug for SplitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SplitKey")
    }
}

impl SplitKey {
    /// The key of this directory; where it has none, or one that is broken, a new one, which is kept there. One that can not be
    /// kept is for this router's life, and so is one beside a key that can not be read: the next router may be able to.
    /// `has_dealt`: a router before this one has served here.
    ///
    /// Errors: the system has no randomness.
    pub(crate) fn open(directory: &Path, has_dealt: bool) -> io::Result<Self> {
        let found = read(&directory.join(FILE));
        match &found {
            Ok(Some(key)) => return Ok(Self::of(*key)),
            Ok(None) if has_dealt => tracing::warn!("the key of the split is gone: clients get new sides"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the key of the split can not be read: clients get new sides"),
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let is_there = found.is_err_and(|error| error.kind() != io::ErrorKind::InvalidData);
        if !is_there && let Err(error) = keep(directory, &key) {
            tracing::warn!(%error, "the key of the split can not be kept: clients get new sides after a restart");
        }
        Ok(Self::of(key))
    }

    pub(crate) fn of(key: [u8; KEY_BYTES]) -> Self {
        let (mut sides, mut marks) = ([0; 16], [0; 16]);
        sides.copy_from_slice(&key[..16]);
        marks.copy_from_slice(&key[16..]);
        Self { sides: SipHasher24::new_with_key(&sides), marks: SipHasher24::new_with_key(&marks) }
    }

    /// What tells this key from another one, and nothing of what it says: 53 bits, which every reader of JSON has, and never zero.
    pub(crate) fn fingerprint(&self) -> u64 {
        // Whatever is marked beside it is as long as an id.
        (self.marks.hash(b"which key") >> 11).max(1)
    }

    /// The client whom these bytes tell apart: all of them, which are at most as long as a head.
    pub(crate) fn client_of(&self, bytes: &[u8]) -> Client {
        Client(self.sides.hash(bytes))
    }

    /// The client at this address; of IPv6 by the network, as its hosts change the rest as they like (RFC 8981).
    pub(crate) fn client_at(&self, peer: SocketAddr) -> Client {
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => self.client_of(&address.octets()),
            IpAddr::V6(address) => self.client_of(&address.octets()[..8]),
        }
    }

    /// An id as it is given out: with a mark that nobody else can make.
    pub(crate) fn marked(&self, id: &Id) -> Marked {
        let mut marked = [0; MARKED_BYTES];
        marked[..ID_BYTES].copy_from_slice(id);
        marked[ID_BYTES..].copy_from_slice(&self.mark(id));
        marked
    }

    /// The id in `value`, where it was given out by a router that has this key.
    pub(crate) fn id_in<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let (id, mark) = value.split_at_checked(ID_BYTES)?;
        let is_given = mark.len() == MARKED_BYTES - ID_BYTES && bool::from(self.mark(id).ct_eq(mark));
        is_given.then_some(id)
    }

    fn mark(&self, id: &[u8]) -> [u8; MARKED_BYTES - ID_BYTES] {
        let mut mark = [0; MARKED_BYTES - ID_BYTES];
        for (at, byte) in self.marks.hash(id).to_be_bytes().into_iter().enumerate() {
            mark[2 * at] = b"0123456789abcdef"[usize::from(byte >> 4)];
            mark[2 * at + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        mark
    }
}

fn read(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let key = bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not 32 bytes long"))?;
    Ok(Some(key))
}

/// Whole or not at all; only the user of this process can read it.
fn keep(directory: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let new = directory.join(NEW_FILE);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(key)?;
    file.sync_all()?;
    std::fs::rename(new, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_has_one_key_that_only_its_user_can_read_and_a_broken_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let client = || SplitKey::open(directory.path(), false).unwrap().client_of(b"somebody");
        let first = client();
        assert_eq!(client(), first);
        let file = directory.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for broken in [&b""[..], b"short", &[7; KEY_BYTES + 1]] {
            std::fs::write(&file, broken).unwrap();
            let next = client();
            assert_ne!(next, first);
            assert_eq!(client(), next, "the new one is kept");
        }
    }

    #[test]
    fn a_key_that_can_not_be_read_now_is_left_for_the_next_router() {
        let directory = tempfile::tempdir().unwrap();
        // Nobody, not even root, reads a folder as a file.
        std::fs::create_dir(directory.path().join(FILE)).unwrap();
        SplitKey::open(directory.path(), false).unwrap();
        assert!(directory.path().join(FILE).is_dir() && !directory.path().join(NEW_FILE).exists());
    }

    #[test]
    fn a_key_that_can_not_be_kept_serves_all_the_same_and_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        // Nobody, not even root, writes a file where a folder is.
        std::fs::create_dir_all(directory.path().join(NEW_FILE).join("in the way")).unwrap();
        let key = SplitKey::open(directory.path(), false).unwrap();
        assert_ne!(key.client_of(b"a"), key.client_of(b"b"));
        assert_eq!(format!("{key:?}"), "SplitKey");
    }

    #[test]
    fn an_id_is_known_by_its_mark_alone() {
        let (key, id) = (SplitKey::of([7; KEY_BYTES]), [b'a'; ID_BYTES]);
        let marked = key.marked(&id);
        assert_eq!(key.id_in(&marked), Some(&id[..]));
        assert_eq!(SplitKey::of([8; KEY_BYTES]).id_in(&marked), None, "another router's");
        for at in 0..MARKED_BYTES {
            let mut other = marked;
            other[at] ^= 1;
            assert_eq!(key.id_in(&other), None, "{at}");
        }
        assert!(key.id_in(&id).is_none() && key.id_in(&marked[1..]).is_none() && key.id_in(b"").is_none());
        assert_eq!(key.id_in(&[&marked[..], b"0"].concat()), None);
    }
}
