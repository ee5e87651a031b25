//! What differs from run to run: the app's file, thrown by the dice within what the file allows.

use std::collections::BTreeMap;

use switchover_model::config::{
    AppConfig, Asks, BACKFILL_LAG, Backup, Build, Canary, Database, Drift, Framework, Handover, Health, Hook,
    Invariant, Level, OldRows, OnCrash, PreviewRule, Process, ProcessKind, ReleasePolicy, Rolling, Route, Step, Stop,
    StopSignal, Strategy, Surge, When, Windows,
};
use switchover_model::release::Stage;
use switchover_model::seam::Sticky;
use switchover_model::{ProcessName, Share, Span};

use super::coverage::Place;
use super::dice::Dice;
use super::experiments;
use super::fault::Fault;
use super::focus::Focus;
use super::state::BEGIN;

/// Stages a hook may stand at.
pub(crate) const HOOK_STAGES: [Stage; 9] = Stage::ALL;

const ROUTED: [(&str, &str); 3] = [("web", "/"), ("api", "/api"), ("admin", "/admin")];
const WORKERS: [&str; 2] = ["mailer", "cron"];
const HANDOVERS: [Handover; 4] = [Handover::StopFirst, Handover::StartFirst, Handover::Drain, Handover::Lease];
const MINUTE: u64 = 60_000_000;
/// Minutes of a run in which windows are open by turns: longer than what a run may take to settle.
const WINDOW_MINUTES: u64 = 99;
pub(crate) const HOOK_TIMEOUT: Span = Span::from_secs(5);
pub(crate) const BUILD_TIMEOUT: Span = Span::from_secs(20);

/// An app's first file.
pub(crate) fn first(dice: &mut Dice, focus: &Focus) -> AppConfig {
    let mut config = AppConfig {
        name: "shop".parse().expect("a label"),
        build: dice.chance(800).then(|| Build {
            command: Some("./build.sh".to_owned()),
            source: None,
            timeout: BUILD_TIMEOUT,
            on_crash: dice.pick(&[OnCrash::Rerun, OnCrash::Fail]),
        }),
        env: BTreeMap::new(),
        secrets_file: None,
        processes: BTreeMap::new(),
        shared: Vec::new(),
        route: Route {
            hosts: hosts(dice),
            preview: dice
                .chance(500)
                .then(|| PreviewRule { host: "preview.shop.example".parse().expect("a host"), networks: Vec::new() }),
            drain: Span::from_millis(dice.pick(&[0, 1_000, 4_000])),
            ..Route::default()
        },
        release: ReleasePolicy {
            strategy: strategy(dice),
            windows: windows(dice),
            approve: dice.chance(300),
            approve_timeout: Span::from_secs(dice.between(5, 20)),
            bake: Span::from_secs(dice.pick(&[0, 2, 2, 15])),
            keep_warm: Span::from_secs(dice.pick(&[0, 3, 3, 20])),
            keep_revisions: u32::try_from(dice.between(1, 4)).unwrap_or(1),
            hooks: Vec::new(),
            evidence: super::checks::policy(dice),
            shadow: super::watch_shadow::rules(dice),
        },
        database: database_for(focus, dice),
        drift: if dice.chance(850) { Drift::Correct } else { Drift::Report },
        notify: Vec::new(),
    };
    for (name, path) in ROUTED.iter().take(dice.index(3) + 1) {
        config.processes.insert(name.parse().expect("a label"), routed(path, dice));
    }
    let workers = dice.index(3);
    for name in WORKERS.iter().take(workers) {
        config.processes.insert(name.parse().expect("a label"), worker(dice));
    }
    for _ in 0..dice.pick(&[0, 0, 1, 2]) {
        let hook = hook(dice);
        if config.database.is_some() || !hook.stage.is_of_the_schema() {
            config.release.hooks.push(hook);
        }
    }
    bend_to(&mut config, focus, dice);
    fit_to_rolling(&mut config, dice);
    config
}

