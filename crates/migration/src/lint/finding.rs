//! What is said about a statement.

use std::fmt;

use serde::Serialize;

use crate::Mistake;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does not run so.
    Refused,
    /// It runs; it is better known.
    Told,
}

/// One finding. `Display` shows it over several lines, with the file's own line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// Where, and what.
    #[serde(flatten)]
    pub mistake: Mistake,
    /// How to write it: the statements of expand.
    pub expand: Vec<String>,
    /// How to write it: the statements of contract.
    pub contract: Vec<String>,
}

impl Finding {
    pub(crate) fn new(rule: &str, severity: Severity, mut mistake: Mistake, said: Said) -> Self {
        let mut lines: Vec<String> = said.next.into_iter().collect();
        for (phase, statements) in [("expand", &said.expand), ("contract", &said.contract)] {
            lines.extend(statements.iter().map(|statement| format!("{phase}: {}", statement.replace('\n', "\n  "))));
        }
        mistake.write = lines.join("\n");
        mistake.cause = format!("[{rule}] {}", mistake.cause);
        Self { rule: rule.to_owned(), severity, mistake, expand: said.expand, contract: said.contract }
    }

    /// Whether the statement may not run so.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.severity == Severity::Refused
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.mistake, f)
    }
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) cause: String,
    pub(crate) next: Option<String>,
    pub(crate) expand: Vec<String>,
    pub(crate) contract: Vec<String>,
}

impl Said {
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), next: None, expand: Vec::new(), contract: Vec::new() }
    }

    /// What to do, in words.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Statements of the phase expand.
    pub(crate) fn expand(mut self, statements: impl IntoIterator<Item = String>) -> Self {
        self.expand.extend(statements);
        self
    }

    /// Statements of the phase contract.
    pub(crate) fn contract(mut self, statements: impl IntoIterator<Item = String>) -> Self {
        self.contract.extend(statements);
        self
    }
}
