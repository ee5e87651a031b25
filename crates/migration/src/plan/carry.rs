//! What stands on a column in whose place another one is: it comes along on the new one, beside the old until contract.
//! What can not come along is named before anything begins.

use std::collections::BTreeMap;

use switchover_model::Problem;

use super::draft::{Draft, Replaced};
use super::{Finding, Lock, Piece, Step, Work, alter_column, ours, partitions};
use crate::catalog::{ConstraintType, Index, Statistics, Table, TableConstraint};
use crate::index_definition::rebuilt;
use crate::version::same_column_rights;
use crate::{Expression, Ident, Literal, QualifiedName};

/// Plans what comes along on all replaced columns; says what can not.
pub(super) fn carry(draft: &mut Draft<'_>) -> Vec<Problem> {
    let mut of_tables: BTreeMap<Ident, BTreeMap<Ident, Ident>> = BTreeMap::new();
    for Replaced { table, old, new } in draft.replaced.clone() {
        of_tables.entry(table).or_default().insert(old, new);
    }
    let catalog = draft.ground.catalog;
    let mut problems = Vec::new();
    for (name, columns) in of_tables {
        let Some(known) = catalog.tables.get(&name) else { continue };
        let found = in_the_way(draft, &name, known, &columns);
        if !found.is_empty() {
            problems.extend(found);
            continue;
        }
        let mut table = Carried { draft: &mut *draft, name: &name, known, columns: &columns };
        table.settings();
        problems.extend(table.all().err());
    }
    problems
}

/// How a column that a foreign key refers to gets another type.
const REFERRED: &str = "In one migration drop the foreign key with `drop_constraint`; in the next one convert both columns; in a third one make \
                        the foreign key anew with `create_constraint`.";

/// What stands on the columns and can not come along.
fn in_the_way(draft: &Draft<'_>, name: &Ident, known: &Table, columns: &BTreeMap<Ident, Ident>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (old, what) in
        known.dependants.iter().filter_map(|one| Some((columns.get_key_value(&one.column)?.0, &one.what)))
    {
        let cause = format!("{what} stands on column {old} of {name}, and would stay with the old column.");
        problems.push(Problem::new(
            "COLUMN-IN-USE",
            cause,
            "Drop it first, and make it anew on the new column after contract.",
        ));
    }
    if let Some(column) = known.partition_keys().find_map(|key| standing(columns, &key.columns)) {
        let cause = format!("{name} is partitioned by column {column}.");
        problems.push(Problem::new(
            "COLUMN-IN-USE",
            cause,
            "Move the rows to another table, partitioned by the new column.",
        ));
    }
    for constraint in known.constraints.iter().filter(|constraint| !is_given_up(draft, name, constraint)) {
        if let Some((cause, next)) = constraint_in_the_way(draft, name, known, constraint, columns) {
            problems.push(Problem::new("COLUMN-IN-USE", cause, next));
        }
    }
    for index in known.indexes.iter().filter(|index| index.replica_identity) {
        if let Some(column) = standing(columns, &index.columns) {
            let cause = format!(
                "subscribers know the rows of {name} by index {}, which stands on column {column}.",
                index.name
            );
            let next = "Set another replica identity first, such as the primary key, with `set_replica_identity`.";
            problems.push(Problem::new("COLUMN-IN-USE", cause, next));
        }
    }
    for statistics in known.statistics.iter().filter(|statistics| statistics.of_expressions) {
        if let Some(column) = standing(columns, &statistics.columns) {
            let cause =
                format!("statistics {} are about an expression with column {column} of {name}.", statistics.name);
            problems.push(Problem::new("COLUMN-IN-USE", cause, "Drop them first, and make them anew after contract."));
        }
    }
    problems
}

