//! The switch, as clients and the controller see it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use switchover_model::seam::{Routes, SeamError, Traffic};
use switchover_model::{RevisionId, Timestamp};
use switchover_router::client::RouterClient;

use crate::bed::{Router, Upstream, assert_closes, read_answer, routes, shop, wait_for};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n";

/// Every connection, over two lanes, sees the revisions in the order of the flips; none is lost, the sums close.
#[test]
fn no_connection_sees_new_then_old_over_a_thousand_flips() {
    const FLIPS: u64 = 1_000;
    const CLIENTS: usize = 8;
    let router = Router::start(2);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let put = |version: u64| {
        let is_green = version.is_multiple_of(2);
        routes(version, &[(1, !is_green, &[&blue]), (2, is_green, &[&green])])
    };
    router.ensure(&put(1));
    // What was asked for last, and what is known to be in force: the answer lies between the two.
    let (asked_for, in_force, over) = (AtomicU64::new(1), AtomicU64::new(1), AtomicBool::new(false));
    let (sent, times) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (router, asked_for, in_force, over) = (&router, &asked_for, &in_force, &over);
                scope.spawn(move || {
                    // Two connections a client, asked in turn: they may be in different lanes.
                    let mut streams = [router.connect(), router.connect()];
                    let (mut sent, mut least) = (0_u64, 1_u64);
                    while !over.load(Ordering::SeqCst) {
                        for stream in &mut streams {
                            let before = in_force.load(Ordering::SeqCst).max(least);
                            stream.write_all(GET).unwrap();
                            let body = read_answer(stream).unwrap();
                            sent += 1;
                            let after = asked_for.load(Ordering::SeqCst);
                            let parity = u64::from(body == "200 blue");
                            assert!(parity == 1 || body == "200 green", "{body}");
                            // The earliest table that can have given this answer; the next answer is no older.
                            least = (before..=after)
                                .find(|version| version % 2 == parity)
                                .unwrap_or_else(|| panic!("{body} between table {before} and {after}: new, then old"));
                        }
                    }
                    sent
                })
            })
            .collect();
        let mut times = Vec::new();
        for version in 2..=FLIPS {
            asked_for.store(version, Ordering::SeqCst);
            let begin = Instant::now();
            router.ensure(&put(version));
            times.push(begin.elapsed());
            in_force.store(version, Ordering::SeqCst);
        }
        over.store(true, Ordering::SeqCst);
        (clients.into_iter().map(|client| client.join().unwrap()).sum::<u64>(), times)
    });
    let seen = router.observe();
    assert_closes(&seen.ledger);
    assert_eq!(seen.ledger.accepted, sent);
    let answered: u64 = seen.ledger.by_revision.values().map(|revision| revision.answered[1]).sum();
    assert_eq!(answered, sent);
    assert_eq!(blue.asked() + green.asked(), sent);
    assert!(seen.in_flight.is_empty());
    assert!(sent > FLIPS, "{sent} requests only");
    let mut times = times;
    times.sort_unstable();
    eprintln!(
        "ensure to answer: median {:?}, p99 {:?}, {sent} requests",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

#[test]
fn a_revision_that_lost_its_share_drains_to_exactly_zero() {
    let router = Router::start(2);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    let mut slow: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = router.connect();
            stream.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
            stream
        })
        .collect();
    wait_for("the slow requests arrive", || blue.asked() == 5);
    let decided = now();
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    let seen = router.observe();
    assert_eq!(seen.in_flight.get(&RevisionId(1)), Some(&5));
    assert!(seen.in_force_since.is_some_and(|since| since >= decided && since <= now()));
    assert!(router.get("shop").ends_with("green"));
    blue.open_gate();
    for stream in &mut slow {
        assert_eq!(read_answer(stream).unwrap(), "200 blue");
    }
    wait_for("blue is drained", || router.observe().in_flight.is_empty());
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    assert_eq!(ledger.by_revision[&RevisionId(1)].answered[1], 5);
    let first = ledger.by_revision[&RevisionId(2)].first_request.unwrap();
    assert!(first >= seen.in_force_since.unwrap());
    assert!(ledger.by_revision[&RevisionId(1)].last_request.unwrap() <= seen.in_force_since.unwrap());
}

