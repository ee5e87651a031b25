//! *Restore* of names, defaults and triggers: from then on newer versions' writes give older versions' columns their values.

use super::Back;
use crate::change::triggers;
use crate::plan::{Lock, Piece, Step, Work, attic, attic_prefix, kept_mark};
use crate::{Ident, Literal, QualifiedName};

impl Back<'_> {
    /// Names, defaults and triggers, all at once: from here on newer versions' writes give older versions' columns their
    /// values.
    pub(super) fn names(&self) -> Option<Step> {
        let now = QualifiedName::new(&self.catalog.schema, &self.planned.table_after(self.table));
        let mut statements = Vec::new();
        if now != self.on {
            statements.push(format!("ALTER TABLE {now} RENAME TO {}", self.table));
        }
        for piece in self.pieces() {
            statements.extend(self.name(piece));
        }
        for piece in self.pieces() {
            if let Piece::MovedSequence { column, sequence, .. } = piece {
                statements.push(format!("ALTER SEQUENCE {sequence} OWNED BY {}.{column}", self.on));
            }
        }
        if let Some(change) = self.change() {
            if let Some(mark) = &change.mark {
                // Every row is in step, as far as newer versions see; what older ones see comes with the rows.
                statements.push(self.alter(format_args!("ADD COLUMN {mark} smallint DEFAULT 1")));
                statements.push(self.alter(format_args!("ALTER COLUMN {mark} DROP DEFAULT")));
            }
            if self.is_marked() {
                let kept = kept_mark(self.planned.number);
                statements.push(self.alter(format_args!("ALTER COLUMN {kept} SET DEFAULT true")));
            }
            statements.extend(self.newer_rules());
            statements.extend(triggers(&self.catalog.schema, self.table, std::slice::from_ref(change)));
        }
        (!statements.is_empty()).then(|| Step {
            name: format!("take what was put aside of table {} back", self.table),
            lock: Some((Lock::AccessExclusive, now)),
            work: Work::Together(statements),
        })
    }

    fn name(&self, piece: &Piece) -> Vec<String> {
        let number = self.planned.number;
        let back = |column: &Ident| {
            let mut statements = vec![self.alter(format_args!("RENAME COLUMN {} TO {column}", attic(number, column)))];
            statements.extend(self.default(column));
            statements
        };
        match piece {
            Piece::MadeTable { .. }
            | Piece::MadeIndex { .. }
            | Piece::DroppedIndex { .. }
            | Piece::RenamedIndex { .. }
            | Piece::MovedSequence { .. }
            | Piece::Sql { .. } => Vec::new(),
            Piece::NewerRule { constraint, .. } => {
                let mut statements = vec![self.alter(format_args!("DROP CONSTRAINT IF EXISTS {constraint}"))];
                let column = self.not_null_by(constraint);
                statements.extend(column.map(|column| self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL"))));
                statements
            }
            Piece::ReplacedStatistics { old, new, .. } => {
                vec![format!("ALTER STATISTICS {old} RENAME TO {}", new.name)]
            }
            // Rows are gone through by it until the older one is there again.
            Piece::MadeKey { constraint, .. } => {
                vec![self.alter(format_args!("RENAME CONSTRAINT {constraint} TO {}", self.key_aside(constraint)))]
            }
            // Made again beside running writes.
            Piece::DroppedConstraint { .. } | Piece::RenamedTable { .. } => Vec::new(),
            Piece::MadeConstraint { not_null: None, .. } => Vec::new(),
            Piece::MadeConstraint { constraint, not_null: Some(column), .. } => vec![
                self.alter(format_args!("ADD CONSTRAINT {constraint} CHECK ({column} IS NOT NULL) NOT VALID")),
                self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL")),
            ],
            Piece::MadeColumn { column, not_null, .. } => {
                let mut statements = self.default(column);
                statements.extend(self.not_null_as_check(column, not_null.as_ref()));
                statements
            }
            Piece::Settings { column, comment, .. } => {
                let mut statements = self.default(column);
                statements.extend(comment.as_ref().and_then(|_| self.comment(column)));
                statements
            }
            Piece::ReplacedColumn { old, new, not_null, .. } => {
                let mut statements = vec![self.alter(format_args!("RENAME COLUMN {old} TO {new}"))];
                statements.extend(self.default(new));
                statements.extend(self.not_null_as_check(new, not_null.as_ref().filter(|_| !self.is_of_key(old))));
                statements.extend(self.comment(new));
                statements.extend(back(old));
                statements
            }
            Piece::DroppedColumn { column, .. } => back(column),
            Piece::DroppedTable { .. } => self.index_names().into_iter().collect(),
            Piece::RenamedConstraint { from, to, .. } => {
                crate::plan::contract::rename_constraint(&self.on, to, from, self.known.partitioned)
            }
            Piece::RenamedColumn { from, to, .. } => vec![self.alter(format_args!("RENAME COLUMN {to} TO {from}"))],
            Piece::SetReplicaIdentity { table, .. } => {
                let was = self.kept.identities.get(table);
                was.map(|was| self.alter(format_args!("REPLICA IDENTITY {was}"))).into_iter().collect()
            }
        }
    }

    /// The indexes of a table that was put aside get their own names back.
    fn index_names(&self) -> Option<String> {
        let names: Vec<String> =
            self.known.indexes.iter().map(|index| Literal(index.name.as_str()).to_string()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "SELECT switchover.set_back({}, {}, ARRAY[{}]::text[])",
                Literal(self.catalog.schema.as_str()),
                Literal(&attic_prefix(self.planned.number)),
                names.join(", ")
            )
        })
    }

    /// Its default as it was before contract; an identity or a generated column has none of its own.
    pub(in crate::plan) fn default(&self, column: &Ident) -> Vec<String> {
        let Some(known) = self.column(column).filter(|column| !column.generated) else { return Vec::new() };
        let default = known.default.as_ref().map_or_else(
            || format!("ALTER COLUMN {column} DROP DEFAULT"),
            |default| format!("ALTER COLUMN {column} SET DEFAULT {default}"),
        );
        vec![self.alter(default)]
    }

    fn comment(&self, column: &Ident) -> Option<String> {
        let known = self.column(column)?;
        let comment = crate::plan::alter_column::comment(known.comment.as_deref());
        Some(format!("COMMENT ON COLUMN {}.{column} IS {comment}", self.on))
    }
}
