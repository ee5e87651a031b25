//! What a command would do, told before it is given: computed like the real thing, and nothing is changed.

use std::sync::Arc;

use switchover_model::answer::{PlanStage, PlanView};
use switchover_model::config::{
    AppConfig, Database, Experiment, Framework, Handover, ProcessKind, Shadow, Step, Undecided, When, diff,
};
use switchover_model::record::{Actor, Event, IdempotencyKey};
use switchover_model::release::{Command, ReleaseKind, Stage};
use switchover_model::seam::{Seen, Sticky};
use switchover_model::view::{SCHEMA_VERSION, WayBack};
use switchover_model::{AppName, Problem, RevisionId, Slot, Span, Timestamp};
use switchover_rollout::{Admission, App, admit, view};

use crate::clock;
use crate::controller::Controller;
use crate::refusals;
use crate::timeline::{Old, rolling, timeline};
use crate::values::Vault;

impl Controller {
    /// What `command` would do for `app`, stage by stage, with the way back from each.
    pub async fn plan(&self, app: &AppName, command: Command, actor: Actor) -> Result<PlanView, Problem> {
        let mut refused = None;
        if let Command::Apply { config } | Command::Deploy { config, .. } = &command {
            let lacks = refusals::if_the_traffic_lacks(config, &self.parts().traffic.abilities());
            refused = refusals::if_hosts_are_taken(app, config, &self.configs()).and(lacks).err();
        }
        let (now_app, seen) = match self.shown(app).await {
            Ok(shown) => (shown.app, shown.seen),
            Err(problem) if problem.code == "APP-UNKNOWN" => match &command {
                Command::Apply { .. } | Command::Deploy { .. } => (Arc::new(App::new(app.clone())), Arc::default()),
                Command::Promote { .. }
                | Command::Pause { .. }
                | Command::Resume { .. }
                | Command::Abort { .. }
                | Command::Rollback { .. } => return Err(problem),
            },
            Err(problem) => return Err(problem),
        };
        let (now_app, command) = self.named_alike(app, now_app, command).await?;
        let mut plan = plan(&now_app, &seen, &command, &actor);
        plan.refused = plan.refused.or(refused);
        Ok(plan)
    }

    /// Both with ids in the place of the environment's values, so that a name whose value stays is not told as changed.
    async fn named_alike(
        &self,
        name: &AppName,
        app: Arc<App>,
        mut command: Command,
    ) -> Result<(Arc<App>, Command), Problem> {
        if !matches!(command, Command::Apply { .. } | Command::Deploy { .. }) {
            return Ok((app, command));
        }
        let vault = Vault::of(&self.parts().state, name);
        let named = tokio::task::spawn_blocking(move || {
            let mut app = App::clone(&app);
            if let Some(config) = &mut app.config {
                vault.name(&mut config.env, false)?;
            }
            if let Command::Apply { config } | Command::Deploy { config, .. } = &mut command {
                vault.name(&mut config.env, true)?;
            }
            Ok((Arc::new(app), command))
        });
        named.await.map_err(std::io::Error::other).flatten().map_err(|error| {
            let cause = format!("The key of the environment's values can not be read: {error}.");
            Problem::new("STATE-NOT-READABLE", cause, "Check the disk and the permissions of the state directory.")
        })
    }
}

fn plan(app: &App, seen: &Seen, command: &Command, actor: &Actor) -> PlanView {
    let key = IdempotencyKey("plan".to_owned());
    let live = app.heading();
    let mut plan = PlanView {
        schema_version: SCHEMA_VERSION,
        app: app.name.clone(),
        command: command.as_str().to_owned(),
        refused: None,
        release: None,
        revision: None,
        from: live.map(|arm| arm.revision),
        slot: None,
        stages: Vec::new(),
        timeline: None,
        notes: Vec::new(),
        changes: Vec::new(),
    };
    if let Command::Apply { config } | Command::Deploy { config, .. } = command {
        plan.changes = diff(app.config.as_ref(), config).iter().map(ToString::to_string).collect();
    }
    let (drafts, release, notices) = match admit(app, command, &key, actor, clock::now()) {
        Err(problem) => {
            plan.refused = Some(problem);
            return plan;
        }
        Ok(Admission::Repeated { release, .. }) => {
            plan.release = release;
            return plan;
        }
        Ok(Admission::New { drafts, release, notices }) => (drafts, release, notices),
    };
    plan.release = release;
    plan.notes = notices;
    let idle = live.map_or(Slot::Blue, |arm| arm.slot.other());
    for draft in &drafts {
        match &draft.event {
            Event::Opened { revision, kind, .. } => {
                plan.revision = Some(*revision);
                plan.slot = Some(idle);
                let config = match command {
                    Command::Deploy { config, .. } => Some(&**config),
                    _ => app.config.as_ref(),
                };
                if let Some(config) = config {
                    let is_built = app.revisions.contains_key(revision);
                    tell_release(&mut plan, app, (config, kind), is_built);
                }
            }
            Event::Undoing { release, .. } => {
                if let Some(undone) = app.release(*release) {
                    plan.revision = undone.from;
                    plan.slot = undone.slot.map(Slot::other);
                }
                let way = way_back_now(&view::way_back(app, seen, clock::now()));
                plan.notes.push(Problem::new("WAY-BACK", way, ""));
            }
            _ => {}
        }
    }
    plan
}