#[test]
fn tunnels_live_to_the_end_of_the_drain_and_are_then_closed_and_counted() {
    let router = Router::start(1);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    let mut tunnel = router.connect();
    let upgrade = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    tunnel.write_all(upgrade.as_bytes()).unwrap();
    wait_for("the tunnel is open", || router.observe().upgrades.get(&RevisionId(1)) == Some(&1));
    let mut plain = router.connect();
    plain.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    wait_for("the slow request arrives", || blue.asked() == 2);
    let mut switched = routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]);
    switched.drain_ms = 700;
    router.ensure(&switched);
    let flipped = Instant::now();
    wait_for("the tunnel is closed", || router.observe().upgrades.is_empty());
    assert!(flipped.elapsed() >= Duration::from_millis(550), "closed {:?} after the flip", flipped.elapsed());
    assert_eq!(router.observe().ledger.by_revision[&RevisionId(1)].upgrades_cut, 1);
    // A plain request that outlives the drain is reported and never cut.
    assert_eq!(router.observe().in_flight.get(&RevisionId(1)), Some(&1));
    blue.open_gate();
    assert_eq!(read_answer(&mut plain).unwrap(), "200 blue");
    assert_closes(&router.observe().ledger);
}

#[test]
fn an_ensure_that_is_repeated_late_or_contradictory_changes_nothing() {
    let router = Router::start(1);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let first = routes(1, &[(1, true, &[&blue])]);
    let second = routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]);
    router.ensure(&first);
    router.ensure(&second);
    let before = router.observe();
    let generation = router.block_on(router.client.status()).unwrap().generation;
    for _ in 0..3 {
        router.ensure(&second);
    }
    let other = RouterClient::new(router.directory.path());
    let refused = |routes: &Routes| match router.block_on(other.ensure(routes)) {
        Err(SeamError::Refused(problem)) => problem.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&first), "ROUTES-STALE");
    assert_eq!(refused(&routes(2, &[(1, true, &[&blue])])), "ROUTES-VERSION-USED");
    let mut invalid = routes(3, &[(1, true, &[&blue])]);
    invalid.arms[0].processes[0].paths = vec!["no-slash".into()];
    assert_eq!(refused(&invalid), "ROUTES-INVALID");
    let after = router.observe();
    assert_eq!((&after.routes, after.in_force_since), (&before.routes, before.in_force_since));
    assert_eq!(router.block_on(router.client.status()).unwrap().generation, generation);

    // Other instances of the same decision are taken, and are no switch.
    let more = Upstream::start("more");
    let refreshed = routes(2, &[(1, false, &[&blue]), (2, true, &[&more])]);
    router.ensure(&refreshed);
    let after = router.observe();
    assert_eq!((after.routes.as_ref(), after.in_force_since), (Some(&refreshed), before.in_force_since));
    assert!(router.get("shop").ends_with("more"));
    assert!(after.at > Timestamp::default());
}

#[test]
fn an_instance_that_refuses_is_passed_over_and_no_request_is_lost() {
    let router = Router::start(1);
    let (blue, gone) = (Upstream::start("blue"), Upstream::start("gone"));
    router.ensure(&routes(1, &[(1, true, &[&blue, &gone])]));
    drop(gone);
    for _ in 0..50 {
        assert!(router.get("shop").ends_with("blue"));
    }
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    assert_eq!((ledger.accepted, ledger.own.len()), (50, 0));
}

