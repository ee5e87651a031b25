//! The split: which client a request is of, and on which side of the split that client is.
//!
//! A client is a number, hashed from what tells it apart ([`Sticky`]); with the app and the newest revision of its table it
//! gives one of 10,000 buckets. The hash has no memory and the router's own key ([`SplitKey`]), so every lane, every router after this one
//! and every process type of the app come to the same side, and nobody else can tell which one that is.
//! The newest revision is in it so that it is not always the same clients that get a release first. It stays the same for as
//! long as two revisions share the traffic, so no client moves by it. The app is in it so that nobody who knows his side in one
//! knows it in another.

use siphasher::sip::SipHasher24;
use switchover_http1::{Name, RequestHead};
use switchover_model::seam::Sticky;
use switchover_model::{AppName, RevisionId, Share};

use crate::connection::Asked;
use crate::goals::GROUPS;
use crate::split_key::SplitKey;

/// The cookie that the router sets where [`Sticky::Cookie`] is asked for.
pub(crate) const CLIENT_COOKIE: &str = "switchover-client";
/// How long a browser keeps it (seconds): 30 days, longer than a split should last.
const CLIENT_COOKIE_SECONDS: &str = "2592000";
/// Length of a client's id: 128 bits in hexadecimal.
pub(crate) const ID_BYTES: usize = 32;
/// Length of what is in the cookie: the id and its mark, of 64 bits in hexadecimal.
pub(crate) const MARKED_BYTES: usize = ID_BYTES + 16;

const BUCKETS: u64 = Share::ALL.basis_points() as u64;

/// A client's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) u64);

/// What clients of one split are dealt by, beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deal(u64);

/// Which ten-thousandth of all clients a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket(pub(crate) u16);

/// Which of the groups of clients a client is in that goals are counted by: a part of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) u32);

/// A client's id.
pub(crate) type Id = [u8; ID_BYTES];

/// It as it stands in the cookie ([`SplitKey::marked`]).
pub(crate) type Marked = [u8; MARKED_BYTES];

/// A client that is given an id with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewClient {
    id: Marked,
    /// It came by HTTPS.
    is_secure: bool,
}

/// Who a request is of, and what its answer tells the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) client: Client,
    pub(crate) new: Option<NewClient>,
}

/// Who sent the request, by `sticky`. `make_id` makes an id that nobody has.
///
/// Guarantees: takes no memory; whatever is in the request, there is a client, and whoever sends the same is the same one.
pub(crate) fn client(sticky: &Sticky, asked: &Asked<'_>, key: &SplitKey, make_id: impl FnOnce() -> Id) -> Known {
    let fields = asked.head.fields();
    let known = |client| Known { client, new: None };
    let told_by = |value: Option<&[u8]>| match value.filter(|value| !value.is_empty()) {
        Some(value) => known(key.client_of(value)),
        None => known(key.client_at(asked.peer)),
    };
    match sticky {
        Sticky::Address => known(key.client_at(asked.peer)),
        Sticky::None => known(key.client_of(&make_id())),
        Sticky::Header { name } => told_by(fields.first(name.as_str())),
        Sticky::AppCookie { name } => told_by(cookie(asked.head, name.as_str())),
        Sticky::Cookie => match cookie(asked.head, CLIENT_COOKIE).and_then(|value| key.id_in(value)) {
            Some(id) => known(key.client_of(id)),
            None => {
                let id = make_id();
                let is_secure = asked.is_https
                    || fields
                        .first_known(Name::XForwardedProto)
                        .is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"));
                Known { client: key.client_of(&id), new: Some(NewClient { id: key.marked(&id), is_secure }) }
            }
        },
    }
}

/// The value of the first cookie of this name (RFC 6265 4.2.1).
pub(crate) fn cookie<'a>(head: &RequestHead<'a>, name: &str) -> Option<&'a [u8]> {
    let fields = head.fields().into_iter().filter(|field| field.name() == Name::Cookie);
    let pairs = fields.flat_map(|field| field.value().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()
}

impl NewClient {
    /// The parts of the value of `Set-Cookie` (RFC 6265 4.1.1).
    pub(crate) fn set_cookie(&self) -> [&[u8]; 6] {
        let secure: &[u8] = if self.is_secure { b"; Secure" } else { b"" };
        [
            CLIENT_COOKIE.as_bytes(),
            b"=",
            &self.id,
            b"; Path=/; HttpOnly; SameSite=Lax; Max-Age=",
            CLIENT_COOKIE_SECONDS.as_bytes(),
            secure,
        ]
    }
}

impl Deal {
    /// Of `app`, while `newest` is the newest revision of its table.
    pub(crate) fn new(app: &AppName, newest: RevisionId) -> Self {
        Self(SipHasher24::new().hash(app.as_str().as_bytes()) ^ u64::from(newest.0).wrapping_mul(GOLDEN))
    }
}

impl Client {
    /// Its bucket.
    pub(crate) fn bucket(self, deal: Deal) -> Bucket {
        let number = self.number(deal) % BUCKETS;
        Bucket(u16::try_from(number).expect("a rest of 10 000 fits"))
    }

    /// Its group, of [`GROUPS`] in that bucket.
    pub(crate) fn group(self, deal: Deal) -> Group {
        let number = self.number(deal);
        let (bucket, place) = (number % BUCKETS, number / BUCKETS % u64::from(GROUPS));
        Group(u32::try_from(bucket * u64::from(GROUPS) + place).expect("2 560 000 fits"))
    }

    fn number(self, deal: Deal) -> u64 {
        mixed(self.0 ^ deal.0)
    }
}

/// Whether number `number` of a row is drawn, where so many of 10,000 shall be: spread evenly, in no rhythm.
pub(crate) fn is_drawn(number: u64, basis_points: u16) -> bool {
    mixed(number) % u64::from(Share::ALL.basis_points()) < u64::from(basis_points)
}

/// 2^64 divided by the golden ratio: the step of `SplitMix64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of `SplitMix64`: neighbouring numbers come out far from each other.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
