//! Starting, being found, and ending.

use std::io::{Read as _, Write};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use switchover_router::RouterOptions;
use switchover_router::spawn::{SpawnError, ensure_running};

use crate::bed::{Router, Upstream, assert_closes, program, read_answer, routes, spawn, wait_for};

#[test]
fn a_router_told_to_end_finishes_what_is_on_and_refuses_what_is_new() {
    let mut router = Router::start(2);
    let blue = Upstream::start("blue");
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let mut idle = router.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut idle).unwrap(), "200 blue");
    let mut slow = router.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    wait_for("the slow request arrives", || blue.asked() == 2);
    let pid = Pid::from_child(&router.child);
    kill_process(pid, Signal::TERM).unwrap();
    wait_for("nothing listens any more", || std::net::TcpStream::connect(router.http).is_err());
    assert!(router.child.try_wait().unwrap().is_none(), "it waits for the slow request");
    assert!(router.block_on(router.client.status()).is_err(), "its directory is a successor's");
    blue.open_gate();
    assert_eq!(read_answer(&mut slow).unwrap(), "200 blue");
    assert!(router.child.wait().unwrap().success());
    assert!(!router.directory.path().join("control.sock").exists());
}

#[test]
fn a_taken_port_and_a_taken_directory_are_told_apart() {
    let router = Router::start(1);
    let start = |directory: &std::path::Path| {
        let output = Command::new(program())
            .args(["router", "--state"])
            .arg(directory)
            .args(["--http", &router.http.to_string()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let other = tempfile::tempdir().unwrap();
    assert!(start(other.path()).starts_with("PORT-TAKEN: "));
    assert!(start(router.directory.path()).starts_with("ROUTER-RUNNING: "));

    // Its own router, whose files somebody has removed, is no other program.
    for item in std::fs::read_dir(router.directory.path()).unwrap() {
        std::fs::remove_file(item.unwrap().path()).unwrap();
    }
    let said = start(router.directory.path());
    assert!(said.starts_with("ROUTER-LOST: ") && said.contains(&format!("kill {}", router.child.id())), "{said}");
    let options = RouterOptions { directory: router.directory.path().to_owned(), http: router.http, lanes: None };
    let problem = router.block_on(ensure_running(&program(), &options)).unwrap_err().problem();
    assert_eq!(problem.code, "ROUTER-LOST", "{problem}");
    assert!(std::net::TcpStream::connect(router.http).is_ok(), "it is left alone");
}

#[test]
fn two_callers_start_one_router_and_a_third_finds_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = RouterOptions {
        directory: directory.path().join("a-rather-long-name-for-a-directory/".repeat(4)).join("router"),
        http: "127.0.0.1:0".parse().unwrap(),
        lanes: NonZeroUsize::new(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let executable = program();
        let (one, two) = tokio::join!(ensure_running(&executable, &options), ensure_running(&executable, &options));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.is_new != two.is_new, "one of them started it");
        let (one, two) = (one.client, two.client);
        let status = one.status().await.unwrap();
        assert_eq!(status.pid, two.status().await.unwrap().pid);
        let third = ensure_running(&executable, &options).await.unwrap();
        assert!(!third.is_new);
        assert_eq!(third.client.status().await.unwrap().pid, status.pid);

        // Elsewhere is said, not silently ignored.
        let wanted = "127.0.0.1:9".parse().unwrap();
        let elsewhere = RouterOptions { http: wanted, ..options.clone() };
        assert!(matches!(ensure_running(&executable, &elsewhere).await, Err(SpawnError::OtherAddress { .. })));
        let wider = RouterOptions { lanes: NonZeroUsize::new(2), ..options.clone() };
        let refused = ensure_running(&executable, &wider).await.unwrap_err();
        assert!(matches!(refused, SpawnError::OtherLanes { runs: 1, wanted: 2 }), "{refused}");
        let whatever = RouterOptions { lanes: None, ..options.clone() };
        assert_eq!(
            ensure_running(&executable, &whatever).await.unwrap().client.status().await.unwrap().pid,
            status.pid
        );

        // One that is ending is waited for, then a new one is started.
        one.shutdown().await.unwrap();
        let next = ensure_running(&executable, &options).await.unwrap().client;
        let log = std::fs::read_to_string(options.directory.join("log")).unwrap();
        assert_ne!(next.status().await.expect(&log).pid, status.pid);

        // A port that is taken is told by its code.
        let taken = next.status().await.unwrap().http;
        let other = tempfile::tempdir().unwrap();
        let options = RouterOptions { directory: other.path().to_owned(), http: taken, lanes: None };
        let problem = ensure_running(&executable, &options).await.unwrap_err().problem();
        assert_eq!(problem.code, "PORT-TAKEN", "{problem}");
        next.shutdown().await.unwrap();
        let deadline = std::time::Instant::now() + crate::bed::PATIENCE;
        while next.status().await.is_ok() {
            assert!(std::time::Instant::now() < deadline, "it never ended");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_running_routers_log_is_put_aside_when_it_is_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let output = std::fs::File::options().append(true).create(true).open(&log).unwrap();
    let mut child = Command::new(program())
        .args(["router", "--http", "127.0.0.1:0", "--lanes", "1", "--state"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .spawn()
        .unwrap();
    wait_for("it serves", || directory.path().join("address").exists());
    (&output).write_all(&vec![b'x'; 5 * 1024 * 1024]).unwrap();
    wait_for("the log is put aside", || directory.path().join("log.1").exists());
    let writes_to = |number: u32| std::fs::read_link(format!("/proc/{}/fd/{number}", child.id())).unwrap();
    wait_for("it writes to the new one", || (1..=2).all(|number| writes_to(number) == log.canonicalize().unwrap()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
}

#[test]
fn a_successor_serves_while_the_one_before_finishes_and_nobody_is_refused_meanwhile() {
    let mut router = Router::start(2);
    let blue = Upstream::start("blue");
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let mut slow = router.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    wait_for("the slow request arrives", || blue.asked() == 1);
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let http = router.http;
    let mut before = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let mut client = std::net::TcpStream::connect(http).unwrap();
                        client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
                        let mut answer = String::new();
                        client.read_to_string(&mut answer).unwrap();
                        assert!(answer.ends_with("blue"), "{answer:?}");
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        wait_for("clients are served", || asked.load(Ordering::SeqCst) > 20);
        kill_process(Pid::from_child(&router.child), Signal::TERM).unwrap();
        let socket = router.directory.path().join("control.sock");
        wait_for("its directory is free", || !socket.exists());
        let next = spawn(router.directory.path(), &http.to_string(), 2);
        let before = std::mem::replace(&mut router.child, next);
        router.wait_until_serving();
        let served = asked.load(Ordering::SeqCst);
        wait_for("clients are served by the successor", || asked.load(Ordering::SeqCst) > served + 50);
        // What the one before has in flight is still seen, so that nobody takes its instances away.
        let seen = router.observe();
        assert!(seen.in_flight[&switchover_model::RevisionId(1)] >= 1, "{seen:?}");
        over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().unwrap();
        }
        before
    });
    assert!(before.try_wait().unwrap().is_none(), "it waits for the slow request");
    blue.open_gate();
    assert_eq!(read_answer(&mut slow).unwrap(), "200 blue");
    assert!(before.wait().unwrap().success());
    let all = asked.into_inner() + 1;
    wait_for("every request is counted once", || {
        let seen = router.observe();
        assert_closes(&seen.ledger);
        assert_eq!((seen.ledger.lost_with_router, seen.ledger.own.len()), (0, 0), "{seen:?}");
        seen.in_flight.is_empty() && seen.ledger.accepted == all && seen.ledger.in_flight == 0
    });
    assert!(router.directory.path().join("control.sock").exists(), "the successor's socket is left alone");
}

/// Four ways in which the one before could still route a request of its clients after the successor has switched.
#[test]
fn a_switch_right_after_a_handover_is_one_switch_for_the_clients_of_the_router_before_too() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    let mut router = Router::start(2);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    let mut idle = router.connect();
    idle.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut idle).unwrap(), "200 blue");
    let fresh = router.connect();
    let mut begun = router.connect();
    begun.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    let mut slow = router.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    wait_for("the slow request arrives", || blue.asked() == 2);
    wait_for("all are served", || router.block_on(router.client.status()).unwrap().connections == 4);
    kill_process(Pid::from_child(&router.child), Signal::TERM).unwrap();
    let socket = router.directory.path().join("control.sock");
    wait_for("its directory is free", || !socket.exists());
    let next = spawn(router.directory.path(), &router.http.to_string(), 2);
    let mut before = std::mem::replace(&mut router.child, next);
    router.wait_until_serving();

    // Other instances of the same decision are no switch: they need not wait.
    let other = Upstream::start("other");
    router.ensure(&routes(1, &[(1, true, &[&blue, &other]), (2, false, &[&green])]));
    assert_eq!(router.observe().routes.unwrap().version, 1);
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    assert!(router.get("shop").ends_with("green"));
    assert_eq!(router.observe().in_flight[&switchover_model::RevisionId(1)], 1, "the slow one is not drained");
    for (mut client, rest) in [(idle, GET), (fresh, GET), (begun, &b" shop\r\n\r\n"[..])] {
        // It may be closed already; an answer of the new slot, or none of any slot, is fine too.
        let _ = client.write_all(rest);
        let answer = read_answer(&mut client).unwrap_or_default();
        assert!(!answer.ends_with("blue") && !answer.ends_with("other"), "{answer}");
    }
    assert!(before.try_wait().unwrap().is_none(), "it waits for the slow request");
    slow.write_all(GET).unwrap();
    blue.open_gate();
    assert_eq!(read_answer(&mut slow).unwrap(), "200 blue");
    assert!(read_answer(&mut slow).is_err(), "it was told that this was the last one");
    assert!(before.wait().unwrap().success());
    wait_for("all is drained", || router.observe().in_flight.is_empty());
    assert_closes(&router.observe().ledger);
}
