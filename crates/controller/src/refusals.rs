//! What the controller itself refuses: names it does not know, hosts that another app has, the end.

use std::sync::Arc;

use switchover_model::config::AppConfig;
use switchover_model::{AppName, Host, Problem, ReleaseId};
use switchover_rollout::App;

pub(crate) fn unknown_app(app: &AppName) -> Problem {
    let cause = format!("There is no app {app} here.");
    Problem::new("APP-UNKNOWN", cause, "Release it first: `switchover deploy`; `switchover status` names the apps.")
}

pub(crate) fn unknown_release(app: &AppName, release: Option<ReleaseId>) -> Problem {
    let cause = release.map_or_else(
        || format!("{app} has no release yet."),
        |release| format!("Release {release} of {app} is not known (any more)."),
    );
    Problem::new("RELEASE-UNKNOWN", cause, "`switchover history` shows the releases that are known.")
}

pub(crate) fn no_receipt(app: &AppName, release: ReleaseId) -> Problem {
    let cause = format!("The router's counters could not be read for release {release} of {app}.");
    Problem::new("ROUTER-UNREACHABLE", cause, "Look whether the router runs, then ask again.")
}

pub(crate) fn no_logs() -> Problem {
    Problem::new("LOGS-UNKNOWN", "This platform keeps no output.", "Look where the platform keeps it.")
}

pub(crate) fn shutting_down() -> Problem {
    Problem::new("SHUTTING-DOWN", "The daemon is shutting down.", "Start it again and send the command again.")
}

pub(crate) fn timed_out(app: &AppName) -> Problem {
    let cause = format!("{app} did not answer in time.");
    Problem::new("TIMED-OUT", cause, "Look at its status; the same command with the same key is one command.")
}

pub(crate) fn too_many_apps() -> Problem {
    Problem::new("TOO-MANY-APPS", "This daemon looks after as many apps as it can.", "Start another one with --state.")
}

/// A host leads to one app; and one app at most answers for the hosts that nobody names.
pub(crate) fn if_hosts_are_taken(app: &AppName, config: &AppConfig, others: &[Arc<App>]) -> Result<(), Problem> {
    let hosts_of = |config: &AppConfig| -> Vec<Host> {
        let preview = config.route.preview.as_ref().map(|rule| rule.host.clone());
        config.route.hosts.iter().cloned().chain(preview).collect()
    };
    let wanted = hosts_of(config);
    for other in others.iter().filter(|other| other.name != *app) {
        let Some(theirs) = other.config.as_ref() else { continue };
        if let Some(host) = hosts_of(theirs).into_iter().find(|host| wanted.contains(host)) {
            let cause = format!("The host {host} belongs to the app {}.", other.name);
            let next =
                format!("Take it out of one of the two files; for {}: change it and `switchover apply`.", other.name);
            return Err(Problem::new("HOST-TAKEN", cause, next));
        }
        if theirs.route.hosts.is_empty() && config.route.hosts.is_empty() && is_routed(theirs) && is_routed(config) {
            let cause = format!("{app} names no hosts, and {} answers for every host that nobody names.", other.name);
            let next = format!("Write `hosts = [\"{app}.example.com\"]` under `[route]` of one of them.");
            return Err(Problem::new("HOST-TAKEN", cause, next));
        }
    }
    Ok(())
}

fn is_routed(config: &AppConfig) -> bool {
    use switchover_model::config::ProcessKind;
    config.processes.values().any(|process| matches!(process.kind, ProcessKind::Routed { .. }))
}
