//! Asks an app over HTTP whether it is healthy, and explains what it answered instead.

use std::net::SocketAddr;
use std::time::Duration;

use switchover_model::Host;
use switchover_model::config::Health;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest head of an answer.
const HEAD_BYTES: usize = 32 * 1024;

/// How many interim answers (RFC 9110 section 15.2) are skipped.
const INTERIM_ANSWERS: usize = 4;

/// How much of a body is read, so that the app does not see its answer cut off.
const BODY_BYTES: usize = 64 * 1024;

/// How long the rest of an answer is waited for.
const BODY_TIME: Duration = Duration::from_millis(100);

/// The scheme that users of the app see.
const PUBLIC_SCHEME: &str = "http";

/// Why an app is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unhealthy {
    /// Nobody accepted the connection.
    #[error("it is not listening on $PORT ({port})")]
    NotListening { port: u16 },
    /// A connection was made and then broke.
    #[error("the connection to port {port} broke: {why}")]
    Broken { port: u16, why: String },
    /// No answer in time.
    #[error("no answer to {path} within {within:?}")]
    TimedOut { path: String, within: Duration },
    /// The port belongs to a process that is not of the instance.
    #[error("port {port} is taken by another process, not by the app")]
    Stranger { port: u16 },
    /// Not HTTP.
    #[error("what it answered to {path} is not HTTP/1.1")]
    NotHttp { path: String },
    /// HTTP, but not the answer of a healthy app.
    #[error("{path} answered {status}{}{}", location.as_ref().map(|to| format!(" to {to}")).unwrap_or_default(),
            hint(*status, host).map(|hint| format!(": {hint}")).unwrap_or_default())]
    Answered { path: String, host: String, status: u16, location: Option<String> },
}

impl Unhealthy {
    /// Whether the app answered at all: then it is not asked quite so often while it boots.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Answered { .. } | Self::NotHttp { .. } | Self::TimedOut { .. } => true,
            Self::NotListening { .. } | Self::Broken { .. } | Self::Stranger { .. } => false,
        }
    }

    /// What a person can do about it.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::NotListening { .. } => {
                "Make the app listen on 127.0.0.1 or 0.0.0.0 at the port in $PORT, or give it a longer `health.deadline`."
            }
            Self::Stranger { .. } => "Make the app listen on $PORT itself, and fail when it cannot.",
            Self::Answered { status: 300..=399, .. } => {
                "Let the app answer the health path without a redirect, or set `health.path` to where it answers."
            }
            Self::Answered { status: 400, .. } => "Let the app accept its first host, or name it in `[route] hosts`.",
            Self::Answered { status: 404, .. } => "Set `health.path` to a path the app answers with 2xx.",
            Self::Answered { .. } | Self::NotHttp { .. } | Self::Broken { .. } | Self::TimedOut { .. } => {
                "Look at what the app prints: `switchover logs`."
            }
        }
    }
}

/// Why a healthy app may answer so.
fn hint(status: u16, host: &str) -> Option<String> {
    match status {
        300..=399 => Some(format!(
            "a redirect is not a healthy answer; it was asked for host {host} with X-Forwarded-Proto: {PUBLIC_SCHEME}, \
             an app that insists on https or on another host redirects"
        )),
        400 => Some(format!("it may not accept the host {host} (Django: ALLOWED_HOSTS)")),
        401 | 403 => Some("the health path must answer without a login".to_owned()),
        404 => Some("there is nothing at the health path".to_owned()),
        _ => None,
    }
}

/// One question and its answer, within `health.timeout`.
pub(crate) async fn ask(address: SocketAddr, host: Option<&Host>, health: &Health) -> Result<(), Unhealthy> {
    let within = health.timeout.to_std();
    let host = host.map_or_else(|| address.to_string(), ToString::to_string);
    match timeout(within, converse(address, &host, health)).await {
        Ok(answer) => answer,
        Err(_) => Err(Unhealthy::TimedOut { path: health.path.clone(), within }),
    }
}

