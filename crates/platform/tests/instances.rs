//! Instances that misbehave, are killed, or are left alone by whoever started them.

mod process_bed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use process_bed::{EXECUTABLE, app_command, bed, eventually, has_variable, is_alive, kill};
use rustix::process::Signal;
use switchover_model::Slot;
use switchover_model::seam::{InstanceSeen, Phase, Platform, Role};
use switchover_platform::{ENDED_KEPT, LOG_FILE_BYTES, ProcessPlatform};

fn problem_of(seen: &[InstanceSeen]) -> switchover_model::Problem {
    match &seen[0].phase {
        Phase::Unhealthy { cause, .. } | Phase::Crashed { cause, .. } => cause.clone(),
        Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Stopping { .. } => panic!("{seen:#?}"),
    }
}

fn is_down(seen: &[InstanceSeen]) -> bool {
    matches!(seen, [one] if matches!(one.phase, Phase::Unhealthy { .. } | Phase::Crashed { .. }))
}

#[tokio::test]
async fn an_instance_knows_who_it_is_and_little_of_the_daemon() {
    let bed = bed().await;
    let secrets = bed.dir.path().join("secrets.env");
    std::fs::write(&secrets, "TOKEN=hunter2secret\n").unwrap();
    let config = bed.config(&format!(
        "[env]\nCOLOUR = \"red\"\n[secrets]\nfile = {secrets:?}\n[process.web]\ncommand = {:?}\n",
        app_command("env")
    ));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Green, 1).await;
    let seen = bed.until_healthy(1).await;
    let environment = bed.log_of(&seen[0]);
    let port = seen[0].address.unwrap().port();
    for expected in [
        format!("SWITCHOVER_APP={}", bed.app),
        "SWITCHOVER_SLOT=green".to_owned(),
        "SWITCHOVER_REVISION=r1".to_owned(),
        format!("SWITCHOVER_INSTANCE={}", seen[0].id),
        format!("PORT={port}"),
        "COLOUR=red".to_owned(),
        "TOKEN=hunter2secret".to_owned(),
        "PYTHONDONTWRITEBYTECODE=1".to_owned(),
    ] {
        assert!(environment.lines().any(|line| line == expected), "{expected} in\n{environment}");
    }
    assert!(!environment.contains("CARGO"), "the daemon's own environment stays with it:\n{environment}");

    // The secret is in no argument and in no file but the sealed one and the app's own output.
    let found = std::process::Command::new("grep").args(["-rl", "hunter2secret"]).arg(bed.state()).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(found.lines().all(|path| path.ends_with("/r1/secrets") || path.ends_with("/log")), "{found}");
    assert!(!format!("{revision:?}").contains("hunter2"));
    bed.end().await;
}

#[tokio::test]
async fn a_killed_shim_is_replaced_and_the_app_notices_nothing() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(1).await;
    let (app, shim) = (bed.app_pids(&before[0])[0], bed.shim_pid(&before[0]).unwrap());
    kill(shim, Signal::KILL);
    eventually("another shim holds the instance", || bed.shim_pid(&before[0]).is_some_and(|pid| pid != shim)).await;
    let after = bed.until_healthy(1).await;
    assert_eq!(after, before, "the same process, healthy all the time");
    assert_eq!(bed.app_pids(&after[0]), [app]);

    // The new shim does all of a shim's work: it restarts the app when it ends, and stops it when told.
    kill(app, Signal::KILL);
    let again = bed.until(
        "it is back",
        |seen| matches!(seen, [one] if one.restarts == 1 && matches!(one.phase, Phase::Healthy { .. })),
    );
    again.await;
    bed.end().await;
}

#[tokio::test]
async fn a_shim_killed_with_its_app_is_replaced_and_starts_it_again() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("leaves-child")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(1).await;
    let old = bed.app_pids(&before[0]);
    kill(bed.shim_pid(&before[0]).unwrap(), Signal::KILL);
    kill(old[0], Signal::KILL);
    bed.until(
        "it is back",
        |seen| matches!(seen, [one] if one.restarts == 1 && matches!(one.phase, Phase::Healthy { .. })),
    )
    .await;
    assert!(old.iter().all(|pid| !is_alive(*pid)), "what the old app had started is gone: {old:?}");
    bed.end().await;
}

