//! The keys of `[release.shadow]`.

use crate::name::{FieldName, FieldPath};
use crate::time::Span;

use super::Part;
use super::key::{Key, Kind, key};
use super::shadow::MOST_ENOUGH;
use super::text_rule::{SHARE, TextRule};

pub(super) const SHADOW: Key = key(
    "shadow",
    Kind::Table(SHADOW_KEYS),
    Part::Policy,
    None,
    "[release.shadow]",
    "Copies of live requests for the new slot before it gets any traffic, with any strategy: what it answers is compared with what the live slot answers. See docs/shadow.md.",
);

const METHOD: TextRule = TextRule {
    what: "a method in capital letters",
    pattern: "^(?!CONNECT$)(?!TRACE$)[A-Z][A-Z-]{0,31}$",
    breaks: breaks_method,
};
const HEADER: TextRule = TextRule {
    what: "a header's name",
    pattern: "^[A-Za-z0-9._-]{1,64}$",
    breaks: |text| text.parse::<FieldName>().err().map(|error| error.to_string()),
};
const FIELD: TextRule = TextRule {
    what: "a field of a JSON body",
    pattern: "^(/[^/\\u0000-\\u001f\\u007f-\\u009f]+)+$",
    breaks: |text| text.parse::<FieldPath>().err().map(|error| error.to_string()),
};
const BODY: TextRule = TextRule {
    what: "a size in KiB",
    pattern: "^[0-9]{1,3}KiB$",
    breaks: |text| match text.strip_suffix("KiB").map(|number| (number.len(), number.parse::<u16>())) {
        Some((1..=3, Ok(_))) => None,
        Some(_) | None => Some(format!("\"{text}\" is no size in whole KiB")),
    },
};

fn breaks_method(text: &str) -> Option<String> {
    let is_method = (1..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    match text {
        "CONNECT" | "TRACE" => Some(format!("requests with {text} are never copied")),
        _ if !is_method => Some(format!("\"{text}\" is no method in capital letters")),
        _ => None,
    }
}

static SHADOW_KEYS: &[Key] = &[
    key(
        "share",
        Kind::Text(SHARE),
        Part::Policy,
        Some("10%"),
        "share = \"10%\"",
        "How many of the requests that may be copied are. Each is sent once more to the live slot too, to see what differs by itself.",
    ),
    key(
        "for",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("10m"),
        "for = \"10m\"",
        "How long copies are made at least, counted from when the mirror is seen in force.",
    ),
    key(
        "methods",
        Kind::List(METHOD),
        Part::Policy,
        None,
        "methods = [\"GET\"]",
        "The methods of requests that are copied; `GET`, `HEAD` and `OPTIONS` when it is not written. What any other one does is done twice more, on the same database.",
    ),
    key(
        "body",
        Kind::Text(BODY),
        Part::Policy,
        Some("64KiB"),
        "body = \"64KiB\"",
        "The largest body of a request that is copied, and of an answer that is compared; at most 256KiB.",
    ),
    key(
        "enough",
        Kind::Whole { least: 1, most: MOST_ENOUGH },
        Part::Policy,
        Some("500"),
        "enough = 500",
        "How many requests have to be compared for a pass. Less is no evidence: see `no_evidence`.",
    ),
    key(
        "tolerate",
        Kind::Text(SHARE),
        Part::Policy,
        Some("0%"),
        "tolerate = \"0.1%\"",
        "Which part of the compared requests may differ in a field beyond noise; at most 10%.",
    ),
    key(
        "compare",
        Kind::Table(COMPARE_KEYS),
        Part::Policy,
        None,
        "[release.shadow.compare]",
        "What of two answers is compared beside their status and their bodies.",
    ),
];

static COMPARE_KEYS: &[Key] = &[
    key(
        "headers",
        Kind::List(HEADER),
        Part::Policy,
        None,
        "headers = [\"ETag\"]",
        "Headers that are compared beside those that are by themselves: `Content-Type`, `Content-Language`, `Content-Disposition`, `Cache-Control`, `Location`, `WWW-Authenticate`.",
    ),
    key(
        "ignore_headers",
        Kind::List(HEADER),
        Part::Policy,
        None,
        "ignore_headers = [\"Cache-Control\"]",
        "Headers of those that are not compared.",
    ),
    key(
        "ignore_fields",
        Kind::List(FIELD),
        Part::Policy,
        None,
        "ignore_fields = [\"/items/*/updated_at\"]",
        "Fields of JSON bodies that are not compared, with all that is in them. `*` stands for any name, and for any place of a list.",
    ),
];