async fn converse(address: SocketAddr, host: &str, health: &Health) -> Result<(), Unhealthy> {
    let port = address.port();
    let broken = |error: std::io::Error| Unhealthy::Broken { port, why: error.to_string() };
    let mut stream = TcpStream::connect(address).await.map_err(|_| Unhealthy::NotListening { port })?;
    let path = &health.path;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: switchover-health\r\nAccept: */*\r\n\
         X-Forwarded-Proto: {PUBLIC_SCHEME}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-For: 127.0.0.1\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut received = Vec::new();
    for _ in 0..=INTERIM_ANSWERS {
        let head = read_head(&mut stream, &mut received).await.map_err(broken)?;
        let (status, location) =
            head.as_deref().and_then(parse_head).ok_or_else(|| Unhealthy::NotHttp { path: path.clone() })?;
        match status {
            100..=199 => {}
            200..=299 => return finish(stream).await,
            300..=499 if health.any_below_500 => return finish(stream).await,
            _ => return Err(Unhealthy::Answered { path: path.clone(), host: host.to_owned(), status, location }),
        }
    }
    Err(Unhealthy::NotHttp { path: path.clone() })
}

/// Reads a little of what is left; what follows the head does not change the verdict.
async fn finish(mut stream: TcpStream) -> Result<(), Unhealthy> {
    let rest = async {
        let mut sink = vec![0; 8 * 1024];
        let mut left = BODY_BYTES;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    // An endless body is as healthy as a short one.
    let _ = timeout(BODY_TIME, rest).await;
    Ok(())
}

/// The next head (without its empty line), taken out of `received`; nothing when it does not end in time or size.
async fn read_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            received.truncate(end);
            return Ok(Some(std::mem::replace(received, rest)));
        }
        if received.len() > HEAD_BYTES {
            return Ok(None);
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return if received.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(None) };
        }
        received.extend_from_slice(&chunk[..read]);
    }
}

/// Status and `Location` of a head.
fn parse_head(head: &[u8]) -> Option<(u16, Option<String>)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status_line = lines.next()?;
    let after_version = status_line.strip_prefix("HTTP/1.1 ").or_else(|| status_line.strip_prefix("HTTP/1.0 "))?;
    let status = after_version.get(..3)?.parse().ok().filter(|status| (100..=599).contains(status))?;
    let location = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))
        .map(|(_, value)| crate::output::presentable(value.trim().as_bytes()));
    Some((status, location))
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchover_model::Span;

    fn health(path: &str) -> Health {
        Health {
            path: path.to_owned(),
            any_below_500: path == "/",
            interval: Span::from_millis(100),
            timeout: Span::from_millis(300),
            deadline: Span::from_secs(5),
        }
    }

    /// Asks a server that answers `answer` and returns the verdict as text and what the server was asked.
    async fn verdict(path: &str, answer: &'static [u8]) -> (String, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if answer.is_empty() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let host: Host = "shop.example".parse().unwrap();
        let verdict = ask(address, Some(&host), &health(path)).await;
        let verdict = verdict.map_or_else(|unhealthy| unhealthy.to_string(), |()| "healthy".to_owned());
        (verdict, server.await.unwrap())
    }

    #[tokio::test]
    async fn an_app_is_asked_with_its_public_host_and_scheme() {
        let (verdict, request) = verdict("/up?x=1", b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(verdict, "healthy");
        assert!(request.starts_with("GET /up?x=1 HTTP/1.1\r\nHost: shop.example\r\n"), "{request}");
        assert!(request.contains("X-Forwarded-Proto: http\r\n"), "{request}");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_healthy_is_explained() {
        let moved = b"HTTP/1.1 301 Moved\r\nlocation: https://shop.example/up\r\nContent-Length: 0\r\n\r\n";
        let (redirect, _) = verdict("/up", moved).await;
        assert!(redirect.starts_with("/up answered 301 to https://shop.example/up: a redirect"), "{redirect}");
        let (bad_host, _) = verdict("/up", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(bad_host.contains("400") && bad_host.contains("ALLOWED_HOSTS"), "{bad_host}");
        assert!(verdict("/up", b"HTTP/1.1 404 Not Found\r\n\r\n").await.0.contains("nothing at the health path"));
        assert_eq!(verdict("/up", b"HTTP/1.1 503 Busy\r\n\r\n").await.0, "/up answered 503");
        assert!(verdict("/up", b"SSH-2.0-OpenSSH\r\n\r\n").await.0.contains("not HTTP/1.1"));
        assert!(verdict("/up", b"").await.0.contains("no answer to /up within 300ms"));
    }

    #[tokio::test]
    async fn without_a_health_path_any_answer_below_500_is_healthy() {
        assert_eq!(verdict("/", b"HTTP/1.1 404 Not Found\r\n\r\n").await.0, "healthy");
        assert_eq!(verdict("/", b"HTTP/1.1 500 Oops\r\n\r\n").await.0, "/ answered 500");
        assert_eq!(verdict("/", b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await.0, "healthy");
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let unhealthy = ask(([127, 0, 0, 1], port).into(), None, &health("/")).await.unwrap_err();
        assert_eq!(unhealthy.to_string(), format!("it is not listening on $PORT ({port})"));
    }
}
