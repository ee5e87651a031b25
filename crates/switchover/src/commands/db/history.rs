use serde::Serialize;
use switchover_model::view::SCHEMA_VERSION;

use super::{Place, failed};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Show what was done to the schema, when and by whom, also what failed or was taken back
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct HistoryView {
    schema_version: u32,
    entries: Vec<EntryView>,
}

#[derive(Debug, Serialize)]
struct EntryView {
    at: String,
    name: String,
    /// A phase that was begun or reached, or `failed`, `purged`, `baseline`.
    event: String,
    detail: Option<String>,
    by: String,
}

impl History {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let database = self.place.looker().await?;
        let entries = database.history().await.map_err(failed)?;
        let entries: Vec<EntryView> = entries
            .into_iter()
            .map(|entry| EntryView {
                at: entry.at,
                name: entry.name,
                event: entry.event,
                detail: entry.detail,
                by: entry.by,
            })
            .collect();
        if shared.json {
            say::json(&HistoryView { schema_version: SCHEMA_VERSION, entries });
            return Ok(Exit::Succeeded);
        }
        if entries.is_empty() {
            say::line("nothing was done yet");
        }
        for entry in entries {
            let detail = entry.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            say::line(format_args!("{} {:<12} {} by {}{detail}", entry.at, entry.event, entry.name, entry.by));
        }
        Ok(Exit::Succeeded)
    }
}
