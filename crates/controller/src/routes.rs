//! A decided goal becomes routes: with the endpoints that are healthy now, the policy's hosts and the preview's digest.

use switchover_model::config::ProcessKind;
use switchover_model::seam::{
    Arm, ArmGoal, Endpoint, InstanceSeen, Mirror, Phase, PlatformSeen, Preview, RoutedProcess, Routes, RoutesGoal,
};
use switchover_model::{ProcessName, Share, Span};
use switchover_rollout::{App, RevisionState};

use crate::token::PreviewToken;

/// The routes of `goal`.
///
/// Guarantees: an endpoint belongs to exactly the arm's slot and revision; it was seen healthy and has answered since its slot
/// was last asked, or it takes requests in `in_force` already. Where nobody of a process type has answered, who is healthy
/// will do.
pub(crate) fn fill(
    app: &App,
    goal: &RoutesGoal,
    platform: &PlatformSeen,
    in_force: Option<&Routes>,
    token: &PreviewToken,
) -> Routes {
    let route = app.config.as_ref().map(|config| &config.route);
    let rule = route.and_then(|route| route.preview.as_ref());
    let preview = goal.preview.as_ref().zip(rule).map(|(arm, rule)| Preview {
        host: rule.host.clone(),
        arm: fill_arm(app, arm, arm.share != Share::NONE, platform, in_force),
        token_digest: token.digest(),
        networks: rule.networks.clone(),
    });
    let drain = route.map_or(switchover_rollout::limits::DRAIN, |route| route.drain);
    Routes {
        app: app.name.clone(),
        version: app.routes_version(),
        hosts: route.map(|route| route.hosts.clone()).unwrap_or_default(),
        arms: goal.arms.iter().map(|arm| fill_arm(app, arm, is_served(goal, arm), platform, in_force)).collect(),
        sticky: app.sticky(),
        matches: goal.matches.clone(),
        goals: goal.goals.clone(),
        baseline: goal.baseline,
        mirror: goal.mirror.as_ref().map(|mirror| Mirror {
            arm: fill_arm(app, &mirror.arm, mirror.arm.share != Share::NONE, platform, in_force),
            rules: mirror.rules.clone(),
        }),
        preview,
        preview_host: rule.map(|rule| rule.host.clone()),
        drain_ms: millis(drain),
    }
}

/// What an app is given before its first routes are decided: its hosts are its own, and nobody is led anywhere by them.
///
/// Nothing for an app that takes no requests.
pub(crate) fn before_the_first(app: &App) -> Option<RoutesGoal> {
    let config = app.config.as_ref().filter(|_| app.routes.is_none())?;
    let is_routed = config.processes.values().any(|process| matches!(process.kind, ProcessKind::Routed { .. }));
    is_routed.then(RoutesGoal::default)
}

/// Where the routed processes of a slot listen, directly.
pub(crate) fn healthy_endpoints(app: &App, arm: &ArmGoal, platform: &PlatformSeen) -> Vec<RoutedProcess> {
    fill_arm(app, arm, arm.share != Share::NONE, platform, None).processes
}

/// Whether users' requests are led to the arm: by its share, or by a rule.
fn is_served(goal: &RoutesGoal, arm: &ArmGoal) -> bool {
    let is_matched = || goal.matches.iter().any(|rule| (rule.slot, rule.revision) == (arm.slot, arm.revision));
    arm.share != Share::NONE || is_matched()
}

fn fill_arm(app: &App, goal: &ArmGoal, is_served: bool, platform: &PlatformSeen, in_force: Option<&Routes>) -> Arm {
    let arm = |processes| Arm { slot: goal.slot, revision: goal.revision, share: goal.share, processes };
    let Some(state) = app.revisions.get(&goal.revision) else {
        return arm(forgotten(app, goal, in_force));
    };
    let routed = state.revision.processes.keys().filter_map(|name| {
        let paths = paths_of(state, name)?;
        Some(RoutedProcess {
            process: name.clone(),
            paths,
            endpoints: endpoints_of(app, (goal, is_served), name, platform, in_force),
        })
    });
    arm(routed.collect())
}

