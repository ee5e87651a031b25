//! What can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, Path, Query as Raw, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use switchover_controller::Controller;
use switchover_model::ReleaseId;
use switchover_model::answer::{
    AppsView, CommandAnswer, DaemonView, HistoryView, JournalView, PlanView, ReceiptView, ReplayView, TrafficView,
    WaitAnswer, WaitUntil,
};
use switchover_model::experiment::ExperimentReport;
use switchover_model::record::Actor;
use switchover_model::release::Command;
use switchover_model::view::{SCHEMA_VERSION, StatusView};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::bounds::{ANSWER_LIMIT, BODY_BYTES, REQUESTS, STREAMS, WAIT_LIMIT};
use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::request::{self, Query};
use crate::{events, logs, metrics, openapi};

/// What every route knows.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) controller: Controller,
    pub(crate) streams: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

pub(crate) type Answer<T> = Result<Json<T>, Refusal>;
pub(crate) type Parameters = Raw<BTreeMap<String, String>>;

/// Every route: method, path, what it is for.
pub(crate) const ROUTES: &[(&str, &str, &str)] = &[
    ("get", "/v1/daemon", "The daemon itself"),
    ("get", "/v1/apps", "Every app"),
    ("post", "/v1/apps/{app}/commands", "Give a command; it is journaled when this answers"),
    ("post", "/v1/apps/{app}/plan", "What a command would do; changes nothing"),
    ("get", "/v1/apps/{app}/status", "What runs, what moves, and how to go back"),
    ("get", "/v1/apps/{app}/history", "Every release"),
    ("get", "/v1/apps/{app}/history/verify", "Whether the journal is as it was written: its whole chain is walked"),
    ("get", "/v1/apps/{app}/receipt/{release}", "The evidence of a release; `latest` for the newest"),
    (
        "get",
        "/v1/apps/{app}/replay/{release}",
        "The verdicts of a release's checks, reached again from the journal; `all` for every release",
    ),
    (
        "get",
        "/v1/apps/{app}/experiment/{release}",
        "The report of an experiment, while it runs and after it; `latest` for the newest",
    ),
    ("get", "/v1/apps/{app}/traffic", "The traffic as seen now"),
    ("get", "/v1/metrics", "Every app's traffic in the text format of Prometheus"),
    ("get", "/v1/apps/{app}/logs", "The output of the instances, one JSON object a line"),
    ("get", "/v1/apps/{app}/wait/{release}", "Wait until a release is switched or settled"),
    ("get", "/v1/apps/{app}/events", "The journal's records as server-sent events"),
    ("get", "/openapi.json", "This document"),
];

/// The service.
pub(crate) fn router(controller: Controller) -> Router {
    let shared =
        Shared { controller, streams: Arc::new(Semaphore::new(STREAMS)), requests: Arc::new(Semaphore::new(REQUESTS)) };
    Router::new()
        .route("/v1/daemon", get(daemon))
        .route("/v1/apps", get(apps))
        .route("/v1/apps/{app}/commands", post(command))
        .route("/v1/apps/{app}/plan", post(plan))
        .route("/v1/apps/{app}/status", get(status))
        .route("/v1/apps/{app}/history", get(history))
        .route("/v1/apps/{app}/history/verify", get(verify))
        .route("/v1/apps/{app}/receipt/{release}", get(receipt))
        .route("/v1/apps/{app}/replay/{release}", get(replay))
        .route("/v1/apps/{app}/experiment/{release}", get(experiment))
        .route("/v1/apps/{app}/traffic", get(traffic))
        .route("/v1/apps/{app}/logs", get(logs::logs))
        .route("/v1/apps/{app}/wait/{release}", get(wait))
        .route("/v1/apps/{app}/events", get(events::events))
        .merge(metrics::route("/v1/metrics", shared.controller.clone()))
        .route("/openapi.json", get(async || Json(openapi::document())))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(shared.clone(), admit))
        .with_state(shared)
}

/// Refuses strangers, and bounds how many requests are on and how long each may take to begin its answer.
async fn admit(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut asked: Request,
    next: Next,
) -> Response {
    let Some(actor) = peer.admitted() else {
        return Refusal::new(
            StatusCode::FORBIDDEN,
            "NOT-PERMITTED",
            "This daemon takes orders from its own user and from root alone.",
            "Run the command as the user that runs `switchover serve`.",
        )
        .into_response();
    };
    let Ok(_permit) = shared.requests.try_acquire() else {
        return Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO-MANY-REQUESTS",
            format!("{REQUESTS} requests are being answered already."),
            "Ask again in a moment.",
        )
        .into_response();
    };
    asked.extensions_mut().insert(actor);
    match timeout(ANSWER_LIMIT, next.run(asked)).await {
        Ok(answer) => of_our_form(answer),
        Err(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "TIMED-OUT",
            format!("There was no answer within {} s.", ANSWER_LIMIT.as_secs()),
            "Ask for the status; a command given with the same key again stays one command.",
        )
        .into_response(),
    }
}