/// The settings that make the wished meeting of stage, command and fault possible.
fn bend_to(config: &mut AppConfig, focus: &Focus, dice: &mut Dice) {
    match focus.place {
        Place::At(Stage::Approve) => config.release.approve = true,
        Place::At(Stage::Bake) => config.release.bake = Span::from_secs(8),
        Place::At(Stage::Retire) => {
            config.release.keep_warm = Span::from_secs(8);
            if matches!(config.release.strategy, Strategy::Rolling(_)) {
                // It keeps nothing warm.
                config.release.strategy = Strategy::BlueGreen;
            }
        }
        Place::At(Stage::Contract) => {
            config.release.bake = Span::from_secs(1);
            config.release.keep_warm = Span::ZERO;
            // It is far enough as it is.
            config.release.strategy = Strategy::BlueGreen;
            config.release.windows = Windows::default();
            if let Some(database) = &mut config.database {
                // What fails while it works has to work before a newer release comes.
                database.quiet = if focus.fault == Fault::SchemaFails { Span::ZERO } else { Span::from_secs(5) };
            }
        }
        Place::At(Stage::Build | Stage::Expand | Stage::Provision | Stage::Verify | Stage::Shift)
        | Place::Undoing
        | Place::Idle => {}
    }
    if focus.fault == Fault::InvariantBroken
        && let Some(database) = &mut config.database
    {
        database.invariants = vec![invariant()];
    }
    let by_hook = matches!(focus.fault, Fault::HookFails | Fault::HookHangs | Fault::AttemptLost);
    let stage = match focus.place {
        Place::At(stage) if by_hook || stage == Stage::Verify => Some(stage),
        Place::At(_) | Place::Undoing | Place::Idle => None,
    };
    if let Some(stage) = stage {
        // One that comes before runs in the stage before.
        let hook = Hook { stage, when: When::After, ..hook(dice) };
        config.release.hooks.push(hook);
    }
    if matches!(focus.fault, Fault::RoutesEdited | Fault::StrayInstance) && dice.chance(800) {
        config.drift = Drift::Correct;
    }
}

/// How the traffic moves: at once, by steps of the file, by equal ones, or by batches.
fn strategy(dice: &mut Dice) -> Strategy {
    match dice.below(15) {
        13 | 14 => Strategy::Ab(Box::new(experiments::thrown(dice))),
        0..=4 => Strategy::BlueGreen,
        10..=12 => Strategy::Rolling(Rolling {
            surge: dice.pick(&[Surge::Instances(1), Surge::Instances(2), Surge::Percent(25), Surge::Percent(60)]),
            every: Span::from_millis(dice.pick(&[0, 500, 2_000])),
        }),
        5..=7 => {
            let shares = [5, 20, 50, 80];
            let first = dice.index(shares.len());
            let steps = shares.iter().skip(first).map(|percent| Step {
                share: Share::from_basis_points(percent * 100).expect("a share"),
                stays: Span::from_millis(dice.pick(&[0, 500, 2_000, 6_000])),
                approve: dice.chance(250),
            });
            Strategy::Canary(Canary::Steps(steps.collect()))
        }
        _ => Strategy::Linear {
            by: Share::from_basis_points(dice.pick(&[2_500, 4_000, 6_000])).expect("a share"),
            every: Span::from_millis(dice.pick(&[500, 2_000, 5_000])),
        },
    }
}

/// For some apps traffic moves in every other minute alone: in the odd ones.
fn windows(dice: &mut Dice) -> Windows {
    if !dice.chance(200) {
        return Windows::default();
    }
    let first = BEGIN / MINUTE % 1_440;
    let odd = (first..first + WINDOW_MINUTES).filter(|minute| minute % 2 == 1).map(|minute| minute % 1_440);
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let allow = odd.map(|minute| format!("Mon-Sun {}-{} UTC", clock(minute), clock(minute + 1)));
    Windows { allow: allow.map(|text| text.parse().expect("a window")).collect(), freeze: Vec::new() }
}

/// Whether windows of this kind are open at a moment.
pub(crate) fn are_open(now: u64) -> bool {
    now / MINUTE % 2 == 1
}

/// Whether the wished meeting needs a database.
fn is_of_the_schema(focus: &Focus) -> bool {
    let place = matches!(focus.place, Place::At(stage) if stage.is_of_the_schema());
    let fault = matches!(
        focus.fault,
        Fault::SchemaUnknown | Fault::SchemaFails | Fault::OldSession | Fault::InvariantBroken | Fault::SchemaEdited
    );
    place || fault
}

/// A database for some apps, whose schema Switchover itself or the app's own framework changes.
fn database_for(focus: &Focus, dice: &mut Dice) -> Option<Database> {
    if is_of_the_schema(focus) {
        return Some(database(dice));
    }
    if !dice.chance(450) {
        return None;
    }
    let mut database = database(dice);
    if dice.chance(350) {
        database.level = Level::Framework(Framework::Django { command: "python manage.py".to_owned() });
    }
    Some(database)
}

