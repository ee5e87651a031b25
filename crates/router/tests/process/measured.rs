//! What the router measures of each arm: it sums up to the ledger, and is of this router alone.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};
use switchover_model::RevisionId;
use switchover_model::histogram::{bucket, lower_edge};
use switchover_model::seam::{ArmMeasured, Measured, Part, Preview, Traffic as _};

use crate::bed::{Router, Upstream, assert_closes, read_answer, routes, shop, wait_for};

fn measured(router: &Router) -> Measured {
    router.observe().measured.expect("this traffic measures")
}

fn arm(router: &Router, revision: u32) -> Option<ArmMeasured> {
    measured(router).arms.into_iter().find(|arm| arm.revision == RevisionId(revision))
}

fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
}

#[test]
fn what_the_lanes_measure_sums_up_to_what_the_ledger_counted() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    for (version, live) in [(1, 1_u32), (2, 2)] {
        router.ensure(&routes(version, &[(1, live == 1, &[&blue]), (2, live == 2, &[&green])]));
        for _ in 0..25 {
            assert!(router.get("shop").ends_with(if live == 1 { "blue" } else { "green" }));
        }
        // Broken off in the middle; never answered (sent twice, as GET may be); left by its client.
        assert!(router.ask(&close("/broken")).ends_with("half"));
        assert!(router.ask(&close("/closed")).starts_with("HTTP/1.1 502"));
        let upstream = if live == 1 { &blue } else { &green };
        let before = upstream.asked();
        let mut left = router.connect();
        left.write_all(close("/never").as_bytes()).unwrap();
        wait_for("the instance has the request", || upstream.asked() > before);
        // A reset: whoever merely ends its side waits for the answer.
        SockRef::from(&left).set_linger(Some(Duration::ZERO)).unwrap();
        drop(left);
        wait_for("the router noticed", || router.observe().ledger.aborted == u64::from(live));
    }
    let seen = router.observe();
    assert_closes(&seen.ledger);
    let arms = seen.measured.unwrap().arms;
    let told: Vec<_> = arms
        .iter()
        .map(|arm| (arm.revision.0, arm.process.as_str(), arm.part, arm.answered, arm.failed, arm.aborted))
        .collect();
    let expected = |revision| (revision, "web", Part::Share, [0, 25, 0, 0, 0], 2, 1);
    assert_eq!(told, [expected(1), expected(2)]);
    for arm in &arms {
        assert_eq!(arm.answered, seen.ledger.by_revision[&arm.revision].answered);
        // Clients are those of the version of the routes that is in force.
        let clients = u64::from(arm.revision == RevisionId(2));
        // The one that its client gave up on has a latency too.
        assert_eq!((arm.latency.total(), arm.requests(), arm.errors(), arm.clients), (28, 27, 2, clients));
        // All came from one address.
        assert_eq!((arm.requests_by.different(), arm.errors_by.different()), (1, 1));
    }
    let failed: u64 = ["answer-broken", "upstream-closed"].iter().map(|cause| seen.ledger.own[*cause].count).sum();
    let sum: u64 = arms.iter().map(|arm| arm.requests() + arm.aborted).sum();
    assert_eq!((failed, sum), (4, seen.ledger.accepted));
}

