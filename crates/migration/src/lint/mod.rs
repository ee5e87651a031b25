//! Looks at SQL before it runs: what the version that is live can not live with, and what makes its statements wait.
//!
//! [`Linter`] goes through files in the order in which they would be carried out, and remembers what they make: a new
//! table's columns can be anything, an old one's can not. Each rule is a file of `rules`; rules of squawk that ours do not
//! cover come along (`squawk.rs`).

mod act;
mod allow;
mod alter_table;
mod bounds;
mod finding;
mod name;
mod read;
mod rules;
mod scene;
mod squawk;
mod statement;
pub mod through_views;
mod volatile;

use std::ops::Range;

use crate::catalog::Catalog;
use crate::{Ident, Operation};

pub(crate) use act::Act;
pub use finding::{Finding, Severity};
pub(crate) use name::Name;

pub(crate) use statement::{Statement, statements, transactions};

use finding::Said;
use rules::{RULES, Rule};
use scene::{Scene, Transaction};

/// When a file runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the new version serves: the live one goes on with the schema.
    Expand,
    /// When the older version is gone.
    Contract,
}

impl Phase {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}

/// Who runs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanBy {
    /// We do: each try waits 40 ms for its locks.
    Us,
    /// The app's framework or a person: only what stands in the file bounds a wait.
    Others,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The live version can not live with it. It fits into contract, when the older version is gone.
    BreaksUntilContract,
    /// No version can live with it as it stands: it takes both phases.
    BreaksAlways,
    /// It makes the app's statements wait, or can not run at all.
    Stalls,
    /// It is better known.
    Tells,
}

impl Kind {
    fn severity(self, phase: Phase) -> Option<Severity> {
        match (self, phase) {
            (Self::BreaksUntilContract, Phase::Contract) => None,
            (Self::BreaksUntilContract, Phase::Expand) | (Self::BreaksAlways | Self::Stalls, _) => {
                Some(Severity::Refused)
            }
            (Self::Tells, _) => Some(Severity::Told),
        }
    }
}

/// The names of all rules that can be allowed: our own, then those of squawk that come along.
#[must_use]
pub fn rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).chain(squawk::names()).collect()
}

/// The names of our own rules.
#[must_use]
pub fn own_rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// Whether it makes something that a new version may need from its start: tables, columns, types and their values.
pub(crate) fn adds(sql: &str) -> bool {
    let makes = |act: &Act| {
        let adds =
            matches!(act, Act::CreateTable { .. } | Act::AddColumn(_) | Act::CreateType { .. } | Act::AddValue { .. });
        adds || matches!(act, Act::RenameTable { .. } | Act::RenameColumn { .. } | Act::RenameValue { .. })
    };
    statements(sql).unwrap_or_default().iter().any(|statement| statement.acts.iter().any(makes))
}

/// Goes through files in order.
#[derive(Debug, Clone)]
pub struct Linter<'a> {
    scene: Scene<'a>,
}

impl<'a> Linter<'a> {
    /// A linter for files that `ran_by` runs; with the `catalog` of the database, where it is known, it says less in vain.
    #[must_use]
    pub fn new(ran_by: RanBy, catalog: Option<&'a Catalog>) -> Self {
        Self { scene: Scene::new(Phase::Expand, ran_by, catalog) }
    }

    /// What there is to say about `text`, the content of `file`, when it runs in `phase`; in the order of the file.
    pub fn file(&mut self, text: &str, file: &str, phase: Phase) -> Vec<Finding> {
        let place = Source { text, file };
        let statements = match statements(text) {
            Ok(statements) => statements,
            Err(wrong) => {
                let finding = |(at, cause)| {
                    place.finding("not-sql", Severity::Refused, &at, Said::new(cause).next("Correct it."))
                };
                return wrong.into_iter().map(finding).collect();
            }
        };
        self.scene.phase = phase;
        let mut found = self.own(&place, &statements);
        let more = squawk::findings(text, &place, &statements, &self.scene, &found);
        found.extend(more);
        found.sort_by_key(|(at, _)| at.start);
        place.without_allowed(&statements, found)
    }

