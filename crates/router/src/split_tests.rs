//! Who a request is of, and on which side.

use std::net::{IpAddr, SocketAddr};

use switchover_http1::{Progress, RequestParser};

use super::*;

/// Who a request with these fields from `peer` is of, `NEW` being whoever is new.
fn who(sticky: &Sticky, fields: &str, peer: &str) -> Known {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut parser = RequestParser::new();
    assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })), "{text}");
    let head = parser.head(text.as_bytes());
    client(sticky, &Asked { peer: peer.parse().unwrap(), is_https: false, head: &head }, &key(), || NEW)
}

fn key() -> SplitKey {
    SplitKey::of([7; 32])
}

/// `id` as the router gives it out.
fn marked(id: &str) -> String {
    let id = id.as_bytes().try_into().unwrap();
    String::from_utf8(key().marked(&id).to_vec()).unwrap()
}

const NEW: Id = [b'9'; 32];
const HERE: &str = "192.0.2.1:4000";
const THERE: &str = "198.51.100.7:4000";
const ID: &str = "0123456789abcdef0123456789abcdef";

fn header() -> Sticky {
    Sticky::Header { name: "X-User".parse().unwrap() }
}

#[test]
fn an_address_is_that_of_the_host_and_of_ipv6_that_of_the_network() {
    let of = |peer| who(&Sticky::Address, "Cookie: switchover-client=x\r\n", peer).client;
    assert_eq!(of("192.0.2.1:1"), of("192.0.2.1:65535"));
    assert_eq!(of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:1"));
    assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
    assert_eq!(of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:2:ffff:ffff:ffff:ffff]:9"));
    assert_ne!(of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:3::1]:1"));
    assert_eq!(who(&Sticky::Address, "", HERE).new, None);
}

#[test]
fn a_cookie_of_the_routers_own_is_known_again_whatever_the_address_and_whoever_has_none_gets_one() {
    let with = |fields: &str, peer| who(&Sticky::Cookie, fields, peer);
    let mine = marked(ID);
    let known = with(&format!("Cookie: a=b; switchover-client={mine}\r\n"), HERE);
    assert_eq!(known, with(&format!("Cookie: a=b\r\nCookie: switchover-client={mine}; c\r\n"), THERE));
    assert_eq!(known.new, None);
    let new = with("", HERE);
    let set = |known: Known| String::from_utf8(known.new.unwrap().set_cookie().concat()).unwrap();
    let nines = marked(&"9".repeat(32));
    assert_eq!(set(new), format!("switchover-client={nines}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"));
    assert_eq!(with(&format!("Cookie: switchover-client={nines}\r\n"), THERE).client, new.client, "what it was given");
    assert!(set(with("X-Forwarded-Proto: https\r\n", HERE)).ends_with("; Secure"));
    assert!(!set(with("X-Forwarded-Proto: http\r\n", HERE)).contains("Secure"));
}

#[test]
fn a_cookie_that_the_router_did_not_make_is_none_and_of_two_the_first_counts() {
    let mine = marked(ID);
    for bad in [
        String::new(),
        ID.to_owned(),
        format!("{ID}0123456789abcdef"),
        mine[1..].to_owned(),
        format!("{mine}0"),
        mine.to_uppercase(),
        format!("\"{mine}\""),
        "x".repeat(12_000),
        mine.replace('0', "1"),
        format!("{mine} "),
    ] {
        let known = who(&Sticky::Cookie, &format!("Cookie: switchover-client={bad}\r\n"), HERE);
        // White space around a pair is no part of it.
        assert_eq!(known.new.is_some(), !bad.ends_with(' '), "{bad:?}");
    }
    let other = marked(&ID.replace('0', "1"));
    let two = who(&Sticky::Cookie, &format!("Cookie: switchover-client={mine}; switchover-client={other}\r\n"), HERE);
    assert_eq!(two, who(&Sticky::Cookie, &format!("Cookie: switchover-client={mine}\r\n"), THERE));
    let many = format!("Cookie: {}switchover-client={mine}\r\n", "a=b;".repeat(3_500));
    assert_eq!(who(&Sticky::Cookie, &many, HERE), two);
    let lines = format!("{}Cookie: switchover-client={mine}\r\n", "Cookie: a=b\r\n".repeat(90));
    assert_eq!(who(&Sticky::Cookie, &lines, HERE), two);
}

#[test]
fn a_header_or_a_cookie_of_the_apps_goes_by_the_address_where_it_is_missing() {
    let app = Sticky::AppCookie { name: "sid".parse().unwrap() };
    for (sticky, fields) in
        [(header(), "x-user: ann\r\nX-User: bob\r\n"), (app.clone(), "Cookie: sid=ann; sid=bob\r\n")]
    {
        assert_eq!(who(&sticky, fields, HERE), who(&sticky, fields, THERE));
        assert_ne!(who(&sticky, fields, HERE).client, who(&sticky, &fields.replace("ann", "eve"), HERE).client);
        for nobody in ["", "X-User: \r\n", "Cookie: sid=\r\n", "Cookie: sid; sids=ann\r\n"] {
            assert_eq!(who(&sticky, nobody, HERE), who(&Sticky::Address, "", HERE), "{nobody}");
        }
    }
    let long = |end: &str| format!("X-User: {}{end}\r\n", "a".repeat(15_000));
    assert_ne!(who(&header(), &long("1"), HERE), who(&header(), &long("2"), HERE), "all of it counts");
}

#[test]
fn without_a_way_each_request_is_a_client_of_its_own() {
    let made = std::cell::Cell::new(0_u8);
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut parser = RequestParser::new();
    assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
    let head = parser.head(text.as_bytes());
    let asked = Asked { peer: HERE.parse().unwrap(), is_https: false, head: &head };
    let next = || {
        made.set(made.get() + 1);
        client(&Sticky::None, &asked, &key(), || [made.get(); 32])
    };
    let (one, other) = (next(), next());
    assert_ne!(one.client, other.client);
    assert_eq!((one.new, other.new), (None, None));
}

fn deal(app: &str, newest: u32) -> Deal {
    Deal::new(&app.parse().unwrap(), RevisionId(newest))
}

/// How many of `clients` have a bucket below `share`.
fn below(clients: &[Client], newest: u32, share: u16) -> u32 {
    clients.iter().map(|client| u32::from(client.bucket(deal("shop", newest)).0 < share)).sum()
}

#[test]
fn twenty_thousand_clients_of_each_kind_split_within_the_binomial_band_of_the_share() {
    let many = 20_000_u32;
    let kinds: [(&str, Vec<Client>); 5] = [
        ("neighbouring IPv4", (0..many).map(|n| address(IpAddr::V4((0x0a00_0000 + n).into()))).collect()),
        ("neighbouring IPv6 networks", (0..many).map(|n| address(IpAddr::V6((u128::from(n) << 64).into()))).collect()),
        ("counted names", (0..many).map(|n| key().client_of(format!("user-{n}").as_bytes())).collect()),
        ("numbers", (0..many).map(|n| key().client_of(n.to_string().as_bytes())).collect()),
        ("long names", (0..many).map(|n| key().client_of(format!("{}{n}", "a".repeat(100)).as_bytes())).collect()),
    ];
    for (kind, clients) in &kinds {
        for newest in [1, 2, 1_000] {
            for share in [100, 500, 1_000, 2_500, 5_000, 9_900] {
                let part = f64::from(share) / 10_000.0;
                let expected = f64::from(many) * part;
                // 3.29 standard deviations hold 99.9 %; there are 90 looks here, so a little more.
                let band = 4.0 * (expected * (1.0 - part)).sqrt();
                let count = f64::from(below(clients, newest, share));
                assert!((count - expected).abs() <= band, "{kind}, r{newest}: {count} of {expected} +- {band}");
            }
        }
    }
}

fn address(ip: IpAddr) -> Client {
    key().client_at(SocketAddr::new(ip, 1))
}

#[test]
fn the_next_release_goes_to_other_clients_first() {
    let clients: Vec<Client> = (0..20_000_u32).map(|n| key().client_of(&n.to_be_bytes())).collect();
    let first = |deal: Deal| clients.iter().map(move |client| client.bucket(deal).0 < 1_000);
    // Nor is it the same in another app.
    for other in [deal("shop", 8), deal("blog", 7)] {
        let both = first(deal("shop", 7)).zip(first(other)).filter(|pair| *pair == (true, true)).count();
        // A tenth of a tenth of them.
        assert!((140..260).contains(&both), "{both}");
    }
}

#[test]
fn a_side_is_the_same_for_ever() {
    // A router after this one, and every lane, must come to these.
    let buckets = [
        key().client_of(ID.as_bytes()).bucket(deal("shop", 2)).0,
        address("192.0.2.1".parse().unwrap()).bucket(deal("shop", 2)).0,
        key().client_of(b"").bucket(deal("shop", 2)).0,
    ];
    assert_eq!(buckets, [2902, 3004, 7950]);
}
