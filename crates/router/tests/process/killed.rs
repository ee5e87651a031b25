//! A router that is killed: what comes back, and what the counters say.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use switchover_model::RevisionId;
use switchover_model::seam::Traffic;

use crate::bed::{PATIENCE, Router, Upstream, assert_closes, read_answer, routes, shop, wait_for};

#[test]
fn a_killed_router_serves_its_last_table_and_counts_what_it_lost() {
    let mut router = Router::start(2);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    let kept = router.observe();
    for _ in 0..20 {
        assert!(router.get("shop").ends_with("green"));
    }
    let mut hanging: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = router.connect();
            stream.write_all(b"GET /never HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
            stream
        })
        .collect();
    wait_for("the hanging requests arrive", || green.asked() == 23);
    router.kill();
    hanging.clear();
    // No controller has spoken to this one. It has fewer lanes than its predecessor, whose counters stay counted.
    router.start_again(1);
    assert!(router.get("shop").ends_with("green"));
    let seen = router.observe();
    assert_closes(&seen.ledger);
    assert_eq!((seen.ledger.accepted, seen.ledger.lost_with_router, seen.ledger.in_flight), (24, 3, 0));
    assert_eq!(seen.ledger.by_revision[&RevisionId(2)].answered[1], 21);
    assert_eq!((seen.routes, seen.in_force_since), (kept.routes, kept.in_force_since));
    // Killed again, nothing is lost twice.
    router.kill();
    router.start_again(2);
    let again = router.observe().ledger;
    assert_closes(&again);
    assert_eq!((again.accepted, again.lost_with_router), (24, 3));
    // Its own client finds it without being told.
    router.ensure(&routes(3, &[(1, true, &[&blue]), (2, false, &[&green])]));
    assert!(router.get("shop").ends_with("blue"));
}

#[test]
fn a_stranger_on_an_instances_port_gets_nothing() {
    let mut router = Router::start(1);
    let blue = Upstream::start("blue");
    let address = blue.address;
    let first = routes(1, &[(1, true, &[&blue])]);
    router.ensure(&first);
    router.kill();
    drop(blue);
    let Ok(stranger) = std::net::TcpListener::bind(address) else { return };
    router.start_again(1);
    let answer = router.get("shop");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    drop(stranger);
    // The controller confirms by saying it again, with the same version.
    let anew = Upstream::start("blue");
    let mut confirmed = first;
    confirmed.arms[0].processes[0].endpoints[0].address = anew.address;
    router.ensure(&confirmed);
    assert!(router.get("shop").ends_with("blue"));
}

#[test]
fn a_kept_table_of_another_boot_or_a_broken_one_answers_503_until_a_controller_speaks() {
    let mut router = Router::start(1);
    let blue = Upstream::start("blue");
    let first = routes(1, &[(1, true, &[&blue])]);
    router.ensure(&first);
    let path = router.directory.path().join("table.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let boot = router.block_on(router.client.status()).unwrap().boot_id;
    for (kept, is_problem) in [
        (whole.replace(&boot, "another-boot"), false),
        (whole[..whole.len() / 2].to_owned(), true),
        (String::new(), true),
    ] {
        router.kill();
        std::fs::write(&path, kept).unwrap();
        router.start_again(1);
        let answer = router.get("shop");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
        let status = router.block_on(router.client.status()).unwrap();
        assert_eq!(status.kept_problem.is_some(), is_problem, "{status:?}");
        router.ensure(&first);
        assert!(router.get("shop").ends_with("blue"));
        wait_for("it is safe on disk", || router.block_on(router.client.status()).unwrap().kept_problem.is_none());
        let seen = router.block_on(router.client.observe(&shop())).unwrap();
        assert_closes(&seen.ledger);
    }
}

#[test]
fn after_a_broken_table_one_apps_setting_does_not_make_the_hosts_of_the_others_unknown() {
    let mut router = Router::start(1);
    let blue = Upstream::start("blue");
    let mut shop = routes(1, &[(1, true, &[&blue])]);
    shop.hosts = vec!["shop.example".parse().unwrap()];
    let mut mail = shop.clone();
    (mail.app, mail.hosts) = ("mail".parse().unwrap(), vec!["mail.example".parse().unwrap()]);
    router.ensure(&shop);
    router.ensure(&mail);
    router.kill();
    std::fs::write(router.directory.path().join("table.json"), "").unwrap();
    router.start_again(1);
    router.ensure(&shop);
    assert!(router.get("shop.example").ends_with("blue"));
    assert!(router.get("mail.example").starts_with("HTTP/1.1 503 "));
    // A router that is killed now knows no more than this one did.
    router.kill();
    router.start_again(1);
    assert!(router.get("mail.example").starts_with("HTTP/1.1 503 "));
    router.ensure(&mail);
    assert!(router.get("mail.example").ends_with("blue"));
}

#[test]
fn a_router_killed_under_load_counts_every_request_once_and_those_in_flight_as_lost() {
    const CLIENTS: u64 = 8;
    let mut router = Router::start(2);
    let blue = Upstream::start("blue");
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let (answered, begun) = (AtomicU64::new(0), AtomicU64::new(0));
    let http = router.http;
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut stream = std::net::TcpStream::connect(http).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                loop {
                    begun.fetch_add(1, Ordering::SeqCst);
                    // The kill ends the connection, and with it this client.
                    if stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").is_err()
                        || read_answer(&mut stream).is_err()
                    {
                        return;
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut hanging = router.connect();
        hanging.write_all(b"GET /never HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
        wait_for("the load runs", || answered.load(Ordering::SeqCst) >= 200);
        wait_for("one request hangs", || blue.heads.lock().unwrap().iter().any(|head| head.starts_with("GET /never")));
        router.kill();
    });
    router.start_again(2);
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    let (answered, begun) = (answered.into_inner(), begun.into_inner() + 1);
    let counted = ledger.by_revision[&RevisionId(1)].answered[1];
    assert_eq!((ledger.in_flight, ledger.aborted, ledger.own.len()), (0, 0, 0), "{ledger:?}");
    assert!((1..=CLIENTS + 1).contains(&ledger.lost_with_router), "{ledger:?}");
    // An answer that the client has may have had no time to be counted: then it is among the lost.
    assert!(counted <= begun && counted + ledger.lost_with_router > answered, "{answered} {begun} {ledger:?}");
    assert!(ledger.accepted <= begun, "{begun} {ledger:?}");
}

#[test]
fn a_table_that_could_not_be_kept_is_kept_as_soon_as_it_can_be() {
    let mut router = Router::start(1);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    // Nobody can write a file where a folder is.
    let beside = router.directory.path().join("table.json.new");
    std::fs::remove_file(&beside).unwrap();
    std::fs::create_dir(&beside).unwrap();
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    assert!(router.get("shop").ends_with("green"), "a disk never forbids a switch");
    let problem = |router: &Router| router.block_on(router.client.status()).unwrap().kept_problem;
    assert!(problem(&router).unwrap().contains("can not be kept"));
    std::fs::remove_dir(&beside).unwrap();
    wait_for("it is kept", || problem(&router).is_none());
    router.kill();
    router.start_again(1);
    assert!(router.get("shop").ends_with("green"));
}