#[tokio::test]
async fn a_killed_controller_leaves_instances_that_its_successor_finds() {
    let mut bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    let spec = bed.dir.path().join("spec.json");
    std::fs::write(&spec, serde_json::to_vec(&revision).unwrap()).unwrap();
    let mut controller = std::process::Command::new(EXECUTABLE)
        .arg("controller")
        .arg(bed.state())
        .arg(bed.app.as_str())
        .arg(&spec)
        .spawn()
        .unwrap();
    let before = {
        let healthy = bed.until_healthy(2).await;
        // The controller's own word that it has seen them too.
        eventually("the controller is ready", || bed.dir.path().join("spec.ready").exists()).await;
        healthy
    };
    let pids: Vec<_> = before.iter().flat_map(|seen| bed.app_pids(seen)).collect();
    controller.kill().unwrap();
    controller.wait().unwrap();
    bed.platform = process_bed::platform_at(&bed.state());
    let after = bed.observe().await.instances;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|seen| matches!(seen.phase, Phase::Healthy { .. })), "{after:#?}");
    assert_eq!(after.iter().flat_map(|seen| bed.app_pids(seen)).collect::<Vec<_>>(), pids);
    bed.end().await;
}

#[tokio::test]
async fn an_app_that_stops_leaves_no_child_behind() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("leaves-child")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    eventually("its children run", || bed.app_pids(&seen[0]).len() >= 4).await;
    let pids = bed.app_pids(&seen[0]);
    bed.stop_all().await;
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    bed.end().await;
}

#[tokio::test]
async fn the_stop_signal_reaches_an_app_behind_a_shell() {
    let bed = bed().await;
    let command = format!("echo before && {} ; echo after", app_command(""));
    let revision = bed.sealed(&bed.web_config(&command), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.until_healthy(1).await;
    let began = Instant::now();
    bed.stop_all().await;
    assert!(began.elapsed() < Duration::from_millis(1900), "well before the grace of 2 s: {:?}", began.elapsed());
    bed.end().await;
}

#[tokio::test]
async fn an_app_that_overruns_its_grace_is_killed_and_that_is_told_once() {
    // Behind a shell, in its place, and as a child that the shell does not wait for.
    for command in ["trap '' TERM; exec APP", "trap '' TERM; APP; true", "(trap '' TERM; exec APP) & wait"] {
        let bed = bed().await;
        let command = command.replace("APP", &app_command("says=busy"));
        let config = bed.config(&format!(
            "[process.web]\ncommand = {command:?}\nhealth = {{ path = \"/up\" }}\nstop = {{ grace = \"300ms\" }}\n"
        ));
        let revision = bed.sealed(&config, 1).await;
        bed.ensure(&revision, Slot::Blue, 1).await;
        let id = bed.until_healthy(1).await[0].id.to_string();
        assert_eq!(bed.platform.take_notes(&bed.app).await, []);
        bed.stop_all().await;
        let notes = bed.platform.take_notes(&bed.app).await;
        assert_eq!(notes.len(), 1, "{command}: {notes:?}");
        assert_eq!(notes[0].code, "INSTANCE-KILLED");
        let cause = format!("{id} of r1 was told to stop with SIGTERM, did not end within 300ms, and was killed.");
        assert_eq!(notes[0].cause, cause);
        assert!(notes[0].detail.iter().any(|line| line == "busy"), "{notes:?}");
        assert_eq!(bed.platform.take_notes(&bed.app).await, [], "it is told once");
        bed.end().await;
    }
}

#[tokio::test]
async fn an_app_that_ends_within_its_grace_is_nothing_to_tell() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    bed.until_healthy(1).await;
    bed.stop_all().await;
    assert_eq!(bed.platform.take_notes(&bed.app).await, []);
    bed.end().await;
}

#[tokio::test]
async fn a_flood_of_output_neither_stalls_the_app_nor_fills_the_disk() {
    const FLOOD: u64 = 100 * 1024 * 1024;
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command(&format!("floods={FLOOD}"))), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let dir = bed.instance_dir(&seen[0]);
    let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len());
    assert!(size("log") + size("log.1") <= 2 * LOG_FILE_BYTES);
    eventually("the end of the flood is kept", || bed.log_of(&seen[0]).contains("flooded\n")).await;
    bed.end().await;
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    for command in ["bin/no-such-app --port $PORT", "cd . && bin/no-such-app"] {
        let bed = bed().await;
        let revision = bed.sealed(&bed.web_config(command), 1).await;
        bed.ensure(&revision, Slot::Blue, 1).await;
        let problem = problem_of(&bed.until("it crashes", is_down).await);
        assert_eq!(problem.code, "COMMAND-NOT-FOUND");
        assert!(problem.cause.contains("bin/no-such-app"), "{problem}");
        assert!(problem.detail.iter().any(|line| line.contains("not found")), "{problem:?}");
        bed.end().await;
    }
}

