//! What a router dares to serve after a start.

use std::net::TcpListener;

use switchover_model::seam::RoutedProcess;
use switchover_model::{RevisionId, Share, Slot};

use super::*;

fn apps(address: SocketAddr) -> Apps {
    let endpoints = vec![Endpoint { instance: "shop.web.1".parse().unwrap(), address }];
    let routes = Routes {
        hosts: vec!["shop.example".parse().unwrap()],
        arms: vec![Arm {
            slot: Slot::Blue,
            revision: RevisionId(1),
            share: Share::ALL,
            processes: vec![RoutedProcess { process: "web".parse().unwrap(), paths: vec!["/".into()], endpoints }],
        }],
        drain_ms: 1_000,
        ..Routes::nowhere("shop".parse().unwrap(), 3)
    };
    Apps::from([(routes.app.clone(), InForce { routes, since: Timestamp::from_micros(7) })])
}

fn served(found: &Found) -> usize {
    found.apps.values().map(|app| app.routes.arms[0].processes[0].endpoints.len()).sum()
}

#[test]
fn a_table_of_this_boot_is_served_to_the_sockets_that_were_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    let instance = TcpListener::bind("127.0.0.1:0").unwrap();
    let apps = apps(instance.local_addr().unwrap());
    let (mut kept, found) = Kept::open(path.clone());
    assert!(found.apps.is_empty() && found.problem.is_none());
    let file = kept.write(5, &apps, false).unwrap();
    Kept::sync(&file, directory.path()).unwrap();

    let (mut again, found) = Kept::open(path.clone());
    assert_eq!((found.generation, &found.apps), (5, &apps));
    // What was trusted stays known when it is written again.
    again.write(6, &found.apps, false).unwrap();
    assert_eq!(served(&Kept::open(path).1), 1);
}

#[test]
fn a_port_that_a_stranger_took_over_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    let instance = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = instance.local_addr().unwrap();
    Kept::open(path.clone()).0.write(5, &apps(address), false).unwrap();
    drop(instance);
    let _stranger = TcpListener::bind(address).unwrap();
    let (_, found) = Kept::open(path);
    assert_eq!((found.apps.len(), served(&found)), (1, 0));
}

#[test]
fn after_a_reboot_no_port_is_trusted_but_the_hosts_are_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    let instance = TcpListener::bind("127.0.0.1:0").unwrap();
    Kept::open(path.clone()).0.write(5, &apps(instance.local_addr().unwrap()), false).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&identity::boot_id(), "another-boot")).unwrap();
    let (_, found) = Kept::open(path);
    assert_eq!((found.apps.len(), served(&found)), (1, 0));
    assert!(found.problem.is_none());
}

#[test]
fn a_broken_file_is_said_and_never_an_empty_success() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    Kept::open(path.clone()).0.write(5, &apps("127.0.0.1:9".parse().unwrap()), false).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for broken in [&b""[..], b"{}", b"\0\0\0\0", &whole[..whole.len() / 2], &whole[1..]] {
        std::fs::write(&path, broken).unwrap();
        let (_, found) = Kept::open(path.clone());
        assert!(found.problem.is_some_and(|problem| problem.contains("table.json")) && found.apps.is_empty());
    }
    std::fs::write(&path, String::from_utf8(whole).unwrap().replace("\"format\":1", "\"format\":2")).unwrap();
    assert!(Kept::open(path).1.problem.unwrap().contains("format 2"));
}

#[test]
fn a_table_kept_before_preview_hosts_were_reserved_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    let mut apps = apps("127.0.0.1:9".parse().unwrap());
    Kept::open(path.clone()).0.write(5, &apps, false).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("preview_host"), "as it was written before");
    assert_eq!(Kept::open(path.clone()).1.apps.len(), 1);
    let host = Some("preview.shop.example".parse().unwrap());
    apps.values_mut().for_each(|app| app.routes.preview_host.clone_from(&host));
    Kept::open(path.clone()).0.write(6, &apps, false).unwrap();
    assert!(Kept::open(path).1.apps.values().all(|app| app.routes.preview_host == host));
}

#[test]
fn room_for_the_next_table_is_taken_before_it_is_needed() {
    use std::os::unix::fs::MetadataExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.json");
    let beside = path.with_extension("json.new");
    let (mut kept, _) = Kept::open(path.clone());
    let room = || std::fs::metadata(&beside).unwrap().blocks() * 512;
    assert!(room() >= ROOM_BYTES_MIN);
    let inode = std::fs::metadata(&beside).unwrap().ino();
    let apps = apps("127.0.0.1:1".parse().unwrap());
    kept.write(5, &apps, false).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode, "it is written into that room");
    assert_eq!(Kept::open(path).1.generation, 5, "and nothing is left behind it");
    assert!(room() >= ROOM_BYTES_MIN);
}
