//! What the table answers.

use switchover_model::Slot;
use switchover_model::seam::{Condition, Match, Preview, RoutedProcess};

use super::*;
use crate::split_key::SplitKey;

fn arm(revision: u32, share: u16, paths: &[(&str, &[&str])]) -> Arm {
    Arm {
        slot: Slot::Blue,
        revision: RevisionId(revision),
        share: Share::from_basis_points(share).unwrap(),
        processes: paths
            .iter()
            .map(|(process, paths)| RoutedProcess {
                process: process.parse().unwrap(),
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
                endpoints: Vec::new(),
            })
            .collect(),
    }
}

fn routes(app: &str, hosts: &[&str], arms: Vec<Arm>) -> Routes {
    Routes {
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        arms,
        ..Routes::nowhere(app.parse().unwrap(), 1)
    }
}

#[test]
fn a_host_leads_to_the_app_that_names_it_and_others_to_the_app_without_hosts() {
    let mut shop = routes("shop", &["shop.example.com"], vec![]);
    shop.preview = Some(Preview {
        host: "preview.example.com".parse().unwrap(),
        arm: arm(1, 0, &[]),
        token_digest: "0".repeat(64),
        networks: vec![],
    });
    let rest = routes("rest", &[], vec![]);
    let table = Table::compile(1, [&shop, &rest], false).unwrap();
    let find = |host: &str| table.find(Some(host.as_bytes()));
    for host in ["shop.example.com", "SHOP.example.COM", "shop.example.com:8080", "shop.example.com."] {
        assert_eq!(find(host), Some(Found::App(0)), "{host}");
    }
    assert_eq!(find("preview.example.com"), Some(Found::Preview(0)));
    for host in ["example.com", "x.shop.example.com", "[::1]:80", "127.0.0.1", &"a".repeat(400)] {
        assert_eq!(find(host), Some(Found::App(1)), "{host}");
    }
    assert_eq!(table.find(None), Some(Found::App(1)));
    let alone = Table::compile(1, [&shop], false).unwrap();
    assert_eq!(alone.find(Some(b"example.com")), None);
}

#[test]
fn what_was_not_read_is_for_the_only_app_or_for_the_one_without_hosts() {
    let (shop, mail) = (routes("shop", &["shop.example"], vec![]), routes("mail", &["mail.example"], vec![]));
    let rest = routes("rest", &[], vec![]);
    let app_of = |all: &[&Routes]| Table::compile(1, all.iter().copied(), false).unwrap().app_of_unread();
    assert_eq!(app_of(&[]), None);
    assert_eq!(app_of(&[&shop]), Some(0));
    assert_eq!(app_of(&[&shop, &mail]), None);
    assert_eq!(app_of(&[&shop, &rest]), Some(1));
}

#[test]
fn a_host_belongs_to_one_app() {
    let (a, b) = (routes("a", &["x.y"], vec![]), routes("b", &["x.y"], vec![]));
    assert_eq!(Table::compile(1, [&a, &b], false).unwrap_err().code, "HOST-TAKEN");
    let (a, b) = (routes("a", &[], vec![]), routes("b", &[], vec![]));
    assert_eq!(Table::compile(1, [&a, &b], false).unwrap_err().code, "HOST-TAKEN");
}

