//! Copies on real sockets: who gets them, what is compared, and that no user feels any of it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use switchover_model::seam::{
    Arm, CompareRules, Endpoint, LeftOut, Mirror, MirrorRules, RoutedProcess, Routes, ShadowSeen,
};
use switchover_model::{RevisionId, Share, Slot};

use crate::bed::{PATIENCE, Router, assert_closes, shop, wait_for};
use crate::shadow_bed::{Instance, answer, json};

fn arm(slot: Slot, revision: u32, share: Share, address: SocketAddr) -> Arm {
    let instance = format!("shop.r{revision}").parse().unwrap();
    let endpoints = vec![Endpoint { instance, address }];
    let process = RoutedProcess { process: "web".parse().unwrap(), paths: vec!["/".to_owned()], endpoints };
    Arm { slot, revision: RevisionId(revision), share, processes: vec![process] }
}

/// Blue is live, green gets copies.
fn routes(version: u64, blue: &Instance, green: SocketAddr, rules: MirrorRules) -> Routes {
    Routes {
        arms: vec![arm(Slot::Blue, 1, Share::ALL, blue.address)],
        mirror: Some(Mirror { arm: arm(Slot::Green, 2, Share::NONE, green), rules }),
        drain_ms: 1_000,
        ..Routes::nowhere(shop(), version)
    }
}

fn comparing(rules: CompareRules) -> MirrorRules {
    MirrorRules { compare: Some(rules), ..MirrorRules::of(Share::ALL) }
}

fn get(router: &Router, path: &str, fields: &str) -> String {
    router.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{fields}Connection: close\r\n\r\n"))
}

/// What came of so many samples when all have ended.
fn settled(router: &Router, sampled: u64) -> ShadowSeen {
    let mut last = None;
    wait_for("every copy has ended", || {
        last = router.observe().shadow;
        last.as_ref().is_some_and(|seen| {
            seen.sampled == sampled && seen.dropped + seen.compared() + seen.left_out.values().sum::<u64>() == sampled
        })
    });
    last.unwrap()
}

/// Answers with a price, and a time that moves on with each request to anybody.
fn priced(clock: &Arc<AtomicU64>, price: u32) -> Instance {
    let clock = Arc::clone(clock);
    Instance::start(move |_, _| {
        let at = clock.fetch_add(1, Ordering::SeqCst);
        json(&format!("{{\"at\": {at}, \"items\": [{{\"price\": {price}, \"token\": \"{at}-secret\"}}]}}"))
    })
}

#[test]
fn a_changed_field_is_found_and_a_changing_timestamp_is_not_reported() {
    let clock = Arc::default();
    let (blue, green) = (priced(&clock, 5), priced(&clock, 6));
    let router = Router::start(2);
    router.ensure(&routes(1, &blue, green.address, comparing(CompareRules::default())));
    for number in 0..30 {
        assert!(get(&router, &format!("/items/{number}?key=hidden"), "").contains("\"price\": 5"));
    }
    let seen = settled(&router, 30);
    assert_eq!((seen.differing, seen.equal, seen.left_out.len()), (30, 0, 0), "{seen:?}");
    let told: Vec<_> = seen.differences().map(|(field, seen)| (field, seen.differs)).collect();
    assert_eq!(told, [("body /items/*/price", 30)]);
    assert_eq!((seen.fields["body /at"].differs, seen.fields["body /at"].noise), (0, 30));
    let examples = &seen.fields["body /items/*/price"].examples;
    assert!(!examples.is_empty() && examples.len() <= 3);
    assert_eq!((examples[0].live.as_str(), examples[0].shadow.as_str()), ("5", "6"));
    assert!(examples[0].request.starts_with("GET /items/"), "{examples:?}");
    let told = serde_json::to_string(&seen).unwrap();
    assert!(!told.contains("hidden") && !told.contains("secret"), "{told}");
}

#[test]
fn a_clock_that_moves_by_itself_is_never_taken_for_a_change() {
    // It turns every 20 ms: often between two answers, and seldom enough that two are often the same.
    let since = Instant::now();
    let same = move || Instance::start(move |_, _| json(&format!("{{\"at\": {}}}", since.elapsed().as_millis() / 20)));
    let (blue, green) = (same(), same());
    let router = Router::start(2);
    router.ensure(&routes(1, &blue, green.address, comparing(CompareRules::default())));
    for _ in 0..200 {
        get(&router, "/", "");
    }
    let seen = settled(&router, 200);
    assert_eq!((seen.differing, seen.differences().count()), (0, 0), "{seen:?}");
}