/// What a release by `config` would do, stage by stage and over time.
fn tell_release(plan: &mut PlanView, app: &App, (config, kind): (&AppConfig, &ReleaseKind), is_built: bool) {
    let live = app.heading();
    let idle = live.map_or(Slot::Blue, |arm| arm.slot.other());
    // Without a live revision, and on a way back, nothing is compared.
    let steps = if live.is_none() { Vec::new() } else { steps_of(config, kind) };
    let is_compared = matches!(kind, ReleaseKind::Deploy) && live.is_some();
    let shadow = config.release.shadow.as_ref().filter(|_| is_compared);
    let closed = closed_window(config, kind, clock::now());
    let apart = if is_compared { apart_by_host(config) } else { None };
    plan.notes.extend(closed.into_iter().chain(shadow.and_then(done_twice)).chain(apart));
    plan.stages = stages(config, idle, is_built, plan.from, (shadow, &steps));
    if let (Some(rolling), Some(arm)) = (rolling::of(config), live) {
        rolling::tell_stages(&mut plan.stages, config, rolling, idle, &arm.revision.to_string());
    }
    plan.timeline = live.map(|arm| {
        let boot = app.revisions.get(&arm.revision).and_then(|state| state.boot);
        timeline(config, Old { revision: arm.revision, boot }, shadow, &steps)
    });
}

/// The steps before all traffic. On a way back all of it moves at once, or by batches that are not held.
fn steps_of(config: &AppConfig, kind: &ReleaseKind) -> Vec<Step> {
    let steps = config.release.strategy.steps(&config.routed_scale());
    match (kind, rolling::of(config)) {
        (ReleaseKind::Deploy, _) => steps,
        (ReleaseKind::Return { .. }, Some(_)) => {
            steps.into_iter().map(|step| Step { stays: Span::ZERO, ..step }).collect()
        }
        (ReleaseKind::Return { .. }, None) => Vec::new(),
    }
}

