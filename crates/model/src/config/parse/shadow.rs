//! `[release.shadow]` of the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::check::{Mistakes, Node};
use crate::config::shadow::MOST_TOLERATED;
use crate::config::{Process, ProcessKind, Shadow};
use crate::name::{FieldName, FieldPath, ProcessName, Share};
use crate::seam::{
    COMPARED_HEADERS, CompareRules, MIRROR_BODY_BYTES_MAX, MIRROR_HEADERS_MAX, MIRROR_IGNORED_MAX, MIRROR_METHODS_MAX,
    MirrorRules,
};

/// What is to be copied and compared, where the file asks for it.
pub(super) fn shadow(
    release: &Node,
    processes: &BTreeMap<ProcessName, Process>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Shadow> {
    if !release.has("shadow") {
        return None;
    }
    let node = release.table("shadow");
    let takes_requests = |process: &Process| matches!(process.kind, ProcessKind::Routed { .. });
    if !processes.is_empty() && !processes.values().any(takes_requests) {
        let cause = "[release.shadow] has nothing to copy: no process of the app takes requests";
        mistakes.add(node.at.clone(), cause, "leave [release.shadow] out");
    }
    let share = part(&node, "share");
    if share == Share::NONE && node.has("share") {
        let cause = "a share of 0% copies nothing, so nothing could ever be compared";
        mistakes.add(node.place("share"), cause, "write: share = \"10%\", or leave [release.shadow] out");
    }
    let tolerate = part(&node, "tolerate");
    if tolerate > MOST_TOLERATED {
        let cause =
            format!("\"tolerate\" is {tolerate}; with more than {MOST_TOLERATED} hardly any difference would count");
        mistakes.add(
            node.place("tolerate"),
            cause,
            "write: tolerate = \"0.1%\", or name what differs in ignore_fields",
        );
    }
    let rules = MirrorRules {
        share,
        methods: methods(&node, mistakes),
        body_bytes: body(&node, mistakes),
        compare: Some(compare(&node.table("compare"), mistakes)),
    };
    Some(Shadow { rules, stays: node.duration("for"), enough: node.whole("enough"), tolerate })
}

/// A share, written or by default; one that is none was told with its own rule.
fn part(node: &Node, name: &str) -> Share {
    node.text(name).and_then(|text| text.parse().ok()).unwrap_or(Share::NONE)
}

fn methods(node: &Node, mistakes: &mut Mistakes<'_>) -> Vec<String> {
    let written = node.list("methods");
    if written.is_empty() {
        return MirrorRules::safe_methods();
    }
    if let Some((_, at)) = written.get(MIRROR_METHODS_MAX) {
        let cause = format!("these are {} methods; at most {MIRROR_METHODS_MAX} are copied", written.len());
        mistakes.add(at.clone(), cause, "leave some of them out");
    }
    each_once(written, |text| Some(text.to_owned()), str::to_owned, mistakes)
}

fn body(node: &Node, mistakes: &mut Mistakes<'_>) -> u32 {
    let kibibytes = node.text("body").and_then(|text| text.strip_suffix("KiB")?.parse::<u32>().ok()).unwrap_or(1);
    let bytes = kibibytes.saturating_mul(1024);
    if bytes == 0 || bytes > MIRROR_BODY_BYTES_MAX {
        let cause = format!("\"body\" is {kibibytes}KiB; it must be 1KiB to {}KiB", MIRROR_BODY_BYTES_MAX / 1024);
        mistakes.add(node.place("body"), cause, "write: body = \"64KiB\"");
    }
    bytes
}

fn compare(node: &Node, mistakes: &mut Mistakes<'_>) -> CompareRules {
    let name = |text: &str| text.parse::<FieldName>().ok();
    let headers = each_once(node.list("headers"), name, str::to_ascii_lowercase, mistakes);
    let ignore_headers = each_once(node.list("ignore_headers"), name, str::to_ascii_lowercase, mistakes);
    let ignore_fields =
        each_once(node.list("ignore_fields"), |text| text.parse::<FieldPath>().ok(), str::to_owned, mistakes);
    for (text, at) in node.list("ignore_headers") {
        let is_this = |known: &str| known.eq_ignore_ascii_case(text);
        if headers.iter().any(|header| is_this(header.as_str())) {
            let cause = format!("the header \"{text}\" is to be compared and to be ignored");
            mistakes.add(at.clone(), cause, "leave it out of headers, or of ignore_headers");
        } else if !COMPARED_HEADERS.into_iter().any(is_this) {
            let cause = format!("ignoring \"{text}\" has no effect: it is not compared");
            mistakes.add(at.clone(), cause, format!("those that are by themselves: {}", COMPARED_HEADERS.join(", ")));
        }
    }
    let named = headers.len() + ignore_headers.len();
    if named > MIRROR_HEADERS_MAX {
        let cause = format!("these are {named} headers; at most {MIRROR_HEADERS_MAX} are named");
        mistakes.add(node.at.clone(), cause, "name fewer of them");
    }
    if let Some((_, at)) = node.list("ignore_fields").get(MIRROR_IGNORED_MAX) {
        let cause = format!("these are {} fields; at most {MIRROR_IGNORED_MAX} are ignored", ignore_fields.len());
        mistakes.add(at.clone(), cause, "name what they lie in: \"/meta\" ignores all that is in it");
    }
    CompareRules { headers, ignore_headers, ignore_fields }
}

/// The values of a list; what stands there twice, by `alike`, is told.
fn each_once<T>(
    written: &[(String, std::ops::Range<usize>)],
    read: impl Fn(&str) -> Option<T>,
    alike: impl Fn(&str) -> String,
    mistakes: &mut Mistakes<'_>,
) -> Vec<T> {
    let mut known = BTreeSet::new();
    let mut values = Vec::new();
    for (text, at) in written {
        if known.insert(alike(text)) {
            values.extend(read(text));
        } else {
            mistakes.add(at.clone(), format!("\"{text}\" stands here twice"), "leave one of them out");
        }
    }
    values
}
