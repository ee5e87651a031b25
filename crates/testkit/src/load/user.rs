//! A user of requests: one connection, one request after another.

use std::sync::Arc;
use std::time::Duration;

use super::body::Wanted;
use super::outcome::{Answer, Cause, Failure, Kind, Origin};
use super::plan::{Expect, Plan};
use super::request::{Request, load_id};
use super::running::User;
use super::wire::Wire;

/// The least and, on top of it, the most random rest after a failure, so that a dead server is not hammered.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// Revisions remembered of one connection.
const LONGEST_HISTORY: usize = 1000;

/// A connection and what it has been through.
struct Connection {
    wire: Wire,
    answers: u64,
    /// The revisions it saw, each time another one.
    history: Vec<Arc<str>>,
}

/// An exchange that failed, with the answer where one was whole.
type Broken = (Failure, Option<Answer>);

/// Sends requests until it is time to leave, finishing the one that is on.
pub(super) async fn run(mut user: User) {
    let recipe = Arc::clone(&user.recipe);
    let plan = recipe.plan();
    let pause = match user.kind {
        Kind::Quick | Kind::Single => plan.think,
        Kind::Slow | Kind::Stream | Kind::Events | Kind::Upload | Kind::WebSocket | Kind::Abort => plan.rest,
    };
    user.until.pause(pause.mul_f64(user.begins_late_by)).await;
    let mut connection: Option<Connection> = None;
    let mut body = Vec::new();
    let mut number = 0;
    while user.until.takes_one_more() {
        number += 1;
        let request = recipe.request(user.kind, user.number, number);
        let quiet = leave_if_closed(&user, &mut connection);
        let reused = connection.is_some();
        let ticket = user.ledger.begin(Origin { kind: user.kind, user: user.number, request: number, reused });
        let exchange = async {
            quiet.map_err(|failure| (failure, None))?;
            exchange(&user, plan, &mut connection, number, &request, &mut body).await
        };
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(plan.timeout, exchange) => Some(outcome),
            () = tokio::time::sleep(plan.abort_after), if user.kind == Kind::Abort => None,
        };
        let (failure, answer) = match outcome {
            Some(Ok(Ok(answer))) => {
                ticket.answered(&answer);
                // Half of it to one and a half, so that users do not fall into step and wait for one another.
                let unsteady = pause / 2 + user.jitter.up_to(pause);
                user.until.pause(unsteady).await;
                continue;
            }
            None => {
                drop(ticket);
                connection = None;
                user.until.pause(pause).await;
                continue;
            }
            Some(Ok(Err(broken))) => broken,
            Some(Err(_)) => (Failure::new(Cause::Timeout, format!("no whole answer within {:?}", plan.timeout)), None),
        };
        ticket.failed(failure, answer.as_ref());
        connection = None;
        let rest = REST_AFTER_FAILURE + user.jitter.up_to(REST_AFTER_FAILURE);
        user.until.pause(rest).await;
    }
}

/// Lets go of a connection that the server closed while no request was on it: that is its good right.
fn leave_if_closed(user: &User, connection: &mut Option<Connection>) -> Result<(), Failure> {
    if let Some(open) = connection
        && !open.wire.is_quiet()?
    {
        user.ledger.connection(|count| count.closed_idle += 1);
        *connection = None;
    }
    Ok(())
}

async fn exchange(
    user: &User,
    plan: &Plan,
    connection: &mut Option<Connection>,
    number: u64,
    request: &Request,
    body: &mut Vec<u8>,
) -> Result<Answer, Broken> {
    let without_answer = |failure| (failure, None);
    let open = match connection {
        Some(open) => {
            user.ledger.connection(|count| count.reused += 1);
            open
        }
        None => {
            let wire = Wire::connect(plan).await.map_err(without_answer)?;
            user.ledger.connection(|count| count.opened += 1);
            connection.insert(Connection { wire, answers: 0, history: Vec::new() })
        }
    };
    let mut parts = Vec::with_capacity(1 + request.body.len());
    parts.push(request.head.as_bytes());
    parts.extend(request.body.iter().map(|part| user.recipe.bytes(part)));
    let head = open.wire.ask(&parts).await.map_err(without_answer)?;
    open.wire.read_body(head.framing, body).await.map_err(without_answer)?;
    let answer = Answer { status: head.status, revision: head.revision };
    open.answers += 1;
    if let Some(revision) = &answer.revision {
        remember(user, &mut open.history, revision);
    }
    if user.kind == Kind::Single {
        *connection = None;
    } else if !head.keep_alive {
        user.ledger.connection(|count| count.closed_announced += 1);
        *connection = None;
    }
    let verdict = check_status(plan.expects, answer.status)
        .and_then(|()| check_body(user, number, request, &answer, head.load_id.as_deref(), body));
    match verdict {
        Ok(()) => Ok(answer),
        Err(failure) => Err((failure, Some(answer))),
    }
}

fn remember(user: &User, history: &mut Vec<Arc<str>>, revision: &Arc<str>) {
    if history.last() == Some(revision) || history.len() >= LONGEST_HISTORY {
        return;
    }
    if history.contains(revision) {
        user.ledger.returned();
    }
    history.push(Arc::clone(revision));
}

fn check_status(expects: Expect, status: u16) -> Result<(), Failure> {
    let is_good = match expects {
        Expect::Sample => status == 200,
        Expect::AnyApp => status < 500,
    };
    if is_good { Ok(()) } else { Err(Failure::new(Cause::Status, format!("status {status}"))) }
}

fn check_body(
    user: &User,
    number: u64,
    request: &Request,
    answer: &Answer,
    answered_id: Option<&str>,
    body: &[u8],
) -> Result<(), Failure> {
    let Some(wanted) = &request.wanted else { return Ok(()) };
    let bad = |what: String| Failure::new(Cause::BadBody, what);
    let id = load_id(user.number, number);
    if answered_id != Some(id.as_str()) {
        return Err(bad(format!("the answer to {answered_id:?} came for {id}")));
    }
    wanted.check(body).map_err(bad)?;
    match (wanted, &answer.revision) {
        (Wanted::Holding(_), Some(revision)) => {
            Wanted::Holding(vec![format!("\"revision\":\"{revision}\"")]).check(body).map_err(bad)
        }
        (Wanted::Holding(_) | Wanted::Stream | Wanted::Events, _) => Ok(()),
    }
}
