//! Whether the sides of a row belong together, and what brings them together where they do not.

use super::{Assignment, TableChange, same};
use crate::Ident;

impl TableChange {
    /// Holds for a row whose sides agree: one of them follows from the other.
    #[must_use]
    pub fn agrees(&self) -> String {
        self.agrees_in(&format!("{}.", self.table))
    }

    pub(super) fn agrees_in(&self, row: &str) -> String {
        let side = |assignments: &[Assignment]| {
            let all: Vec<String> = assignments.iter().map(|assignment| assignment.follows(row)).collect();
            if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
        };
        format!("(({}) OR ({}))", side(&self.forward), side(&self.backward))
    }

    /// What an update sets in rows whose older versions' columns do not follow from the newer one's any more, and which rows
    /// these are: those made since `kept` was, and those whose newer columns were changed since.
    pub(crate) fn give_back(&self, kept: &Ident) -> (String, String) {
        let row = self.row();
        let mut set = Vec::new();
        let mut rows = vec![format!("{kept} IS NULL")];
        for back in self.of_older() {
            let (column, value) = (&back.column, back.value(&row));
            let sources = back.sources();
            let as_then: Vec<String> = self
                .forward
                .iter()
                .filter(|forward| sources.contains(&forward.column))
                .map(|forward| forward.follows(&row))
                .collect();
            // An older value that the newer one still follows from may say more than the newer one does.
            if as_then.is_empty() {
                set.push(format!("{column} = CASE WHEN {kept} IS NULL THEN {value} ELSE {column} END"));
                continue;
            }
            let stale = format!("NOT ({}) AND NOT {}", as_then.join(" AND "), back.follows(&row));
            set.push(format!("{column} = CASE WHEN {kept} IS NULL OR ({stale}) THEN {value} ELSE {column} END"));
            rows.push(format!("({stale})"));
        }
        set.push(format!("{kept} = true"));
        (set.join(", "), rows.join(" OR "))
    }

    /// Holds for a row that an older version wrote while nothing carried its writes over: one without a mark, or one whose
    /// newer columns follow from the older ones no more, nor these from them.
    pub(crate) fn out_of_step(&self) -> Option<String> {
        let mark = self.mark.as_ref()?;
        let row = self.row();
        // A column that follows from no other is its version's own.
        let forward = self.forward.iter().filter(|forward| !forward.sources().is_empty());
        let forward: Vec<String> = forward.map(|forward| forward.follows(&row)).collect();
        if forward.is_empty() {
            return Some(format!("{mark} IS NULL"));
        }
        let mut agree = format!("({})", forward.join(" AND "));
        if !self.backward.is_empty() {
            let backward: Vec<String> = self.backward.iter().map(|back| back.follows(&row)).collect();
            agree.push_str(&format!(" OR ({})", backward.join(" AND ")));
        }
        Some(format!("{mark} IS NULL OR NOT ({agree})"))
    }

    /// What a column's name begins with in a statement on the table.
    fn row(&self) -> String {
        format!("{}.", self.table)
    }
}

impl Assignment {
    /// Holds where the column has the value that the other side gives it.
    fn follows(&self, row: &str) -> String {
        same(&format!("{row}{}", self.column), &self.value(row))
    }
}
