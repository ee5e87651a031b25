//! `/ws`: every message comes back as it was sent.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::routes::{Body, empty, text};
use super::serve::{Upgrade, asked_to_stop};

/// How long the other end has for its half of the closing handshake.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The 101 answer and the session to run once it was sent; or an answer that says why not.
///
/// `greeting` goes out first, so that a client knows who it is talking to.
pub(super) fn accept(
    request: &mut Request<Incoming>,
    greeting: String,
    stopped: watch::Receiver<bool>,
) -> (Response<Body>, Option<Upgrade>) {
    let refused = |why: &str| (text(StatusCode::UPGRADE_REQUIRED, why.to_owned()), None);
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return refused("this is a WebSocket\n");
    }
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return refused("Sec-WebSocket-Key is missing\n");
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a field value");
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    let upgraded = hyper::upgrade::on(request);
    let session: Upgrade = Box::pin(async move {
        if let Ok(stream) = upgraded.await {
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
            echo(stream, greeting, stopped).await;
        }
    });
    (response, Some(session))
}

async fn echo(
    mut stream: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    greeting: String,
    mut stopped: watch::Receiver<bool>,
) {
    if stream.send(Message::text(greeting)).await.is_err() {
        return;
    }
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = asked_to_stop(&mut stopped) => {
                say_goodbye(stream).await;
                return;
            }
        };
        let reply = match message {
            Some(Ok(Message::Text(text))) => Message::Text(text),
            Some(Ok(Message::Binary(bytes))) => Message::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => continue,
            Some(Err(_)) | None => return,
        };
        if stream.send(reply).await.is_err() {
            return;
        }
    }
}

async fn say_goodbye(mut stream: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) {
    let frame = CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::from_static("the app stops") };
    let closing = async {
        if stream.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    // A client that does not answer the close frame is left behind.
    let _ = tokio::time::timeout(CLOSE_LIMIT, closing).await;
}
