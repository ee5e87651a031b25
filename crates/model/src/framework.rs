//! The seam to an app's own migration framework: what it has still to do, what of that fits which stage, and what was done.

use serde::{Deserialize, Serialize};

/// The part of a release in which the framework is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Before the new revision serves: what both revisions can live with.
    Expand,
    /// When the older one is gone.
    Contract,
}

impl Step {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the framework of a revision says of its database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Every migration that the revision has, carried out or not; nothing where the framework can not say.
    pub known: Option<Vec<String>>,
    /// Those that are not carried out, in the framework's order.
    pub pending: Vec<Pending>,
}

/// A migration that the framework has not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// As the framework calls it.
    pub name: String,
    /// Where its author put it; nothing where that is to be told from its SQL.
    pub bound: Option<Step>,
    /// What it would execute; nothing where the framework does not show it.
    pub sql: Option<String>,
    /// It runs code of the app that its SQL does not show.
    pub runs_code: bool,
}

impl Pending {
    /// Whether it does nothing that makes the app wait for its lock, but may itself wait for transactions to end.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        let Some(sql) = &self.sql else { return false };
        let bare = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
        let all = bare.split(';').map(str::trim).filter(|statement| !statement.is_empty());
        let frame = |word: &str| ["BEGIN", "COMMIT", "SET", "INSERT", "UPDATE"].contains(&word);
        let mut concurrent = false;
        for statement in all {
            let upper = statement.to_ascii_uppercase();
            if upper.contains(" CONCURRENTLY ") {
                concurrent = true;
            } else if !frame(upper.split_whitespace().next().unwrap_or_default()) {
                return false;
            }
        }
        concurrent
    }
}

/// Which of the pending migrations each step takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// Before the new revision serves.
    pub expand: Vec<String>,
    /// When the older one is gone.
    pub contract: Vec<String>,
}

/// What the framework did for a revision before it served, as it is journaled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Migrated {
    /// Carried out now.
    pub done: Vec<String>,
    /// What waits for its contract.
    pub waiting: Vec<String>,
    /// Every migration that the revision has; nothing where the framework can not say.
    pub known: Option<Vec<String>>,
}

/// What the framework shall carry out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// In which step.
    pub step: Step,
    /// These, in this order; each is known to be pending.
    pub pending: Vec<Pending>,
    /// Nobody uses the database meanwhile: everything that is pending may go at once.
    pub everything: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_concurrent(sql: &str) -> bool {
        Pending { name: String::new(), bound: None, sql: Some(sql.to_owned()), runs_code: false }.is_concurrent()
    }

    #[test]
    fn only_what_makes_nobody_wait_may_wait_long_itself() {
        assert!(is_concurrent(
            "--\n-- Concurrently create index\n--\nCREATE INDEX CONCURRENTLY \"a\" ON \"t\" (\"x\");"
        ));
        assert!(!is_concurrent("CREATE INDEX CONCURRENTLY a ON t (x);\nALTER TABLE t ADD COLUMN y text;"));
        assert!(!is_concurrent("-- CREATE INDEX CONCURRENTLY a\nALTER TABLE t ADD COLUMN y text;"));
        assert!(!is_concurrent("UPDATE t SET x = 1;"));
    }
}
