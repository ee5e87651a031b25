//! The keys of `[[notify]]`.

use crate::time::Span;

use super::Part;
use super::hook_keys::{SECRET, URL};
use super::key::{Key, Kind, key};
use super::names;
use super::text_rule::{COMMAND, TextRule};

const EVENT: TextRule = TextRule {
    what: "one of `paused`, `switched`, `succeeded`, `unproven`, `rolled-back`, `aborted`, `failed`",
    pattern: "^(paused|switched|succeeded|unproven|rolled-back|aborted|failed)$",
    breaks: breaks_event,
};

pub(super) static NOTIFY_KEYS: &[Key] = &[
    key(
        "url",
        Kind::Text(URL),
        Part::Policy,
        None,
        "url = \"https://chat.example.com/releases\"",
        "Told by a Standard Webhook: a signed `POST` that is tried again until it is taken. One of `url` and `command` has to be there.",
    ),
    key(
        "secret",
        Kind::Text(SECRET),
        Part::Policy,
        None,
        "secret = \"NOTIFY_SECRET\"",
        "The variable of the secrets file whose value, `whsec_` and base64, signs what goes to the `url`. It has to be there with a `url`.",
    ),
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"/usr/local/bin/tell-team\"",
        "Told by a command of this machine, in the place of `url`: run by `/bin/sh -c` in the state directory, it reads the message from its standard input. Exit status 0 means it took it.",
    ),
    key(
        "events",
        Kind::List(EVENT),
        Part::Policy,
        None,
        "events = [\"paused\", \"failed\"]",
        "What it is told of. Without it: everything but `succeeded`.",
    ),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(100) },
        Part::Policy,
        Some("15s"),
        "timeout = \"15s\"",
        "How long one try may take.",
    ),
];

fn breaks_event(text: &str) -> Option<String> {
    let known = names::EVENT;
    (!known.contains(&text)).then(|| format!("\"{text}\" is nothing that can be told: {}", known.join(", ")))
}
