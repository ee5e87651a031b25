//! The loop over a world in memory: releases, the way back, crashes of the controller at each stage, failures.

mod world;

use std::time::{Duration, Instant};

use switchover_model::answer::WaitUntil;
use switchover_model::record::{Actor, AttemptResult, Event};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::Phase;
use switchover_model::{Problem, ReleaseId, RevisionId, Share};

use world::{World, config, deploy, give, has_record, live_revision, records, shop, until};

/// Settings with which a release comes to rest soon.
const QUICK: &str = "[release]\nbake = \"10ms\"\nkeep_warm = \"1h\"\n";
/// The same with a hook.
const HOOKED: &str =
    "[release]\nbake = \"10ms\"\nkeep_warm = \"1h\"\n[[release.hook]]\nstage = \"verify\"\ncommand = \"./smoke.sh\"\n";
const SECRET: &str = "hunter2-do-not-tell";

#[tokio::test]
async fn a_deploy_goes_live_and_a_rollback_flips_back_at_once() {
    let world = World::new();
    let controller = world.controller().await;
    for (key, release) in [("a", 1), ("b", 2)] {
        let answer = give(&controller, &shop(), key, deploy(config("shop", QUICK))).await.unwrap();
        assert_eq!(answer.release, Some(ReleaseId(release)));
        let waited = controller.wait(&shop(), ReleaseId(release), WaitUntil::Switched, world::DEADLINE).await.unwrap();
        assert!(waited.done && waited.release.switched_at.is_some(), "{waited:?}");
    }
    let status = until(&controller, &shop(), "r2 live", |status| live_revision(status) == Some(RevisionId(2))).await;
    assert_eq!(status.url.as_deref(), Some("http://127.0.0.1:1"));

    let asked = Instant::now();
    give(&controller, &shop(), "c", Command::Rollback { to: None, release: None, detach: false }).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    let (flipped, routes) = world.lock().flips.last().cloned().unwrap();
    let arm = routes.arms.iter().find(|arm| arm.share == Share::ALL).unwrap();
    assert_eq!(arm.revision, RevisionId(1));
    assert!(!arm.processes[0].endpoints.is_empty());
    // The median is measured elsewhere; this is the order of magnitude that any machine keeps.
    assert!(flipped - asked < Duration::from_millis(500), "{:?}", flipped - asked);
    until(&controller, &shop(), "rolled back", |status| {
        !status.releases.iter().any(|release| release.undoing && release.outcome.is_none())
    })
    .await;
    let rolled_back = |event: &Event| matches!(event, Event::Concluded { outcome: Outcome::RolledBack { .. }, release } if release.0 == 2);
    assert!(has_record(&controller, &shop(), rolled_back).await);
    controller.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_keeps_no_way_back_from_starting_its_instances() {
    let world = World::new();
    let controller = world.controller().await;
    let reserve = world.state_directory().join("reserve");
    for key in ["a", "b"] {
        let answer = give(&controller, &shop(), key, deploy(config("shop", QUICK))).await.unwrap();
        let release = answer.release.unwrap();
        let waited = controller.wait(&shop(), release, WaitUntil::Switched, world::DEADLINE).await.unwrap();
        assert!(waited.done, "{waited:?}");
    }
    assert!(std::fs::metadata(reserve).unwrap().len() > 0);
    {
        let mut state = world.lock();
        state.disk_is_full = true;
        // What would be warm has died.
        state.instances.get_mut(&shop()).unwrap().retain(|seen| seen.revision == RevisionId(2));
    }
    world.tell();
    give(&controller, &shop(), "c", Command::Rollback { to: None, release: None, detach: false }).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    assert!(world.lock().refused_for_space, "the reserve was what made it possible");
    controller.shutdown().await;
}

#[tokio::test]
async fn a_repeated_key_is_one_command_and_a_stale_one_is_refused() {
    let world = World::new();
    let controller = world.controller().await;
    let first = give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
    let again = give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
    assert_eq!((again.release, again.sequence, again.repeated), (first.release, first.sequence, true));
    let unknown =
        give(&controller, &"blog".parse().unwrap(), "b", Command::Rollback { to: None, release: None, detach: false })
            .await
            .unwrap_err();
    assert_eq!(unknown.code, "APP-UNKNOWN");
    let stale = Command::Promote { release: ReleaseId(9), stage: Stage::Approve, step: None, full: false };
    assert!(give(&controller, &shop(), "c", stale).await.is_err());
    assert_eq!(controller.apps(), [shop()]);
}

#[tokio::test]
async fn a_host_leads_to_one_app() {
    let world = World::new();
    let controller = world.controller().await;
    give(&controller, &shop(), "a", deploy(config("shop", "[route]\nhosts = [\"shop.example\"]\n"))).await.unwrap();
    let blog = "blog".parse().unwrap();
    let taken = deploy(config("blog", "[route]\nhosts = [\"shop.example\"]\n"));
    assert_eq!(give(&controller, &blog, "b", taken.clone()).await.unwrap_err().code, "HOST-TAKEN");
    let actor = Actor::Controller;
    let plan = controller.plan(&blog, taken, actor).await.unwrap();
    assert_eq!(plan.refused.map(|problem| problem.code), Some("HOST-TAKEN".to_owned()));
    assert_eq!(controller.apps(), [shop()]);
}

#[tokio::test]
async fn of_two_apps_that_want_a_host_at_once_one_gets_it() {
    let world = World::new();
    let controller = world.controller().await;
    for round in 0..5 {
        let both = ["one", "two"].map(|name| {
            let name = format!("{name}-{round}");
            let file = config(&name, &format!("[route]\nhosts = [\"r{round}.example\"]\n"));
            (name.parse().unwrap(), deploy(file))
        });
        let [(one, first), (two, second)] = both;
        let answers = tokio::join!(give(&controller, &one, "a", first), give(&controller, &two, "b", second));
        let codes = [answers.0, answers.1].map(|answer| answer.map_err(|problem| problem.code));
        let refused = codes.iter().filter(|code| matches!(code, Err(code) if code == "HOST-TAKEN")).count();
        assert_eq!((refused, codes.iter().filter(|code| code.is_ok()).count()), (1, 1), "{codes:?}");
    }
}

#[tokio::test]
async fn path_prefixes_come_and_go_with_their_revision() {
    let world = World::new();
    let controller = world.controller().await;
    let file = |path: &str| config("shop", &format!("route = \"{path}\"\n{QUICK}"));
    give(&controller, &shop(), "a", deploy(file("/one"))).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    world.lock().hold_builds = true;
    give(&controller, &shop(), "b", deploy(file("/two"))).await.unwrap();
    wait_for("r2 is being built", || world.lock().builds.len() == 2).await;
    give(&controller, &shop(), "c", Command::Apply { config: Box::new(file("/three")) }).await.unwrap();
    world.lock().hold_builds = false;
    until(&controller, &shop(), "r2 live", |status| live_revision(status) == Some(RevisionId(2))).await;
    give(&controller, &shop(), "d", Command::Rollback { to: None, release: None, detach: false }).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    let arms: Vec<_> = world.lock().flips.iter().flat_map(|(_, routes)| routes.arms.clone()).collect();
    assert!(arms.iter().any(|arm| arm.revision == RevisionId(2)));
    for arm in arms {
        let path = if arm.revision == RevisionId(1) { "/one" } else { "/two" };
        assert!(arm.processes.iter().all(|process| process.paths == [path]), "{arm:?}");
    }
}

/// At each stage: the controller ends there, another one starts, and the release ends as it should.
#[tokio::test]
async fn a_release_goes_on_after_a_restart_at_each_stage() {
    for stage in [Stage::Build, Stage::Provision, Stage::Verify, Stage::Approve, Stage::Bake, Stage::Retire] {
        let world = World::new();
        let controller = world.controller().await;
        give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
        until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
        let approve = matches!(stage, Stage::Approve);
        let bake = if stage == Stage::Bake { "2s" } else { "10ms" };
        let hook = if stage == Stage::Verify {
            "[[release.hook]]\nstage = \"verify\"\ncommand = \"x\"\non_crash = \"rerun\"\n"
        } else {
            ""
        };
        let file = format!("[release]\napprove = {approve}\nbake = \"{bake}\"\nkeep_warm = \"1h\"\n{hook}");
        {
            let mut state = world.lock();
            state.hold_builds = stage == Stage::Build;
            state.hold_hooks = stage == Stage::Verify;
            if stage == Stage::Provision {
                state.sick_revisions.push(RevisionId(2));
            }
        }
        give(&controller, &shop(), "b", deploy(config("shop", &file))).await.unwrap();
        until(&controller, &shop(), &format!("in {stage}"), |status| {
            let release = status.releases.iter().find(|release| release.release == ReleaseId(2));
            release.and_then(|release| release.stages.last()).is_some_and(|entered| entered.stage == stage)
        })
        .await;
        controller.shutdown().await;
        drop(controller);
        {
            let mut state = world.lock();
            state.hold_builds = false;
            state.hold_hooks = false;
            state.sick_revisions.clear();
            for seen in state.instances.values_mut().flatten() {
                seen.phase = Phase::Healthy { since: world::now() };
            }
        }
        let controller = world.controller().await;
        if approve {
            let promote = Command::Promote { release: ReleaseId(2), stage: Stage::Approve, step: None, full: false };
            give(&controller, &shop(), "p", promote).await.unwrap();
        }
        until(&controller, &shop(), &format!("r2 live after {stage}"), |status| {
            live_revision(status) == Some(RevisionId(2))
        })
        .await;
        let was_lost = |event: &Event| matches!(event, Event::AttemptEnded { result: AttemptResult::Lost, .. });
        let is_lost = has_record(&controller, &shop(), was_lost).await;
        assert_eq!(is_lost, matches!(stage, Stage::Build | Stage::Verify), "{stage}");
        assert_eq!(world.lock().ended_lost > 0, is_lost, "{stage}: what is said to be lost is ended");
        let journal = controller.verify(&shop()).await.unwrap();
        assert!(journal.whole && journal.head.is_some() && journal.records > 0, "{journal:?}");
        controller.shutdown().await;
    }
}

#[tokio::test]
async fn a_sick_instance_leaves_the_table_without_a_decision_and_comes_back() {
    let world = World::new();
    let controller = world.controller().await;
    let two = "instances = 2\n[release]\nbake = \"1h\"\n";
    give(&controller, &shop(), "a", deploy(config("shop", two))).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    let endpoints = || {
        let state = world.lock();
        let routes = &state.routes[&shop()].0;
        (routes.version, routes.arms[0].processes[0].endpoints.len())
    };
    let (version, count) = endpoints();
    assert_eq!(count, 2);
    let set = |phase: Phase| {
        world.lock().instances.get_mut(&shop()).unwrap()[0].phase = phase;
        world.tell();
    };
    let cause = Problem::new("SICK", "It is sick.", "Wait.");
    set(Phase::Unhealthy { since: world::now(), cause });
    wait_for("one left", || endpoints() == (version, 1)).await;
    set(Phase::Healthy { since: world::now() });
    wait_for("both back", || endpoints() == (version, 2)).await;
}

#[tokio::test]
async fn a_router_that_is_away_is_waited_for_and_its_losses_are_journaled() {
    let world = World::new();
    let controller = world.controller().await;
    give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    world.lock().traffic_is_away = true;
    until(&controller, &shop(), "unknown", |status| !status.unknown.is_empty()).await;
    {
        let mut state = world.lock();
        state.traffic_is_away = false;
        state.lost_with_router = 3;
        state.routes.clear();
    }
    wait_for("routed again", || world.lock().routes.contains_key(&shop())).await;
    until(&controller, &shop(), "known", |status| status.unknown.is_empty()).await;
    let lost: Vec<u64> = records(&controller, &shop())
        .await
        .iter()
        .filter_map(|record| match &record.event {
            Event::RouterRestarted { lost } => Some(lost.values().sum()),
            _ => None,
        })
        .collect();
    assert_eq!(lost, [3]);
}

#[tokio::test]
async fn secrets_and_values_reach_neither_answers_nor_events_nor_the_journal() {
    let world = World::new();
    let controller = world.controller().await;
    let secrets = world.directory.path().join("secrets.env");
    std::fs::write(&secrets, format!("PASSWORD={SECRET}\n")).unwrap();
    let file = format!("[secrets]\nfile = \"{}\"\n[env]\nKEY = \"{SECRET}-env\"\n{QUICK}", secrets.display());
    let mut asked = deploy(config("shop", &file));
    if let Command::Deploy { env, .. } = &mut asked {
        env.insert("MORE".to_owned(), format!("{SECRET}-more"));
    }
    let first = give(&controller, &shop(), "a", asked.clone()).await.unwrap();
    let again = give(&controller, &shop(), "a", asked.clone()).await.unwrap();
    assert!(again.repeated && again.release == first.release, "{again:?}");
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    let [config_env, env] = world.lock().built_with.clone();
    assert_eq!(config_env["KEY"], format!("{SECRET}-env"), "a build gets the values");
    assert_eq!(env["MORE"], format!("{SECRET}-more"));
    let actor = Actor::Operator { uid: 1000, name: None };
    let plan = controller.plan(&shop(), asked, actor.clone()).await.unwrap();
    assert!(plan.changes.is_empty(), "{plan:?}");
    let other = deploy(config("shop", &file.replace("-env", "-other")));
    let plan = controller.plan(&shop(), other, actor).await.unwrap();
    assert!(plan.changes.len() == 1 && plan.changes[0].contains("env.KEY"), "{plan:?}");
    assert!(!serde_json::to_string(&plan).unwrap().contains(SECRET), "{plan:?}");
    assert!(world.state_directory().join("journal.sqlite-wal").is_file());
    no_file_holds(&world, &[SECRET]);
    let shown = [
        serde_json::to_string(&records(&controller, &shop()).await).unwrap(),
        serde_json::to_string(&controller.status(&shop()).await.unwrap()).unwrap(),
        serde_json::to_string(&controller.history(&shop()).await.unwrap()).unwrap(),
        serde_json::to_string(&controller.receipt(&shop(), None).await.unwrap()).unwrap(),
    ];
    assert!(shown.iter().all(|text| !text.contains(SECRET)), "{shown:?}");
    let token = std::fs::read_to_string(world.state_directory().join("apps/shop/preview-token")).unwrap();
    controller.shutdown().await;
    drop(controller);
    no_file_holds(&world, &[SECRET, &token]);
}

/// None of the files right in the state directory: the journal with its log, its snapshots, the key.
#[expect(clippy::unwrap_used, reason = "what fails here fails the test")]
fn no_file_holds(world: &World, texts: &[&str]) {
    for entry in std::fs::read_dir(world.state_directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = |text: &&&str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert_eq!(texts.iter().find(holds), None, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn an_abort_stops_a_running_hook_and_the_live_slot_stays() {
    let world = World::new();
    let controller = world.controller().await;
    give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    world.lock().hold_hooks = true;
    give(&controller, &shop(), "b", deploy(config("shop", HOOKED))).await.unwrap();
    wait_for("the hook runs", || world.lock().hooks.len() == 1).await;
    let call = world.lock().hooks[0].clone();
    assert!(call.url.starts_with("http://127.0.0.1:2"), "{call:?}");
    give(&controller, &shop(), "c", Command::Abort { release: ReleaseId(2) }).await.unwrap();
    until(&controller, &shop(), "over", |status| status.releases.iter().all(|release| release.release != ReleaseId(2)))
        .await;
    let cancelled = |event: &Event| matches!(event, Event::AttemptEnded { result: AttemptResult::Cancelled, .. });
    assert!(has_record(&controller, &shop(), cancelled).await);
    let status = controller.status(&shop()).await.unwrap();
    assert_eq!(live_revision(&status), Some(RevisionId(1)));
    let waited = controller.wait(&shop(), ReleaseId(2), WaitUntil::Switched, world::DEADLINE).await.unwrap();
    assert!(matches!(waited.release.outcome, Some(Outcome::Aborted { .. })), "{waited:?}");
}

#[tokio::test]
async fn idle_apps_are_looked_at_once_a_second() {
    let world = World::new();
    let controller = world.controller().await;
    give(&controller, &shop(), "a", deploy(config("shop", QUICK))).await.unwrap();
    until(&controller, &shop(), "at rest", |status| {
        status.releases.iter().all(|release| release.outcome.is_some()) && live_revision(status).is_some()
    })
    .await;
    // From one look to the fifth after it: never faster than the idle beat, however slow the machine is.
    let looked = || world.lock().observed;
    let at_rest = async || {
        let before = looked();
        let begun = Instant::now();
        wait_for("it is looked at again", || looked() > before).await;
        begun.elapsed()
    };
    wait_for_quiet(at_rest).await;
    let (before, routed, begun) = (looked(), world.lock().ensured_routes, Instant::now());
    wait_for("it is looked at five times more", || looked() >= before + 5).await;
    assert!(begun.elapsed() > Duration::from_millis(3_900), "five looks within {:?}", begun.elapsed());
    assert!(begun.elapsed() < FIVE_LOOKS_MOST, "five looks took {:?}", begun.elapsed());
    assert_eq!(world.lock().ensured_routes, routed, "what is in force is not set again");
}

/// Five beats take five seconds; a busy machine has three times that.
const FIVE_LOOKS_MOST: Duration = Duration::from_secs(15);

/// Waits until there is most of an idle beat between two looks: what moved has come to rest.
async fn wait_for_quiet(look: impl AsyncFn() -> Duration) {
    let deadline = Instant::now() + world::DEADLINE;
    while look().await < Duration::from_millis(900) {
        assert!(Instant::now() < deadline, "it never comes to rest");
    }
}

async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + world::DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_preview_host_is_its_apps_before_the_first_slot_is_there_and_after_the_switch() {
    let world = World::new();
    let controller = world.controller().await;
    world.lock().hold_builds = true;
    let file = |host: &str| config("shop", &format!("[route]\npreview = {{ host = \"{host}\" }}\n{QUICK}"));
    let reserved = || {
        let state = world.lock();
        let (routes, _) = state.routes.get(&shop())?;
        Some((routes.version, routes.preview_host.as_ref()?.to_string(), routes.arms.len(), routes.preview.is_some()))
    };
    give(&controller, &shop(), "a", deploy(file("one.example"))).await.unwrap();
    wait_for("the host is reserved", || reserved() == Some((0, "one.example".to_owned(), 0, false))).await;
    // A host that was changed meanwhile is given back.
    give(&controller, &shop(), "b", Command::Apply { config: Box::new(file("two.example")) }).await.unwrap();
    wait_for("the other host is reserved", || reserved() == Some((0, "two.example".to_owned(), 0, false))).await;
    world.lock().hold_builds = false;
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    wait_for("r1 is routed", || reserved().is_some_and(|(version, ..)| version > 0)).await;
    let (_, host, arms, is_shown) = reserved().unwrap();
    assert_eq!((host.as_str(), arms, is_shown), ("two.example", 1, false));
    controller.shutdown().await;
}

#[tokio::test]
async fn a_revision_that_the_platform_refuses_ends_its_release_at_its_deadline_with_the_cause() {
    let world = World::new();
    let controller = world.controller().await;
    let file = |more: &str| config("shop", &format!("health = {{ path = \"/\", deadline = \"1s\" }}\n{QUICK}{more}"));
    give(&controller, &shop(), "a", deploy(file(""))).await.unwrap();
    until(&controller, &shop(), "r1 live", |status| live_revision(status) == Some(RevisionId(1))).await;
    world.lock().gone_revisions = vec![RevisionId(2)];
    give(&controller, &shop(), "b", deploy(file(""))).await.unwrap();
    let asked = Instant::now();
    let status = until(&controller, &shop(), "release 2 over", |status| {
        status.releases.iter().any(|release| release.release == ReleaseId(2) && release.outcome.is_some())
    })
    .await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let told = |event: &Event| matches!(event, Event::Undoing { cause: Some(why), .. } if why.cause.contains("Its files are gone."));
    assert!(has_record(&controller, &shop(), told).await, "{:#?}", records(&controller, &shop()).await);
    assert_eq!(live_revision(&status), Some(RevisionId(1)));
    // Nothing of it stays in the way of the next one.
    give(&controller, &shop(), "c", deploy(file(""))).await.unwrap();
    until(&controller, &shop(), "r3 live", |status| live_revision(status) == Some(RevisionId(3))).await;
    controller.shutdown().await;
}
