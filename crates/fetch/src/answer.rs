//! What was answered.

use bytes::Bytes;
use hyper::HeaderMap;

/// What stands for a secret in a text that is shown.
const HIDDEN: &str = "[token]";

/// `text` without `secret`, which a server may send back: in a body, in what it says is wrong, in where it redirects to.
#[must_use]
pub fn without(text: &str, secret: Option<&str>) -> String {
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => text.replace(secret, HIDDEN),
        None => text.to_owned(),
    }
}

/// A whole answer within its bounds. Its status may be any final one but a redirect.
#[derive(Clone)]
pub struct Answer {
    /// Status code, 200 to 599 and beyond as the other side wrote it.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    pub(crate) fields: HeaderMap,
}

impl Answer {
    /// Whether the status says success (2xx).
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a field of the head, when it is there exactly once and is visible ASCII.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            (_, _) => None,
        }
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}
