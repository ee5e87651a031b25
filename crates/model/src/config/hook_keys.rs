//! The keys of `[[release.hook]]`.

use crate::time::Span;
use crate::url::Url;

use super::hook::Hook;
use super::key::{Key, Kind, key, required};
use super::text_rule::{COMMAND, TextRule, breaks_env_name};
use super::{Part, names};

/// Where somebody is asked over HTTP. What is written in the file is journaled, so it holds no password.
pub(super) const URL: TextRule =
    TextRule { what: "an `http` or `https` URL", pattern: "^https?://[^\\s#@{}\\\\]+$", breaks: breaks_url };
/// A secret by reference.
pub(super) const SECRET: TextRule = TextRule {
    what: "the name of a variable in the secrets file",
    pattern: "^(?!PORT$)(?!SWITCHOVER_)[A-Za-z_][A-Za-z0-9_]*$",
    breaks: breaks_env_name,
};

pub(super) static HOOK_KEYS: &[Key] = &[
    required(key(
        "stage",
        Kind::Choice(names::HOOK_STAGE),
        Part::Policy,
        None,
        "stage = \"verify\"",
        "The stage it belongs to. A failed hook undoes the release; where nothing is left to undo (`retire`, `contract`) what it was asked for is not done and somebody is told. See docs/hooks.md.",
    )),
    key(
        "when",
        Kind::Choice(names::WHEN),
        Part::Policy,
        Some("after"),
        "when = \"before\"",
        "`after`: it is the last step of the stage. `before`: the stage does not begin until it has passed.",
    ),
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"./smoke.sh\"",
        "Run by `/bin/sh -c` in the revision's directory with its environment, its secrets and the variables of hooks (see \"What instances are given\"). Exit status 0 is passed, 75 not yet, any other failed. One of `command` and `url` has to be there.",
    ),
    key(
        "url",
        Kind::Text(URL),
        Part::Policy,
        None,
        "url = \"https://checks.example.com/release\"",
        "Asked over HTTP, in the place of `command`: 202 is not yet, any other 2xx passed, anything else failed. Redirects are not followed.",
    ),
    key(
        "method",
        Kind::Choice(names::HOOK_METHOD),
        Part::Policy,
        Some("POST"),
        "method = \"PUT\"",
        "How the URL is asked. `POST` and `PUT` send the facts of the release as JSON, `GET` sends none.",
    ),
    key(
        "token",
        Kind::Text(SECRET),
        Part::Policy,
        None,
        "token = \"CHECKS_TOKEN\"",
        "The variable of the secrets file whose value goes along as `Authorization: Bearer`. It is read when the hook is asked, and never journaled or shown.",
    ),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(1) },
        Part::Policy,
        Some("1m"),
        "timeout = \"2m\"",
        "How long its answer may take, all questions after a \"not yet\" together; then a command's process group is killed and it counts as failed.",
    ),
    key(
        "retries",
        Kind::Whole { least: 0, most: Hook::MOST_RETRIES },
        Part::Policy,
        Some("0"),
        "retries = 2",
        "How often one that failed is tried again, each time with the whole `timeout`.",
    ),
    key(
        "pause",
        Kind::Duration { least: Span::from_millis(100) },
        Part::Policy,
        Some("5s"),
        "pause = \"10s\"",
        "How long to wait before it is tried again, or asked again after a \"not yet\"; with a long `timeout` it is longer, so that there are at most 500 questions.",
    ),
    key(
        "on_crash",
        Kind::Choice(names::ON_CRASH),
        Part::Policy,
        Some("fail"),
        "on_crash = \"fail\"",
        "What a hook means whose end nobody saw because the daemon was killed: count it as failed (`fail`), or `rerun` it.",
    ),
];

fn breaks_url(text: &str) -> Option<String> {
    match text.parse::<Url>() {
        Ok(url) if url.user_info().is_some() => {
            Some("a URL in the file holds no user and password, because the file is journaled: use a token".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("this is no URL that can be asked: {error}")),
    }
}
