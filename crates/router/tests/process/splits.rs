//! A split on real sockets: its share, its stickiness, and what hostile clients can do to it.

use std::io::Write as _;
use std::net::TcpStream;

use switchover_model::seam::{Arm, Condition, Endpoint, Match, Part, RoutedProcess, Routes, Sticky};
use switchover_model::{RevisionId, Share, Slot};

use crate::bed::{Router, Upstream, assert_closes, read_answer, routes, shop};

/// Routes in which green (revision 2) has `new` of 10,000.
fn split(version: u64, new: u16, sticky: Sticky, blue: &Upstream, green: &Upstream) -> Routes {
    let mut routes = routes(version, &[(1, true, &[blue]), (2, false, &[green])]);
    let new = Share::from_basis_points(new).unwrap();
    (routes.arms[0].share, routes.arms[1].share) = (new.rest(), new);
    Routes { sticky, ..routes }
}

fn by_header() -> Sticky {
    Sticky::Header { name: "X-User".parse().unwrap() }
}

fn send(stream: &mut TcpStream, path: &str, fields: &str) -> bool {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n").as_bytes()).unwrap();
    match read_answer(stream).unwrap().as_str() {
        "200 blue" => false,
        "200 green" => true,
        other => panic!("{other}"),
    }
}

/// Which of so many users are on the new side.
fn sides(router: &Router, users: u32) -> Vec<bool> {
    let mut connections: Vec<_> = (0..8).map(|_| router.connect()).collect();
    (0..users).map(|user| send(&mut connections[user as usize % 8], "/", &format!("X-User: user-{user}\r\n"))).collect()
}

#[test]
fn twenty_thousand_clients_split_within_the_binomial_band_and_are_on_the_same_side_after_a_kill() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let mut router = Router::start(2);
    let users = 20_000;
    let mut routes = split(1, 1_000, by_header(), &blue, &green);
    routes.baseline = Some(Slot::Blue);
    router.ensure(&routes);
    let before = sides(&router, users);
    let count = |sides: &[bool]| f64::from(u32::try_from(sides.iter().filter(|is_new| **is_new).count()).unwrap());
    let band = 3.29 * (f64::from(users) * 0.1 * 0.9).sqrt();
    assert!((count(&before) - 2_000.0).abs() <= band, "{} of 2000 +- {band}", count(&before));
    let measured = router.observe().measured.unwrap();
    let told = |part, revision| {
        let arm = measured.arms.iter().find(|arm| (arm.part, arm.revision) == (part, RevisionId(revision))).unwrap();
        (arm.requests(), arm.clients)
    };
    let (new, baseline, rest) = (told(Part::Share, 2), told(Part::Baseline, 1), told(Part::Share, 1));
    assert_eq!(new.0 + baseline.0 + rest.0, u64::from(users));
    let baseline_off = f64::from(u32::try_from(baseline.0).unwrap()) - 2_000.0;
    assert!(baseline_off.abs() <= band, "{baseline:?} of 2000 +- {band}");
    // 20,000 clients in 10,000 buckets: e^-2 of the buckets stay empty.
    assert!((800..930).contains(&new.1) && (800..930).contains(&baseline.1), "{new:?} {baseline:?}");

    router.kill();
    router.start_again(1);
    assert_eq!(router.observe().routes, Some(routes));
    assert!(sides(&router, 2_000) == before[..2_000], "another router, other lanes, the same sides");
}

#[test]
fn no_client_moves_back_while_the_share_grows_and_the_last_ones_in_return_first() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    let mut seen: Vec<(u16, Vec<bool>)> = Vec::new();
    for (version, new) in (1..).zip([100, 1_000, 5_000, 10_000]) {
        router.ensure(&split(version, new, by_header(), &blue, &green));
        let now = sides(&router, 1_000);
        if let Some((_, before)) = seen.last() {
            assert!(before.iter().zip(&now).all(|(was, is)| *is || !*was), "somebody moved back at {new}");
        }
        seen.push((new, now));
    }
    for (version, (new, before)) in (5..).zip(seen.into_iter().rev().skip(1)) {
        router.ensure(&split(version, new, by_header(), &blue, &green));
        assert!(sides(&router, 1_000) == before, "at {new}");
    }
    assert_closes(&router.observe().ledger);
}

#[test]
fn a_client_is_on_the_same_side_in_every_process_of_the_app() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let (blue_api, green_api) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    let mut routes = split(1, 5_000, Sticky::Cookie, &blue, &green);
    for (arm, api) in routes.arms.iter_mut().zip([&blue_api, &green_api]) {
        add_api(arm, api);
    }
    router.ensure(&routes);
    let (mut connection, mut on_new) = (router.connect(), 0);
    for number in 0..200 {
        let cookie = introduced(&router);
        let is_new = send(&mut connection, "/", &cookie);
        assert_eq!(send(&mut connection, "/api/orders", &cookie), is_new, "{number}");
        on_new += u32::from(is_new);
    }
    assert!((60..140).contains(&on_new) && blue_api.asked() + green_api.asked() == 200, "{on_new}");
}