#[test]
fn the_longest_prefix_wins_at_a_segment_boundary() {
    let arm = arm(1, 10_000, &[("web", &["/"]), ("api", &["/api/", "/v2/api"]), ("deep", &["/api/deep"])]);
    let arm = ArmTable::compile(&"shop".parse().unwrap(), &arm).unwrap();
    let name = |path: &str| arm.processes[arm.process_of(path.as_bytes()).unwrap()].process.as_str().to_owned();
    for (path, process) in [
        ("/", "web"),
        ("/apix", "web"),
        ("/ap", "web"),
        ("*", "web"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/x", "api"),
        ("/api/deep", "deep"),
        ("/api/deeper", "api"),
        ("/v2/api/1", "api"),
        ("/v2", "web"),
    ] {
        assert_eq!(name(path), process, "{path}");
    }
}

#[test]
fn raising_a_share_never_moves_a_client_back() {
    let table =
        |new: u16| AppTable::compile(&routes("shop", &[], vec![arm(1, 10_000 - new, &[]), arm(2, new, &[])])).unwrap();
    let buckets: Vec<Bucket> = (0..10_000).map(Bucket).collect();
    let mut on_new: Vec<bool> = vec![false; buckets.len()];
    for share in [0, 1, 500, 5_000, 9_999, 10_000] {
        let table = table(share);
        let mut count = 0;
        for (bucket, was_new) in buckets.iter().zip(&mut on_new) {
            let is_new = table.arms[table.arm_of(*bucket).unwrap()].revision == RevisionId(2);
            assert!(is_new || !*was_new, "{bucket:?} moved back at {share}");
            *was_new = is_new;
            count += u16::from(is_new);
        }
        assert_eq!(count, share);
    }
}

/// Two arms, of which the newer one has `new`, and a baseline of `of`.
fn split(new: u16, baseline: Option<Slot>, rules: Vec<Match>) -> Result<AppTable, Problem> {
    let mut routes = routes("shop", &[], vec![arm(1, 10_000 - new, &[]), arm(2, new, &[])]);
    routes.arms[1].slot = Slot::Green;
    (routes.baseline, routes.matches) = (baseline, rules);
    AppTable::compile(&routes)
}

#[test]
fn a_baseline_is_of_the_live_slots_clients_next_to_the_border_and_of_the_same_size() {
    let parts = |new, of| {
        let table = split(new, Some(of), vec![]).unwrap();
        let is_baseline = |bucket: &u16| table.part_of(Bucket(*bucket)) == Part::Baseline;
        let all: Vec<u16> = (0..10_000).filter(is_baseline).collect();
        let border = (all.first().copied(), all.last().copied());
        let revisions: Vec<_> =
            all.iter().map(|bucket| table.arms[table.arm_of(Bucket(*bucket)).unwrap()].revision.0).collect();
        assert!(revisions.windows(2).all(|pair| pair[0] == pair[1]), "of one slot alone");
        let measured: Vec<_> = table.arms.iter().map(|arm| arm.parts.contains(&Part::Baseline)).collect();
        (all.len(), border, revisions.first().copied(), measured)
    };
    // The newest revision has the lowest buckets; the live one is the older.
    assert_eq!(parts(500, Slot::Blue), (500, (Some(500), Some(999)), Some(1), vec![false, true]));
    assert_eq!(parts(5_000, Slot::Blue), (5_000, (Some(5_000), Some(9_999)), Some(1), vec![false, true]));
    // More than half of it can not be set aside: there are no more.
    assert_eq!(parts(7_500, Slot::Blue), (2_500, (Some(7_500), Some(9_999)), Some(1), vec![false, true]));
    // An older revision is released again: the live one is the newer.
    assert_eq!(parts(9_000, Slot::Green), (1_000, (Some(8_000), Some(8_999)), Some(2), vec![true, false]));
    for all in [0, 10_000] {
        assert_eq!(parts(all, Slot::Blue), (0, (None, None), None, vec![false, false]));
    }
}

fn rule(slot: Slot, revision: u32) -> Match {
    let condition = Condition::Header { name: "X-Beta".parse().unwrap(), value: "yes".to_owned() };
    Match { slot, revision: RevisionId(revision), when: vec![condition] }
}

#[test]
fn a_rule_leads_to_an_arm_that_is_there_and_makes_it_one_that_is_served() {
    let table = split(0, None, vec![rule(Slot::Green, 2)]).unwrap();
    let told: Vec<_> = table.arms.iter().map(|arm| (arm.revision.0, arm.is_served(), arm.parts.clone())).collect();
    assert_eq!(told, [(2, true, vec![Part::Share, Part::Matched]), (1, true, vec![Part::Share])]);
    assert!(!split(0, None, vec![]).unwrap().arms[0].is_served());
    for wrong in [rule(Slot::Blue, 2), rule(Slot::Green, 3), Match { when: vec![], ..rule(Slot::Green, 2) }] {
        assert_eq!(split(0, None, vec![wrong]).unwrap_err().code, "ROUTES-INVALID");
    }
}

#[test]
fn clients_are_told_apart_only_where_that_decides_anything() {
    let sticky = |new, rules| {
        let mut routes = routes("shop", &[], vec![arm(1, 10_000 - new, &[]), arm(2, new, &[])]);
        routes.arms[1].slot = Slot::Green;
        (routes.sticky, routes.matches) = (Sticky::Cookie, rules);
        AppTable::compile(&routes).unwrap().sticky
    };
    assert_eq!(sticky(0, vec![]), Sticky::Address);
    assert_eq!(sticky(10_000, vec![]), Sticky::Address);
    assert_eq!(sticky(1, vec![]), Sticky::Cookie);
    assert_eq!(sticky(0, vec![rule(Slot::Green, 2)]), Sticky::Cookie);
}

#[test]
fn a_request_that_moves_to_another_table_goes_where_that_one_leads_its_client() {
    let of = |new: u16, rules: Vec<Match>| {
        let mut routes =
            routes("shop", &[], vec![arm(1, 10_000 - new, &[("web", &["/"])]), arm(2, new, &[("web", &["/"])])]);
        routes.arms[1].slot = Slot::Green;
        routes.matches = rules;
        Table::compile(1, [&routes], false).unwrap()
    };
    let client = SplitKey::of([7; 32]).client_of(b"somebody");
    let from = of(10_000, vec![rule(Slot::Green, 2)]);
    let bucket = from.apps[0].bucket_of(client);
    let way = |part| Way { app: 0, arm: 0, process: 0, kind: Kind::Live, part, client, bucket, is_guest: false };
    let moved = |to: &Table, part| to.same_way(&from, way(part)).map(|way| (to.arm(way).revision.0, way.part));
    assert_eq!(moved(&of(0, vec![]), Part::Share), Some((1, Part::Share)));
    assert_eq!(moved(&of(0, vec![rule(Slot::Green, 2)]), Part::Matched), Some((2, Part::Matched)));
    // No rule leads there any more.
    assert_eq!(moved(&of(0, vec![]), Part::Matched), Some((1, Part::Share)));
}

#[test]
fn shares_are_all_or_nothing_in_sum() {
    for (sum, is_valid) in [(0, true), (10_000, true), (9_999, false), (1, false)] {
        let compiled = AppTable::compile(&routes("shop", &[], vec![arm(1, sum, &[])]));
        assert_eq!(compiled.is_ok(), is_valid, "{sum}");
    }
    assert!(AppTable::compile(&routes("shop", &[], vec![arm(1, 0, &[]), arm(1, 0, &[])])).is_err());
    assert!(AppTable::compile(&routes("shop", &[], vec![arm(1, 0, &[("web", &["api"])])])).is_err());
}

#[test]
fn a_preview_host_is_its_apps_alone_also_while_nothing_is_previewed() {
    let host = || "preview.example.com".parse().unwrap();
    let mut shop = routes("shop", &["shop.example.com"], vec![]);
    shop.preview_host = Some(host());
    let rest = routes("rest", &[], vec![]);
    let table = Table::compile(1, [&shop, &rest], false).unwrap();
    assert_eq!(table.find(Some(b"preview.example.com:8080")), Some(Found::Preview(0)));
    let thief = routes("thief", &["preview.example.com"], vec![]);
    assert_eq!(Table::compile(1, [&shop, &thief], false).unwrap_err().code, "HOST-TAKEN");
    // Shown and reserved is one claim.
    shop.preview = Some(Preview { host: host(), arm: arm(1, 0, &[]), token_digest: "0".repeat(64), networks: vec![] });
    assert!(Table::compile(1, [&shop, &rest], false).is_ok());
}
