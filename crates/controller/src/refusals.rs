//! What the controller itself refuses: names it does not know, hosts that another app has, the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use switchover_model::config::{AppConfig, Experiment};
use switchover_model::seam::{Abilities, Ability, lacks, lacks_for};
use switchover_model::{AppName, Host, InstanceId, Problem, ProcessName, ReleaseId};
use switchover_rollout::App;

use crate::evidence::NoReport;

/// The most instances that a refusal names: the newest ones.
const NAMED: usize = 20;

pub(crate) fn unknown_app(app: &AppName, known: &[AppName]) -> Problem {
    let known = match known {
        [] => "no app yet".to_owned(),
        known => listed(known),
    };
    let cause = format!("There is no app {app} here; the daemon knows {known}.");
    Problem::new("APP-UNKNOWN", cause, "Name one of these, or release it first with `switchover deploy`.")
}

pub(crate) fn unknown_process(app: &AppName, process: &ProcessName, known: &BTreeSet<&ProcessName>) -> Problem {
    let cause = format!("{app} has no process type {process}; it has {}.", listed(known));
    Problem::new("PROCESS-UNKNOWN", cause, "Name one of these with --process, or leave it out.")
}

pub(crate) fn unknown_instance(app: &AppName, instance: &InstanceId, kept: &[(InstanceId, ProcessName)]) -> Problem {
    let newest: Vec<&InstanceId> = kept.iter().rev().take(NAMED).map(|(id, _)| id).collect();
    let there = match newest.as_slice() {
        [] => "there is none".to_owned(),
        newest => format!("there are, newest first, {}", listed(newest)),
    };
    let cause = format!("No output of an instance {instance} of {app} is there; {there}.");
    Problem::new("INSTANCE-UNKNOWN", cause, "Name one of these with --instance, or leave it out.")
}

fn listed<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn unknown_release(app: &AppName, release: Option<ReleaseId>) -> Problem {
    let cause = release.map_or_else(
        || format!("{app} has no release yet."),
        |release| format!("Release {release} of {app} is not known (any more)."),
    );
    Problem::new("RELEASE-UNKNOWN", cause, "`switchover history` shows the releases that are known.")
}

pub(crate) fn no_experiment(app: &AppName, release: Option<ReleaseId>, none: NoReport) -> Problem {
    let history = "`switchover history` shows the releases; an experiment is one with strategy = \"ab\".";
    let (cause, next) = match (none, release) {
        (NoReport::NoExperiment, None) => (format!("{app} has had no experiment yet."), history),
        (NoReport::NoExperiment, Some(release)) => {
            (format!("Release {release} of {app} is no experiment, or is not known (any more)."), history)
        }
        (NoReport::First(first), _) => (
            format!(
                "Release {first} of {app} was no experiment: no revision was live that its own could be compared with."
            ),
            "All clients were led to it at once. The next release is one: `switchover deploy`.",
        ),
    };
    Problem::new("NO-EXPERIMENT", cause, next)
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

/// Refuses a strategy, or a comparison with the live slot, that the app's traffic can not carry out.
pub(crate) fn if_the_traffic_lacks(config: &AppConfig, abilities: &Abilities) -> Result<(), Problem> {
    let policy = &config.release;
    let copies = policy.shadow.as_ref().map(|_| Ability::Mirror);
    if let Some(problem) = lacks_for("[release.shadow]", copies, abilities) {
        return Err(problem);
    }
    if policy.strategy.steps(&config.routed_scale()).is_empty() {
        return Ok(());
    }
    let compares = policy.evidence.compares_in_steps().then_some(Ability::Baseline);
    let tries = policy.strategy.experiment().into_iter().flat_map(Experiment::needs);
    let needs =
        [Ability::Weights, Ability::Sticky(config.route.sticky.kind())].into_iter().chain(compares).chain(tries);
    lacks(policy.strategy.word(), needs, abilities).map_or(Ok(()), Err)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchover_model::config::parse;

    use super::*;

    #[test]
    fn copies_are_refused_where_the_traffic_can_make_none() {
        let file = "name = \"shop\"\n[process.web]\ncommand = \"x\"\n[release.shadow]\n";
        let config = parse(file, "switchover.toml", Path::new("/app")).expect("the file is right");
        assert_eq!(if_the_traffic_lacks(&config, &Abilities::built_in()), Ok(()));
        let weights = Abilities([Ability::Weights].into());
        let problem = if_the_traffic_lacks(&config, &weights).unwrap_err();
        assert_eq!(problem.code, "TRAFFIC-LACKS");
        assert!(problem.cause.starts_with("[release.shadow] needs") && problem.cause.contains("copies"), "{problem}");
    }
}
