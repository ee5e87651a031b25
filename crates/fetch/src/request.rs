//! What is asked.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use switchover_model::Url;

/// Fields that frame the request or name its receiver: they follow from the rest.
const OURS: &[HeaderName] = &[HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];
/// Who asks.
const AGENT: &str = concat!("switchover/", env!("CARGO_PKG_VERSION"));

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Hands over.
    Post,
    /// Puts in place.
    Put,
}

/// One request. Its `Debug` shows names of fields alone: any value may be a secret.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

/// A field that a request can not have. The value is not in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// The name is none, or one that follows from the rest of the request.
    #[error("a request can not be given the field \"{0}\"")]
    Name(String),
    /// The value holds a line break or another control character.
    #[error("the value of the field \"{0}\" holds a character that can not stand there")]
    Value(String),
    /// It is there already.
    #[error("the request has two values for the field \"{0}\"")]
    Twice(String),
}

impl Request {
    /// A request without a body. A user and password in the URL become its `Authorization` (RFC 7617).
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        let mut fields = HeaderMap::new();
        fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(basic) = url.user_info().and_then(basic) {
            fields.insert(AUTHORIZATION, basic);
        }
        Self { method, url, fields, body: Bytes::new() }
    }

    /// The same with a body of this media type.
    #[must_use]
    pub fn body(mut self, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.body = body.into();
        self
    }

    /// The same with one more field.
    ///
    /// # Errors
    /// A name or value that can not stand in a head, or a field that is there already.
    pub fn field(mut self, name: &str, value: &str) -> Result<Self, BadField> {
        let key: HeaderName = name.parse().map_err(|_| BadField::Name(name.to_owned()))?;
        if OURS.contains(&key) {
            return Err(BadField::Name(name.to_owned()));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| BadField::Value(name.to_owned()))?;
        value.set_sensitive(true);
        let is_ours_to_give = [ACCEPT, USER_AGENT].contains(&key);
        match self.fields.insert(key, value) {
            Some(_) if !is_ours_to_give => Err(BadField::Twice(name.to_owned())),
            Some(_) | None => Ok(self),
        }
    }

    /// The same with a token (RFC 6750).
    ///
    /// # Errors
    /// A token that can not stand in a head, or a URL that brings its own user and password.
    pub fn bearer(self, token: &str) -> Result<Self, BadField> {
        self.field("authorization", &format!("Bearer {token}"))
    }

    /// Where it goes to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// The value of `Authorization` for a user and password as a URL has them. Nothing when an escape hides no text.
fn basic(user_info: &str) -> Option<HeaderValue> {
    let plain = decoded(user_info);
    let pair = if plain.contains(&b':') { plain } else { [plain, b":".to_vec()].concat() };
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Undoes percent-encoding (RFC 3986 2.1); a [`Url`] has two digits after each `%`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    let digit = |bytes: &mut std::str::Bytes<'_>| {
        bytes.next().and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (digit(&mut bytes).unwrap_or_default(), digit(&mut bytes).unwrap_or_default());
                plain.push(high << 4 | low);
            }
            byte => plain.push(byte),
        }
    }
    plain
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.keys().map(HeaderName::as_str).collect();
        write!(f, "Request({:?} {}, fields {}, {} bytes)", self.method, self.url, names.join(" "), self.body.len())
    }
}