#[tokio::test]
async fn an_app_that_is_never_healthy_is_explained_with_its_last_lines() {
    let secret = "hunter2secret";
    for (faults, expected) in [
        ("never-listens", "not listening on $PORT"),
        ("status=404", "404: there is nothing at the health path"),
        ("status=301 location=https://shop.example/up", "301 to https://shop.example/up"),
        ("wants-host=other.example", "ALLOWED_HOSTS"),
        ("hangs", "no answer to /up within 200ms"),
    ] {
        let bed = bed().await;
        let secrets = bed.dir.path().join("secrets.env");
        std::fs::write(&secrets, format!("TOKEN={secret}\n")).unwrap();
        let command = format!("echo token {secret}; {}", app_command(faults));
        let config = bed.config(&format!(
            "[secrets]\nfile = {secrets:?}\n[process.web]\ncommand = {command:?}\nhealth = {{ path = \"/up\", \
             interval = \"100ms\", timeout = \"200ms\", deadline = \"700ms\" }}\nstop = {{ grace = \"1s\" }}\n[route]\n\
             hosts = [\"shop.example\"]\n"
        ));
        let revision = bed.sealed(&config, 1).await;
        bed.ensure(&revision, Slot::Blue, 1).await;
        let problem = problem_of(&bed.until("it is unhealthy", is_down).await);
        assert_eq!(problem.code, "HEALTH-NEVER-GREEN");
        assert!(problem.cause.contains(expected), "{expected}: {problem}");
        assert!(problem.detail.contains(&"token [TOKEN]".to_owned()), "its last lines, no secret: {problem:?}");
        bed.end().await;
    }
}

#[tokio::test]
async fn a_stranger_on_the_port_is_not_taken_for_the_app() {
    let bed = bed().await;
    // The instance's own process never listens; one that is not of the instance does.
    let port_file = bed.dir.path().join("port");
    let command = format!("echo $PORT > {} && exec {}", port_file.display(), app_command("never-listens"));
    let config = bed.config(&format!(
        "[process.web]\ncommand = {command:?}\nhealth = {{ path = \"/up\", interval = \"100ms\", timeout = \"1s\", deadline = \
         \"1500ms\" }}\nstop = {{ grace = \"1s\" }}\n"
    ));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    eventually("it has a port", || std::fs::read_to_string(&port_file).is_ok_and(|port| port.ends_with('\n'))).await;
    let port = std::fs::read_to_string(&port_file).unwrap();
    let mut stranger = std::process::Command::new(EXECUTABLE).arg("app").env("PORT", port.trim()).spawn().unwrap();
    let problem = problem_of(&bed.until("it is unhealthy", is_down).await);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(problem.cause.contains("taken by another process"), "{problem}");
    bed.end().await;
}

#[tokio::test]
async fn a_healthy_app_that_hangs_is_reported_after_several_failures() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let app = bed.app_pids(&seen[0])[0];
    kill(app, Signal::STOP);
    let problem = problem_of(&bed.until("it is unhealthy", is_down).await);
    assert_eq!(problem.code, "HEALTH-LOST");
    kill(app, Signal::CONT);
    bed.until_healthy(1).await;
    bed.end().await;
}