fn database(dice: &mut Dice) -> Database {
    Database {
        url: "DATABASE_URL".to_owned(),
        schema: "public".to_owned(),
        level: Level::Files("db/migrations".into()),
        vouch: Vec::new(),
        lock_timeout: Span::from_secs(60),
        backfill_timeout: Span::from_secs(60),
        quiet: Span::from_secs(dice.pick(&[0, 1, 3])),
        attic: Span::from_secs(3_600),
        restore_point: dice.chance(500),
        backfill_rate: None,
        backfill_lag: BACKFILL_LAG,
        old_rows: OldRows::Refuse,
        backup: dice.chance(300).then(|| Backup { command: "./backup.sh".to_owned(), timeout: HOOK_TIMEOUT }),
        invariants: if dice.chance(400) { vec![invariant()] } else { Vec::new() },
    }
}

fn invariant() -> Invariant {
    Invariant { name: "orders have users".to_owned(), query: "SELECT 1".to_owned(), timeout: Span::from_secs(5) }
}

/// The file of a later deploy or apply: scale, hosts, gates and times change, sometimes the set of workers.
pub(crate) fn changed(dice: &mut Dice, config: &AppConfig) -> AppConfig {
    let mut config = config.clone();
    if dice.chance(300) {
        for process in config.processes.values_mut() {
            process.instances = u32::try_from(dice.between(1, 3)).unwrap_or(1);
        }
    }
    if dice.chance(200) {
        config.route.hosts = hosts(dice);
    }
    if dice.chance(200) {
        let name = format!("X-User-{}", dice.below(1_000)).parse().expect("a field name");
        config.route.sticky = Sticky::Header { name };
    }
    if dice.chance(100) {
        config.release.approve = dice.chance(500);
    }
    if dice.chance(150) {
        config.release.keep_warm = Span::from_secs(dice.pick(&[0, 3, 20]));
        config.release.bake = Span::from_secs(dice.pick(&[0, 2, 15]));
    }
    if dice.chance(80) {
        let name: ProcessName = WORKERS[dice.index(2)].parse().expect("a label");
        if config.processes.remove(&name).is_none() {
            config.processes.insert(name, worker(dice));
        }
    }
    fit_to_rolling(&mut config, dice);
    config
}

/// What the file asks of a rolling release: nothing is kept warm, and workers that run in both slots fit into the surge.
fn fit_to_rolling(config: &mut AppConfig, dice: &mut Dice) {
    if !matches!(config.release.strategy, Strategy::Rolling(_)) {
        return;
    }
    config.release.keep_warm = Span::ZERO;
    for process in config.processes.values_mut() {
        match process.kind {
            ProcessKind::Routed { .. } if dice.chance(300) => {
                process.instances = u32::try_from(dice.between(2, 5)).unwrap_or(2);
            }
            ProcessKind::Routed { .. } | ProcessKind::Worker { handover: Handover::StopFirst } => {}
            ProcessKind::Worker { handover: Handover::StartFirst | Handover::Drain | Handover::Lease } => {
                process.instances = 1;
            }
        }
    }
}

fn hosts(dice: &mut Dice) -> Vec<switchover_model::Host> {
    let all = ["shop.example", "www.shop.example"];
    all.iter().take(dice.index(3)).map(|host| host.parse().expect("a host")).collect()
}

fn routed(path: &str, dice: &mut Dice) -> Process {
    Process {
        command: "bin/serve".to_owned(),
        instances: u32::try_from(dice.between(1, 3)).unwrap_or(1),
        kind: ProcessKind::Routed {
            paths: vec![path.to_owned()],
            health: Health {
                path: "/up".to_owned(),
                any_below_500: false,
                interval: Span::from_millis(500),
                timeout: Span::from_secs(2),
                deadline: Span::from_secs(8),
            },
        },
        stop: stop(dice),
    }
}

fn worker(dice: &mut Dice) -> Process {
    Process {
        command: "bin/work".to_owned(),
        instances: u32::try_from(dice.between(1, 2)).unwrap_or(1),
        kind: ProcessKind::Worker { handover: dice.pick(&HANDOVERS) },
        stop: stop(dice),
    }
}

fn stop(dice: &mut Dice) -> Stop {
    Stop { signal: StopSignal::Term, grace: Span::from_millis(dice.pick(&[300, 3_000])) }
}

fn hook(dice: &mut Dice) -> Hook {
    Hook {
        stage: if dice.chance(500) { Stage::Verify } else { dice.pick(&HOOK_STAGES) },
        when: dice.pick(&[When::After, When::After, When::Before]),
        asks: Asks::Command { command: "./smoke.sh".to_owned() },
        timeout: HOOK_TIMEOUT,
        retries: dice.pick(&[0, 0, 1, 2]),
        pause: Span::from_millis(dice.between(100, 900)),
        on_crash: dice.pick(&[OnCrash::Rerun, OnCrash::Fail]),
    }
}
