//! Whether the sides of a row belong together, and what brings them together where they do not.

use std::collections::BTreeSet;

use super::{Assignment, TableChange, same};
use crate::Ident;

impl TableChange {
    /// Holds for a row whose sides agree: one of them follows from the other.
    #[must_use]
    pub fn agrees(&self) -> String {
        self.agrees_in(&format!("{}.", self.table))
    }

    pub(super) fn agrees_in(&self, row: &str) -> String {
        let groups: Vec<String> = self.groups().iter().map(|group| group.agrees(row)).collect();
        if groups.is_empty() { "(true)".to_owned() } else { format!("({})", groups.join(" AND ")) }
    }

    /// The columns that belong together: those that follow from one another, on either side. Of each of these a row has the
    /// values of one side, whichever side has given the others theirs.
    fn groups(&self) -> Vec<Group<'_>> {
        let forward = self.forward.iter().map(|assignment| (assignment, true));
        let backward = self.backward.iter().map(|assignment| (assignment, false));
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (assignment, is_forward) in forward.chain(backward) {
            let mut group = Group { columns: assignment.sources_by_side(&self.shared).0, ..Group::default() };
            group.columns.insert(assignment.column.clone());
            let (joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|known| !known.columns.is_disjoint(&group.columns));
            groups = apart;
            for known in joined {
                group.columns.extend(known.columns);
                group.forward.extend(known.forward);
                group.backward.extend(known.backward);
            }
            if is_forward {
                group.forward.push(assignment);
            } else {
                group.backward.push(assignment);
            }
            groups.push(group);
        }
        groups
    }

    /// What an update sets in rows whose older versions' columns do not follow from the newer one's any more, and which rows
    /// these are: those made since `kept` was, and those whose newer columns were changed since.
    pub(crate) fn give_back(&self, kept: &Ident) -> (String, String) {
        let row = self.row();
        let mut set = Vec::new();
        let mut rows = vec![format!("{kept} IS NULL")];
        for back in self.of_older() {
            let (column, value) = (&back.column, back.value(&row));
            // An older value that the newer one still follows from may say more than the newer one does.
            let Some(as_then) = self.as_then(back) else {
                set.push(format!("{column} = CASE WHEN {kept} IS NULL THEN {value} ELSE {column} END"));
                continue;
            };
            let stale = format!("NOT ({as_then}) AND NOT {}", back.follows(&row));
            set.push(format!("{column} = CASE WHEN {kept} IS NULL OR ({stale}) THEN {value} ELSE {column} END"));
            rows.push(format!("({stale})"));
        }
        set.push(format!("{kept} = true"));
        (set.join(", "), rows.join(" OR "))
    }

    /// The values that a row may get by that, joined by commas: NULL where it needs none.
    pub(crate) fn values_given_back(&self, kept: &Ident) -> String {
        let row = self.row();
        let value = |back: &Assignment| {
            let changed = self.as_then(back).map(|as_then| format!(" OR NOT ({as_then})")).unwrap_or_default();
            format!("CASE WHEN {kept} IS NULL{changed} THEN {} END", back.value(&row))
        };
        self.of_older().map(value).collect::<Vec<_>>().join(", ")
    }

    /// Holds for a row whose newer columns still follow from the older ones, as far as `back` rests on them.
    fn as_then(&self, back: &Assignment) -> Option<String> {
        let (row, sources) = (self.row(), back.sources());
        let forward = self.forward.iter().filter(|forward| sources.contains(&forward.column));
        let follows: Vec<String> = forward.map(|forward| forward.follows(&row)).collect();
        (!follows.is_empty()).then(|| follows.join(" AND "))
    }

    /// Holds for a row that an older version wrote while nothing carried its writes over: one without a mark, or one whose
    /// newer columns follow from the older ones no more, nor these from them.
    pub(crate) fn out_of_step(&self) -> Option<String> {
        let mark = self.mark.as_ref()?;
        let row = self.row();
        let stale = self.groups().iter().filter_map(|group| group.is_stale(&row)).collect::<Vec<_>>();
        Some(std::iter::once(format!("{mark} IS NULL")).chain(stale).collect::<Vec<_>>().join(" OR "))
    }

    /// What an update sets in rows that are out of step: where a value of the newer version still belongs to the older one's,
    /// it stays.
    pub(crate) fn bring_in_step(&self) -> String {
        let row = self.row();
        let mut set = Vec::new();
        for group in self.groups() {
            let stale = group.is_stale(&row).map(|stale| format!(" OR {stale}")).unwrap_or_default();
            for forward in &group.forward {
                let column = &forward.column;
                let is_new = self.mark.iter().map(|mark| format!("{row}{mark} IS NULL{stale}")).collect::<String>();
                set.push(format!("{column} = CASE WHEN {is_new} THEN {} ELSE {row}{column} END", forward.value(&row)));
            }
        }
        set.extend(self.mark.iter().map(|mark| format!("{mark} = 1")));
        set.join(", ")
    }

    /// What a column's name begins with in a statement on the table.
    fn row(&self) -> String {
        format!("{}.", self.table)
    }
}

/// Columns of a row that belong together.
#[derive(Debug, Default)]
struct Group<'a> {
    columns: BTreeSet<Ident>,
    forward: Vec<&'a Assignment>,
    backward: Vec<&'a Assignment>,
}

impl Group<'_> {
    /// Holds where one of the sides follows from the other.
    fn agrees(&self, row: &str) -> String {
        let side = |assignments: &[&Assignment]| {
            let all: Vec<String> = assignments.iter().map(|assignment| assignment.follows(row)).collect();
            if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
        };
        format!("(({}) OR ({}))", side(&self.forward), side(&self.backward))
    }

    /// Holds where neither does. Nothing where the newer version's columns follow from none: these are its own.
    fn is_stale(&self, row: &str) -> Option<String> {
        let forward = self.forward.iter().filter(|forward| !forward.sources().is_empty());
        let mut sides = vec![forward.map(|forward| forward.follows(row)).collect::<Vec<_>>()];
        sides.push(self.backward.iter().map(|back| back.follows(row)).collect());
        if sides[0].is_empty() {
            return None;
        }
        sides.retain(|side| !side.is_empty());
        let sides: Vec<String> = sides.iter().map(|side| format!("({})", side.join(" AND "))).collect();
        Some(format!("NOT ({})", sides.join(" OR ")))
    }
}

impl Assignment {
    /// Holds where the column has the value that the other side gives it.
    fn follows(&self, row: &str) -> String {
        same(&format!("{row}{}", self.column), &self.value(row))
    }
}
