//! The keys of `[route]`, as part of the one table of keys.

use crate::time::Span;

use super::key::{Key, Kind, key, later};
use super::text_rule::{COOKIE, FIELD, HOST, NETWORK};
use super::{Part, names};

pub(super) static ROUTE_KEYS: &[Key] = &[
    key(
        "hosts",
        Kind::List(HOST),
        Part::Policy,
        None,
        "hosts = [\"shop.example.com\"]",
        "Hosts it answers for. Without it: every host that no other app names. The first one is what a health question says in `Host`.",
    ),
    key(
        "preview",
        Kind::Table(PREVIEW_KEYS),
        Part::Policy,
        None,
        "preview = { host = \"preview.shop.example.com\" }",
        "The address of the idle slot. It asks for the app's preview token, which `switchover status` shows.",
    ),
    key(
        "drain",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("30s"),
        "drain = \"30s\"",
        "How long requests on the old slot may go on after a switch; then its WebSockets and other upgrades are closed. Also how long an instance that became too many by `apply` goes on answering what it has, before its WebSockets are closed and it is told to stop.",
    ),
    key(
        "sticky",
        Kind::WordOrTable { known: names::STICKY, keys: STICKY_KEYS },
        Part::Policy,
        Some("cookie"),
        "sticky = \"cookie\"",
        "What keeps a client on its side while traffic is split between two slots. `cookie`: a cookie of the router's own, `switchover-client`, that is set only then. `address`: the client's address (of IPv6 the first 64 bits). `none`: nothing, each request goes its own way. `{ cookie = \"session\" }`: a cookie of the app's, `{ header = \"X-User\" }`: a header; who sends none goes by the address. See [traffic](traffic.md).",
    ),
    later("tls", "tls = \"auto\"", "leave it out and terminate TLS in front of Switchover"),
    later("static", "static = { \"/assets/\" = \"public/assets\" }", "leave it out and let the app serve these files"),
];

static STICKY_KEYS: &[Key] = &[
    key("cookie", Kind::Text(COOKIE), Part::Policy, None, "cookie = \"session\"", "A cookie of the app's."),
    key("header", Kind::Text(FIELD), Part::Policy, None, "header = \"X-User\"", "A header."),
];

static PREVIEW_KEYS: &[Key] = &[
    key(
        "host",
        Kind::Text(HOST),
        Part::Policy,
        None,
        "host = \"preview.shop.example.com\"",
        "Host that leads to the new revision while a release is prepared there (from its first hook after the build, or its gate, until the switch); at other times the router answers 404 there itself. Without it: `preview.` and the first of `hosts`, or the app's name and `.preview.localhost`.",
    ),
    key(
        "networks",
        Kind::List(NETWORK),
        Part::Policy,
        None,
        "networks = [\"10.0.0.0/8\"]",
        "Networks whose clients need no token.",
    ),
];