/// Why a constraint can not come along, and what to do.
fn constraint_in_the_way(
    draft: &Draft<'_>,
    name: &Ident,
    known: &Table,
    constraint: &TableConstraint,
    columns: &BTreeMap<Ident, Ident>,
) -> Option<(String, &'static str)> {
    let called = &constraint.name;
    if let Some(column) = standing(columns, &constraint.referred) {
        return Some((format!("foreign key {called} of {name} refers to its own column {column}."), REFERRED));
    }
    let column = standing(columns, &constraint.columns)?;
    let renamed = |piece: &Piece| matches!(piece, Piece::RenamedConstraint { from, .. } if from == called);
    match (&constraint.of_table, constraint.kind) {
        (Some(of), _) => Some((format!("foreign key {called} of {of} refers to column {column} of {name}."), REFERRED)),
        (None, ConstraintType::PrimaryKey) if known.partitioned => Some((
            format!("column {column} of {name} is part of the primary key of a partitioned table."),
            "Move the rows to another table that has the new type.",
        )),
        (None, ConstraintType::Exclude) => Some((
            format!(
                "exclusion constraint {called} stands on column {column} of {name}; the database can not build one beside running writes."
            ),
            "Drop it with `drop_constraint` in the same migration, and make it anew by hand in a quiet hour.",
        )),
        (None, _) if draft.pieces.iter().any(renamed) => Some((
            format!("constraint {called} stands on column {column} of {name} and is renamed by the same migration."),
            "Rename it in a migration of its own.",
        )),
        (None, _) => None,
    }
}

/// The first of the columns that is replaced.
fn standing<'a>(replaced: &BTreeMap<Ident, Ident>, columns: &'a [Ident]) -> Option<&'a Ident> {
    columns.iter().find(|column| replaced.contains_key(*column))
}

/// Whether the migration drops the constraint.
fn is_given_up(draft: &Draft<'_>, table: &Ident, constraint: &TableConstraint) -> bool {
    let gives_up = |piece: &Piece| matches!(piece, Piece::DroppedConstraint { table: of, constraint: name, .. } if of == table && *name == constraint.name);
    constraint.of_table.is_none() && draft.pieces.iter().any(gives_up)
}

/// One table and its replaced columns.
struct Carried<'d, 'a> {
    draft: &'d mut Draft<'a>,
    name: &'d Ident,
    known: &'d Table,
    columns: &'d BTreeMap<Ident, Ident>,
}

impl Carried<'_, '_> {
    fn all(&mut self) -> Result<(), Problem> {
        let (known, replaced) = (self.known, self.columns);
        let stands = |columns: &[Ident]| columns.iter().any(|column| replaced.contains_key(column));
        // A unique constraint's own columns do not tell of those that its index only carries along.
        let of_index = |constraint: &TableConstraint| {
            let index = known.indexes.iter().find(|index| index.of_constraint && index.name == constraint.name);
            index.is_some_and(|index| stands(&index.columns))
        };
        let stands_on = |constraint: &&TableConstraint| stands(&constraint.columns) || of_index(constraint);
        for constraint in known.constraints.iter().filter(stands_on) {
            if is_given_up(self.draft, self.name, constraint) || alter_column::stands_for_not_null(constraint) {
                continue;
            }
            match constraint.kind {
                ConstraintType::Check => self.check(constraint)?,
                ConstraintType::ForeignKey => self.foreign_key(constraint)?,
                ConstraintType::Unique | ConstraintType::PrimaryKey => self.key(constraint)?,
                ConstraintType::Exclude => {}
            }
        }
        for index in known.indexes.iter().filter(|index| !index.of_constraint && index.valid) {
            let is_dropped =
                |piece: &Piece| matches!(piece, Piece::DroppedIndex { index: name } if *name == index.name);
            if stands(&index.columns) && !self.draft.pieces.iter().any(is_dropped) {
                self.index(index)?;
            }
        }
        for statistics in known.statistics.iter().filter(|statistics| stands(&statistics.columns)) {
            self.statistics(statistics);
        }
        let columns: Vec<String> = self.columns.values().map(ToString::to_string).collect();
        let on = self.draft.base(self.name);
        self.draft.after.push(Step {
            name: format!("look at the new values of {}", self.name),
            lock: None,
            work: Work::Together(vec![format!("ANALYZE {on} ({})", columns.join(", "))]),
        });
        Ok(())
    }

