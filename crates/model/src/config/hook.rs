//! `[[release.hook]]`: what the user has done or asked at a stage of a release.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::release::Stage;
use crate::time::Span;
use crate::url::Url;

use super::OnCrash;

/// `[[release.hook]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The stage it belongs to.
    pub stage: Stage,
    /// Whether it keeps the stage from beginning, or is its last step.
    #[serde(default, skip_serializing_if = "When::is_after")]
    pub when: When,
    /// Who is asked.
    #[serde(flatten)]
    pub asks: Asks,
    /// How long its answer may take, all questions after a "not yet" together; default 1m.
    pub timeout: Span,
    /// How often one that failed is tried again; default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// The pause before it is tried or asked again; default 5s.
    #[serde(default = "Hook::default_pause")]
    pub pause: Span,
    /// What a hook lost in a crash of the controller means; default `fail`.
    pub on_crash: OnCrash,
}

/// When a hook is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the stage begins, which it does not until the hook has passed.
    Before,
    /// As the last step of the stage.
    #[default]
    After,
}

/// Who is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Asks {
    /// A command, run by `/bin/sh -c` in the revision's directory with its environment and `SWITCHOVER_URL`, `_SLOT`,
    /// `_REVISION`, `_RELEASE`. Exit status 0 is passed, [`Hook::NOT_YET`] not yet, any other failed.
    Command {
        /// The command.
        command: String,
    },
    /// A server. 202 is not yet, any other 2xx passed, anything else failed.
    Http {
        /// Where. It holds no user and no password.
        url: Url,
        /// How.
        #[serde(default)]
        method: HookMethod,
        /// The variable of the secrets file whose value is sent as a bearer token (RFC 6750).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
}

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HookMethod {
    /// With the facts of the release as its body.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// The same, for servers that want it so.
    #[serde(rename = "PUT")]
    Put,
    /// Without a body.
    #[serde(rename = "GET")]
    Get,
}

impl Hook {
    /// The exit status that says not yet: `EX_TEMPFAIL` of sysexits.h, "the user is invited to retry".
    pub const NOT_YET: i32 = 75;
    /// The most that a hook is tried again.
    pub const MOST_RETRIES: u32 = 10;

    const fn default_pause() -> Span {
        Span::from_secs(5)
    }
}

impl When {
    fn is_after(&self) -> bool {
        *self == Self::After
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How people know it: its command, or its method and URL without what may be secret.
impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { command } => f.write_str(command),
            Self::Http { url, method, .. } => write!(f, "{method} {url}"),
        }
    }
}

impl fmt::Display for HookMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Get => "GET",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_of_an_older_journal_is_understood() {
        let older = r#"{"stage":"verify","command":"./smoke.sh","timeout":"2m","on_crash":"rerun"}"#;
        let hook: Hook = serde_json::from_str(older).unwrap();
        assert_eq!((hook.when, hook.retries, hook.pause), (When::After, 0, Span::from_secs(5)));
        assert_eq!(hook.asks, Asks::Command { command: "./smoke.sh".to_owned() });
        let again: Hook = serde_json::from_str(&serde_json::to_string(&hook).unwrap()).unwrap();
        assert_eq!(again, hook);
    }

    #[test]
    fn a_hook_that_asks_a_server_comes_back_whole() {
        let written = r#"{"stage":"shift","when":"before","url":"https://a.example/x?y=1","method":"PUT","token":"T","timeout":"1m","retries":2,"pause":"1s","on_crash":"fail"}"#;
        let hook: Hook = serde_json::from_str(written).unwrap();
        assert_eq!(hook.asks.to_string(), "PUT https://a.example/x?…");
        let again: Hook = serde_json::from_str(&serde_json::to_string(&hook).unwrap()).unwrap();
        assert_eq!((again, hook.when), (hook, When::Before));
    }
}
