//! The one table of exit codes: scripts rest on it.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Succeeded,
    Other,
    Wrong,
    Refused,
    Undone,
    TimedOut,
    Unreachable,
    NeedsPerson,
    Left,
}

impl Exit {
    pub(crate) const ALL: [Self; 9] = [
        Self::Succeeded,
        Self::Other,
        Self::Wrong,
        Self::Refused,
        Self::Undone,
        Self::TimedOut,
        Self::Unreachable,
        Self::NeedsPerson,
        Self::Left,
    ];

    /// The number and what it means.
    pub(crate) const fn entry(self) -> (u8, &'static str) {
        match self {
            Self::Succeeded => (0, "it succeeded"),
            Self::Other => (1, "another failure; the message says which"),
            Self::Wrong => (2, "the command line or switchover.toml is wrong; nothing was changed"),
            Self::Refused => (3, "it was refused; nothing was changed"),
            Self::Undone => (4, "the release was rolled back, aborted or superseded"),
            Self::TimedOut => (5, "it took longer than --timeout; the release goes on"),
            Self::Unreachable => (6, "the daemon cannot be reached"),
            Self::NeedsPerson => (7, "the release failed and needs a person"),
            Self::Left => (130, "left with Ctrl-C; a release that was waited for goes on"),
        }
    }

    /// The table as it stands below `--help`.
    pub(crate) fn table() -> String {
        let lines: Vec<String> =
            Self::ALL.iter().map(|exit| exit.entry()).map(|(code, what)| format!("  {code:>3}  {what}")).collect();
        format!(
            "Exit codes:\n{}\n\nCtrl-C is the way to end status --watch and logs --follow: they end with 0.",
            lines.join("\n")
        )
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.entry().0)
    }
}