#[tokio::test]
async fn a_healthy_app_is_seen_within_its_boot_time_and_a_little() {
    const BOOT: Duration = Duration::from_millis(400);
    const ALLOWED: Duration = Duration::from_millis(300);
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("boots-in=400")), 1).await;
    let mut changed = bed.platform.changed();
    let mut fastest = Duration::MAX;
    // The best of some: others use this machine too.
    for _ in 0..20 {
        let began = Instant::now();
        bed.ensure(&revision, Slot::Blue, 1).await;
        while !bed.observe().await.instances.iter().any(|seen| matches!(seen.phase, Phase::Healthy { .. })) {
            tokio::time::timeout(process_bed::DEADLINE, changed.changed()).await.expect("a change is told").unwrap();
        }
        fastest = fastest.min(began.elapsed());
        bed.stop_all().await;
        if fastest < BOOT + ALLOWED {
            break;
        }
    }
    assert!(fastest < BOOT + ALLOWED, "{fastest:?}");
    println!("boot of {BOOT:?} seen healthy after {fastest:?}");
    bed.end().await;
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_replaced() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let (app, port) = (bed.app_pids(&seen[0])[0], seen[0].address.unwrap().port());
    assert!(has_variable(app, "PORT", &port.to_string()));
    // Frozen and then killed, so that the port can be taken before the next start looks at it.
    kill(bed.shim_pid(&seen[0]).unwrap(), Signal::STOP);
    kill(app, Signal::KILL);
    let mut stranger = None;
    let deadline = Instant::now() + process_bed::DEADLINE;
    while stranger.is_none() && Instant::now() < deadline {
        stranger = std::net::TcpListener::bind(("127.0.0.1", port)).ok();
    }
    kill(bed.shim_pid(&seen[0]).unwrap(), Signal::CONT);
    let again = bed.until(
        "it is back",
        |seen| matches!(seen, [one] if one.restarts >= 1 && matches!(one.phase, Phase::Healthy { .. })),
    );
    let again = again.await;
    assert_ne!(again[0].address.unwrap().port(), port);
    drop(stranger);
    bed.end().await;
}

#[tokio::test]
async fn instances_of_before_a_reboot_are_gone() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    bed.stop_all().await;
    // As a power cut leaves it: the files say that it runs, in another boot, with a pid that is someone else's now.
    let ended = bed.state().join("apps").join(bed.app.as_str()).join("ended").join(seen[0].id.as_str());
    let dir = bed.instance_dir(&seen[0]);
    std::fs::rename(ended, &dir).unwrap();
    let spec = std::fs::read_to_string(dir.join("spec.json")).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(dir.join("spec.json"), spec.replace(boot.trim(), "another-boot")).unwrap();
    std::fs::write(dir.join("goal"), "\"run\"").unwrap();
    let status = format!(
        r#"{{"life":{{"life":"running","process":{{"pid":{},"start_ticks":1}},"since":1}},"port":1,"restarts":0}}"#,
        std::process::id()
    );
    std::fs::remove_file(dir.join("status")).unwrap();
    std::fs::write(dir.join("status.json"), status).unwrap();
    let after = process_bed::platform_at(&bed.state());
    assert_eq!(after.observe(&bed.app).await.unwrap().instances, []);
    bed.ensure(&revision, Slot::Blue, 1).await;
    let new = bed.until_healthy(1).await;
    assert_ne!(new[0].id, seen[0].id);
    bed.end().await;
}

#[tokio::test]
async fn a_shim_that_cannot_be_started_is_reported() {
    let mut bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.platform = Arc::new(ProcessPlatform::new(&bed.state(), bed.dir.path().join("no-such-program")).unwrap());
    bed.ensure(&revision, Slot::Blue, 1).await;
    let problem = problem_of(&bed.until("it is unhealthy", is_down).await);
    assert_eq!(problem.code, "SHIM-FAILED");
    // With the program back, everything goes on by itself.
    bed.platform = process_bed::platform_at(&bed.state());
    bed.until_healthy(1).await;
    bed.end().await;
}

#[tokio::test]
async fn a_shim_told_to_end_by_the_system_stops_its_app_gracefully() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let app = bed.app_pids(&seen[0])[0];
    kill(bed.shim_pid(&seen[0]).unwrap(), Signal::TERM);
    eventually("the app has ended", || !is_alive(app)).await;
    // Nobody asked us to stop it: it comes back.
    let back = bed.until("it is back", |seen| {
        matches!(seen, [one] if matches!(one.phase, Phase::Healthy { .. }))
            && bed.app_pids(&seen[0]).first().is_some_and(|pid| *pid != app)
    });
    back.await;
    bed.end().await;
}

