//! `[[notify]]`: who is told of what happens to the app's releases.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::url::Url;

/// `[[notify]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Who is told, and how.
    #[serde(flatten)]
    pub tells: Tells,
    /// Of what.
    pub events: Vec<Happening>,
    /// How long one try may take; default 15s.
    pub timeout: Span,
}

/// Who is told, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tells {
    /// A server, as a Standard Webhook.
    Webhook {
        /// Where. It holds no user and no password.
        url: Url,
        /// The variable of the secrets file whose value signs it.
        secret: String,
    },
    /// A command of this machine, which reads the message from its standard input.
    Command {
        /// The command.
        command: String,
    },
}

/// What people are told of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// It waits for a person: at its gate, or because somebody holds it.
    Paused,
    /// It has all the traffic and the workers, seen to be so.
    Switched,
    /// It has succeeded, proven.
    Succeeded,
    /// It has succeeded without enough evidence.
    Unproven,
    /// It was taken back after traffic had moved.
    RolledBack,
    /// It was given up by itself before any traffic moved.
    Aborted,
    /// It has failed and needs a person.
    Failed,
}

impl Happening {
    /// What is told where the file does not say what.
    pub const USUAL: [Self; 6] =
        [Self::Paused, Self::Switched, Self::Unproven, Self::RolledBack, Self::Aborted, Self::Failed];

    /// Its word in the file and, after `release.`, in a message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Switched => "switched",
            Self::Succeeded => "succeeded",
            Self::Unproven => "unproven",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Tells {
    /// Who it is, wherever it stands in the file: the URL's host, port, path and query, or the command. What is left out can be
    /// mended without its being somebody else: the scheme, the secret, what it is told of. The query may be a secret.
    #[must_use]
    pub fn who(&self) -> String {
        match self {
            Self::Webhook { url, .. } => format!("{}:{}{}", url.name(), url.port(), url.target()),
            Self::Command { command } => format!("command {command}"),
        }
    }
}

/// How people know it: its URL without what may be secret, or its command.
impl fmt::Display for Tells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { url, .. } => write!(f, "{url}"),
            Self::Command { command } => write!(f, "`{command}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_is_the_same_wherever_it_stands_and_whatever_signs() {
        let who = |text: &str| serde_json::from_str::<Notify>(text).unwrap().tells.who();
        let written = r#"{"url":"https://a.example:8443/x?y=1","secret":"S","events":["paused"],"timeout":"15s"}"#;
        assert_eq!(who(written), who(&written.replace("\"S\"", "\"T\"").replace("https", "http").replace("15s", "1s")));
        for other in ["b.example", "a.example:1", "a.example/y", "a.example/x?y=2"] {
            let other = written.replace("a.example:8443/x?y=1", other);
            assert_ne!(who(written), who(&other));
        }
        let command = r#"{"command":"a.example:8443/x?y=1","events":["failed"],"timeout":"1s"}"#;
        assert_ne!(who(written), who(command));
    }

    #[test]
    fn both_kinds_come_back_whole() {
        for written in [
            r#"{"url":"https://a.example/x?y=1","secret":"S","events":["paused","rolled-back"],"timeout":"15s"}"#,
            r#"{"command":"/usr/local/bin/tell","events":["failed"],"timeout":"1s"}"#,
        ] {
            let notify: Notify = serde_json::from_str(written).unwrap();
            assert_eq!(serde_json::to_string(&notify).unwrap(), written);
        }
    }
}
