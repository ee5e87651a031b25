//! What the table answers.

use switchover_model::Slot;
use switchover_model::seam::{Preview, RoutedProcess};

use super::*;

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
        app: app.parse().unwrap(),
        version: 1,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        arms,
        preview: None,
        preview_host: None,
        drain_ms: 0,
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

#[test]
fn clients_spread_evenly_over_the_buckets() {
    let low = (0..20_000_u32)
        .filter(|number| Bucket::of(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::from_bits(*number)), 1)).0 < 5_000)
        .count();
    assert!((9_700..10_300).contains(&low), "{low} of 20000 in the lower half");
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