#[test]
fn a_slow_answer_is_measured_from_the_whole_head_to_its_end() {
    let blue = Upstream::start("blue");
    let router = Router::start(1);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let mut client = router.connect();
    // Half a head takes time that is the client's own.
    client.write_all(b"GET /slow HTTP/1.1\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let sent = Instant::now();
    client.write_all(b"Host: shop\r\n\r\n").unwrap();
    wait_for("the instance has it", || blue.asked() == 1);
    let held = Instant::now();
    std::thread::sleep(Duration::from_millis(40));
    let held = held.elapsed();
    blue.open_gate();
    assert_eq!(read_answer(&mut client).unwrap(), "200 blue");
    let took = sent.elapsed();
    // Its end is counted after its last byte has left.
    wait_for("it is counted", || arm(&router, 1).is_some());
    let latency = arm(&router, 1).unwrap().latency;
    let [(at, 1)] = latency.counts() else { panic!("{latency:?}") };
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
    let count_lag = Duration::from_millis(50);
    let within = bucket(micros(held))..=bucket(micros(took + count_lag));
    assert!(within.contains(at), "{} us, held {held:?}, took {took:?}", lower_edge(*at));
}

#[test]
fn what_a_client_gave_up_on_is_measured_with_the_time_until_then() {
    let blue = Upstream::start("blue");
    let router = Router::start(1);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    // A reset: whoever merely ends its side waits for the answer.
    let leave = |client: std::net::TcpStream, aborted: u64| {
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        wait_for("the router noticed", || arm(&router, 1).is_some_and(|arm| arm.aborted == aborted));
        arm(&router, 1).unwrap().latency
    };
    // Its own request was not whole yet: that says nothing of the instance.
    let mut client = router.connect();
    client.write_all(b"POST /never HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
    wait_for("the instance has its head", || blue.asked() == 1);
    assert_eq!(leave(client, 1).total(), 0);
    // A stream of events ends when its client has enough of it.
    let mut client = router.connect();
    client.write_all(close("/events").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"data: 1\n\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert_eq!(leave(client, 2).total(), 0);
    let mut client = router.connect();
    client.write_all(close("/never").as_bytes()).unwrap();
    wait_for("the instance has it", || blue.asked() == 3);
    let held = Instant::now();
    std::thread::sleep(Duration::from_millis(40));
    let held = held.elapsed();
    let latency = leave(client, 3);
    let [(at, 1)] = latency.counts() else { panic!("{latency:?}") };
    assert!(*at >= bucket(u64::try_from(held.as_micros()).unwrap()), "{} us of {held:?}", lower_edge(*at));
    assert_eq!(arm(&router, 1).unwrap().requests(), 0, "it is no request that ended");
}

#[test]
fn an_instance_that_breaks_off_fails_its_own_arm_alone() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]));
    assert!(router.ask(&close("/broken")).ends_with("half"));
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    assert!(router.get("shop").ends_with("green"));
    wait_for("both are counted", || measured(&router).arms.len() == 2);
    let [blue, green] = [1, 2].map(|revision| arm(&router, revision).unwrap());
    assert_eq!((blue.failed, blue.answered, blue.errors()), (1, [0; 5], 1));
    assert_eq!((green.failed, green.answered, green.errors()), (0, [0, 1, 0, 0, 0], 0));
}

#[test]
fn a_revision_without_any_instance_fails_what_is_its_share() {
    let router = Router::start(1);
    router.ensure(&routes(1, &[(1, true, &[])]));
    for _ in 0..3 {
        assert!(router.get("shop").starts_with("HTTP/1.1 503"));
    }
    let arm = arm(&router, 1).unwrap();
    assert_eq!((arm.failed, arm.requests(), arm.latency.total()), (3, 3, 3));
}

#[test]
fn a_killed_router_leaves_another_epoch_and_no_count_is_negative() {
    let blue = Upstream::start("blue");
    let mut router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    for _ in 0..9 {
        router.get("shop");
    }
    let before = measured(&router);
    router.kill();
    router.start_again(2);
    let empty = measured(&router);
    assert_eq!(empty.arms, []);
    assert_ne!(empty.epoch, before.epoch);
    router.get("shop");
    wait_for("it is counted", || !measured(&router).arms.is_empty());
    let after = measured(&router);
    assert_eq!((after.epoch, after.arms[0].answered[1]), (empty.epoch, 1));
    assert_eq!(router.observe().ledger.by_revision[&RevisionId(1)].answered[1], 10, "the ledger goes on");
    assert_eq!(after.arms[0].since(&before.arms[0]), None, "what is not of one epoch is no difference");
}

#[test]
fn clients_are_told_apart_whichever_lane_they_came_to() {
    let blue = Upstream::start("blue");
    let router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let SocketAddr::V4(http) = router.http else { panic!("an IPv4 address") };
    // Each comes several times, from another port each time, so that both lanes see most of them.
    for client in 1..=20_u8 {
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 7, client], 0)).into()).unwrap();
            socket.connect(&SocketAddr::V4(http).into()).unwrap();
            let mut stream = std::net::TcpStream::from(socket);
            stream.write_all(close("/").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("blue"));
        }
    }
    wait_for("all are counted", || arm(&router, 1).is_some_and(|arm| arm.requests() == 80));
    assert_eq!(arm(&router, 1).unwrap().clients, 20);
}

