//! Revisions are made whole, sealed, and noticed when they change; hooks run in them.

mod process_bed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use process_bed::{ProcessBed, app_command, bed, eventually, is_alive, write_files};
use switchover_model::revision::Source;
use switchover_model::seam::{Builder, HookAnswer, HookCall, Platform, ProcessGoal, Role, SeamError, SlotSpec};
use switchover_model::{ReleaseId, RevisionId, Slot, Span};

const WORKER: &str = "[process.job]\ncommand = \"sleep 1000\"\nhandover = \"drain\"\nstop = { grace = \"2s\" }\n";

fn revision_dir(bed: &ProcessBed, id: u32) -> std::path::PathBuf {
    bed.state().join("apps").join(bed.app.as_str()).join("revisions").join(format!("r{id}"))
}

fn tree(bed: &ProcessBed, id: u32) -> std::path::PathBuf {
    revision_dir(bed, id).join("tree")
}

fn git(directory: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
    assert!(git.args(arguments).output().is_ok_and(|output| output.status.success()), "git {arguments:?}");
}

#[tokio::test]
async fn a_build_runs_in_the_final_directory_and_is_sealed() {
    let bed = bed().await;
    let config = bed.config(&format!(
        "[build]\ncommand = \"./build.sh\"\n[env]\nCOLOUR = \"red\"\n[shared]\npaths = [\"media\"]\n{WORKER}"
    ));
    let files = [
        (
            "build.sh",
            "#!/bin/sh\necho building $COLOUR\npwd > where\nmkdir -p bin media\necho '#!/bin/sh' > bin/app\nchmod +x bin/app\n",
        ),
        ("source.txt", "source"),
    ];
    let revision = bed.build(&config, 1, &files).await.unwrap();
    let tree = tree(&bed, 1).canonicalize().unwrap();
    assert_eq!(fs::read_to_string(tree.join("where")).unwrap().trim(), tree.to_string_lossy());
    let mode = |path: &str| fs::metadata(tree.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/app"), mode("source.txt"), mode("bin")), (0o555, 0o444, 0o555));
    fs::write(tree.join("media/picture"), "kept").unwrap();
    assert_eq!(revision.id, RevisionId(1));
    assert_eq!(revision.artifact.0.len(), 64);
    let log = bed.state().join("apps").join(bed.app.as_str()).join("builds/r1.log");
    assert_eq!(fs::read_to_string(log).unwrap(), "building red\n");
    for private in ["env", "secrets", "revision.json"] {
        let mode = fs::metadata(revision_dir(&bed, 1).join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }

    // Another revision of other files sees the same shared content.
    bed.build(&config, 2, &files).await.unwrap();
    assert_eq!(fs::read_to_string(tree.join("media/picture")).unwrap(), "kept");
    let again = bed.build_from(&config, 3, &Source::Revision { id: RevisionId(1) }).await.unwrap();
    assert_eq!(again, revision);
    bed.end().await;
}

#[tokio::test]
async fn what_git_tracks_is_copied_as_it_is_in_the_working_tree() {
    let bed = bed().await;
    let source = bed.dir.path().join("app");
    write_files(&source, &[("tracked", "old"), ("run.sh", "x"), ("gone", ""), ("sub/file", "1"), (".env", "secret")]);
    git(&source, &["init", "-q"]);
    git(&source, &["add", "tracked", "run.sh", "gone", "sub"]);
    git(&source, &["commit", "-q", "-m", "first"]);
    fs::write(source.join("tracked"), "new").unwrap();
    fs::remove_file(source.join("gone")).unwrap();
    bed.build_from(&bed.config(WORKER), 1, &Source::Directory { path: source.clone() }).await.unwrap();
    let tree = tree(&bed, 1);
    assert_eq!(fs::read_to_string(tree.join("tracked")).unwrap(), "new");
    assert_eq!(fs::metadata(tree.join("run.sh")).unwrap().permissions().mode() & 0o777, 0o555);
    assert!(tree.join("sub/file").exists());
    for left_out in ["gone", ".env", ".git"] {
        assert!(!tree.join(left_out).exists(), "{left_out}");
    }

    // A part of it by name, and a directory that git tracks nothing in: whole, without a state directory inside it.
    let part = bed.config(&format!("[build]\nsource = \"sub\"\n{WORKER}"));
    bed.build_from(&part, 2, &Source::Directory { path: source }).await.unwrap();
    assert!(revision_dir(&bed, 2).join("tree/file").exists());
    let whole = bed.dir.path().canonicalize().unwrap();
    bed.build_from(&bed.config(WORKER), 3, &Source::Directory { path: whole }).await.unwrap();
    let copied = revision_dir(&bed, 3).join("tree");
    assert!(copied.join("app/.env").exists() && !copied.join("state").exists());
    bed.end().await;
}

#[tokio::test]
async fn the_secrets_file_is_in_no_revisions_tree() {
    let bed = bed().await;
    let source = bed.dir.path().join("app");
    write_files(&source, &[("main", "1"), ("etc/app.env", "KEY=hunter2-do-not-tell\n"), ("sub/main", "1")]);
    fs::hard_link(source.join("etc/app.env"), source.join("sub/again.env")).unwrap();
    let mut config = bed.config(WORKER);
    config.secrets_file = Some(source.join("etc/../etc/app.env"));
    let part = bed.config(&format!("[build]\nsource = \"sub\"\n{WORKER}"));
    let part = switchover_model::config::AppConfig { secrets_file: config.secrets_file.clone(), ..part };
    let is_left_out = |id: u32, paths: &[&str]| {
        assert!(tree(&bed, id).join("main").exists(), "r{id}");
        for path in paths {
            assert!(!tree(&bed, id).join(path).exists(), "r{id} has {path}");
        }
        let sealed = fs::read_to_string(revision_dir(&bed, id).join("secrets")).unwrap();
        assert!(sealed.contains("hunter2-do-not-tell"));
    };
    let (directory, artifact) = (Source::Directory { path: source.clone() }, Source::Artifact { path: source.clone() });
    bed.build_from(&config, 1, &directory).await.unwrap();
    is_left_out(1, &["etc/app.env", "sub/again.env"]);
    bed.build_from(&part, 2, &directory).await.unwrap();
    is_left_out(2, &["again.env"]);
    bed.build_from(&config, 3, &artifact).await.unwrap();
    is_left_out(3, &["etc/app.env", "sub/again.env"]);
    // A file that git tracks is left out as well.
    git(&source, &["init", "-q"]);
    git(&source, &["add", "."]);
    bed.build_from(&config, 4, &directory).await.unwrap();
    is_left_out(4, &["etc/app.env", "sub/again.env"]);
    bed.end().await;
}

#[tokio::test]
async fn the_same_artifact_as_directory_and_archive_is_the_same_content() {
    let bed = bed().await;
    let config = bed.config(WORKER);
    let app = bed.dir.path().join("artifact");
    write_files(&app, &[("bin/run.sh", "#!/bin/sh\n"), ("data", "1")]);
    std::os::unix::fs::symlink("data", app.join("link")).unwrap();
    for (archive, flags) in [("app.tar", "-cf"), ("app.tar.gz", "-czf"), ("app.tgz", "-czf")] {
        let made =
            Command::new("tar").arg(flags).arg(bed.dir.path().join(archive)).arg("-C").arg(&app).arg(".").status();
        assert!(made.unwrap().success());
    }
    let mut digests = Vec::new();
    for (id, name) in [(1, "artifact"), (2, "app.tar"), (3, "app.tar.gz"), (4, "app.tgz")] {
        let path = bed.dir.path().join(name);
        digests.push(bed.build_from(&config, id, &Source::Artifact { path }).await.unwrap().artifact);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    bed.end().await;
}

#[tokio::test]
async fn an_artifact_that_cannot_be_used_is_named_and_nothing_is_left_of_it() {
    let bed = bed().await;
    let config = bed.config(WORKER);
    write_files(bed.dir.path(), &[("half.tar.gz", "\u{1f}not gzip"), ("app.zip", "PK")]);
    for (name, code) in [
        ("nothing-here.tar.gz", "ARTIFACT-MISSING"),
        ("no-such-directory", "ARTIFACT-MISSING"),
        ("half.tar.gz", "ARTIFACT-INVALID"),
        ("app.zip", "ARTIFACT-INVALID"),
    ] {
        let source = Source::Artifact { path: bed.dir.path().join(name) };
        let problem = bed.build_from(&config, 1, &source).await.unwrap_err();
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.cause.contains(name), "{problem}");
        assert!(!revision_dir(&bed, 1).exists());
    }
    bed.end().await;
}

#[tokio::test]
async fn a_build_that_fails_is_shown_with_its_last_lines_and_can_be_repeated() {
    let bed = bed().await;
    let config = |command: &str| bed.config(&format!("[build]\ncommand = {command:?}\ntimeout = \"1s\"\n{WORKER}"));
    let failed = bed.build(&config("echo one; echo two >&2; exit 7"), 1, &[("a", "1")]).await.unwrap_err();
    assert_eq!(failed.code, "BUILD-FAILED");
    assert!(failed.cause.contains("exit status 7"), "{failed}");
    assert_eq!(failed.detail, ["one", "two"]);
    let missing = bed.build(&config("no-such-tool --fast"), 1, &[]).await.unwrap_err();
    assert_eq!(missing.code, "COMMAND-NOT-FOUND");
    assert!(missing.cause.contains("\"no-such-tool\" of build.command"), "{missing}");

    let pid_file = bed.dir.path().join("pid");
    let slow = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
    let timed_out = bed.build(&config(&slow), 1, &[]).await.unwrap_err();
    assert_eq!(timed_out.code, "BUILD-TIMED-OUT");
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    eventually("the build's children are killed", || !is_alive(pid)).await;

    assert!(!revision_dir(&bed, 1).exists());
    bed.build(&config("true"), 1, &[]).await.unwrap();
    bed.end().await;
}

#[tokio::test]
async fn a_build_that_nobody_waits_for_is_killed() {
    let bed = bed().await;
    let pid_file = bed.dir.path().join("pid");
    let command = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
    let config = bed.config(&format!("[build]\ncommand = {command:?}\n{WORKER}"));
    {
        let build = bed.build(&config, 1, &[("a", "1")]);
        tokio::pin!(build);
        let started = eventually("it runs", || fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')));
        tokio::select! {
            ended = &mut build => panic!("{ended:?}"),
            () = started => {}
        }
    }
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    eventually("it is killed", || !is_alive(pid)).await;
    // The next attempt clears what is left.
    let again = bed.config(&format!("[build]\ncommand = \"test ! -e stale\"\n{WORKER}"));
    fs::write(tree(&bed, 1).join("stale"), "").unwrap();
    bed.build(&again, 1, &[("a", "1")]).await.unwrap();
    bed.end().await;
}

#[tokio::test]
async fn a_sealed_revision_that_was_changed_is_not_started() {
    let bed = bed().await;
    let revision = bed.build(&bed.config(WORKER), 1, &[("sub/data", "1"), ("other", "2")]).await.unwrap();
    let goal = ProcessGoal { count: 1, role: Role::Active };
    let spec = SlotSpec {
        app: bed.app.clone(),
        slot: Slot::Blue,
        revision: revision.clone(),
        processes: revision.processes.keys().map(|name| (name.clone(), goal)).collect(),
        drain: Span::ZERO,
        without: BTreeSet::new(),
        idle: BTreeSet::new(),
        asked_since: None,
    };
    // Touched, but with the same content: it is what was sealed.
    let data = tree(&bed, 1).join("sub/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&data, "1").unwrap();
    bed.platform.ensure(&spec).await.unwrap();
    bed.until_healthy(1).await;
    bed.stop_all().await;
    fs::write(&data, "3").unwrap();
    let refused = bed.platform.ensure(&spec).await.unwrap_err();
    let SeamError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.code, "REVISION-CHANGED");
    assert!(problem.cause.contains("sub/data"), "{problem}");

    fs::remove_file(revision_dir(&bed, 1).join("revision.json")).unwrap();
    let refused = bed.platform.ensure(&spec).await.unwrap_err();
    assert!(matches!(refused, SeamError::Refused(problem) if problem.code == "REVISION-MISSING"));
    bed.end().await;
}

#[tokio::test]
async fn only_revisions_that_nobody_needs_are_removed() {
    let bed = bed().await;
    let config = bed.config(WORKER);
    let mut revisions = Vec::new();
    for id in 1..=3 {
        revisions.push(bed.sealed(&config, id).await);
    }
    // Left by a build that was cancelled, and by a crash while a revision was removed.
    fs::create_dir_all(tree(&bed, 4).join("half-made")).unwrap();
    fs::create_dir(revision_dir(&bed, 5).with_file_name(".r5")).unwrap();
    bed.ensure(&revisions[0], Slot::Blue, 1).await;
    bed.until_healthy(1).await;
    let pid_file = bed.dir.path().join("pid");
    let command = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
    let slow = bed.config(&format!("[build]\ncommand = {command:?}\n{WORKER}"));
    let left = || {
        let entries = fs::read_dir(revision_dir(&bed, 1).parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    {
        let build = bed.build(&slow, 6, &[("a", "1")]);
        tokio::pin!(build);
        let kept = async {
            eventually("it is built", || fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n'))).await;
            bed.platform.keep(&bed.app, &[RevisionId(3)]).await.unwrap();
        };
        tokio::select! {
            ended = &mut build => panic!("{ended:?}"),
            () = kept => {}
        }
        assert_eq!(left(), ["r1", "r3", "r6"], "r1 runs, r3 is kept, r6 is in the making");
    }
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    eventually("the build is killed", || !is_alive(pid)).await;
    bed.platform.keep(&bed.app, &[RevisionId(3)]).await.unwrap();
    assert_eq!(left(), ["r1", "r3"], "nobody builds r6 any more");
    let in_use = bed.build(&config, 1, &[]).await.unwrap_err();
    assert_eq!(in_use.code, "REVISION-IN-USE");
    bed.end().await;
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_before_anything_is_made() {
    let bed = bed().await;
    let config = bed.config(WORKER);
    let source = Source::Directory { path: bed.dir.path().to_path_buf() };
    let env = BTreeMap::from([("SWITCHOVER_SLOT".to_owned(), "pink".to_owned())]);
    let problem = bed.platform.build(&config, RevisionId(1), &source, &env).await.unwrap_err();
    assert_eq!(problem.code, "ENV-INVALID");
    let secrets = bed.dir.path().join("secrets.env");
    let with_secrets = bed.config(&format!("[secrets]\nfile = {secrets:?}\n{WORKER}"));
    let problem = bed.build_from(&with_secrets, 1, &source).await.unwrap_err();
    assert_eq!(problem.code, "SECRETS-UNREADABLE");
    assert!(!revision_dir(&bed, 1).exists());
    let gone = Source::Directory { path: bed.dir.path().join("gone") };
    assert_eq!(bed.build_from(&config, 1, &gone).await.unwrap_err().code, "SOURCE-UNREADABLE");
    bed.end().await;
}

#[tokio::test]
async fn a_hook_runs_in_the_revision_and_tells_how_it_ended() {
    let bed = bed().await;
    let pid_file = bed.dir.path().join("pid");
    let hooks = [
        "./check.sh".to_owned(),
        "echo the token is $SWITCHOVER_PREVIEW_TOKEN; exit 3".to_owned(),
        format!("sleep 1000 & echo $! > {}; trap '' TERM; wait", pid_file.display()),
        app_command("floods=10485760 exits=0"),
        "no-such-check".to_owned(),
        "echo later; exit 75".to_owned(),
    ];
    let mut text = WORKER.to_owned();
    for hook in &hooks {
        text += &format!("[[release.hook]]\nstage = \"verify\"\ncommand = {hook:?}\ntimeout = \"3s\"\n");
    }
    let config = bed.config(&text);
    let check = "#!/bin/sh\necho $SWITCHOVER_APP $SWITCHOVER_SLOT $SWITCHOVER_REVISION $SWITCHOVER_RELEASE $SWITCHOVER_URL $SWITCHOVER_PREVIEW_HOST\n";
    let revision = bed.build(&config, 1, &[("check.sh", check)]).await.unwrap();
    let call = |hook| HookCall {
        hook,
        limit: Span::from_secs(3),
        release: ReleaseId(4),
        slot: Slot::Green,
        url: "http://127.0.0.1:8080".to_owned(),
        preview_token: "preview-token-1".to_owned(),
        preview_host: Some("preview.shop.example".parse().unwrap()),
    };
    let passed = bed.platform.hook(&config, &revision, &call(0)).await.unwrap();
    let said = format!("{} green r1 4 http://127.0.0.1:8080 preview.shop.example", bed.app);
    assert_eq!(passed, HookAnswer::Passed(vec![said]));

    let failed = bed.platform.hook(&config, &revision, &call(1)).await.unwrap_err();
    assert_eq!(failed.code, "HOOK-FAILED");
    assert!(failed.cause.contains("exit status 3"), "{failed}");
    assert_eq!(failed.detail, ["the token is [SWITCHOVER_PREVIEW_TOKEN]"]);

    let began = Instant::now();
    let hung = bed.platform.hook(&config, &revision, &call(2)).await.unwrap_err();
    assert_eq!(hung.code, "HOOK-TIMED-OUT");
    assert!(began.elapsed() >= Duration::from_secs(3));
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    eventually("its children are killed", || !is_alive(pid)).await;

    let flood = bed.platform.hook(&config, &revision, &call(3)).await.unwrap();
    assert!(matches!(&flood, HookAnswer::Passed(lines) if lines.contains(&"flooded".to_owned()) && lines.len() <= 40));

    let missing = bed.platform.hook(&config, &revision, &call(4)).await.unwrap_err();
    assert_eq!(missing.code, "COMMAND-NOT-FOUND");
    let later = bed.platform.hook(&config, &revision, &call(5)).await.unwrap();
    assert_eq!(later, HookAnswer::NotYet(vec!["later".to_owned()]));
    bed.end().await;
}

#[tokio::test]
async fn what_lost_builds_and_hooks_of_an_app_have_left_running_is_ended_and_nothing_else() {
    let bed = bed().await;
    let other: switchover_model::AppName = "another".parse().unwrap();
    let state = bed.state().canonicalize().unwrap().display().to_string();
    let app = &bed.app;
    let marks = [
        ("SWITCHOVER_HOOK", format!("{app}:{state}/release-1/hook-0")),
        ("SWITCHOVER_BUILD", format!("{state}/apps/{app}/revisions/r4")),
        ("SWITCHOVER_HOOK", format!("{other}:{state}/release-1/hook-0")),
        ("SWITCHOVER_HOOK", format!("{app}:{state}-copy/release-1/hook-0")),
        ("SWITCHOVER_BUILD", format!("{state}/apps/{app}-2/revisions/r4")),
    ];
    let mut left: Vec<_> = marks
        .iter()
        .map(|(name, value)| {
            // A child of it too, without the mark.
            let line = "env -i sleep 60 & wait";
            Command::new("setsid").args(["sh", "-c", line]).env(name, value).spawn().unwrap()
        })
        .collect();
    bed.platform.end_lost(&bed.app).await.unwrap();
    let alive: Vec<bool> = left.iter_mut().map(|child| child.try_wait().unwrap().is_none()).collect();
    for child in &mut left {
        let group = rustix::process::Pid::from_child(child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        child.wait().unwrap();
    }
    assert_eq!(alive, [false, false, true, true, true]);
    bed.end().await;
}

#[tokio::test]
async fn a_build_that_copies_a_large_file_gives_way_when_it_is_cancelled() {
    let bed = bed().await;
    let config = bed.web_config(&app_command(""));
    let source = bed.dir.path().join("large");
    fs::create_dir(&source).unwrap();
    fs::File::create(source.join("holes")).unwrap().set_len(64 << 30).unwrap();
    let begun = Instant::now();
    let large = Source::Directory { path: source };
    let env = BTreeMap::new();
    let build = bed.platform.build(&config, RevisionId(1), &large, &env);
    // Its holes are no time to copy, but long to digest.
    assert!(tokio::time::timeout(Duration::from_millis(500), build).await.is_err());
    bed.sealed(&config, 2).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "the next one waited for {:?}", begun.elapsed());
    bed.end().await;
}
