//! One request and its answer over a line.

use std::error::Error as _;
use std::io;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use hyper::header::{CONNECTION, HOST, HeaderValue, LOCATION};
use hyper::{HeaderMap, Response};
use hyper_util::rt::TokioIo;
use switchover_model::Url;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::Answer;
use crate::bounds::{HEAD_BYTES, HEAD_FIELDS};
use crate::error::FetchError;
use crate::request::{Method, Request};

/// How much of a place that is no URL is shown, in characters.
const SHOWN_PLACE: usize = 200;

/// Sends `request` over `line` and reads the answer, of whose body `most` bytes are taken; nothing of it is waited for without
/// such a bound.
pub(crate) async fn exchange<L>(line: L, request: Request, most: Option<usize>) -> Result<Answer, FetchError>
where
    L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(line)).await.map_err(|error| trouble(&error))?;
    let request = message(request)?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(|error| trouble(&error))?;
        read(answer, most).await
    };
    // What the connection has to say, it says to the request; its end alone is no end of what was read already.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    let (mut asked, mut driven) = (pin!(asked), pin!(driven));
    tokio::select! {
        answer = &mut asked => answer,
        never = &mut driven => never,
    }
}

fn message(request: Request) -> Result<hyper::Request<Full<Bytes>>, FetchError> {
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
    };
    let unfit = |cause: &dyn std::fmt::Display| FetchError::NotHttp(format!("the request can not be written: {cause}"));
    let host = HeaderValue::from_str(&request.url.authority()).map_err(|error| unfit(&error))?;
    let mut message = hyper::Request::builder()
        .method(method)
        .uri(request.url.target())
        .body(Full::new(request.body))
        .map_err(|error| unfit(&error))?;
    *message.headers_mut() = request.fields;
    message.headers_mut().insert(HOST, host);
    message.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(message)
}

async fn read(answer: Response<Incoming>, most: Option<usize>) -> Result<Answer, FetchError> {
    let (head, mut body) = answer.into_parts();
    // What came in one piece with its end was never held against the bound of the buffer.
    let length: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if length > HEAD_BYTES {
        return Err(FetchError::HeadTooLong);
    }
    let status = head.status.as_u16();
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Err(FetchError::Redirected { status, to: place(&head.headers) });
    }
    let Some(most) = most else { return Ok(Answer { status, fields: head.headers, body: Bytes::new() }) };
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are no part of what is asked for.
        let Ok(data) = frame.map_err(|error| trouble(&error))?.into_data() else { continue };
        if whole.len() + data.len() > most {
            return Err(FetchError::TooLong(most));
        }
        whole.extend_from_slice(&data);
    }
    Ok(Answer { status, fields: head.headers, body: whole.freeze() })
}

/// Where a redirect leads, without what may be secret.
fn place(fields: &HeaderMap) -> String {
    let Some(text) = fields.get(LOCATION).and_then(|value| value.to_str().ok()) else { return "nowhere".to_owned() };
    match text.parse::<Url>() {
        Ok(url) => url.to_string(),
        // A path of the same host, or nothing that we know: no query, and no host that could bring a password.
        Err(_) if text.starts_with('/') && !text.starts_with("//") => {
            text.split('?').next().unwrap_or_default().chars().take(SHOWN_PLACE).collect()
        }
        Err(_) => "a place that is no URL".to_owned(),
    }
}

fn trouble(error: &hyper::Error) -> FetchError {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    // Chunks that are none come as an error of the input, a line that broke as any other.
    let malformed = matches!(cause, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData));
    let told = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_parse_too_large() {
        FetchError::HeadTooLong
    } else if error.is_parse() || malformed {
        FetchError::NotHttp(told)
    } else {
        FetchError::BrokenOff(told)
    }
}
