//! The output of the instances, one JSON object a line.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query as Raw, State};
use axum::response::Response;
use futures_util::stream;
use switchover_controller::LogQuery;
use switchover_model::Slot;

use crate::bounds::LOG_LINES;
use crate::refusal::Refusal;
use crate::request::{self, Query};
use crate::routes::{Parameters, Shared, ndjson, too_many_streams};

/// Lines of the past that are given when nobody says how many.
const LINES: usize = 100;

pub(crate) async fn logs(
    State(shared): State<Shared>,
    Path(app): Path<String>,
    Raw(given): Parameters,
) -> Result<Response, Refusal> {
    let query = Query::of(given, &["lines", "follow", "slot", "process", "instance", "all"])?;
    let wanted = LogQuery {
        app: request::app(&app)?,
        slot: query.word("slot", &[("blue", Slot::Blue), ("green", Slot::Green)])?,
        process: query.get("process")?,
        instance: query.get("instance")?,
        all: query.get("all")?.unwrap_or(false),
        lines: query.get("lines")?.unwrap_or(LINES).min(LOG_LINES),
        follow: query.get("follow")?.unwrap_or(false),
    };
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| too_many_streams())?;
    let lines = shared.controller.logs(wanted)?;
    let body = stream::unfold((lines, permit), |(mut lines, permit)| async move {
        let line = lines.recv().await?;
        let text = serde_json::to_vec(&line).map(|mut text| {
            text.push(b'\n');
            Bytes::from(text)
        });
        Some((text, (lines, permit)))
    });
    Ok(ndjson(Body::from_stream(body)))
}