#[test]
fn a_revision_that_comes_back_after_its_counts_were_dropped_begins_another_epoch() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    router.get("shop");
    let first = measured(&router).epoch;
    router.ensure(&routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]));
    router.get("shop");
    router.ensure(&routes(3, &[(2, true, &[&green])]));
    wait_for("the drained revision is named no more", || arm(&router, 1).is_none());
    assert_eq!(
        (measured(&router).epoch, arm(&router, 2).unwrap().requests()),
        (first, 1),
        "nothing of the other changed"
    );
    router.ensure(&routes(4, &[(1, true, &[&blue]), (2, false, &[&green])]));
    router.get("shop");
    wait_for("it is counted", || arm(&router, 1).is_some());
    let back = measured(&router);
    assert!(back.epoch > first);
    assert_eq!(arm(&router, 1).unwrap().requests(), 1);
}

#[test]
fn upgrades_are_told_by_arm_opened_and_cut() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    router.ensure(&routes(1, &[(1, true, &[&blue])]));
    let upgrade = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut clients = [router.connect(), router.connect()];
    for client in &mut clients {
        client.write_all(upgrade.as_bytes()).unwrap();
        let mut head = [0; 12];
        client.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
    }
    let [first, second] = clients;
    drop(first);
    wait_for("one has closed", || router.observe().upgrades.get(&RevisionId(1)) == Some(&1));
    let mut next = routes(2, &[(1, false, &[&blue]), (2, true, &[&green])]);
    next.drain_ms = 10;
    router.ensure(&next);
    wait_for("the other one is cut", || arm(&router, 1).is_some_and(|arm| arm.upgrades_cut == 1));
    let arm = arm(&router, 1).unwrap();
    assert_eq!((arm.upgrades_opened, arm.upgrades_ended, arm.upgrades_cut), (2, Some(2), 1));
    assert_eq!(arm.answered, [2, 0, 0, 0, 0]);
    drop(second);
}

#[test]
fn the_previews_requests_are_not_measured_as_users() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let mut shown = routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]);
    shown.preview = Some(Preview {
        host: "preview.shop".parse().unwrap(),
        arm: shown.arms[1].clone(),
        token_digest: "00".repeat(32),
        networks: vec!["127.0.0.0/8".to_owned()],
    });
    router.ensure(&shown);
    assert!(router.get("preview.shop").ends_with("green"));
    assert!(router.get("shop").ends_with("blue"));
    wait_for("the user's is counted", || !measured(&router).arms.is_empty());
    let told: Vec<_> = measured(&router).arms.iter().map(|arm| (arm.revision.0, arm.requests())).collect();
    assert_eq!(told, [(1, 1)]);
}

#[test]
fn with_more_arms_than_are_measured_nothing_is_told_as_measured() {
    let blue = Upstream::start("blue");
    let router = Router::start(2);
    let mut many = routes(1, &[(1, true, &[&blue])]);
    let web = many.arms[0].processes[0].clone();
    for number in 0..64 {
        let mut other = web.clone();
        other.process = format!("other-{number}").parse().unwrap();
        other.paths = vec![format!("/other-{number}")];
        many.arms[0].processes.push(other);
    }
    router.ensure(&many);
    assert!(router.get("shop").ends_with("blue"));
    assert_eq!(router.observe().measured, None, "unknown is not nothing");
    let mut fewer = routes(2, &[(1, true, &[&blue])]);
    fewer.arms[0].processes.truncate(1);
    router.ensure(&fewer);
    router.get("shop");
    wait_for("it is known again", || router.observe().measured.is_some());
}

#[test]
fn an_app_that_was_never_routed_is_known_to_have_had_no_request() {
    let router = Router::start(2);
    let seen = router.block_on(router.client.observe(&shop())).unwrap();
    assert_eq!(seen.measured.map(|measured| measured.arms), Some(vec![]));
}