fn stages(
    config: &AppConfig,
    slot: Slot,
    is_built: bool,
    live: Option<RevisionId>,
    (shadow, steps): (Option<&Shadow>, &[Step]),
) -> Vec<PlanStage> {
    let moves = how_it_moves(config, slot, steps);
    let hooks = |stage: Stage| config.release.hooks.iter().filter(move |hook| hook.stage == stage);
    let asked = |stage: Stage, when: When| {
        let due = hooks(stage).filter(|hook| hook.when == when);
        due.map(|hook| format!("`{}`", hook.asks)).collect::<Vec<_>>().join(", ")
    };
    let is_first = live.is_none();
    let live = live.map(|live| live.to_string()).unwrap_or_default();
    let (at_once, at_the_shift) = parts(config);
    let keep_warm = config.release.keep_warm;
    let (expand, contract) = config.database.as_ref().map(of_the_schema).unwrap_or_default();
    let told = Stage::ALL.into_iter().filter_map(|stage| {
        let has_hooks = hooks(stage).next().is_some();
        let (does, way_back) = match stage {
            Stage::Build if is_built => return None,
            Stage::Build => ("makes the revision in its own directory and seals it".to_owned(), "nothing to undo"),
            Stage::Expand | Stage::Contract if config.database.is_none() => return None,
            Stage::Expand => (expand.0.clone(), expand.1.as_str()),
            Stage::Contract => (contract.0.clone(), contract.1.as_str()),
            Stage::Provision if at_once.is_empty() => (format!("takes {slot} for it"), "stops the slot"),
            Stage::Provision => {
                (format!("starts {} in {slot} and waits until healthy", at_once.join(", ")), "stops the slot")
            }
            Stage::Verify if !has_hooks && shadow.is_none() => return None,
            Stage::Verify => ("looks at the slot before anybody uses it".to_owned(), "stops the slot"),
            Stage::Approve if !config.release.approve => return None,
            Stage::Approve => (
                format!("waits for `switchover promote`, at most {}", config.release.approve_timeout),
                "stops the slot",
            ),
            Stage::Shift if at_the_shift.is_empty() => (moves.clone(), "switches back at once"),
            Stage::Shift => (format!("{moves}, and the work: {}", at_the_shift.join(", ")), "switches back at once"),
            Stage::Bake => (format!("watches it for {}", config.release.bake), "switches back at once"),
            Stage::Retire if is_first => return None,
            Stage::Retire => (
                format!("keeps {live} warm for {keep_warm}, then stops it"),
                "at once while it is warm; afterwards it is started first",
            ),
        };
        let (before, after) = (asked(stage, When::Before), asked(stage, When::After));
        let does = if before.is_empty() { does } else { format!("begins when {before} has passed; {does}") };
        let does = if after.is_empty() { does } else { format!("{does}; then runs {after}") };
        let does = match shadow.filter(|_| stage == Stage::Verify) {
            Some(shadow) => format!("{does}; then {}", compares(shadow)),
            None => does,
        };
        let no_way = is_first && matches!(stage, Stage::Shift | Stage::Bake);
        let way_back = if no_way { "none: it is the first revision" } else { way_back };
        Some(PlanStage { stage, does, way_back: way_back.to_owned() })
    });
    told.collect()
}

/// What is compared before any traffic moves.
fn compares(shadow: &Shadow) -> String {
    let (share, stays, methods) = (shadow.rules.share, shadow.stays, shadow.rules.methods.join(", "));
    format!(
        "copies {share} of the live requests ({methods}) to it for {stays} and compares its answers, of which users see none"
    )
}

/// What copies would do once more that a request has done.
fn done_twice(shadow: &Shadow) -> Option<Problem> {
    let methods: Vec<&str> = shadow.unsafe_methods().collect();
    let cause = format!(
        "copies of {} are made: whatever such a request does, the new revision and the live one each do once more, on the same \
         database and with the users' own rights.",
        methods.join(", ")
    );
    let next =
        "Leave out by `X-Switchover-Shadow: 1` what must not happen twice; or leave `methods` of [release.shadow] out.";
    (!methods.is_empty()).then(|| Problem::new("SHADOW-WRITES", cause, next))
}

/// Visitors of an experiment who would be another client at each host.
fn apart_by_host(config: &AppConfig) -> Option<Problem> {
    let hosts = &config.route.hosts;
    let are_apart = config.route.sticky == Sticky::Cookie && hosts.len() > 1;
    let cause = format!(
        "a browser keeps another `switchover-client` cookie for each of the {} hosts, so who visits several of them is several \
         clients, maybe on both sides: the experiment would find a smaller effect than there is.",
        hosts.len()
    );
    let next = "Tell clients apart by a header or a cookie that is the same for all hosts ([route] sticky).";
    config.release.strategy.experiment().filter(|_| are_apart).map(|_| Problem::new("HOSTS-APART", cause, next))
}

/// Traffic would wait for a time window, as it is now.
fn closed_window(config: &AppConfig, kind: &ReleaseKind, now: Timestamp) -> Option<Problem> {
    let windows = &config.release.windows;
    let waits = matches!(kind, ReleaseKind::Deploy) && !windows.is_open(now);
    let when = match windows.opens_at(now) {
        Some(at) => format!("{} ({} from now)", windows.told(at), at.since(now).rounded()),
        None => "nobody knows when".to_owned(),
    };
    let cause = format!("traffic would not move before the app's time window opens, {when}.");
    waits.then(|| Problem::new("WINDOW-CLOSED", cause, "`switchover promote` passes it once; a way back never waits."))
}

