//! The hash chain: each record's hash covers its stored bytes and the hash of the one before.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// What the first record of an app is chained to.
pub(crate) const GENESIS: Hash = [0; 32];

/// A record as it is stored: the hash is over these bytes, so that a later version's way of writing JSON changes nothing.
pub(crate) struct Stored<'a> {
    pub(crate) app: &'a str,
    pub(crate) sequence: i64,
    pub(crate) at: i64,
    pub(crate) actor: &'a str,
    pub(crate) release: Option<i64>,
    pub(crate) event: &'a str,
}

impl Stored<'_> {
    /// The record's hash. Each part goes in with its length before it, so that no two records give the same bytes.
    pub(crate) fn hash(&self, previous: &Hash) -> Hash {
        let mut sha = Sha256::new();
        sha.update(previous);
        let mut part = |bytes: &[u8]| {
            sha.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            sha.update(bytes);
        };
        part(self.app.as_bytes());
        part(&self.sequence.to_le_bytes());
        part(&self.at.to_le_bytes());
        part(self.actor.as_bytes());
        part(&self.release.unwrap_or(-1).to_le_bytes());
        part(self.event.as_bytes());
        sha.finalize().into()
    }
}

/// What a walk along an app's chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Every record is as it was written.
    Whole {
        /// How many there are.
        records: u64,
        /// The last hash, in hexadecimal: whoever notes it down can tell later that nothing before it was changed.
        head: String,
    },
    /// Not every record is.
    Broken(Broken),
}

/// The first record that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its sequence.
    pub sequence: u64,
    /// What is wrong.
    pub what: String,
}
