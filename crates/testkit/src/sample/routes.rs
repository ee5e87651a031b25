//! What the app answers.
//!
//! Every answer carries who gave it (`X-Sample-Version`, `-Slot`, `-Revision`, `-Instance`) and the `X-Load-Id` of its
//! request, so that a client can tell a mixed-up answer from its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, TRAILER};
use hyper::{HeaderMap, Request, Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use super::serve::Upgrade;
use super::settings::{Health, Settings};
use super::spool::Spool;
use super::websocket;

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Names a request; comes back with its answer.
const LOAD_ID: HeaderName = HeaderName::from_static("x-load-id");
/// The longest that an answer can be asked to take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The shortest pause between two parts of a stream.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The largest answer of `/bytes`.
const MOST_BYTES: u64 = 1 << 30;
/// The size of one part of `/bytes`.
const PART: usize = 16 * 1024;

/// The state that all connections share.
pub(super) struct App {
    settings: Settings,
    served: AtomicU64,
    upgrades: mpsc::Sender<Upgrade>,
    stopped: watch::Receiver<bool>,
    crash: mpsc::Sender<()>,
}

impl App {
    pub(super) fn new(
        settings: Settings,
        upgrades: mpsc::Sender<Upgrade>,
        stopped: watch::Receiver<bool>,
        crash: mpsc::Sender<()>,
    ) -> Self {
        Self { settings, served: AtomicU64::new(0), upgrades, stopped, crash }
    }

    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let id = request.headers().get(LOAD_ID).cloned();
        let fails = if request.uri().path() == "/up" { false } else { self.fall_ill().await };
        let mut response = if fails { status(StatusCode::INTERNAL_SERVER_ERROR) } else { self.route(request).await };
        let headers = response.headers_mut();
        if let Some(id) = id {
            headers.insert(LOAD_ID, id);
        }
        for (name, value) in [
            ("x-sample-version", &self.settings.version),
            ("x-sample-slot", &self.settings.slot),
            ("x-sample-revision", &self.settings.revision),
            ("x-sample-instance", &self.settings.instance),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(response)
    }

    /// What its sickness makes of one more request: whether it fails.
    async fn fall_ill(&self) -> bool {
        let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        if self.settings.sickness.crashes_after.is_some_and(|last| served >= last) {
            let _ = self.crash.send(()).await;
            std::future::pending::<()>().await;
        }
        let is_late = self.settings.sickness.late_every.is_none_or(|every| served.is_multiple_of(every));
        if is_late && !self.settings.sickness.late.is_zero() {
            tokio::time::sleep(self.settings.sickness.late).await;
        }
        self.settings.sickness.fails_every.is_some_and(|every| served.is_multiple_of(every))
    }

    async fn route(&self, mut request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let query = Query(request.uri().query().unwrap_or_default().to_owned());
        match path.as_str() {
            "/" | "/version" => self.version(&request),
            "/up" => self.health(&request).await,
            "/slow" => {
                tokio::time::sleep(query.millis("ms", 1500)).await;
                self.version(&request)
            }
            "/stream" => steps(&query, "text/plain", |step, of| format!("chunk {step} of {of}\n"), "end\n"),
            "/sse" => steps(
                &query,
                "text/event-stream",
                |step, of| format!("id: {step}\ndata: {step} of {of}\n\n"),
                "event: end\ndata: end\n\n",
            ),
            "/bytes" => bytes_of(query.number("n", 65_536).min(MOST_BYTES)),
            "/upload" => self.upload(request).await,
            "/echo" => self.echo(&request),
            "/trailers" => trailers(),
            "/work" => self.enqueue(&query),
            "/ws" => {
                let greeting = format!("hello from {}", self.settings.revision);
                let (response, session) = websocket::accept(&mut request, greeting, self.stopped.clone());
                match session {
                    None => response,
                    Some(session) => match self.upgrades.send(session).await {
                        Ok(()) => response,
                        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into()),
                    },
                }
            }
            _ => match path.strip_prefix("/status/").and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok()) {
                // 1xx is no final answer and 204/304 have no body of their own to describe them.
                Some(code) if code.as_u16() >= 200 => status(code),
                _ => text(StatusCode::NOT_FOUND, format!("nothing at {path}\n")),
            },
        }
    }

    fn version(&self, request: &Request<Incoming>) -> Response<Body> {
        let settings = &self.settings;
        json_body(&json!({
            "version": settings.version,
            "slot": settings.slot,
            "revision": settings.revision,
            "instance": settings.instance,
            "pid": std::process::id(),
            "id": request.headers().get(LOAD_ID).and_then(|id| id.to_str().ok()),
        }))
    }

    async fn health(&self, request: &Request<Incoming>) -> Response<Body> {
        let field = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = field(HOST).unwrap_or_default();
        match &self.settings.sickness.health {
            Health::Never => text(StatusCode::INTERNAL_SERVER_ERROR, "not well\n".into()),
            Health::Redirects if field(HeaderName::from_static("x-forwarded-proto")) != Some("https") => {
                let mut response = text(StatusCode::MOVED_PERMANENTLY, "only over https\n".into());
                if let Ok(location) = HeaderValue::from_str(&format!("https://{host}/up")) {
                    response.headers_mut().insert(LOCATION, location);
                }
                response
            }
            Health::WantsHost(wanted) if host != wanted => {
                text(StatusCode::BAD_REQUEST, format!("host `{host}` is not allowed here\n"))
            }
            Health::Hangs => std::future::pending().await,
            Health::Green | Health::Redirects | Health::WantsHost(_) => text(StatusCode::OK, "up\n".into()),
        }
    }

    async fn upload(&self, request: Request<Incoming>) -> Response<Body> {
        let id = request.headers().get(LOAD_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut body = request.into_body();
        let (mut length, mut digest) = (0u64, Sha256::new());
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                // The client broke off; nobody reads this.
                return text(StatusCode::BAD_REQUEST, "the body broke off\n".into());
            };
            if let Some(data) = frame.data_ref() {
                length += data.len() as u64;
                digest.update(data);
            }
        }
        json_body(&json!({
            "length": length,
            "sha256": hex::encode(digest.finalize()),
            "revision": self.settings.revision,
            "id": id,
        }))
    }

    fn echo(&self, request: &Request<Incoming>) -> Response<Body> {
        let headers: Vec<(&str, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        json_body(&json!({
            "method": request.method().as_str(),
            "target": request.uri().to_string(),
            "protocol": format!("{:?}", request.version()),
            "headers": headers,
            "revision": self.settings.revision,
        }))
    }

    fn enqueue(&self, query: &Query) -> Response<Body> {
        let Some(spool) = &self.settings.spool else {
            return text(StatusCode::NOT_IMPLEMENTED, "SAMPLE_SPOOL is not set\n".into());
        };
        let Some(job) = query.get("job") else {
            return text(StatusCode::BAD_REQUEST, "which job? /work?job=NAME&ms=100\n".into());
        };
        match Spool::open(spool).and_then(|spool| spool.put(job, query.millis("ms", 100))) {
            Ok(()) => text(StatusCode::ACCEPTED, format!("{job}\n")),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

// === answers ===

pub(super) fn empty() -> Body {
    Empty::new().boxed_unsync()
}

pub(super) fn text(code: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::from(text).boxed_unsync());
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn status(code: StatusCode) -> Response<Body> {
    if matches!(code, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        let mut response = Response::new(empty());
        *response.status_mut() = code;
        return response;
    }
    text(code, format!("{code}\n"))
}

fn json_body(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Full::from(value.to_string()).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A stream of `ms / every` parts, `every` apart, and a last part that says it is complete.
fn steps(
    query: &Query,
    content_type: &'static str,
    part: fn(u64, u64) -> String,
    last: &'static str,
) -> Response<Body> {
    let pause = query.millis("every", 50).max(SHORTEST_PAUSE);
    let of = u64::try_from(query.millis("ms", 1000).as_millis() / pause.as_millis()).unwrap_or(u64::MAX).max(1);
    let parts = stream::unfold(1, move |step| async move {
        if step > of + 1 {
            return None;
        }
        let bytes = if step <= of { Bytes::from(part(step, of)) } else { Bytes::from_static(last.as_bytes()) };
        if step > 1 && step <= of {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(Frame::data(bytes)), step + 1))
    });
    let mut response = Response::new(StreamBody::new(parts).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// `count` bytes in parts, the byte at `i` being `i mod 251`.
fn bytes_of(count: u64) -> Response<Body> {
    let parts = stream::unfold(0u64, move |sent| async move {
        let size = usize::try_from(count - sent).unwrap_or(PART).min(PART);
        let part: Bytes = (sent..sent + size as u64).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
        (size > 0).then(|| (Ok(Frame::data(part)), sent + size as u64))
    });
    let mut response = Response::new(StreamBody::new(parts).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// A chunked body with its digest after it. Trailers go out only to a request with `TE: trailers` (RFC 9110 6.5.1).
fn trailers() -> Response<Body> {
    const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");
    const TEXT: &str = "the digest follows\n";
    let mut fields = HeaderMap::new();
    let digest = hex::encode(Sha256::digest(TEXT));
    fields.insert(CHECKSUM, HeaderValue::from_str(&digest).expect("hex is a field value"));
    let frames = [Ok(Frame::data(Bytes::from_static(TEXT.as_bytes()))), Ok(Frame::trailers(fields))];
    let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
    response.headers_mut().insert(TRAILER, HeaderValue::from_static("x-checksum"));
    response
}

// === impl Query ===

/// `a=1&b=2`, without percent decoding: what is asked here needs none.
struct Query(String);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    fn millis(&self, name: &str, otherwise: u64) -> Duration {
        Duration::from_millis(self.number(name, otherwise)).min(LONGEST)
    }
}
