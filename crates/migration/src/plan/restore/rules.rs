//! *Restore* of what must hold for older versions' columns, checked beside running writes.

use super::{Back, build};
use crate::Ident;
use crate::plan::{Finding, Lock, Piece, Step, Work, kept_mark, key_of, ours, partitions};

impl Back<'_> {
    /// What must hold for older versions' columns, checked beside running writes.
    pub(super) fn rules(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut last = Vec::new();
        for piece in self.pieces() {
            match piece {
                Piece::ReplacedColumn { old: column, .. } | Piece::DroppedColumn { column, .. } => {
                    if let Piece::ReplacedColumn { not_null: Some(check), .. } = piece
                        && !self.is_of_key(column)
                    {
                        steps.extend(self.own_check(check).map(|_| self.validate(check, None)));
                    }
                    if let Some((checked, settled)) = self.not_null_again(column) {
                        steps.extend(checked);
                        last.extend(settled);
                    }
                }
                Piece::MadeColumn { not_null: Some(check), .. } => {
                    steps.extend(self.own_check(check).map(|_| self.validate(check, None)));
                }
                Piece::MadeConstraint { constraint, not_null: Some(_), .. } => {
                    steps.push(self.validate(constraint, None));
                }
                Piece::DroppedConstraint { constraint, .. } if self.made_key(constraint).is_some() => {}
                Piece::DroppedConstraint { constraint, definition, .. } => {
                    // As it was right before contract: names in it may have changed since the plan.
                    let mut known = self.known.constraints.iter().filter(|known| known.of_table.is_none());
                    let known = known.find(|known| known.name == *constraint);
                    steps.extend(self.constraint(constraint, known.map_or(definition, |known| &known.definition)));
                    steps.extend(known.and_then(|known| self.commented(known)));
                }
                Piece::NewerRule { until, .. } => steps.push(self.validate(until, None)),
                Piece::ReplacedStatistics { old, .. } => steps.extend(self.statistics(old)),
                Piece::MovedSequence { column, sequence, data_type: Some(_), .. } => {
                    let was = self.column(column).map(|column| crate::plan::probe::whole_type(&column.data_type));
                    last.extend(was.map(|was| format!("ALTER SEQUENCE {sequence} AS {was}")));
                }
                Piece::MadeTable { .. }
                | Piece::MadeIndex { .. }
                | Piece::MadeColumn { not_null: None, .. }
                | Piece::MadeConstraint { not_null: None, .. }
                | Piece::Settings { .. }
                | Piece::DroppedTable { .. }
                | Piece::DroppedIndex { .. }
                | Piece::RenamedIndex { .. }
                | Piece::MovedSequence { data_type: None, .. }
                | Piece::MadeKey { .. }
                | Piece::RenamedConstraint { .. }
                | Piece::RenamedColumn { .. }
                | Piece::RenamedTable { .. }
                | Piece::SetReplicaIdentity { .. }
                | Piece::Sql { .. } => {}
            }
        }
        if self.is_marked() {
            last.push(self.alter(format_args!("DROP COLUMN {}", kept_mark(self.planned.number))));
        }
        if !last.is_empty() {
            steps.push(Step {
                name: format!("leave table {} to both versions", self.table),
                lock: Some((Lock::AccessExclusive, self.on.clone())),
                work: Work::Together(last),
            });
        }
        steps.extend(self.keys());
        steps
    }

    /// Primary keys that contract replaced.
    fn keys(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for piece in self.pieces() {
            if let Piece::MadeKey { constraint, index, .. } = piece {
                steps.extend(self.older_key(constraint, index));
            }
        }
        // As part of the newer version's key it could not take NULL.
        for piece in self.pieces() {
            if let Piece::ReplacedColumn { old, new, not_null: Some(check), .. } = piece
                && self.is_of_key(old)
                && self.own_check(check).is_some()
            {
                steps.push(Step {
                    name: format!("let a check say that {new} of {} is not NULL", self.table),
                    lock: Some((Lock::AccessExclusive, self.on.clone())),
                    work: Work::Together(self.not_null_as_check(new, Some(check))),
                });
                steps.push(self.validate(check, None));
            }
        }
        steps
    }

    /// Whether an older version's column is part of a primary key that contract replaced.
    pub(super) fn is_of_key(&self, old: &Ident) -> bool {
        let is_replaced = self.pieces().iter().any(|piece| matches!(piece, Piece::MadeKey { .. }));
        is_replaced && self.known.primary_key.contains(old)
    }

    /// A newer version's column that contract made NOT NULL has the check again that stood for it: detach takes that away.
    pub(super) fn not_null_as_check(&self, column: &Ident, check: Option<&Ident>) -> Vec<String> {
        let Some((check, clause)) = check.and_then(|check| Some((check, self.own_check(check)?))) else {
            return Vec::new();
        };
        vec![
            self.alter(format_args!("ADD CONSTRAINT {check} {clause} NOT VALID")),
            self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL")),
        ]
    }

    /// The clause of a check that stood for a column's NOT NULL, where it is no rule of its own.
    fn own_check(&self, check: &Ident) -> Option<&str> {
        let is_rule = |piece: &&Piece| matches!(piece, Piece::MadeConstraint { constraint, .. } | Piece::NewerRule { constraint, .. } if constraint == check);
        if self.pieces().iter().any(is_rule) {
            return None;
        }
        let known = self.known.constraints.iter().find(|known| known.of_table.is_none() && known.name == *check)?;
        Some(known.definition.strip_suffix(" NOT VALID").unwrap_or(&known.definition))
    }

    /// A column that was NOT NULL before contract is so again: what sees to it, and what then says it.
    fn not_null_again(&self, column: &Ident) -> Option<([Step; 2], [String; 2])> {
        self.column(column).filter(|column| !column.nullable && !column.generated)?;
        let check = ours(self.planned.number, column).prefixed("back_");
        let clause = format!("CHECK ({column} IS NOT NULL)");
        let breaks = Finding {
            query: format!("SELECT {} FROM {} WHERE {column} IS NULL LIMIT 20", key_of(self.known), self.on),
            means: format!("{column} of the older version would be NULL in it, which it does not take"),
        };
        let checked = self.not_valid_first(&check, &clause, Lock::AccessExclusive, Some(breaks));
        let settled = [
            self.alter(format_args!("ALTER COLUMN {column} SET NOT NULL")),
            self.alter(format_args!("DROP CONSTRAINT {check}")),
        ];
        Some((checked, settled))
    }

    fn not_valid_first(&self, name: &Ident, clause: &str, lock: Lock, breaks: Option<Finding>) -> [Step; 2] {
        [
            Step {
                name: format!("add {name} to {} for new rows", self.table),
                lock: Some((lock, self.on.clone())),
                work: Work::Together(vec![self.alter(format_args!("ADD CONSTRAINT {name} {clause} NOT VALID"))]),
            },
            self.validate(name, breaks),
        ]
    }

    fn validate(&self, name: &Ident, breaks: Option<Finding>) -> Step {
        Step {
            name: format!("see that {name} holds for all rows of {}", self.table),
            lock: Some((Lock::ShareUpdateExclusive, self.on.clone())),
            work: Work::Validate { sql: self.alter(format_args!("VALIDATE CONSTRAINT {name}")), breaks },
        }
    }

    /// A constraint as it was.
    pub(in crate::plan) fn made_again(&self, name: &Ident) -> Vec<Step> {
        let mut own = self.known.constraints.iter().filter(|known| known.of_table.is_none());
        own.find(|known| known.name == *name).map_or_else(Vec::new, |known| self.constraint(name, &known.definition))
    }

    /// A constraint that contract dropped, from what made it.
    fn constraint(&self, name: &Ident, definition: &str) -> Vec<Step> {
        let whole = |lock: Lock, clause: String| Step {
            name: format!("make {name} a constraint of {}", self.table),
            lock: Some((lock, self.on.clone())),
            work: Work::Together(vec![self.alter(format_args!("ADD CONSTRAINT {name} {clause}"))]),
        };
        let made = |sql: String| Step {
            name: format!("make {name} a constraint of {}", self.table),
            lock: Some((Lock::AccessExclusive, self.on.clone())),
            work: Work::Together(vec![sql]),
        };
        let by_index = definition.starts_with("UNIQUE") || definition.starts_with("PRIMARY KEY");
        if let Some(index) = self.known.indexes.iter().find(|index| by_index && index.name == *name) {
            let kind = if definition.starts_with("UNIQUE") { "UNIQUE" } else { "PRIMARY KEY" };
            let deferral = definition.find(" DEFERRABLE").map_or("", |at| &definition[at..]);
            let breaks = self.known.constraints.iter().find(|known| known.name == *name).map(|known| {
                let columns: Vec<String> = known.columns.iter().map(ToString::to_string).collect();
                let means = format!("{name} wants ({}) to be unique, and another row has the same", columns.join(", "));
                Finding::of_same(&self.on, self.known, &known.columns, means)
            });
            let index = build(&self.on, self.known, index, breaks);
            if self.known.partitioned {
                let alone = format!("ALTER TABLE ONLY {} ADD CONSTRAINT {name} {definition}", self.on);
                return vec![made(alone), index];
            }
            return vec![index, whole(Lock::AccessExclusive, format!("{kind} USING INDEX {name}{deferral}"))];
        }
        if definition.starts_with("EXCLUDE") || by_index {
            return vec![whole(Lock::AccessExclusive, definition.to_owned())];
        }
        if definition.starts_with("FOREIGN KEY") && self.known.partitioned {
            return vec![partitions::foreign_key(&self.on, name, definition, None)];
        }
        let lock = if definition.starts_with("FOREIGN KEY") { Lock::ShareRowExclusive } else { Lock::AccessExclusive };
        match definition.strip_suffix(" NOT VALID") {
            Some(_) => vec![whole(lock, definition.to_owned())],
            None => self.not_valid_first(name, definition, lock, None).into(),
        }
    }
}
