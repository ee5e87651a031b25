//! What each kind of user sends, and what it wants back.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::body::Wanted;
use super::outcome::Kind;
use super::plan::{Expect, Plan};

/// The size of a chunk of an upload.
const CHUNK: usize = 64 * 1024;
/// What makes one upload differ from the next: its last bytes.
const TAIL: usize = 16;

/// Makes the requests of one run.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    plan: Arc<Plan>,
    /// All of an upload but its tail.
    bulk: Arc<[u8]>,
    /// The digest so far of `bulk`, so that an upload costs its sender nothing to digest.
    bulk_digest: Sha256,
}

/// One request as bytes, and what its answer must hold.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<BodyPart>,
    pub(super) wanted: Option<Wanted>,
}

/// A piece of a request's body.
#[derive(Debug)]
pub(super) enum BodyPart {
    Own(Vec<u8>),
    /// A range of the recipe's bulk.
    Bulk(std::ops::Range<usize>),
}

impl Recipe {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let size = if plan.uploads > 0 { plan.upload_bytes.saturating_sub(TAIL) } else { 0 };
        // A pattern that no power of two divides, so that a swapped or repeated piece changes the digest.
        let bulk: Arc<[u8]> = (0..size).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
        let bulk_digest = Sha256::new_with_prefix(&bulk);
        Self { plan, bulk, bulk_digest }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The request number `number` of `user`; its id is the two.
    pub(super) fn request(&self, kind: Kind, user: u32, number: u64) -> Request {
        let plan = &*self.plan;
        let id = load_id(user, number);
        let holding = |more: Vec<String>| Some(Wanted::Holding(more));
        let (millis, every) = (plan.stream_takes.as_millis(), plan.stream_every.as_millis());
        let own_id = format!("\"id\":\"{id}\"");
        let (target, wanted) = match kind {
            Kind::Quick | Kind::Single => (plan.quick_path.clone(), holding(vec![own_id])),
            Kind::Slow | Kind::Abort => (format!("/slow?ms={}", plan.slow_takes.as_millis()), holding(vec![own_id])),
            Kind::Stream => (format!("/stream?ms={millis}&every={every}"), Some(Wanted::Stream)),
            Kind::Events => (format!("/sse?ms={millis}&every={every}"), Some(Wanted::Events)),
            Kind::Upload => return self.upload(&id, number),
            Kind::WebSocket => ("/ws".to_owned(), None),
        };
        let mut head = self.head("GET", &target, &id);
        if kind == Kind::Single {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        Request { head, body: Vec::new(), wanted: self.only_of_sample(wanted) }
    }

    /// The opening of a WebSocket with `key`.
    pub(super) fn opening(&self, user: u32, number: u64, key: &str) -> String {
        let mut head = self.head("GET", "/ws", &load_id(user, number));
        let _ = write!(
            head,
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        head
    }

    /// A body part's bytes.
    pub(super) fn bytes<'a>(&'a self, part: &'a BodyPart) -> &'a [u8] {
        match part {
            BodyPart::Own(bytes) => bytes,
            BodyPart::Bulk(range) => &self.bulk[range.clone()],
        }
    }

    fn upload(&self, id: &str, number: u64) -> Request {
        let tail = format!("{id:>TAIL$}").into_bytes();
        let digest = hex::encode(self.bulk_digest.clone().chain_update(&tail).finalize());
        let length = self.bulk.len() + tail.len();
        let mut head = self.head("POST", "/upload", id);
        let mut body = Vec::new();
        if number.is_multiple_of(2) {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
            for start in (0..self.bulk.len()).step_by(CHUNK) {
                let range = start..(start + CHUNK).min(self.bulk.len());
                body.push(BodyPart::Own(format!("{:x}\r\n", range.len()).into_bytes()));
                body.push(BodyPart::Bulk(range));
                body.push(BodyPart::Own(b"\r\n".to_vec()));
            }
            let last = [format!("{:x}\r\n", tail.len()).as_bytes(), &tail, b"\r\n0\r\n\r\n"].concat();
            body.push(BodyPart::Own(last));
        } else {
            let _ = write!(head, "Content-Length: {length}\r\n\r\n");
            body.push(BodyPart::Bulk(0..self.bulk.len()));
            body.push(BodyPart::Own(tail));
        }
        let wanted = Wanted::Holding(vec![
            format!("\"id\":\"{id}\""),
            format!("\"length\":{length}"),
            format!("\"sha256\":\"{digest}\""),
        ]);
        Request { head, body, wanted: self.only_of_sample(Some(wanted)) }
    }

    fn head(&self, method: &str, target: &str, id: &str) -> String {
        format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nX-Load-Id: {id}\r\n", self.plan.host)
    }

    fn only_of_sample(&self, wanted: Option<Wanted>) -> Option<Wanted> {
        match self.plan.expects {
            Expect::Sample => wanted,
            Expect::AnyApp => None,
        }
    }
}

/// Names one request of one user.
pub(super) fn load_id(user: u32, number: u64) -> String {
    format!("u{user}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_the_same_bytes_whole_or_in_chunks() {
        let mut plan = Plan::nobody(([127, 0, 0, 1], 1).into(), "shop");
        plan.uploads = 1;
        plan.upload_bytes = CHUNK + 100;
        let recipe = Recipe::new(Arc::new(plan));
        let sent = |number| {
            let request = recipe.request(Kind::Upload, 3, number);
            let body: Vec<u8> = request.body.iter().flat_map(|part| recipe.bytes(part)).copied().collect();
            (request, body)
        };
        let (whole, body) = sent(1);
        assert!(whole.head.contains(&format!("Content-Length: {}\r\n", CHUNK + 100)));
        assert_eq!(body.len(), CHUNK + 100);
        let digest = hex::encode(Sha256::digest(&body));
        assert!(
            matches!(whole.wanted, Some(Wanted::Holding(all)) if all.contains(&format!("\"sha256\":\"{digest}\"")))
        );

        let (chunked, body) = sent(2);
        assert!(chunked.head.contains("Transfer-Encoding: chunked\r\n"));
        let frame = format!("{CHUNK:x}\r\n");
        assert!(body.starts_with(frame.as_bytes()) && body.ends_with(b"\r\n0\r\n\r\n"));
    }
}
