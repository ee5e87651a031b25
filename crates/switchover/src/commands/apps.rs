use switchover_model::answer::AppsView;
use switchover_model::view::StatusView;
use switchover_model::{AppName, Host};

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::table::Table;

/// List the apps that the daemon knows
///
/// With --json their names alone; `switchover status --app NAME --json` tells of one.
#[derive(Debug, clap::Args)]
pub(crate) struct Apps {}

impl Apps {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let known: AppsView = daemon.get("/v1/apps").await?;
        if shared.json {
            say::json(&known);
            return Ok(Exit::Succeeded);
        }
        if known.apps.is_empty() {
            say::line("no app yet; `switchover deploy` in an app's directory releases the first");
            return Ok(Exit::Succeeded);
        }
        let mut table = Table::new(&["app", "live", "hosts", "under way"], &[]);
        for app in &known.apps {
            // One app that cannot be told about does not hide the others.
            let status: Option<StatusView> = daemon.try_get(&format!("/v1/apps/{app}/status")).await.ok();
            table.row(row(app, status.as_ref()));
        }
        table.lines_within(say::width()).into_iter().for_each(say::line);
        Ok(Exit::Succeeded)
    }
}

fn row(app: &AppName, status: Option<&StatusView>) -> [String; 4] {
    let Some(status) = status else { return [app.to_string(), "unknown".to_owned(), String::new(), String::new()] };
    let revision = status.live.and_then(|slot| Some((slot, status.slots.get(&slot)?.revision?)));
    let live = revision.map_or_else(|| "nothing".to_owned(), |(slot, revision)| format!("{revision} in {slot}"));
    let hosts: Vec<&str> = status.hosts.iter().map(Host::as_str).collect();
    let hosts = if hosts.is_empty() { "every other".to_owned() } else { hosts.join(", ") };
    let moving = status.releases.iter().rev().find(|release| release.outcome.is_none());
    let stage = moving.and_then(|release| release.stages.last()).map(|stage| format!(" in {}", stage.stage));
    let under_way = moving.map(|release| format!("release {}{}", release.release, stage.unwrap_or_default()));
    [app.to_string(), live, hosts, under_way.unwrap_or_default()]
}