    fn ours(&self, name: &Ident) -> Ident {
        ours(self.draft.ground.number, name)
    }

    /// What belongs to the column itself.
    fn settings(&mut self) {
        let on = self.draft.base(self.name);
        for (old, new) in self.columns {
            let Some(column) = self.known.column(old) else { continue };
            let statements = &mut self.draft.touch(self.name).statements;
            if let Some(target) = column.statistics_target {
                statements.push(format!("ALTER TABLE {on} ALTER COLUMN {new} SET STATISTICS {target}"));
            }
            if let Some(options) = &column.options {
                statements.push(format!("ALTER TABLE {on} ALTER COLUMN {new} SET ({options})"));
            }
            if column.granted {
                statements.push(same_column_rights(&on, old, &on, new));
            }
        }
    }

    fn check(&mut self, constraint: &TableConstraint) -> Result<(), Problem> {
        let text = constraint.condition.clone().unwrap_or_default();
        let condition = Expression::parse(&text).map_err(|error| {
            let cause = format!("check {} of {} was not understood: {error}.", constraint.name, self.name);
            Problem::new("COLUMN-IN-USE", cause, "Drop it with `drop_constraint` in the same migration.")
        })?;
        let condition = condition.with_columns(&|name| Some(self.columns.get(name).unwrap_or(name).to_string()));
        let new = self.ours(&constraint.name);
        let no_inherit = constraint.definition.ends_with(" NO INHERIT");
        if constraint.validated {
            self.draft.check(self.name, &new, &condition, no_inherit);
        } else {
            self.draft.check_new_rows(self.name, &new, &condition, no_inherit);
        }
        self.takes_the_place(constraint, &new);
        Ok(())
    }

    /// In contract the old one goes, and the new one gets its name.
    fn takes_the_place(&mut self, constraint: &TableConstraint, new: &Ident) {
        let table = self.name.clone();
        if let Some(comment) = &constraint.comment {
            let on = self.draft.base(self.name);
            self.draft.after.push(Step {
                name: format!("comment on {new}"),
                lock: None,
                work: Work::Together(vec![format!("COMMENT ON CONSTRAINT {new} ON {on} IS {}", Literal(comment))]),
            });
        }
        self.draft.pieces.extend([
            Piece::MadeConstraint { table: table.clone(), constraint: new.clone(), not_null: None },
            super::constraints::dropped(&table, constraint),
            Piece::RenamedConstraint { table, from: new.clone(), to: constraint.name.clone() },
        ]);
    }

    fn foreign_key(&mut self, constraint: &TableConstraint) -> Result<(), Problem> {
        let rest = constraint.definition.split_once(") REFERENCES ").map(|(_, rest)| rest);
        let names_columns =
            constraint.definition.contains(" SET NULL (") || constraint.definition.contains(" SET DEFAULT (");
        let Some(rest) = rest.filter(|_| !names_columns) else {
            let cause = format!("foreign key {} of {} names its columns more than once.", constraint.name, self.name);
            return Err(Problem::new("COLUMN-IN-USE", cause, "Drop it with `drop_constraint` in the same migration."));
        };
        let rest = rest.strip_suffix(" NOT VALID").unwrap_or(rest);
        let columns: Vec<String> =
            constraint.columns.iter().map(|column| self.columns.get(column).unwrap_or(column).to_string()).collect();
        let clause = format!("FOREIGN KEY ({}) REFERENCES {rest}", columns.join(", "));
        let new = self.ours(&constraint.name);
        super::constraints::foreign_key(self.draft, self.name, &new, &clause, None, constraint.validated);
        self.takes_the_place(constraint, &new);
        Ok(())
    }

