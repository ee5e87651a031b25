//! A router that may have few files open: who is served, who is told to come again, and what it can still do.

use std::io::{Read as _, Write as _};

use crate::bed::{Router, Upstream, assert_closes, routes, wait_for};

/// Leaves a lane two dozen connections.
const FILES: usize = 160;
const CLIENTS: u64 = 120;

#[test]
fn more_clients_than_open_files_are_told_to_come_again_and_no_instance_is_blamed() {
    let router = Router::start_with_files(1, FILES);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = router.connect();
            client.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
            client
        })
        .collect();
    let shed = || router.observe().ledger.own.get("too-many-connections").map_or(0, |own| own.count);
    wait_for("every client is served or turned away", || blue.asked() + shed() == CLIENTS);
    assert!(blue.asked() > 8, "only {} are served", blue.asked());
    // With all of that open the table still changes, and is kept.
    router.ensure(&routes(2, &[(1, true, &[&blue]), (2, false, &[])]));
    let status = router.block_on(router.client.status()).unwrap();
    assert_eq!(status.kept_problem, None);
    blue.open_gate();
    let (mut answered, mut later) = (0, 0);
    for client in &mut clients {
        let mut answer = String::new();
        // One that was turned away among many may see a reset instead of its answer.
        let _ = client.read_to_string(&mut answer);
        if answer.starts_with("HTTP/1.1 200 ") {
            answered += 1;
        } else if !answer.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
            later += 1;
        }
    }
    assert_eq!(answered, blue.asked());
    assert!(later > 0, "nobody was told when to come again");
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    assert_eq!(ledger.own.keys().collect::<Vec<_>>(), ["too-many-connections"], "{ledger:?}");
    assert_eq!(ledger.own["too-many-connections"].lost, CLIENTS - answered);
}

#[test]
fn clients_that_never_end_their_heads_lock_nobody_out() {
    let router = Router::start_with_files(1, FILES);
    let blue = Upstream::start("blue");
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let held: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = router.connect();
            client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nX: ").unwrap();
            client
        })
        .collect();
    // They have a moment to go on.
    let is_served = || {
        let mut client = router.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).is_ok() && answer.ends_with("blue")
    };
    wait_for("they give way", is_served);
    for _ in 0..10 {
        assert!(is_served());
    }
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    let gave_way = &router.block_on(router.client.status()).unwrap().nobody.own["request-timeout"];
    assert!(gave_way.count >= 1 && gave_way.lost == 0, "{gave_way:?}");
    assert_eq!(ledger.by_revision.values().map(|revision| revision.answered[1]).sum::<u64>(), blue.asked());
    drop(held);
}
