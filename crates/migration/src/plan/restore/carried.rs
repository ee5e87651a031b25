//! *Restore* of what came along with a converted column: its key, its statistics, and rules that bind one version alone.

use super::{Back, build};
use crate::catalog::{Index, TableConstraint};
use crate::plan::{Lock, Piece, Step, Work, ours};
use crate::{Ident, Literal, QualifiedName};

/// The comment that an index had.
pub(super) fn commented(schema: &Ident, was: &Index) -> Option<Step> {
    let index = QualifiedName::new(schema, &was.name);
    let comment = format!("COMMENT ON INDEX {index} IS {}", Literal(was.comment.as_ref()?));
    Some(Step { name: format!("comment on {} again", was.name), lock: None, work: Work::Together(vec![comment]) })
}

impl Back<'_> {
    /// Rules that bind rows of the newer version alone again.
    pub(super) fn newer_rules(&self) -> Vec<String> {
        let Some(mark) = self.change().and_then(|change| change.mark.as_ref()) else { return Vec::new() };
        let mut statements = Vec::new();
        for piece in self.pieces() {
            if let Piece::NewerRule { until, condition, .. } = piece {
                let check = format!("CHECK ({mark} IS DISTINCT FROM 2 OR ({condition}))");
                statements.push(self.alter(format_args!("ADD CONSTRAINT {until} {check} NOT VALID")));
            }
        }
        statements
    }

    /// The column that is NOT NULL in the place of a check.
    pub(super) fn not_null_by(&self, check: &Ident) -> Option<&Ident> {
        self.pieces().into_iter().find_map(|piece| {
            let new = piece.new_column()?;
            Some(new.column).filter(|_| new.not_null == Some(check))
        })
    }

    pub(super) fn made_key(&self, constraint: &Ident) -> Option<&Piece> {
        self.pieces()
            .into_iter()
            .find(|piece| matches!(piece, Piece::MadeKey { constraint: made, .. } if made == constraint))
    }

    /// What the newer version's key is called until then.
    pub(super) fn key_aside(&self, constraint: &Ident) -> Ident {
        ours(self.planned.number, constraint).prefixed("back_")
    }

    /// The older version's key in the place of the newer one's, whose index stays.
    pub(super) fn older_key(&self, constraint: &Ident, index: &Ident) -> Vec<Step> {
        let of = |name: &Ident| Some(build(&self.on, self.known, self.known.index(name)?, None));
        let mut steps: Vec<Step> = [constraint, index].into_iter().filter_map(of).collect();
        let was = self.known.constraints.iter().find(|known| known.of_table.is_none() && known.name == *constraint);
        let deferral = was.and_then(|was| was.definition.find(" DEFERRABLE").map(|at| &was.definition[at..]));
        let aside = self.key_aside(constraint);
        steps.push(Step {
            name: format!("make {constraint} the primary key of {} again", self.table),
            lock: Some((Lock::AccessExclusive, self.on.clone())),
            work: Work::Together(vec![
                self.alter(format_args!("DROP CONSTRAINT {aside}")),
                self.alter(format_args!(
                    "ADD CONSTRAINT {constraint} PRIMARY KEY USING INDEX {constraint}{}",
                    deferral.unwrap_or_default()
                )),
            ]),
        });
        steps
    }

    /// The comment that a constraint had.
    pub(super) fn commented(&self, was: &TableConstraint) -> Option<Step> {
        let comment =
            format!("COMMENT ON CONSTRAINT {} ON {} IS {}", was.name, self.on, Literal(was.comment.as_ref()?));
        let name = format!("comment on {} of {} again", was.name, self.table);
        Some(Step { name, lock: None, work: Work::Together(vec![comment]) })
    }

    /// Statistics as they were.
    pub(super) fn statistics(&self, name: &QualifiedName) -> Option<Step> {
        let was = self.known.statistics.iter().find(|known| known.name == *name)?;
        let columns: Vec<String> = was.columns.iter().map(ToString::to_string).collect();
        let make = format!("CREATE STATISTICS {name} ({}) ON {} FROM {}", was.kinds, columns.join(", "), self.on);
        Some(Step {
            name: format!("make statistics {name} again"),
            lock: Some((Lock::ShareUpdateExclusive, self.on.clone())),
            work: Work::Together(vec![make]),
        })
    }
}
