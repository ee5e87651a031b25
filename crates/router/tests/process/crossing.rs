//! A split in which nobody of one slot takes connections: the other slot answers, and no experiment is spoilt by it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use switchover_model::seam::{ArmMeasured, Condition, Endpoint, Goals, Match, Routes, Sticky};
use switchover_model::{RevisionId, Share, Slot};

use crate::bed::{Router, Upstream, assert_closes, routes, wait_for};

const CLIENTS: u32 = 60;

/// An address where nobody listens.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Half of the clients for each slot. Those of green (revision 2) are led to `dead` instances that refuse every connection.
fn split(version: u64, blue: &Upstream, dead: usize) -> Routes {
    let mut routes = routes(version, &[(1, true, &[blue]), (2, false, &[])]);
    let instance = |number| Endpoint { instance: format!("dead-{number}").parse().unwrap(), address: refusing() };
    routes.arms[1].processes[0].endpoints = (0..dead).map(instance).collect();
    for arm in &mut routes.arms {
        arm.share = Share::from_basis_points(5_000).unwrap();
    }
    Routes { sticky: Sticky::Header { name: "X-User".parse().unwrap() }, ..routes }
}

fn ask(router: &Router, user: u32) -> String {
    router.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\nX-User: user-{user}\r\nConnection: close\r\n\r\n"))
}

/// How many clients were answered by blue, and how many with 502.
fn answers(router: &Router) -> (u32, u32) {
    let answers: Vec<String> = (0..CLIENTS).map(|user| ask(router, user)).collect();
    let count =
        |what: &dyn Fn(&String) -> bool| u32::try_from(answers.iter().filter(|text| what(text)).count()).unwrap();
    (count(&|text| text.ends_with("blue")), count(&|text| text.starts_with("HTTP/1.1 502")))
}

fn arm(router: &Router, revision: u32) -> Option<ArmMeasured> {
    let measured = router.observe().measured.unwrap();
    measured.arms.into_iter().find(|arm| arm.revision == RevisionId(revision))
}

#[test]
fn the_other_slot_answers_and_the_failure_is_measured_where_it_was_and_each_request_counts_once() {
    for dead in [1, 4] {
        let blue = Upstream::start("blue");
        let router = Router::start(1);
        router.ensure(&split(1, &blue, dead));
        assert_eq!(answers(&router), (CLIENTS, 0), "{dead} refuse");
        wait_for("all are counted", || router.observe().ledger.in_flight == 0);
        let (old, new) = (arm(&router, 1).unwrap(), arm(&router, 2).unwrap());
        assert!((15..45).contains(&new.failed), "{dead} refuse: {new:?}");
        assert_eq!((new.requests(), new.latency.total()), (new.failed, new.failed), "{dead} refuse: {new:?}");
        assert!((1..=new.failed).contains(&new.clients), "{dead} refuse: {new:?}");
        assert_eq!((old.requests() + new.requests(), old.failed), (u64::from(CLIENTS), 0), "{dead} refuse: {old:?}");
        let seen = router.observe();
        assert_closes(&seen.ledger);
        let answered: u64 = seen.ledger.by_revision[&RevisionId(1)].answered.iter().sum();
        assert_eq!((answered, seen.ledger.accepted), (u64::from(CLIENTS), u64::from(CLIENTS)));
        assert!(seen.in_flight.values().all(|count| *count == 0), "{:?}", seen.in_flight);
    }
}

#[test]
fn a_request_that_went_over_holds_up_the_drain_of_the_slot_it_is_answered_in() {
    let blue = Upstream::start("blue");
    let router = Router::start(1);
    router.ensure(&split(1, &blue, 1));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| router.connect()).collect();
    for (user, client) in (0..).zip(&mut clients) {
        let head = format!("GET /slow HTTP/1.1\r\nHost: shop\r\nX-User: user-{user}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(client, head.as_bytes()).unwrap();
    }
    wait_for("blue has them all", || blue.asked() == u64::from(CLIENTS));
    let in_flight = router.observe().in_flight;
    assert_eq!(in_flight.get(&RevisionId(1)), Some(&u64::from(CLIENTS)));
    assert_eq!(in_flight.get(&RevisionId(2)).copied().unwrap_or(0), 0);
    blue.open_gate();
    for mut client in clients {
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
        assert!(answer.ends_with("blue"), "{answer}");
    }
    wait_for("nothing is left", || router.observe().in_flight.values().all(|count| *count == 0));
    assert_closes(&router.observe().ledger);
}

#[test]
fn who_goes_over_in_an_experiment_is_counted_on_its_own_side_and_has_reached_nothing() {
    let blue = Upstream::start("blue");
    let router = Router::start(1);
    let mut routes = split(1, &blue, 1);
    routes.goals = Some(Goals { experiment: 2, requests: vec!["GET / 2xx".parse().unwrap()] });
    router.ensure(&routes);
    assert_eq!(answers(&router), (CLIENTS, 0));
    let counted = router.observe().measured.unwrap().goals.unwrap();
    let told = |revision| {
        let arm = counted.arms.iter().find(|arm| arm.revision == RevisionId(revision)).unwrap();
        (arm.clients, arm.goals[0].clients)
    };
    let ((old, old_reached), (new, new_reached)) = (told(1), told(2));
    assert_eq!((old + new, old_reached, new_reached, counted.on_both), (u64::from(CLIENTS), old, 0, 0));
    assert!((15..45).contains(&new), "{counted:?}");
}

/// An address that takes no connection and refuses none: its queue is full.
fn hanging() -> (Socket, Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let fill = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // The last ones do not get in; that is what they are for.
        let _ = socket.connect_timeout(&address.into(), Duration::from_millis(100));
        socket
    };
    let held = (0..4).map(fill).collect();
    (listener, held, address)
}

#[test]
fn who_went_over_stays_there_when_another_table_comes() {
    let blue = Upstream::start("blue");
    let (_listener, _held, address) = hanging();
    let router = Router::start(1);
    let mut routes = split(1, &blue, 1);
    routes.arms[0].processes[0].endpoints.push(Endpoint { instance: "hangs".parse().unwrap(), address });
    router.ensure(&routes);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..16)
            .map(|user| {
                scope.spawn({
                    let router = &router;
                    move || ask(router, user)
                })
            })
            .collect();
        wait_for("all are on their way", || router.observe().ledger.accepted == 16);
        // The same split once more.
        routes.version = 2;
        router.ensure(&routes);
        for asked in asked {
            let answer = asked.join().unwrap();
            assert!(answer.ends_with("blue"), "{answer}");
        }
    });
    assert_closes(&router.observe().ledger);
}

#[test]
fn nobody_goes_over_by_a_rule_or_to_a_slot_without_a_share() {
    for case in ["rule", "no share"] {
        let blue = Upstream::start("blue");
        let router = Router::start(1);
        let mut routes = split(1, &blue, 1);
        if case == "rule" {
            let when = vec![Condition::Method { method: "GET".to_owned() }];
            routes.matches = vec![Match { when, slot: Slot::Green, revision: RevisionId(2) }];
        } else {
            (routes.arms[0].share, routes.arms[1].share) = (Share::NONE, Share::ALL);
        }
        router.ensure(&routes);
        assert_eq!(answers(&router), (0, CLIENTS), "{case}");
    }
}
