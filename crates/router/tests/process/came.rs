//! Who came to a split, on real sockets: whoever learns his side is counted before he does.

use std::io::Write as _;

use switchover_model::seam::{ArmMeasured, Endpoint, Goals, RoutedProcess, Routes, Sticky};
use switchover_model::{RevisionId, Share};

use crate::bed::{Router, Upstream, routes, wait_for};

/// Routes in which green has a fifth; both revisions have `/shop` and `/api`, green alone `/beta`.
fn split(version: u64, blue: &Upstream, green: &Upstream) -> Routes {
    let mut routes = routes(version, &[(1, true, &[blue]), (2, false, &[green])]);
    for (arm, upstream) in routes.arms.iter_mut().zip([blue, green]) {
        let is_new = arm.revision == RevisionId(2);
        arm.share = Share::from_basis_points(if is_new { 2_000 } else { 8_000 }).unwrap();
        arm.processes[0].paths = vec!["/shop".to_owned(), "/never".to_owned()];
        let more: &[&str] = if is_new { &["api", "beta"] } else { &["api"] };
        arm.processes.extend(more.iter().map(|process| RoutedProcess {
            process: process.parse().unwrap(),
            paths: vec![format!("/{process}")],
            endpoints: vec![Endpoint {
                instance: format!("shop.{process}.{}", arm.revision).parse().unwrap(),
                address: upstream.address,
            }],
        }));
    }
    routes.sticky = Sticky::Header { name: "X-User".parse().unwrap() };
    routes
}

fn ask(router: &Router, user: &str, path: &str) -> String {
    router.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\nX-User: {user}\r\nConnection: close\r\n\r\n"))
}

/// On the new side, on the old one.
fn came(router: &Router) -> (u64, u64) {
    let split = router.observe().measured.unwrap().split.unwrap();
    (split.clients(RevisionId(2)), split.clients(RevisionId(1)))
}

fn all(router: &Router) -> u64 {
    let (new, old) = came(router);
    new + old
}

#[test]
fn a_client_is_counted_once_by_whatever_it_could_learn_its_side() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    router.ensure(&split(1, &blue, &green));
    assert!(ask(&router, "ann", "/nothing").starts_with("HTTP/1.1 404"));
    assert_eq!(all(&router), 1, "a path that nobody serves");
    for path in ["/api", "/shop", "/api"] {
        ask(&router, "bob", path);
    }
    assert_eq!(all(&router), 2, "of several process types");
    let mut waiting = router.connect();
    waiting.write_all(b"GET /never HTTP/1.1\r\nHost: shop\r\nX-User: cid\r\n\r\n").unwrap();
    wait_for("an instance has it", || blue.asked() + green.asked() == 4);
    assert_eq!(all(&router), 3, "while it waits for its answer");
    // What comes after the next version of the routes, and another table of it, is added.
    router.ensure(&split(2, &blue, &green));
    ask(&router, "dot", "/shop");
    assert_eq!(all(&router), 4);
}

#[test]
fn a_path_that_one_side_alone_serves_is_no_reason_to_count_all_of_its_clients_there() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let goals = Goals { experiment: 7, requests: vec!["GET /beta 2xx".parse().unwrap()] };
    router.ensure(&Routes { goals: Some(goals), ..split(1, &blue, &green) });
    assert!((0..100).all(|user| ask(&router, &format!("user-{user}"), "/beta").ends_with("green")));
    let (new, old) = came(&router);
    let on_new = (0..100).filter(|user| ask(&router, &format!("user-{user}"), "/shop").ends_with("green")).count();
    assert_eq!(came(&router), (new, old));
    // Nor is what it is answered there measured, or its goal reached.
    let measured = router.observe().measured.unwrap();
    let of_beta = measured.arms.iter().filter(|arm| arm.process.as_str() == "beta").map(ArmMeasured::requests);
    assert_eq!(of_beta.sum::<u64>(), on_new as u64, "{measured:#?}");
    let goals = measured.goals.unwrap();
    assert_eq!(goals.on_both, 0, "{goals:#?}");
    let reached = |revision| {
        let arms = goals.arms.iter().filter(move |arm| arm.revision == RevisionId(revision));
        arms.map(|arm| arm.goals[0].requests).sum::<u64>()
    };
    assert_eq!((reached(2), reached(1)), (on_new as u64, 0), "{goals:#?}");
    // Two that fall into one bucket are one client.
    assert!(new.abs_diff(on_new as u64) <= 2 && (97..=100).contains(&(new + old)), "{new} and {old}, {on_new}");
}