/// The framework's own refusals (a body over the limit, a broken query) become problems as well.
fn of_our_form(answer: Response) -> Response {
    let ours = answer.headers().get("content-type").is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/") || kind.starts_with(b"text/event-stream")
    });
    if ours || answer.status().is_success() {
        return answer;
    }
    match answer.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BODY-TOO-LARGE",
            format!("A body is at most {BODY_BYTES} bytes."),
            "Send the parsed file alone.",
        ),
        status => Refusal::new(
            status,
            "PARAMETER-WRONG",
            "The request is not of the form that is asked for here.",
            "Look at GET /openapi.json for the form.",
        ),
    }
    .into_response()
}

async fn no_such_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NO-SUCH-ROUTE", "There is nothing at this path.", "Look at GET /openapi.json.")
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD-NOT-ALLOWED",
        "This path takes another method.",
        "Look at GET /openapi.json.",
    )
}

async fn daemon(State(shared): State<Shared>) -> Json<DaemonView> {
    Json(shared.controller.daemon())
}

async fn apps(State(shared): State<Shared>) -> Json<AppsView> {
    Json(AppsView { schema_version: SCHEMA_VERSION, apps: shared.controller.apps() })
}

/// A command about app `named`; the file inside it must be of the same app.
fn command_of(named: &switchover_model::AppName, bytes: &Bytes) -> Result<Command, Refusal> {
    let command: Command = request::body(bytes)?;
    if let Command::Apply { config } | Command::Deploy { config, .. } = &command
        && config.name != *named
    {
        return Err(Refusal::malformed(
            "APP-MISMATCH",
            format!("The path is about {named}, and the file is of {}.", config.name),
        ));
    }
    Ok(command)
}

async fn command(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(app): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let app = request::app(&app)?;
    let key = request::key(&headers)?;
    let command = command_of(&app, &body)?;
    let answer = shared.controller.command(&app, command, key, actor).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn plan(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer<PlanView> {
    let app = request::app(&app)?;
    let command = command_of(&app, &body)?;
    Ok(Json(shared.controller.plan(&app, command, actor).await?))
}

async fn status(State(shared): State<Shared>, Path(app): Path<String>) -> Answer<StatusView> {
    Ok(Json(shared.controller.status(&request::app(&app)?).await?))
}

async fn history(State(shared): State<Shared>, Path(app): Path<String>) -> Answer<HistoryView> {
    Ok(Json(shared.controller.history(&request::app(&app)?).await?))
}

async fn verify(State(shared): State<Shared>, Path(app): Path<String>) -> Answer<JournalView> {
    Ok(Json(shared.controller.verify(&request::app(&app)?).await?))
}

async fn receipt(State(shared): State<Shared>, Path((app, which)): Path<(String, String)>) -> Answer<ReceiptView> {
    let release = if which == "latest" { None } else { Some(release(&which)?) };
    Ok(Json(shared.controller.receipt(&request::app(&app)?, release).await?))
}

async fn replay(State(shared): State<Shared>, Path((app, which)): Path<(String, String)>) -> Answer<ReplayView> {
    let release = if which == "all" { None } else { Some(release(&which)?) };
    Ok(Json(shared.controller.replay(&request::app(&app)?, release).await?))
}

async fn experiment(
    State(shared): State<Shared>,
    Path((app, which)): Path<(String, String)>,
) -> Answer<ExperimentReport> {
    let release = if which == "latest" { None } else { Some(release(&which)?) };
    Ok(Json(shared.controller.experiment(&request::app(&app)?, release).await?))
}

async fn traffic(State(shared): State<Shared>, Path(app): Path<String>) -> Answer<TrafficView> {
    Ok(Json(shared.controller.traffic(&request::app(&app)?).await?))
}

async fn wait(
    State(shared): State<Shared>,
    Path((app, which)): Path<(String, String)>,
    Raw(given): Parameters,
) -> Answer<WaitAnswer> {
    let query = Query::of(given, &["until", "timeout_ms"])?;
    let until = query
        .word("until", &[("switched", WaitUntil::Switched), ("settled", WaitUntil::Settled)])?
        .unwrap_or(WaitUntil::Switched);
    let limit = query.get("timeout_ms")?.map_or(WAIT_LIMIT, Duration::from_millis).min(WAIT_LIMIT);
    let app = request::app(&app)?;
    Ok(Json(shared.controller.wait(&app, release(&which)?, until, limit).await?))
}

fn release(text: &str) -> Result<ReleaseId, Refusal> {
    text.parse()
        .map(ReleaseId)
        .map_err(|error| Refusal::malformed("PARAMETER-WRONG", format!("\"{text}\" is no release: {error}.")))
}

/// The refusal of a stream when as many as may be are open.
pub(crate) fn too_many_streams() -> Refusal {
    Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        "TOO-MANY-STREAMS",
        format!("{STREAMS} streams are open already."),
        "Close one, or ask without following.",
    )
}

/// A body that is sent line by line as it comes.
pub(crate) fn ndjson(body: Body) -> Response {
    ([("content-type", "application/x-ndjson")], body).into_response()
}
