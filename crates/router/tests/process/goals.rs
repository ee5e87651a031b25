//! Who reached a goal, as the router counts it.

use std::io::Write as _;
use std::time::Duration;

use socket2::SockRef;
use switchover_model::seam::{Condition, GoalArm, Goals, GoalsMeasured, Match, Part, Routes, Sticky, Traffic as _};
use switchover_model::{RevisionId, Share, Slot};

use crate::bed::{Router, Upstream, routes, wait_for};

const CLIENTS: u32 = 300;

fn goals(experiment: u64, requests: &[&str]) -> Goals {
    Goals { experiment, requests: requests.iter().map(|goal| goal.parse().expect("a goal")).collect() }
}

fn split(version: u64, blue: &Upstream, green: &Upstream) -> Routes {
    let mut routes = routes(version, &[(1, true, &[blue]), (2, false, &[green])]);
    for arm in &mut routes.arms {
        arm.share = Share::from_basis_points(5_000).expect("a share");
    }
    routes.sticky = Sticky::Header { name: "X-User".parse().expect("a name") };
    routes.goals = Some(goals(7, &["GET /buy 2xx", "GET /broken 2xx", "GET /b* 200", "POST /buy 2xx"]));
    routes
}

fn ask(router: &Router, user: &str, path: &str) -> String {
    router.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\nX-User: {user}\r\nConnection: close\r\n\r\n"))
}

fn counted(router: &Router) -> GoalsMeasured {
    router.observe().measured.expect("measured").goals.expect("counted")
}

fn arm(measured: &GoalsMeasured, revision: u32, part: Part) -> GoalArm {
    let none = GoalArm { revision: RevisionId(revision), part, clients: 0, goals: Vec::new() };
    let found = measured.arms.iter().find(|arm| (arm.revision, arm.part) == (RevisionId(revision), part));
    found.cloned().unwrap_or(none)
}

/// By revision: clients, and of each goal clients and requests.
fn told(measured: &GoalsMeasured, revision: u32) -> (u64, Vec<(u64, u64)>) {
    let arm = arm(measured, revision, Part::Share);
    (arm.clients, arm.goals.iter().map(|goal| (goal.clients, goal.requests)).collect())
}

#[test]
fn each_client_counts_once_on_its_side_whichever_lane_it_comes_through_and_whatever_else_changes() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(3);
    router.ensure(&split(1, &blue, &green));
    let mut expected = [(0, 0), (0, 0)];
    for user in 0..CLIENTS {
        let user = format!("user-{user}");
        let side = usize::from(ask(&router, &user, "/").ends_with("green"));
        expected[side].0 += 1;
        if user.ends_with('7') {
            // Twice: one client, two requests. A question behind it does not matter.
            ask(&router, &user, "/buy");
            ask(&router, &user, "/buy?item=1");
            expected[side].1 += 1;
        }
    }
    let is_counted = |measured: &GoalsMeasured| {
        for (revision, (clients, buyers)) in [(1, expected[0]), (2, expected[1])] {
            let all = vec![(buyers, buyers * 2), (0, 0), (buyers, buyers * 2), (0, 0)];
            assert_eq!(told(measured, revision), (clients, all));
        }
    };
    let first = counted(&router);
    is_counted(&first);
    // Another version of the routes with the same experiment goes on.
    router.ensure(&split(2, &blue, &green));
    let again = counted(&router);
    is_counted(&again);
    assert_eq!((again.experiment, again.since), (7, first.since));
    // An answer that broke off reaches nothing, and its client is one all the same.
    assert!(ask(&router, "broken", "/broken").ends_with("half"));
    let clients: u64 = [1, 2].iter().map(|revision| told(&counted(&router), *revision).0).sum();
    assert_eq!(clients, u64::from(CLIENTS) + 1);
    assert!([1, 2].iter().all(|revision| told(&counted(&router), *revision).1[1].0 == 0));
    // Another experiment begins at nothing; without one nothing is counted.
    let mut next = split(3, &blue, &green);
    next.goals = Some(goals(8, &["GET /buy 2xx"]));
    router.ensure(&next);
    let anew = counted(&router);
    assert!(anew.arms.is_empty() && anew.experiment == 8 && anew.since > first.since);
    next.version = 4;
    next.goals = None;
    router.ensure(&next);
    assert_eq!(router.observe().measured.expect("measured").goals, None);
}

