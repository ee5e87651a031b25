//! A user of WebSockets: opens, talks, sees how it ends, comes back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::outcome::{Answer, Cause, Failure, Kind, Origin};
use super::plan::{Expect, Plan};
use super::report::SessionEnd;
use super::running::User;
use super::wire::Wire;

/// What the other end gets for its half of the closing handshake.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TcpStream>;

/// How a session ended.
enum How {
    /// The server's close code; 1005 stands for none (RFC 6455 7.1.5).
    Code(u16),
    /// The connection ended without a close frame.
    Eof,
    /// The connection was reset.
    Reset,
    /// The user said goodbye.
    Ours,
    /// What came is no WebSocket.
    Protocol,
}

/// Opens sessions until it is time to leave, and closes the one that is on.
pub(super) async fn run(mut user: User) {
    let recipe = Arc::clone(&user.recipe);
    let plan = recipe.plan();
    user.until.pause(plan.websocket_every.mul_f64(user.begins_late_by)).await;
    let mut number = 0;
    while user.until.takes_one_more() {
        number += 1;
        let origin = Origin { kind: Kind::WebSocket, user: user.number, request: number, reused: false };
        let ticket = user.ledger.begin(origin);
        let opened = timeout(plan.timeout, open(&user, plan, number)).await.unwrap_or_else(|_| {
            Err((Failure::new(Cause::Timeout, format!("not opened within {:?}", plan.timeout)), None))
        });
        match opened {
            Ok((socket, answer)) => {
                ticket.answered(&answer);
                talk(&mut user, plan, number, socket, &answer).await;
            }
            Err((failure, answer)) => ticket.failed(failure, answer.as_ref()),
        }
        let rest = user.jitter.up_to(plan.reconnect_within);
        user.until.pause(rest).await;
    }
}

async fn open(user: &User, plan: &Plan, number: u64) -> Result<(Socket, Answer), (Failure, Option<Answer>)> {
    let mut wire = Wire::connect(plan).await.map_err(|failure| (failure, None))?;
    user.ledger.connection(|count| count.opened += 1);
    let key = generate_key();
    let opening = user.recipe.opening(user.number, number, &key);
    let head = wire.ask(&[opening.as_bytes()]).await.map_err(|failure| (failure, None))?;
    let answer = Answer { status: head.status, revision: head.revision };
    if head.status != 101 {
        // The body is of no interest, but an answer counts as one only when it is whole.
        wire.read_body(head.framing, &mut Vec::new()).await.map_err(|failure| (failure, None))?;
        return Err((Failure::new(Cause::Status, format!("status {}", head.status)), Some(answer)));
    }
    if head.websocket_accept != Some(derive_accept_key(key.as_bytes())) {
        return Err((Failure::new(Cause::BadHead, "Sec-WebSocket-Accept is not of this key"), Some(answer)));
    }
    let (stream, already_read) = wire.into_parts();
    let socket = WebSocketStream::from_partially_read(stream, already_read, Role::Client, None).await;
    Ok((socket, answer))
}

async fn talk(user: &mut User, plan: &Plan, session: u64, mut socket: Socket, answer: &Answer) {
    let opened_ms = user.ledger.at_ms();
    user.ledger.websocket(|count| {
        count.opened += 1;
        count.open += 1;
    });
    let (how, echoed) = exchange_messages(user, plan, session, &mut socket, answer).await;
    user.ledger.session_ended(SessionEnd {
        user: user.number,
        revision: answer.revision.as_deref().map(str::to_owned),
        opened_ms,
        ended_ms: user.ledger.at_ms(),
        how: match how {
            How::Code(code) => code.to_string(),
            How::Eof => "eof".to_owned(),
            How::Reset => "reset".to_owned(),
            How::Ours => "ours".to_owned(),
            How::Protocol => "protocol".to_owned(),
        },
        echoed,
    });
}

/// Talks until the session ends; how it ended, and how many messages came back.
async fn exchange_messages(
    user: &mut User,
    plan: &Plan,
    session: u64,
    socket: &mut Socket,
    answer: &Answer,
) -> (How, u64) {
    let mut ticks = interval_at(Instant::now() + plan.websocket_every, plan.websocket_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The sample app greets first, in the name of the one that answered the opening.
    let mut awaited = match plan.expects {
        Expect::Sample => Some(format!("hello from {}", answer.revision.as_deref().unwrap_or_default())),
        Expect::AnyApp => None,
    };
    let mut awaited_since = Instant::now();
    let (mut is_greeting, mut said, mut echoed) = (awaited.is_some(), 0u64, 0u64);
    let how = loop {
        let received = tokio::select! {
            received = socket.next() => received,
            _ = ticks.tick() => {
                if awaited.is_some() {
                    if awaited_since.elapsed() > plan.timeout {
                        user.ledger.websocket(|count| count.silent += 1);
                        break say_goodbye(socket).await;
                    }
                    continue;
                }
                said += 1;
                let text = format!("u{}-s{session}-{said}", user.number);
                user.ledger.websocket(|count| count.sent += 1);
                awaited = Some(text.clone());
                awaited_since = Instant::now();
                // A failed write says less than the close frame that may be there to read.
                let _ = socket.send(Message::text(text)).await;
                continue;
            }
            () = user.until.over() => break say_goodbye(socket).await,
        };
        match received {
            Some(Ok(Message::Text(text))) => {
                if awaited.take().as_deref() != Some(text.as_str()) {
                    user.ledger.websocket(|count| count.wrong += 1);
                } else if is_greeting {
                    is_greeting = false;
                } else {
                    echoed += 1;
                    user.ledger.websocket(|count| count.echoed += 1);
                }
            }
            Some(Ok(Message::Binary(_))) => user.ledger.websocket(|count| count.wrong += 1),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => {
                // Reading on sends our half of the handshake.
                let rest = async { while let Some(Ok(_)) = socket.next().await {} };
                let _ = timeout(CLOSE_LIMIT, rest).await;
                break How::Code(frame.map_or(1005, |frame| frame.code.into()));
            }
            Some(Err(error)) => break how_of(&error),
            None => break How::Eof,
        }
    };
    if awaited.is_some() && !is_greeting {
        user.ledger.websocket(|count| count.unanswered += 1);
    }
    (how, echoed)
}

async fn say_goodbye(socket: &mut Socket) -> How {
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
    let closing = async {
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(CLOSE_LIMIT, closing).await;
    How::Ours
}

fn how_of(error: &Error) -> How {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => How::Eof,
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => How::Eof,
        Error::Io(_) => How::Reset,
        _ => How::Protocol,
    }
}
