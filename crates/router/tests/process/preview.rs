//! The preview address.

use sha2::{Digest, Sha256};
use switchover_model::seam::Preview;

use crate::bed::{Router, Upstream, assert_closes, routes};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_preview_shows_the_idle_slot_to_who_has_the_token_and_is_in_no_receipt() {
    let router = Router::start(1);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let mut wanted = routes(1, &[(1, true, &[&blue]), (2, false, &[&green])]);
    wanted.preview = Some(Preview {
        host: "preview.shop.example".parse().unwrap(),
        arm: wanted.arms[1].clone(),
        token_digest: hex(&Sha256::digest(b"open-sesame")),
        networks: vec![],
    });
    router.ensure(&wanted);
    let ask = |fields: &str| {
        router.ask(&format!("GET / HTTP/1.1\r\nHost: preview.shop.example:8080\r\n{fields}Connection: close\r\n\r\n"))
    };
    assert!(ask("X-Switchover-Preview: open-sesame\r\n").ends_with("green"));
    assert!(ask("Authorization: Bearer open-sesame\r\n").ends_with("green"));
    assert!(ask("Cookie: cart=7; switchover-preview=open-sesame\r\n").ends_with("green"));
    for wrong in ["", "X-Switchover-Preview: open\r\n", "Cookie: switchover-preview=wrong\r\n"] {
        let answer = ask(wrong);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    assert_eq!(green.asked(), 3);
    let heads = green.heads.lock().unwrap().join("\n").to_ascii_lowercase();
    assert!(!heads.contains("switchover-preview") && !heads.contains("open-sesame"), "the token reached it: {heads}");
    assert!(heads.contains("\r\ncookie: cart=7\r\n"), "{heads}");
    assert!(router.get("shop").ends_with("blue"));
    let seen = router.observe();
    assert_closes(&seen.ledger);
    assert_eq!((seen.ledger.accepted, seen.ledger.by_revision.len()), (1, 1));
    let status = router.block_on(router.client.status()).unwrap();
    let (_, preview) = &status.previews[0];
    assert_closes(preview);
    assert_eq!((preview.accepted, preview.own["preview-forbidden"].count), (6, 3));

    // A listed network needs no token.
    wanted.version = 2;
    wanted.preview.as_mut().unwrap().networks = vec!["127.0.0.0/8".into()];
    router.ensure(&wanted);
    assert!(ask("").ends_with("green"));
}

#[test]
fn a_preview_host_without_a_preview_is_answered_by_the_router_and_by_no_app() {
    let router = Router::start(1);
    let (blue, other) = (Upstream::start("blue"), Upstream::start("other"));
    let mut rest = routes(1, &[(1, true, &[&other])]);
    rest.app = "rest".parse().unwrap();
    rest.hosts = vec![];
    router.ensure(&rest);
    let mut wanted = routes(1, &[(1, true, &[&blue])]);
    wanted.hosts = vec!["shop.example".parse().unwrap()];
    // As an earlier version of the controller set it; then the same decision with its preview's host.
    router.ensure(&wanted);
    let ask = || router.ask("GET / HTTP/1.1\r\nHost: preview.shop.example\r\nConnection: close\r\n\r\n");
    assert!(ask().ends_with("other"));
    wanted.preview_host = Some("preview.shop.example".parse().unwrap());
    router.ensure(&wanted);
    let answer = ask();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("nothing is previewed here now"), "{answer}");
    assert_eq!(other.asked(), 1);
    assert_eq!(blue.asked(), 0);
    let status = router.block_on(router.client.status()).unwrap();
    let (_, preview) = status.previews.iter().find(|(app, _)| *app == wanted.app).unwrap();
    assert_closes(preview);
    let own = &preview.own["no-preview"];
    assert_eq!((preview.accepted, own.count, own.lost), (1, 1, 0));
    assert_eq!(router.observe().ledger.accepted, 0, "it is in no receipt");
}