#[tokio::test]
async fn what_is_told_of_and_to_an_instance_needs_no_new_file() {
    use std::os::unix::fs::MetadataExt;
    let bed = bed().await;
    let config = bed.config(&format!(
        "[process.web]\ncommand = {:?}\nhealth = {{ path = \"/up\", interval = \"100ms\" }}\n[process.mailer]\ncommand = \
         {:?}\nhandover = \"lease\"\n",
        app_command(""),
        app_command("leased")
    ));
    let revision = bed.sealed(&config, 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(2).await;
    let web = seen.iter().find(|it| it.address.is_some()).unwrap();
    let mailer = seen.iter().find(|it| it.address.is_none()).unwrap();
    // Every file by its number; the app's own output is no word of ours.
    let files = |instance: &InstanceSeen| {
        let entries = std::fs::read_dir(bed.instance_dir(instance)).unwrap();
        let metadata = entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_name() != "log");
        let mut files: Vec<_> = metadata.map(|entry| entry.metadata().unwrap()).collect();
        files.sort_by_key(MetadataExt::ino);
        files.iter().map(|file| (file.ino(), file.len(), file.blocks())).collect::<Vec<_>>()
    };
    let before = files(web);
    kill(bed.app_pids(web)[0], Signal::KILL);
    let again = bed.until("it is back", |seen| {
        seen.iter().any(|it| it.id == web.id && it.restarts == 1 && matches!(it.phase, Phase::Healthy { .. }))
    });
    again.await;
    assert_eq!(files(web), before, "a restart");

    let before = files(mailer);
    bed.ensure_as(&revision, Slot::Blue, 1, Role::Standby).await;
    let role = std::fs::read_to_string(bed.instance_dir(mailer).join("role")).unwrap();
    assert_eq!((role.as_str(), files(mailer)), ("standby\n", before), "another role");

    // Told to stop, it needs one file less.
    kill(bed.shim_pid(web).unwrap(), Signal::STOP);
    let before = files(web);
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    let after = files(web);
    assert!(after.len() < before.len() && after.iter().all(|file| before.contains(file)), "{before:?}, {after:?}");
    kill(bed.shim_pid(web).unwrap(), Signal::CONT);
    bed.end().await;
}

#[tokio::test]
async fn a_shim_that_cannot_write_its_status_restarts_and_stops_its_app_all_the_same() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    let (app, shim) = (bed.app_pids(&seen[0])[0], bed.shim_pid(&seen[0]).unwrap());
    // A directory lies where its status would.
    let status = bed.instance_dir(&seen[0]).join("status");
    let block = || std::fs::remove_file(&status).and_then(|()| std::fs::create_dir(&status)).unwrap();
    block();
    kill(app, Signal::KILL);
    let another = || bed.app_pids(&seen[0]).first().copied().filter(|pid| *pid != app);
    eventually("it is started again", || another().is_some()).await;
    assert_eq!(bed.shim_pid(&seen[0]), Some(shim), "by the same shim");
    // Once it can be told, it is.
    std::fs::remove_dir(&status).unwrap();
    let again = bed.until(
        "it is back",
        |seen| matches!(seen, [one] if one.restarts == 1 && matches!(one.phase, Phase::Healthy { .. })),
    );
    again.await;

    block();
    let app = another().unwrap();
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    eventually("it has ended", || !is_alive(app)).await;
    std::fs::remove_dir(&status).unwrap();
    bed.end().await;
}

#[tokio::test]
async fn an_instance_has_not_ended_while_what_it_left_behind_forks_and_ends_all_the_time() {
    let bed = bed().await;
    let until = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 20;
    let mover = "#!/bin/sh\n[ \"$(date +%s)\" -lt \"$1\" ] || exit 0\n\"$0\" \"$1\" &\n";
    let command = format!("setsid ./mover.sh {until} & setsid ./mover.sh {until} & exec {}", app_command(""));
    let revision = bed.build(&bed.web_config(&command), 1, &[("mover.sh", mover)]).await.unwrap();
    bed.ensure(&revision, Slot::Blue, 1).await;
    let seen = bed.until_healthy(1).await;
    bed.platform.stop(&bed.app, Slot::Blue).await.unwrap();
    bed.until("it is gone", <[InstanceSeen]>::is_empty).await;
    for _ in 0..20 {
        assert_eq!(bed.app_pids(&seen[0]), [0; 0], "it is said to be gone");
        tokio::time::sleep(process_bed::LOOK).await;
    }
    bed.end().await;
}

#[tokio::test]
async fn logs_of_ended_instances_are_few() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&app_command("")), 1).await;
    for _ in 0..2 {
        bed.ensure(&revision, Slot::Blue, 7).await;
        bed.until_healthy(7).await;
        bed.stop_all().await;
    }
    let ended = bed.state().join("apps").join(bed.app.as_str()).join("ended");
    assert_eq!(std::fs::read_dir(ended).unwrap().count(), ENDED_KEPT);
    bed.end().await;
}
