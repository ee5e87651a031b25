//! The journal's records as server-sent events, and the status whenever it changed.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::{Path, Query as Raw, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream;
use switchover_controller::Controller;
use switchover_model::AppName;
use switchover_model::view::StatusView;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

use crate::bounds::{RECORDS_AT_ONCE, SIGN_OF_LIFE, STATUS_PAUSE};
use crate::refusal::Refusal;
use crate::request::{self, Query};
use crate::routes::{Parameters, Shared, too_many_streams};

/// One reader's place in an app's journal.
struct Reader {
    controller: Controller,
    app: AppName,
    after: u64,
    changes: watch::Receiver<u64>,
    /// Whether the reader wants statuses; holds the last one sent.
    status: Option<Option<Box<StatusView>>>,
    ready: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

pub(crate) async fn events(
    State(shared): State<Shared>,
    Path(app): Path<String>,
    headers: HeaderMap,
    Raw(given): Parameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let query = Query::of(given, &["after", "status"])?;
    let app = request::app(&app)?;
    // A browser or client that comes back says where it was (HTML Living Standard 9.2.4).
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let after = match last {
        Some(last) => last,
        None => query.get("after")?.unwrap_or(0),
    };
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| too_many_streams())?;
    let reader = Reader {
        changes: shared.controller.changes(&app)?,
        controller: shared.controller,
        app,
        after,
        status: query.get("status")?.unwrap_or(false).then_some(None),
        ready: VecDeque::new(),
        _permit: permit,
    };
    let stream = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE).text("")))
}

impl Reader {
    /// The next event; nothing when the controller is gone. Events are never skipped: a slow reader gets them later.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Marked as seen before the look, so that what comes meanwhile wakes the wait below.
            self.changes.borrow_and_update();
            self.look().await?;
            if self.ready.is_empty() {
                self.changes.changed().await.ok()?;
                if self.status.is_some() {
                    self.take_records().await?;
                    if self.ready.is_empty() {
                        sleep(STATUS_PAUSE).await;
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Option<()> {
        self.take_records().await?;
        if let Some(last) = &mut self.status
            && let Ok(status) = self.controller.status(&self.app).await
            && last.as_deref() != Some(&status)
        {
            self.ready.push_back(Event::default().event("status").json_data(&status).ok()?);
            *last = Some(Box::new(status));
        }
        Some(())
    }

    async fn take_records(&mut self) -> Option<()> {
        for record in self.controller.records(&self.app, self.after, RECORDS_AT_ONCE).await.ok()? {
            self.after = record.sequence;
            let event = Event::default().id(record.sequence.to_string()).event("record");
            self.ready.push_back(event.json_data(&record).ok()?);
        }
        Some(())
    }
}