#[test]
fn copies_are_marked_and_only_of_what_changes_nothing() {
    let plain = || Instance::start(|_, _| answer(200, "", b"ok"));
    let (blue, green) = (plain(), plain());
    let router = Router::start(1);
    router.ensure(&routes(1, &blue, green.address, MirrorRules::of(Share::ALL)));
    get(&router, "/a?b=c", "Cookie: d=e\r\nX-Switchover-Shadow: 0\r\n");
    router.ask("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert_eq!(settled(&router, 1).dropped, 1);
    let asked = green.asked();
    assert_eq!(asked.len(), 1);
    let head = &asked[0].0;
    assert!(
        head.starts_with("GET /a?b=c HTTP/1.1\r\nHost: shop\r\n") && head.contains("\r\nCookie: d=e\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nX-Switchover-Shadow: 1\r\n") && !head.contains("Shadow: 0"), "{head}");
    assert!(head.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"));
    assert_eq!((blue.asked().len(), blue.copies().len()), (2, 0));
    let ledger = router.observe().ledger;
    assert_closes(&ledger);
    assert_eq!((ledger.accepted, ledger.by_revision.contains_key(&RevisionId(2))), (2, false));
}

#[test]
fn a_body_goes_along_whole_or_not_at_all() {
    let plain = || Instance::start(|_, body| answer(200, "", format!("{}", body.len()).as_bytes()));
    let (blue, green) = (plain(), plain());
    let router = Router::start(1);
    let methods = vec!["POST".to_owned()];
    let rules = MirrorRules { methods, body_bytes: 1_000, ..comparing(CompareRules::default()) };
    router.ensure(&routes(1, &blue, green.address, rules));
    let post = |body: &str| router.ask(&format!("POST / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{body}"));
    assert!(post("Content-Length: 3\r\n\r\nabc").ends_with("\r\n3"));
    assert!(post(&format!("Content-Length: 1001\r\n\r\n{}", "a".repeat(1_001))).ends_with("\r\n1001"));
    let seen = settled(&router, 2);
    assert_eq!((seen.equal, &seen.left_out), (1, &[(LeftOut::RequestTooLarge, 1)].into()));
    let copies = green.copies();
    assert_eq!((copies.len(), copies[0].1.as_slice()), (1, &b"abc"[..]));
    assert!(copies[0].0.contains("\r\nContent-Length: 3\r\n"));
}

#[test]
fn encoded_answers_are_compared_decoded() {
    let gzips = |price: u32| {
        Instance::start(move |head, _| {
            let body = format!("{{\"price\": {price}, \"text\": \"{}\"}}", "a".repeat(500));
            if !head.to_ascii_lowercase().contains("accept-encoding: gzip") {
                return json(&body);
            }
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body.as_bytes()).unwrap();
            let fields = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
            answer(200, fields, &encoder.finish().unwrap())
        })
    };
    let (blue, green, same) = (gzips(5), gzips(6), gzips(5));
    let router = Router::start(1);
    let ask = || {
        let mut stream = router.connect();
        let request = b"GET / HTTP/1.1\r\nHost: shop\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(
            String::from_utf8_lossy(&answer).contains("\r\nContent-Encoding: gzip\r\n"),
            "the user gets what it asked for"
        );
    };
    router.ensure(&routes(1, &blue, green.address, comparing(CompareRules::default())));
    ask();
    let seen = settled(&router, 1);
    assert_eq!(seen.differences().map(|(field, _)| field).collect::<Vec<_>>(), ["body /price"], "{seen:?}");
    router.ensure(&routes(2, &blue, same.address, comparing(CompareRules::default())));
    ask();
    assert_eq!(settled(&router, 2).equal, 1);
}

#[test]
fn a_slot_that_does_not_answer_is_a_difference_and_no_user_waits_for_it() {
    let blue = Instance::start(|_, _| answer(200, "", b"ok"));
    let green = Instance::start(|_, _| Vec::new());
    let router = Router::start(1);
    router.ensure(&routes(1, &blue, green.address, comparing(CompareRules::default())));
    assert!(get(&router, "/", "").ends_with("ok"));
    let seen = settled(&router, 1);
    assert_eq!(seen.fields["answer"].differs, 1, "{seen:?}");
    // Nobody listens there.
    let gone = green.address;
    drop(green);
    router.ensure(&routes(2, &blue, gone, MirrorRules::of(Share::ALL)));
    assert!(get(&router, "/", "").ends_with("ok"));
    assert_eq!(settled(&router, 2).left_out, [(LeftOut::Unanswered, 1)].into());
}