fn how_it_moves(config: &AppConfig, slot: Slot, steps: &[Step]) -> String {
    if steps.is_empty() {
        return format!("moves all traffic to {slot} in one switch");
    }
    if let Some(experiment) = config.release.strategy.experiment() {
        return how_it_tries(experiment, slot);
    }
    let shares: Vec<String> = steps.iter().map(|step| step.share.to_string()).collect();
    format!("moves the traffic to {slot} by steps ({}), then all of it", shares.join(", "))
}

/// Who gets the new revision for a try, and when all do.
fn how_it_tries(experiment: &Experiment, slot: Slot) -> String {
    let who = match (experiment.is_by_chance(), experiment.matches.is_empty()) {
        (true, true) => format!("{} of the clients", experiment.share),
        (true, false) => format!("{} of the clients and those of a match", experiment.share),
        (false, _) => "the clients of a match".to_owned(),
    };
    let all = match experiment.undecided {
        Undecided::Drop => "all if it is won",
        Undecided::Promote => "all unless it is lost",
        Undecided::Ask => "all if it is won or a person says so",
    };
    format!("leads {who} to {slot}, then {all}")
}

/// What expand and contract do, each with the way back, by who changes the schema.
fn of_the_schema(database: &Database) -> ((String, String), (String, String)) {
    let by = match database.framework() {
        None => {
            let expand = "makes what it needs of the schema beside what the live revision needs";
            let stays = "what was added stays, still kept in step; `switchover db undo` takes it back";
            let contract = "puts what only older revisions needed of the schema into the attic";
            let attic = format!("brings it back from the attic first, for {}", database.attic);
            return ((expand.to_owned(), stays.to_owned()), (contract.to_owned(), attic));
        }
        Some(Framework::Django { command }) => format!("Django (`{command}`)"),
        Some(Framework::Alembic { command }) => format!("Alembic (`{command}`)"),
        Some(Framework::Commands(commands)) => format!("the app's own commands (`{}`)", commands.expand),
    };
    let is_read = match database.framework() {
        Some(Framework::Commands(commands)) => commands.sql.is_some(),
        Some(Framework::Django { .. } | Framework::Alembic { .. }) | None => true,
    };
    let reads = if is_read { "reads the SQL of what is pending and " } else { "" };
    let expand = format!("{reads}has {by}, in its own directory, carry out what the live revision can live with");
    let stays = "what was added stays, and the live revision goes on with it; nothing is run backwards";
    let contract = "has the framework carry out what only it can live with, when nothing older is left";
    let gone = if database.backup.is_some() { "from the backup that is made before" } else { "from your own backup" };
    let none = format!("none to a revision that was made without these migrations: rows come back {gone}");
    ((expand, stays.to_owned()), (contract.to_owned(), none))
}

/// What provision starts and waits for, and what works in the new slot from the shift on only.
fn parts(config: &AppConfig) -> (Vec<String>, Vec<String>) {
    let (mut at_once, mut at_the_shift) = (Vec::new(), Vec::new());
    for (name, process) in &config.processes {
        let told = format!("{} {name}", process.instances);
        match process.kind {
            ProcessKind::Routed { .. } => at_once.push(told),
            ProcessKind::Worker { handover: Handover::Lease } => {
                at_once.push(told);
                at_the_shift.push(format!("the lease of {name}"));
            }
            ProcessKind::Worker { handover: Handover::StopFirst } => at_the_shift.push(format!("{told} (stop-first)")),
            ProcessKind::Worker { handover: Handover::StartFirst } => {
                at_the_shift.push(format!("{told} (start-first)"));
            }
            ProcessKind::Worker { handover: Handover::Drain } => at_the_shift.push(format!("{told} (drain)")),
        }
    }
    (at_once, at_the_shift)
}

fn way_back_now(way: &WayBack) -> String {
    match way {
        WayBack::Instant { to, .. } => format!("{to} is warm: it has the traffic again at once."),
        WayBack::Start { to, why, batches: Some(batches), .. } => {
            format!("{to} is started again, in {batches} batches: {why}.")
        }
        WayBack::Start { to, estimate: Some(estimate), why, batches: None } => {
            format!("{to} has to be started first, which took {} last time: {why}.", estimate.rounded())
        }
        WayBack::Start { to, estimate: None, why, batches: None } => format!("{to} has to be started first: {why}."),
        WayBack::Abort { release } => format!("Release {release}, which moved no traffic yet, is taken back."),
        WayBack::None { why } => format!("There is no way back: {why}."),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