    /// A unique constraint or the primary key.
    fn key(&mut self, constraint: &TableConstraint) -> Result<(), Problem> {
        let Some(index) = self.known.indexes.iter().find(|index| index.name == constraint.name) else { return Ok(()) };
        let new = self.ours(&constraint.name);
        let columns: Vec<Ident> =
            constraint.columns.iter().map(|column| self.columns.get(column).unwrap_or(column).clone()).collect();
        let on = self.draft.base(self.name);
        let means = format!("{} wants its new value to be unique, and another row has the same", constraint.name);
        let twice = Finding::of_same(&on, self.known, &columns, means);
        self.build(index, &new, Some(twice))?;
        let deferral = match constraint.definition.find(" DEFERRABLE") {
            Some(at) => &constraint.definition[at..],
            None => "",
        };
        if constraint.kind == ConstraintType::PrimaryKey {
            // The key goes before its old columns can take NULL again, and comes when the new ones have their names.
            self.draft.pieces.insert(0, super::constraints::dropped(self.name, constraint));
            self.draft.pieces.push(Piece::MadeKey {
                table: self.name.clone(),
                constraint: constraint.name.clone(),
                index: new,
                deferral: deferral.to_owned(),
            });
            return Ok(());
        }
        self.draft.after.push(Step {
            name: format!("make {new} a constraint of {}", self.name),
            lock: Some((Lock::AccessExclusive, on.clone())),
            work: Work::Together(vec![format!(
                "ALTER TABLE {on} ADD CONSTRAINT {new} UNIQUE USING INDEX {new}{deferral}"
            )]),
        });
        self.takes_the_place(constraint, &new);
        Ok(())
    }

    /// The same index over the new columns.
    fn build(&mut self, index: &Index, new: &Ident, breaks: Option<Finding>) -> Result<(), Problem> {
        if self.known.partitioned && index.of_constraint {
            let cause = format!(
                "constraint {} of the partitioned table {} stands on a column that is converted.",
                index.name, self.name
            );
            return Err(Problem::new(
                "COLUMN-IN-USE",
                cause,
                "No operation does this: make a table of the new kind beside it, and move the rows.",
            ));
        }
        partitions::refuse_foreign(self.name, self.known, new)?;
        let build = rebuilt(&index.definition, new, self.columns, self.known.partitioned).map_err(|why| {
            let cause = format!("index {} of {} was not understood: {why}.", index.name, self.name);
            Problem::new("COLUMN-IN-USE", cause, "Drop it first, and make it anew on the new column afterwards.")
        })?;
        self.draft.after.push(Step {
            name: format!("build {new} beside index {}", index.name),
            lock: Some((Lock::ShareUpdateExclusive, self.draft.base(self.name))),
            work: Work::BuildIndex { build, breaks },
        });
        let of = self.known.partitioned.then(|| self.name.clone());
        self.draft.pieces.push(Piece::MadeIndex { index: new.clone(), of });
        Ok(())
    }

    fn index(&mut self, index: &Index) -> Result<(), Problem> {
        let new = self.ours(&index.name);
        self.build(index, &new, None)?;
        if let Some(comment) = &index.comment {
            let on = QualifiedName::new(&self.draft.ground.catalog.schema, &new);
            self.draft.after.push(Step {
                name: format!("comment on {new}"),
                lock: None,
                work: Work::Together(vec![format!("COMMENT ON INDEX {on} IS {}", Literal(comment))]),
            });
        }
        self.draft.pieces.push(Piece::DroppedIndex { index: index.name.clone() });
        self.draft.pieces.push(Piece::RenamedIndex { from: new, to: index.name.clone() });
        Ok(())
    }

    fn statistics(&mut self, statistics: &Statistics) {
        let new = QualifiedName::new(&statistics.name.schema, &self.ours(&statistics.name.name));
        let columns: Vec<String> =
            statistics.columns.iter().map(|column| self.columns.get(column).unwrap_or(column).to_string()).collect();
        let on = self.draft.base(self.name);
        let make = format!("CREATE STATISTICS {new} ({}) ON {} FROM {on}", statistics.kinds, columns.join(", "));
        self.draft.touch(self.name).statements.push(make);
        let (table, old) = (self.name.clone(), statistics.name.clone());
        self.draft.pieces.push(Piece::ReplacedStatistics { table, old, new });
    }
}