    /// Takes on what a declared operation makes, which the statements after it may do anything with.
    pub fn operation(&mut self, operation: &Operation) {
        let named = |name: &Ident| Name { schema: None, name: name.clone() };
        match operation {
            Operation::CreateTable(create) => self.scene.after(&Act::CreateTable { table: named(&create.name) }),
            Operation::AddColumn(add) => {
                self.scene.makes_column(named(&add.table), add.column.name.clone(), !add.column.nullable);
            }
            Operation::AlterColumn(_)
            | Operation::CreateConstraint(_)
            | Operation::CreateIndex(_)
            | Operation::DropColumn(_)
            | Operation::DropConstraint(_)
            | Operation::DropIndex(_)
            | Operation::DropMultiColumnConstraint(_)
            | Operation::DropTable(_)
            | Operation::RenameColumn(_)
            | Operation::RenameConstraint(_)
            | Operation::RenameTable(_)
            | Operation::SetReplicaIdentity(_)
            | Operation::Sql(_) => {}
        }
    }

    fn own(&mut self, place: &Source<'_>, statements: &[Statement]) -> Vec<(Range<usize>, Finding)> {
        let mut found = Vec::new();
        for transaction in gaps_filled(transactions(statements), statements.len()) {
            self.scene.transaction = Transaction::default();
            for statement in &statements[transaction] {
                for act in &statement.acts {
                    let told = RULES.iter().filter_map(|rule| self.check(place, rule, statement, act));
                    found.extend(told.map(|finding| (statement.at.clone(), finding)));
                    self.scene.after(act);
                }
            }
        }
        found
    }

    fn check(&self, place: &Source<'_>, rule: &Rule, statement: &Statement, act: &Act) -> Option<Finding> {
        let severity = rule.kind.severity(self.scene.phase)?;
        let said = (rule.check)(&self.scene, statement, act)?;
        Some(place.finding(rule.name, severity, &statement.at, said))
    }
}

/// The transactions, with each statement between them (`BEGIN`, `COMMIT`) on its own, so that none is left out.
fn gaps_filled(transactions: Vec<Range<usize>>, end: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut from = 0;
    for transaction in transactions {
        all.extend((from..transaction.start).map(|index| index..index + 1));
        from = transaction.end;
        all.push(transaction);
    }
    all.extend((from..end).map(|index| index..index + 1));
    all
}

/// A file that is looked at.
pub(crate) struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn finding(&self, rule: &str, severity: Severity, at: &Range<usize>, said: Said) -> Finding {
        Finding::new(
            rule,
            severity,
            crate::Mistake::at(self.text, self.file, at, said.cause.clone(), String::new()),
            said,
        )
    }

    /// Takes out what a comment allows, and tells comments that allow nothing.
    fn without_allowed(&self, statements: &[Statement], found: Vec<(Range<usize>, Finding)>) -> Vec<Finding> {
        let known = rule_names();
        let mut found = found;
        for statement in statements {
            let (allows, wrong) = allow::allows(&statement.comments, &known);
            for (at, cause) in wrong {
                let said = Said::new(cause).next(format!("write: {}", allow::WRITTEN));
                found.push((at.clone(), self.finding("allow-comment", Severity::Refused, &at, said)));
            }
            for allow in allows {
                let is_meant = |at: &Range<usize>, finding: &Finding| {
                    finding.rule == allow.rule && at.start >= statement.at.start && at.start < statement.at.end
                };
                let before = found.len();
                found.retain(|(at, finding)| !is_meant(at, finding));
                if found.len() == before {
                    let cause = format!("`{}` finds nothing in this statement ({})", allow.rule, allow.reason);
                    let said = Said::new(cause).next("Take the comment out.");
                    found.push((allow.at.clone(), self.finding("allow-comment", Severity::Told, &allow.at, said)));
                }
            }
        }
        found.sort_by_key(|(at, _)| at.start);
        let mut findings: Vec<Finding> = found.into_iter().map(|(_, finding)| finding).collect();
        findings.dedup();
        findings
    }
}

#[cfg(test)]
mod tests;