#[test]
fn a_slot_that_never_answers_fills_the_bounds_and_users_go_on() {
    let blue = Instance::start(|_, _| answer(200, "", b"ok"));
    // It takes what it is sent and says nothing for as long as the test goes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::start(1);
    router.ensure(&routes(1, &blue, silent.local_addr().unwrap(), MirrorRules::of(Share::ALL)));
    let (began, requests) = (Instant::now(), 300);
    for _ in 0..requests {
        assert!(get(&router, "/", "").ends_with("ok"));
    }
    assert!(began.elapsed() < Duration::from_secs(9), "no user waited for a copy's time to be over");
    let seen = router.observe().shadow.unwrap();
    let left_out = seen.left_out.get(&LeftOut::Busy).copied().unwrap_or(0);
    assert_eq!((seen.sampled, left_out), (requests, requests - 128), "{seen:?}");
    let ledger = router.observe().ledger;
    assert_eq!((ledger.accepted, ledger.in_flight), (requests, 0), "no drain waits for a copy");
    // A router that ends does not wait for them either.
    router.block_on(router.client.shutdown()).unwrap();
    let mut router = router;
    wait_for("it has ended", || router.child.try_wait().unwrap().is_some());
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_request_that_its_user_left_is_not_copied() {
    let blue = Instance::start(|_, _| Vec::new());
    let green = Instance::start(|_, _| answer(200, "", b"ok"));
    let router = Router::start(1);
    router.ensure(&routes(1, &blue, green.address, MirrorRules::of(Share::ALL)));
    assert!(get(&router, "/", "").starts_with("HTTP/1.1 502"));
    assert_eq!(settled(&router, 1).left_out, [(LeftOut::OriginalFailed, 1)].into());
    assert_eq!(green.asked().len(), 0);
}

/// Closed until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let is_open = self.0.lock().unwrap();
        drop(self.1.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

#[test]
fn copies_that_wait_are_not_sent_once_the_mirror_is_taken_away() {
    let gate = Arc::<Gate>::default();
    let waits = Arc::clone(&gate);
    let blue = Instance::start(|_, _| answer(200, "", b"ok"));
    let green = Instance::start(move |_, _| {
        waits.pass();
        answer(200, "", b"ok")
    });
    let router = Router::start(1);
    let mirrored = routes(1, &blue, green.address, comparing(CompareRules::default()));
    router.ensure(&mirrored);
    for _ in 0..60 {
        assert!(get(&router, "/", "").ends_with("ok"));
    }
    wait_for("as many are on their way as may be", || green.asked().len() == 32);
    router.ensure(&Routes { version: 2, mirror: None, ..mirrored });
    gate.open();
    let seen = settled(&router, 60);
    assert_eq!(seen.left_out, [(LeftOut::Ended, 60)].into(), "{seen:?}");
    assert_eq!((green.asked().len(), blue.copies().len()), (32, 0), "neither of them is asked again");
}

#[test]
fn streams_that_stay_open_do_not_keep_others_from_being_compared() {
    let same = |path: &str| {
        let events =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
        if path.starts_with("GET /events") { events.as_bytes().to_vec() } else { answer(200, "", b"ok") }
    };
    let (blue, green) = (Instance::start(move |head, _| same(head)), Instance::start(move |head, _| same(head)));
    let router = Router::start(1);
    router.ensure(&routes(1, &blue, green.address, comparing(CompareRules::default())));
    let streams: Vec<_> = (0..140)
        .map(|_| {
            let mut stream = router.connect();
            stream.write_all(b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert!(get(&router, "/", "").ends_with("ok"));
    }
    wait_for("the others are compared", || router.observe().shadow.is_some_and(|seen| seen.equal == 20));
    drop(streams);
    assert_eq!(settled(&router, 160).left_out, [(LeftOut::Slow, 140)].into());
}

#[test]
fn an_instance_that_hangs_and_is_taken_from_the_table_differs_all_the_same() {
    let gate = Arc::<Gate>::default();
    let waits = Arc::clone(&gate);
    let blue = Instance::start(|_, _| answer(200, "", b"ok"));
    let green = Instance::start(move |_, _| {
        waits.pass();
        Vec::new()
    });
    let other = Instance::start(|_, _| answer(200, "", b"ok"));
    let router = Router::start(1);
    let rules = || comparing(CompareRules::default());
    router.ensure(&routes(1, &blue, green.address, rules()));
    assert!(get(&router, "/", "").ends_with("ok"));
    wait_for("it has the copy", || green.asked().len() == 1);
    router.ensure(&routes(2, &blue, other.address, rules()));
    gate.open();
    let seen = settled(&router, 1);
    assert_eq!((seen.differing, seen.left_out.len()), (1, 0), "{seen:?}");
}
