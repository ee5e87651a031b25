//! What texts of the file must be: each rule with its words for people, its pattern for the JSON Schema, and its check.

use std::net::IpAddr;

use super::windows::{Freeze, Window};
use crate::name::{AppName, CookieName, FieldName, Host, ProcessName, Share};

/// A rule that a text keeps.
#[derive(Debug)]
pub(super) struct TextRule {
    /// What the text is, for people: `a host name`.
    pub(super) what: &'static str,
    /// The rule as a regular expression of JSON Schema (ECMA 262); empty when it cannot be said so.
    pub(super) pattern: &'static str,
    /// Why the text breaks the rule, or nothing.
    pub(super) breaks: fn(&str) -> Option<String>,
}

pub(super) const APP_NAME: TextRule = TextRule {
    what: "an app name",
    pattern: "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    breaks: |text| text.parse::<AppName>().err().map(|error| error.to_string()),
};
pub(super) const COMMAND: TextRule = TextRule { what: "a command", pattern: "\\S", breaks: breaks_command };
pub(super) const FILE: TextRule = TextRule { what: "a path", pattern: "^[^\\u0000]+$", breaks: breaks_path };
pub(super) const INSIDE: TextRule = TextRule {
    what: "a path inside the app's directory",
    pattern: "^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\u0000]+$",
    breaks: breaks_inside,
};
pub(super) const PREFIX: TextRule =
    TextRule { what: "a path prefix", pattern: "^/[!\"$-;=@-~]*$", breaks: breaks_prefix };
pub(super) const TARGET: TextRule =
    TextRule { what: "a path that is asked for", pattern: "^/[!\"$-~]*$", breaks: breaks_target };
pub(super) const HOST: TextRule = TextRule {
    what: "a host name",
    pattern: "^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$",
    breaks: breaks_host,
};
pub(super) const COOKIE: TextRule =
    TextRule { what: "a cookie's name", pattern: "^(?!switchover-)[A-Za-z0-9._-]{1,64}$", breaks: breaks_cookie };
pub(super) const FIELD: TextRule = TextRule {
    what: "a header's name",
    pattern: "^(?![Cc][Oo][Oo][Kk][Ii][Ee]$)[A-Za-z0-9._-]{1,64}$",
    breaks: breaks_field,
};
pub(super) const WINDOW: TextRule = TextRule {
    what: "a time window",
    pattern: "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)([-,](Mon|Tue|Wed|Thu|Fri|Sat|Sun))* [0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9] [A-Za-z0-9_+/-]+$",
    breaks: |text| text.parse::<Window>().err().map(|error| error.to_string()),
};
pub(super) const FREEZE: TextRule = TextRule {
    what: "a freeze",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][.][0-9]{4}-[0-9]{2}-[0-9]{2})? [A-Za-z0-9_+/-]+$",
    breaks: |text| text.parse::<Freeze>().err().map(|error| error.to_string()),
};
pub(super) const SHARE: TextRule = TextRule {
    what: "a share in percent",
    pattern: "^0*(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)%$",
    breaks: |text| text.parse::<Share>().err().map(|error| error.to_string()),
};
pub(super) const NETWORK: TextRule =
    TextRule { what: "a network", pattern: "^[0-9a-fA-F.:]+/[0-9]+$", breaks: breaks_network };

fn breaks_command(text: &str) -> Option<String> {
    empty_or_zero("a command", text.trim(), text)
}

fn breaks_path(text: &str) -> Option<String> {
    empty_or_zero("a path", text, text)
}

/// `what` is empty, by the part of it that counts, or has a zero byte, which no program can be given.
fn empty_or_zero(what: &str, counts: &str, text: &str) -> Option<String> {
    if counts.is_empty() {
        return Some(format!("{what} is empty"));
    }
    text.contains('\0').then(|| format!("{what} contains a zero byte"))
}

fn breaks_inside(text: &str) -> Option<String> {
    if let Some(why) = breaks_path(text) {
        return Some(why);
    }
    let path = std::path::Path::new(text);
    if path.is_absolute() {
        return Some(format!("\"{text}\" is absolute; it must lie inside the app's directory"));
    }
    let mut named = false;
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                return Some(format!("\"{text}\" leads out of the app's directory with \"..\""));
            }
            std::path::Component::Normal(_) => named = true,
            std::path::Component::CurDir | std::path::Component::RootDir | std::path::Component::Prefix(_) => {}
        }
    }
    if named { None } else { Some(format!("\"{text}\" is the app's directory itself")) }
}

fn breaks_target(text: &str) -> Option<String> {
    if !text.starts_with('/') {
        return Some(format!("\"{text}\" does not begin with \"/\""));
    }
    text.bytes()
        .any(|byte| !byte.is_ascii_graphic() || byte == b'#')
        .then(|| format!("\"{text}\" holds a character that cannot stand in a request's path: write it as %XX"))
}

fn breaks_prefix(text: &str) -> Option<String> {
    breaks_target(text).or_else(|| {
        if text.contains(['?', '*', '<', '>']) {
            Some(format!("\"{text}\" is a pattern or a query; a prefix is plain text"))
        } else if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
            Some(format!("\"{text}\" holds an empty, \".\" or \"..\" segment"))
        } else {
            None
        }
    })
}

fn breaks_host(text: &str) -> Option<String> {
    let error = text.parse::<Host>().err()?;
    if text.starts_with("*.") {
        return Some(format!("\"{text}\": hosts with a wildcard are not carried out yet"));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && host.parse::<Host>().is_ok()
    {
        return Some(format!("\"{text}\" has a port; a host is written without one: \"{host}\""));
    }
    if text.contains("://") {
        return Some(format!("\"{text}\" is a URL; only its host is written here"));
    }
    let lower = text.to_lowercase();
    if lower.parse::<Host>().is_ok() {
        return Some(format!("\"{text}\" has capital letters; write \"{lower}\""));
    }
    Some(error.to_string())
}

fn breaks_cookie(text: &str) -> Option<String> {
    if text.starts_with("switchover-") {
        return Some(format!("\"{text}\" is a cookie of Switchover's own; that one is meant by: sticky = \"cookie\""));
    }
    text.parse::<CookieName>().err().map(|error| error.to_string())
}

fn breaks_field(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("cookie") {
        return Some(
            "\"Cookie\" holds all cookies, of which any may change; name one: { cookie = \"session\" }".to_owned(),
        );
    }
    text.parse::<FieldName>().err().map(|error| error.to_string())
}

fn breaks_network(text: &str) -> Option<String> {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(())
    });
    match parsed {
        Some(()) => None,
        None => Some(format!("\"{text}\" is not a network: write an address and its length, such as \"10.0.0.0/8\"")),
    }
}

/// Why `name` cannot name an environment variable of the app, or nothing.
pub fn breaks_env_name(name: &str) -> Option<String> {
    if name == "PORT" || name.starts_with("SWITCHOVER_") {
        return Some(format!("\"{name}\" is set by Switchover itself"));
    }
    let well_formed = name
        .bytes()
        .enumerate()
        .all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()));
    if name.is_empty() || !well_formed {
        return Some(format!(
            "\"{name}\" is not a name of an environment variable: letters, digits and \"_\", no digit first"
        ));
    }
    None
}

/// Why `name` cannot name a process type, or nothing.
pub(super) fn breaks_process_name(name: &str) -> Option<String> {
    name.parse::<ProcessName>().err().map(|error| error.to_string())
}
