//! Answers a scrape: asks every app, writes what is known.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use switchover_controller::Controller;
use switchover_model::AppName;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::bounds::{APPS_AT_ONCE, SCRAPE_LIMIT, SCRAPES};
use crate::refusal::Refusal;
use crate::scrape::{AppScraped, text};

#[derive(Clone)]
struct Scraped {
    controller: Controller,
    scrapes: Arc<Semaphore>,
}

/// The one route of the metrics, at `path`.
pub(crate) fn route<S: Clone + Send + Sync + 'static>(path: &str, controller: Controller) -> Router<S> {
    let scraped = Scraped { controller, scrapes: Arc::new(Semaphore::new(SCRAPES)) };
    Router::new().route(path, get(scrape)).with_state(scraped)
}

/// What is served where nobody is known: the metrics alone.
pub(crate) fn router(controller: Controller) -> Router {
    route("/metrics", controller).fallback(async || {
        (StatusCode::NOT_FOUND, [("content-type", "text/plain; charset=utf-8")], "There is /metrics here.\n")
    })
}

async fn scrape(State(scraped): State<Scraped>) -> Response {
    let Ok(_permit) = scraped.scrapes.try_acquire() else {
        return Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO-MANY-REQUESTS",
            format!("{SCRAPES} scrapes are being answered already."),
            "Ask again in a moment, or less often.",
        )
        .into_response();
    };
    let apps = scraped.controller.apps();
    let asked = futures_util::stream::iter(apps).map(|app| ask(&scraped.controller, app)).buffered(APPS_AT_ONCE);
    match timeout(SCRAPE_LIMIT, asked.collect::<Vec<_>>()).await {
        Ok(apps) => ([("content-type", CONTENT_TYPE)], text(apps)).into_response(),
        // A part of the numbers would look like all of them.
        Err(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "TIMED-OUT",
            format!("The apps could not all be asked within {} s.", SCRAPE_LIMIT.as_secs()),
            "Look whether the router runs: `switchover status`.",
        )
        .into_response(),
    }
}

async fn ask(controller: &Controller, app: AppName) -> AppScraped {
    let (seen, releases) = tokio::join!(controller.traffic(&app), controller.status(&app));
    AppScraped {
        seen: seen.ok().and_then(|view| view.seen),
        releases: releases.map(|status| status.releases).unwrap_or_default(),
        app,
    }
}