#[test]
fn what_the_router_answers_itself_is_said_and_counted() {
    let router = Router::start(1);
    assert!(router.get("shop").starts_with("HTTP/1.1 404 "));
    router.ensure(&routes(1, &[]));
    let answer = router.get("shop");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    let blue = Upstream::start("blue");
    let dead = routes(2, &[(1, true, &[&blue])]);
    drop(blue);
    router.ensure(&dead);
    assert!(router.get("shop").starts_with("HTTP/1.1 502 "));
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    assert_eq!((ledger.own["no-healthy-instance"].count, ledger.own["connect-failed"].count), (1, 1));
    // The first while nobody could have answered; the second while an instance was listed as healthy.
    assert_eq!((ledger.own["no-healthy-instance"].lost, ledger.own["connect-failed"].lost), (0, 1), "{ledger:?}");
    assert_eq!(router.block_on(router.client.status()).unwrap().nobody.own["no-route"].count, 1);
    router.block_on(router.client.remove(&shop())).unwrap();
    assert!(router.get("shop").starts_with("HTTP/1.1 404 "));
    assert!(router.observe().routes.is_none());
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

#[test]
fn what_is_answered_for_no_app_is_told_with_every_app() {
    let router = Router::start(2);
    let blue = Upstream::start("blue");
    let mut wanted = routes(1, &[(1, true, &[&blue])]);
    wanted.hosts = vec!["shop.example".parse().unwrap()];
    router.ensure(&wanted);
    assert!(router.observe().unrouted.is_empty());
    for _ in 0..3 {
        assert!(router.get("other.example").starts_with("HTTP/1.1 404 "));
    }
    assert!(router.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let seen = router.observe();
    assert_eq!((seen.ledger.accepted, seen.unrouted["no-route"].count, seen.unrouted["refused"].count), (0, 3, 1));
    let all = router.block_on(router.client.observe_all()).unwrap();
    assert_eq!(all[&wanted.app].unrouted, seen.unrouted);
}

/// Count and lost of the router's own answers for this cause.
fn own(router: &Router, cause: &str) -> (u64, u64) {
    router.observe().ledger.own.get(cause).map_or((0, 0), |own| (own.count, own.lost))
}

#[test]
fn an_answer_of_the_routers_own_beside_a_healthy_instance_is_lost_whatever_its_share() {
    let router = Router::start(1);
    let green = Upstream::start("green");
    router.ensure(&routes(1, &[(1, true, &[]), (2, false, &[&green])]));
    assert!(router.get("shop").starts_with("HTTP/1.1 503 "));
    assert_eq!(own(&router, "no-healthy-instance"), (1, 1), "the warm slot could have answered");
    router.ensure(&routes(2, &[(1, true, &[]), (2, false, &[])]));
    assert!(router.get("shop").starts_with("HTTP/1.1 503 "));
    assert_eq!(own(&router, "no-healthy-instance"), (2, 1), "nobody could have answered");
}

#[test]
fn an_instance_that_just_refused_is_healthy_as_long_as_it_is_listed() {
    let router = Router::start(1);
    let gone = Upstream::start("gone");
    let listed = routes(1, &[(1, true, &[&gone])]);
    drop(gone);
    router.ensure(&listed);
    for asked in 1..=2 {
        assert!(router.get("shop").starts_with("HTTP/1.1 502 "));
        assert_eq!(own(&router, "connect-failed"), (asked, asked));
    }
    router.ensure(&routes(2, &[(1, true, &[])]));
    assert!(router.get("shop").starts_with("HTTP/1.1 503 "));
    assert_eq!(own(&router, "no-healthy-instance"), (1, 0));
    assert_eq!(own(&router, "connect-failed"), (2, 2));
}

#[test]
fn what_each_instance_still_has_is_told_whether_the_table_names_it_or_not() {
    let (first, second) = (Upstream::start("first"), Upstream::start("second"));
    let router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&first])]));
    let mut client = router.connect();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
    let mut tunnel = router.connect();
    tunnel.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    wait_for("both are there", || first.asked() == 2);
    router.ensure(&routes(1, &[(1, true, &[&second])]));
    let busy = || router.observe().busy.unwrap();
    assert_eq!(busy(), [("shop.r1.first".parse().unwrap(), 2)].into());
    first.open_gate();
    assert_eq!(read_answer(&mut client).unwrap(), "200 first");
    wait_for("the request is over", || busy().values().eq(&[1]));
    drop(tunnel);
    wait_for("the tunnel is over", || busy().is_empty());
}