/// The `Cookie` of a client that the router has just given one.
fn introduced(router: &Router) -> String {
    let answer = router.ask("GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    let set = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).expect("a cookie is set");
    format!("Cookie: {}\r\n", set.split(';').next().expect("its pair"))
}

#[test]
fn nobody_can_tell_a_side_or_make_a_client_up() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let routers = [Router::start(1), Router::start(1)];
    let mut of_each = Vec::new();
    for router in &routers {
        router.ensure(&split(1, 5_000, by_header(), &blue, &green));
        of_each.push(sides(router, 200));
    }
    assert!(of_each[0] != of_each[1], "what is seen of one router tells nothing of another");
    // An id that the router did not give out is nobody's: each time another client comes instead.
    let router = &routers[0];
    router.ensure(&split(2, 5_000, Sticky::Cookie, &blue, &green));
    let mine = introduced(router);
    let changed = mine.replace('0', "1").replace('2', "3").replace('4', "5");
    for made_up in ["Cookie: switchover-client=0123456789abcdef0123456789abcdef\r\n", &changed] {
        let ask = || router.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{made_up}Connection: close\r\n\r\n"));
        let answers: Vec<String> = (0..64).map(|_| ask()).collect();
        assert!(answers.iter().all(|answer| answer.contains("\r\nSet-Cookie: switchover-client=")));
        let on_new = answers.iter().filter(|answer| answer.ends_with("green")).count();
        assert!((1..64).contains(&on_new), "{on_new} of 64");
    }
    let again = router.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{mine}Connection: close\r\n\r\n"));
    assert!(!again.contains("Set-Cookie"), "{again}");
}

fn add_api(arm: &mut Arm, upstream: &Upstream) {
    let instance = format!("shop.api.r{}", arm.revision.0).parse().unwrap();
    arm.processes.push(RoutedProcess {
        process: "api".parse().unwrap(),
        paths: vec!["/api".to_owned()],
        endpoints: vec![Endpoint { instance, address: upstream.address }],
    });
}

#[test]
fn hostile_cookies_and_headers_are_answered_and_change_nobody_elses_side() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    router.ensure(&split(1, 5_000, Sticky::Cookie, &blue, &green));
    let own = introduced(&router);
    let mut connection = router.connect();
    let side = send(&mut connection, "/", &own);
    for hostile in [
        format!("Cookie: switchover-client={}\r\n", "f".repeat(15_000)),
        format!("Cookie: {}\r\n", "switchover-client=;".repeat(700)),
        "Cookie: switchover-client=0\r\n".repeat(90),
        "Cookie: \u{fffd}=\u{fffd}; switchover-client=%00\r\n".to_owned(),
        "Cookie: =;;;==; switchover-client\r\n".to_owned(),
        "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https, http\r\n".to_owned(),
    ] {
        connection.write_all(format!("GET / HTTP/1.1\r\nHost: shop\r\n{hostile}\r\n").as_bytes()).unwrap();
        let answer = read_answer(&mut connection).unwrap();
        assert!(answer == "200 blue" || answer == "200 green", "{answer}");
        assert_eq!(send(&mut connection, "/", &own), side);
    }
    let answer = router.ask("GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n");
    let set: Vec<_> = answer.lines().filter(|line| line.starts_with("Set-Cookie: switchover-client=")).collect();
    assert!(
        set.len() == 1 && set[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"),
        "{answer}"
    );
    assert_closes(&router.observe().ledger);
}

#[test]
fn an_answer_for_shared_caches_names_no_client_and_an_upgrade_does() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    router.ensure(&split(1, 5_000, Sticky::Cookie, &blue, &green));
    let set = |path: &str| {
        let answer = router.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.contains("\r\nSet-Cookie: switchover-client=")
    };
    assert!(set("/") && set("/cached/private,%20max-age=60") && set("/cached/publicity"));
    assert!(!set("/cached/public") && !set("/cached/max-age=60,S-MaxAge=60") && !set("/cached/PUBLIC"));
    let mut tunnel = router.connect();
    tunnel.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    let mut head = [0; 512];
    let count = std::io::Read::read(&mut tunnel, &mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..count]).into_owned();
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("\r\nSet-Cookie: switchover-client="), "{head}");
}

#[test]
fn a_rule_whose_slot_has_nobody_leaves_its_requests_to_the_shares_and_no_rule_wakes_a_dead_app() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let condition = Condition::Query { name: "beta".to_owned(), value: "1".to_owned() };
    let rule = Match { slot: Slot::Green, revision: RevisionId(2), when: vec![condition] };
    let mut routes = split(1, 0, Sticky::None, &blue, &green);
    routes.matches = vec![rule];
    router.ensure(&routes);
    let mut connection = router.connect();
    assert!(send(&mut connection, "/?beta=1", "") && !send(&mut connection, "/?beta=2", ""));
    // The same decision, and green's instance is gone.
    routes.arms[1].processes[0].endpoints.clear();
    router.ensure(&routes);
    assert!(!send(&mut connection, "/?beta=1", ""));
    routes.version = 2;
    routes.arms = split(2, 0, Sticky::None, &blue, &green).arms;
    routes.arms.iter_mut().for_each(|arm| arm.share = Share::NONE);
    router.ensure(&routes);
    assert!(router.ask("GET /?beta=1 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 503"));
}

#[test]
fn a_table_of_a_version_that_knew_no_splits_is_served_as_it_was_meant() {
    let blue = Upstream::start("blue");
    let mut router = Router::start(1);
    router.ensure(&routes(4, &[(1, true, &[&blue])]));
    let path = router.directory.path().join("table.json");
    let kept = std::fs::read_to_string(&path).unwrap();
    for new in ["sticky", "matches", "baseline"] {
        assert!(!kept.contains(new), "an older version could not read it: {kept}");
    }
    router.kill();
    router.start_again(1);
    assert!(router.get("shop").ends_with("blue"));
    let seen = router.observe().routes.unwrap();
    assert_eq!((seen.app, seen.sticky, seen.matches, seen.baseline), (shop(), Sticky::Address, vec![], None));
}