#[test]
fn a_client_has_come_before_it_can_know_its_side_and_also_when_it_gives_up() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    router.ensure(&split(1, &blue, &green));
    let mut client = router.connect();
    client.write_all(b"GET /never HTTP/1.1\r\nHost: shop\r\nX-User: ann\r\n\r\n").expect("it is sent");
    wait_for("an instance has it", || blue.asked() + green.asked() == 1);
    let came = || [1, 2].iter().map(|revision| told(&counted(&router), *revision).0).sum::<u64>();
    assert_eq!(came(), 1, "she waits for her answer");
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a reset");
    drop(client);
    wait_for("she has given up", || router.observe().ledger.aborted == 1);
    assert_eq!(came(), 1);
}

#[test]
fn clients_that_a_rule_leads_are_counted_apart() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let mut ruled = split(1, &blue, &green);
    let when = vec![Condition::Header { name: "X-User".parse().expect("a name"), value: "beta".to_owned() }];
    ruled.matches = vec![Match { slot: Slot::Green, revision: RevisionId(2), when }];
    router.ensure(&ruled);
    assert!(ask(&router, "beta", "/buy").ends_with("green"));
    let measured = counted(&router);
    let matched = arm(&measured, 2, Part::Matched);
    assert_eq!((matched.clients, matched.goals[0].clients, measured.arms.len()), (1, 1, 1));
    assert_eq!(measured.on_both, 0);
}

#[test]
fn who_comes_with_what_a_rule_asks_for_only_now_and_then_was_on_both_sides() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(2);
    let mut ruled = split(1, &blue, &green);
    let when = vec![Condition::Query { name: "beta".to_owned(), value: "1".to_owned() }];
    ruled.matches = vec![Match { slot: Slot::Green, revision: RevisionId(2), when }];
    ruled.arms[0].share = Share::ALL;
    ruled.arms[1].share = Share::NONE;
    router.ensure(&ruled);
    for user in 0..20 {
        let user = format!("user-{user}");
        ask(&router, &user, "/");
        ask(&router, &user, "/");
    }
    assert_eq!(counted(&router).on_both, 0);
    for user in 0..8 {
        ask(&router, &format!("user-{user}"), "/?beta=1");
    }
    ask(&router, "another", "/?beta=1");
    let measured = counted(&router);
    assert_eq!((arm(&measured, 2, Part::Matched).clients, measured.on_both), (9, 8));
}

#[test]
fn goals_beyond_their_bounds_are_refused() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let mut many = split(1, &blue, &green);
    many.goals = Some(goals(1, &["GET / 200"; 9]));
    let refused = router.block_on(router.client.ensure(&many)).expect_err("too many");
    assert!(refused.to_string().contains("9 goals"), "{refused}");
}

#[test]
fn who_is_led_by_a_rule_beside_a_split_is_on_no_side_of_it() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let router = Router::start(1);
    let mut ruled = split(1, &blue, &green);
    let when = vec![Condition::Query { name: "beta".to_owned(), value: "1".to_owned() }];
    ruled.matches = vec![Match { slot: Slot::Green, revision: RevisionId(2), when }];
    router.ensure(&ruled);
    for user in 0..40 {
        let user = format!("user-{user}");
        ask(&router, &user, "/");
        ask(&router, &user, "/?beta=1");
    }
    let measured = counted(&router);
    assert_eq!((arm(&measured, 2, Part::Matched).clients, measured.on_both), (40, 0));
}
