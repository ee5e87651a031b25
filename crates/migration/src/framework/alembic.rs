//! Alembic: `alembic history`, `alembic current`, and `alembic upgrade FROM:TO --sql` for each pending revision.

use std::collections::BTreeMap;

use super::Pending;
use crate::lint::{Act, statements};

/// Alembic's own table, which is no matter of the app's.
const OWN_TABLE: &str = "alembic_version";

/// From one revision to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Nothing before the first.
    pub from: Option<String>,
    /// The revision that it leads to.
    pub to: String,
}

impl Step {
    /// The command's arguments that show its SQL.
    #[must_use]
    pub fn sql(&self) -> [String; 3] {
        ["upgrade".to_owned(), format!("{}:{}", self.from.as_deref().unwrap_or("base"), self.to), "--sql".to_owned()]
    }

    /// The command's arguments that carry out everything up to it.
    #[must_use]
    pub fn upgrade(&self) -> [&str; 2] {
        ["upgrade", &self.to]
    }
}

/// The steps from what `current` printed to the newest revision of what `history` printed.
///
/// Errors: a line that is none of these, several branches, or a database whose revision the history does not know.
pub fn pending(history: &str, current: &str) -> Result<Vec<Step>, String> {
    read(history, current).map(|(_, pending)| pending)
}

/// All revisions of what `history` printed.
///
/// Errors: as [`pending`].
pub fn known(history: &str) -> Result<Vec<String>, String> {
    read(history, "").map(|(known, _)| known)
}

fn read(history: &str, current: &str) -> Result<(Vec<String>, Vec<Step>), String> {
    let mut next: BTreeMap<Option<String>, String> = BTreeMap::new();
    for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let read = || {
            let (from, rest) = line.split_once(" -> ")?;
            let to = rest.split([' ', ',']).next().filter(|to| !to.is_empty())?;
            Some((if from == "<base>" { None } else { Some(from.to_owned()) }, to.to_owned()))
        };
        let (from, to) = read().ok_or_else(|| format!("`{line}` is no line of a history"))?;
        if from.as_ref().is_some_and(|from| from.contains(',')) || next.insert(from, to).is_some() {
            return Err(format!("the history has several branches at `{line}`"));
        }
    }
    let mut at = match current.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>()[..] {
        [] => None,
        [one] => one.split(' ').next().map(str::to_owned),
        _ => return Err("the database is at several revisions".to_owned()),
    };
    if let Some(at) = at.as_ref().filter(|at| !next.values().any(|to| to == *at)) {
        return Err(format!("the database is at revision {at}, which the history does not know"));
    }
    let known = next.values().cloned().collect();
    let mut steps = Vec::new();
    // Each is taken out, so that a history that goes in circles ends.
    while let Some(to) = next.remove(&at) {
        steps.push(Step { from: at, to: to.clone() });
        at = Some(to);
    }
    Ok((known, steps))
}

/// A pending revision with what `upgrade --sql` printed of it, without what is about Alembic's own table.
#[must_use]
pub fn with_sql(step: &Step, sql: &str) -> Pending {
    let is_own = |act: &Act| match act {
        Act::Write(write) => write.table.name.as_str() == OWN_TABLE,
        Act::CreateTable { table } => table.name.as_str() == OWN_TABLE,
        _ => false,
    };
    let mut app = sql.to_owned();
    // What can not be read is told by the linter.
    for statement in statements(sql).unwrap_or_default().iter().rev() {
        if statement.acts.iter().any(is_own) {
            let blank: String = sql[statement.at.clone()].chars().filter(|letter| *letter == '\n').collect();
            app.replace_range(statement.at.clone(), &blank);
        }
    }
    Pending { name: step.to.clone(), bound: None, sql: Some(app), runs_code: false }
}