/// An arm without traffic may outlive its revision's record (`keep_revisions`). It keeps the processes that it has in
/// force, as one version of the routes differs in its endpoints alone.
fn forgotten(app: &App, goal: &ArmGoal, in_force: Option<&Routes>) -> Vec<RoutedProcess> {
    let same = in_force.filter(|routes| routes.version == app.routes_version());
    let known = same.and_then(|routes| {
        let previews = routes.preview.iter().map(|preview| &preview.arm);
        let mirrors = routes.mirror.iter().map(|mirror| &mirror.arm);
        routes
            .arms
            .iter()
            .chain(previews)
            .chain(mirrors)
            .find(|arm| arm.slot == goal.slot && arm.revision == goal.revision)
    });
    let processes = known.map(|arm| arm.processes.clone()).unwrap_or_default();
    processes.into_iter().map(|process| RoutedProcess { endpoints: Vec::new(), ..process }).collect()
}

/// The path prefixes of a routed process, by the file that its revision was made with: they come and go with it.
fn paths_of(state: &RevisionState, name: &ProcessName) -> Option<Vec<String>> {
    // A revision's process without a health is a worker.
    state.revision.processes.get(name)?.health.as_ref()?;
    match &state.config.processes.get(name)?.kind {
        ProcessKind::Routed { paths, .. } => Some(paths.clone()),
        ProcessKind::Worker { .. } => None,
    }
}

fn endpoints_of(
    app: &App,
    (goal, is_served): (&ArmGoal, bool),
    process: &ProcessName,
    platform: &PlatformSeen,
    in_force: Option<&Routes>,
) -> Vec<Endpoint> {
    let here = platform
        .instances
        .iter()
        .filter(|seen| seen.slot == goal.slot && seen.revision == goal.revision && seen.process == *process);
    let fit: Vec<(Endpoint, bool)> = here
        .filter_map(|seen| {
            let endpoint = Endpoint { instance: seen.id.clone(), address: seen.address? };
            let holding = || in_force.iter().flat_map(|routes| &routes.arms).filter(|arm| has(arm, &endpoint));
            let is_known = holding().next().is_some();
            let works = holding().any(|arm| arm.share != Share::NONE || is_matched(arm, in_force));
            let is_sure = works || !is_served || app.has_answered(seen);
            takes_requests(seen, is_known).then_some((endpoint, is_sure))
        })
        .collect();
    let somebody_answers = fit.iter().any(|(_, is_sure)| *is_sure);
    let mut endpoints: Vec<Endpoint> =
        fit.into_iter().filter(|(_, is_sure)| *is_sure || !somebody_answers).map(|(endpoint, _)| endpoint).collect();
    endpoints.sort_unstable_by(|one, other| one.instance.cmp(&other.instance));
    endpoints
}

/// `is_known`: it is in the table that is in force.
fn takes_requests(seen: &InstanceSeen, is_known: bool) -> bool {
    match &seen.phase {
        Phase::Healthy { .. } => true,
        // An instance's id is never used twice: what is in the table has been healthy before, and has not been asked yet by a
        // platform that was started anew.
        Phase::Starting { .. } => is_known,
        Phase::Unhealthy { .. } | Phase::Stopping { .. } | Phase::Crashed { .. } => false,
    }
}

fn is_matched(arm: &Arm, in_force: Option<&Routes>) -> bool {
    let mut rules = in_force.iter().flat_map(|routes| &routes.matches);
    rules.any(|rule| (rule.slot, rule.revision) == (arm.slot, arm.revision))
}

fn has(arm: &Arm, endpoint: &Endpoint) -> bool {
    arm.processes.iter().any(|process| process.endpoints.contains(endpoint))
}

fn millis(span: Span) -> u64 {
    span.as_micros() / 1000
}
