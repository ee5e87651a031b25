//! Which requests are copied, and how many at once.

use std::net::SocketAddr;

use switchover_http1::{Progress, RequestParser};
use switchover_model::seam::{Arm, CompareRules, Endpoint, MirrorRules, RoutedProcess, Routes};
use switchover_model::{Share, Slot};

use super::*;
use crate::split_key::SplitKey;
use switchover_model::seam::Part;

fn arm(revision: u32, addresses: &[SocketAddr]) -> Arm {
    let endpoint = |(number, address): (usize, &SocketAddr)| Endpoint {
        instance: format!("shop.r{revision}.{number}").parse().unwrap(),
        address: *address,
    };
    let endpoints = addresses.iter().enumerate().map(endpoint).collect();
    Arm {
        slot: if revision == 1 { Slot::Blue } else { Slot::Green },
        revision: RevisionId(revision),
        share: if revision == 1 { Share::ALL } else { Share::NONE },
        processes: vec![RoutedProcess { process: "web".parse().unwrap(), paths: vec!["/".to_owned()], endpoints }],
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Revision 1 is live, revision 2 gets copies by these rules.
fn table(rules: MirrorRules, shadows: &[SocketAddr]) -> Table {
    let mirror = Mirror { arm: arm(2, shadows), rules };
    let routes = Routes {
        arms: vec![arm(1, &[address(1)])],
        mirror: Some(mirror),
        ..Routes::nowhere("shop".parse().unwrap(), 1)
    };
    Table::compile(1, [&routes], false).unwrap()
}

fn draw(lane: &MirrorLane, table: &Table, request: &str, upgrades: bool) -> Option<Box<Sample>> {
    let mut parser = RequestParser::new();
    let text = format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
    let client = SplitKey::of([7; 32]).client_of(b"a");
    let bucket = table.apps[0].bucket_of(client);
    let way = Way { app: 0, arm: 0, process: 0, kind: Kind::Live, part: Part::Share, client, bucket, is_guest: false };
    lane.draw(table, way, &parser.head(text.as_bytes()), upgrades)
}

fn seen(lane: &MirrorLane) -> ShadowSeen {
    lane.seen(&"shop".parse().unwrap()).unwrap()
}

#[test]
fn a_share_of_requests_that_change_nothing_is_drawn_and_no_upgrade() {
    let (lane, shadows) = (MirrorLane::default(), [address(2), address(3)]);
    let tenth = table(MirrorRules::of(Share::from_basis_points(1_000).unwrap()), &shadows);
    let drawn = (0..20_000).filter(|_| draw(&lane, &tenth, "GET /a", false).is_some()).count();
    // The band of 99.9 %.
    assert!((1_860..2_140).contains(&drawn), "{drawn} of 20000 at a tenth");
    assert_eq!(seen(&lane).sampled, drawn as u64);
    let lane = MirrorLane::default();
    let all = table(MirrorRules::of(Share::ALL), &shadows);
    assert!(draw(&lane, &all, "HEAD /", false).is_some() && draw(&lane, &all, "OPTIONS /", false).is_some());
    for request in ["POST /", "DELETE /", "PURGE /", "TRACE /"] {
        assert!(draw(&lane, &all, request, false).is_none(), "{request}");
    }
    assert!(draw(&lane, &all, "GET /", true).is_none());
    let told = MirrorRules { methods: vec!["POST".to_owned()], ..MirrorRules::of(Share::ALL) };
    let told = table(told, &shadows);
    assert!(draw(&lane, &told, "POST /", false).is_some() && draw(&lane, &told, "GET /", false).is_none());
}

#[test]
fn what_is_beyond_the_bounds_is_left_out_and_counted() {
    let lane = MirrorLane::default();
    let all = table(MirrorRules::of(Share::ALL), &[address(2)]);
    let mut held: Vec<_> = (0..SAMPLES_MAX).map(|_| draw(&lane, &all, "GET /", false).unwrap()).collect();
    assert!(draw(&lane, &all, "GET /", false).is_none());
    assert_eq!(seen(&lane).left_out, BTreeMap::from([(LeftOut::Busy, 1)]));
    held.pop();
    assert!(draw(&lane, &all, "GET /", false).is_some(), "one ended");
    let nobody = table(MirrorRules::of(Share::ALL), &[]);
    assert!(draw(&lane, &nobody, "GET /", false).is_none());
    assert_eq!(seen(&lane).left_out[&LeftOut::NoInstance], 1);
}

#[test]
fn a_copy_is_marked_and_has_no_framing_of_the_users() {
    let lane = MirrorLane::default();
    let compare = Some(CompareRules::default());
    for (rules, encoding) in
        [(MirrorRules::of(Share::ALL), true), (MirrorRules { compare, ..MirrorRules::of(Share::ALL) }, false)]
    {
        let mut sample = draw(&lane, &table(rules, &[address(2)]), "GET /", false).unwrap();
        let head = "GET /a?b HTTP/1.1\r\nHost: shop\r\nAccept-Encoding: br\r\nX-Switchover-Shadow: 0\r\n\
            expect: 100-continue\r\nTransfer-Encoding: chunked\r\nCookie: a=b\r\n\r\n";
        let mut tee = sample.begin(head.as_bytes());
        let kept = if encoding { "Accept-Encoding: br\r\n" } else { "" };
        let expected = format!("GET /a?b HTTP/1.1\r\nHost: shop\r\n{kept}Cookie: a=b\r\nX-Switchover-Shadow: 1\r\n");
        assert_eq!(String::from_utf8_lossy(sample.head()), expected);
        sample.ended_well();
        tee.saw(&vec![0; 60_000]);
        tee.saw(&vec![0; 6_000]);
        assert_eq!(sample.is_over(Some(tee), None), Err(LeftOut::RequestTooLarge));
    }
}

#[test]
fn another_revision_begins_at_nothing_and_late_counts_of_the_one_before_are_none() {
    let lane = MirrorLane::default();
    let old = draw(&lane, &table(MirrorRules::of(Share::ALL), &[address(2)]), "GET /", false).unwrap();
    let mirror = Mirror { arm: arm(3, &[address(3)]), rules: MirrorRules::of(Share::ALL) };
    let routes = Routes {
        arms: vec![arm(1, &[address(1)])],
        mirror: Some(mirror),
        ..Routes::nowhere("shop".parse().unwrap(), 2)
    };
    let next = Table::compile(2, [&routes], false).unwrap();
    assert!(draw(&lane, &next, "GET /", false).is_some());
    lane.submit(old, None, None);
    let seen = seen(&lane);
    assert_eq!((seen.revision, seen.sampled, seen.left_out.len()), (RevisionId(3), 1, 0));
}
