//! The output of the instances, one JSON object a line.

use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query as Raw, State};
use axum::response::Response;
use futures_util::stream;
use switchover_controller::LogQuery;
use switchover_model::Slot;
use switchover_model::answer::{LogNews, LogPlace, NoLogPlace};

use crate::bounds::LOG_LINES;
use crate::refusal::Refusal;
use crate::request::{self, Query};
use crate::routes::{Parameters, Shared, ndjson, too_many_streams};

/// Lines of the past that are given when nobody says how many.
const LINES: usize = 100;

/// The most instances whose logs a follower can go on with.
const MOST_PLACES: usize = 500;

pub(crate) async fn logs(
    State(shared): State<Shared>,
    Path(app): Path<String>,
    Raw(given): Parameters,
) -> Result<Response, Refusal> {
    let query = Query::of(given, &["lines", "follow", "slot", "process", "instance", "all", "places", "after"])?;
    let with_places = query.get("places")?.unwrap_or(false);
    let wanted = LogQuery {
        app: request::app(&app)?,
        slot: query.word("slot", &[("blue", Slot::Blue), ("green", Slot::Green)])?,
        process: query.get("process")?,
        instance: query.get("instance")?,
        all: query.get("all")?.unwrap_or(false),
        lines: query.get("lines")?.unwrap_or(LINES).min(LOG_LINES),
        follow: query.get("follow")?.unwrap_or(false),
        after: query.get::<Places>("after")?.unwrap_or_default().0,
    };
    if !wanted.follow && !wanted.after.is_empty() {
        return Err(Refusal::malformed(
            "PARAMETER-WRONG",
            "after= goes on with what is followed: it needs follow=true.",
        ));
    }
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| too_many_streams())?;
    let lines = shared.controller.logs(wanted)?;
    let body = stream::unfold((lines, permit), move |(mut lines, permit)| async move {
        let news = loop {
            match lines.recv().await? {
                LogNews::Place(_) | LogNews::Gone { .. } if !with_places => {}
                news @ (LogNews::Line(_) | LogNews::Place(_) | LogNews::Gone { .. }) => break news,
            }
        };
        let text = serde_json::to_vec(&news).map(|mut text| {
            text.push(b'\n');
            Bytes::from(text)
        });
        Some((text, (lines, permit)))
    });
    Ok(ndjson(Body::from_stream(body)))
}

/// What an earlier follower was told last, separated by commas.
#[derive(Debug, Default)]
struct Places(Vec<LogPlace>);

#[derive(Debug, thiserror::Error)]
enum NoPlaces {
    #[error(transparent)]
    One(#[from] NoLogPlace),
    #[error("at most {MOST_PLACES} places can be named")]
    TooMany,
}

impl FromStr for Places {
    type Err = NoPlaces;

    fn from_str(text: &str) -> Result<Self, NoPlaces> {
        if text.split(',').nth(MOST_PLACES).is_some() {
            return Err(NoPlaces::TooMany);
        }
        Ok(Self(text.split(',').map(str::parse).collect::<Result<_, _>>()?))
    }
}
