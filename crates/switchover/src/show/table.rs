//! Plain tables: columns as wide as their widest cell, or as narrow as a terminal asks for.

use console::{Alignment, measure_text_width, pad_str};

use super::wrap::{folded, widest_word, wrapped};

/// The space between two columns.
const GAP: &str = "  ";

/// A table under construction; the first row is its head.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns (from 0) whose cells stand at the right.
    right: Vec<usize>,
}

impl Table {
    /// A table with this head; the columns of `right` hold numbers.
    pub(crate) fn new(head: &[&str], right: &[usize]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()], right: right.to_vec() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Its lines, without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.drawn(&self.widest())
    }

    /// The same in lines of at most `width` columns, where that is given: the widest columns are broken between words. Where
    /// that is not enough each row is a sentence, with the head's words before its cells.
    pub(crate) fn lines_within(&self, width: Option<usize>) -> Vec<String> {
        let mut widths = self.widest();
        let Some(width) = width.filter(|width| all_of(&widths) > *width) else { return self.drawn(&widths) };
        let least: Vec<usize> = (0..widths.len()).map(|at| self.least(at)).collect();
        while all_of(&widths) > width {
            let narrower = (0..widths.len()).filter(|at| widths[*at] > least[*at]).max_by_key(|at| widths[*at]);
            let Some(at) = narrower else { return self.sentences(width) };
            widths[at] -= 1;
        }
        self.drawn(&widths)
    }

    fn column(&self, at: usize) -> impl Iterator<Item = (usize, &String)> {
        self.rows.iter().enumerate().filter_map(move |(row, cells)| cells.get(at).map(|cell| (row, cell)))
    }

    /// The width of each column in which no cell is broken.
    fn widest(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |at| self.column(at).map(|(_, cell)| measure_text_width(cell)).max().unwrap_or(0);
        (0..columns).map(widest).collect()
    }

    /// The width that a column has at least: no word is broken, and no number.
    fn least(&self, at: usize) -> usize {
        let is_number = |row: usize| row > 0 && self.right.contains(&at);
        let least =
            |(row, cell): (usize, &String)| if is_number(row) { measure_text_width(cell) } else { widest_word(cell) };
        self.column(at).map(least).max().unwrap_or(0)
    }

    fn drawn(&self, widths: &[usize]) -> Vec<String> {
        let side = |at| if self.right.contains(&at) { Alignment::Right } else { Alignment::Left };
        let line = |cells: &[Vec<String>], line: usize| {
            let cells = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
                pad_str(cell.get(line).map_or("", String::as_str), *width, side(at), None).into_owned()
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        let drawn = self.rows.iter().flat_map(|row| {
            let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| folded(cell, *width)).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
            (0..height).map(|at| line(&cells, at)).collect::<Vec<_>>()
        });
        drawn.collect()
    }

    fn sentences(&self, width: usize) -> Vec<String> {
        let Some((head, rows)) = self.rows.split_first() else { return Vec::new() };
        let told = |row: &Vec<String>| {
            let cells = row.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
            let cells = cells.map(|(at, cell)| match head.get(at).filter(|head| !head.is_empty()) {
                Some(head) => format!("{head}: {cell}"),
                None => cell.clone(),
            });
            wrapped(&cells.collect::<Vec<_>>().join("; "), width)
        };
        rows.iter().flat_map(told).collect()
    }
}

/// How wide a line of columns is.
fn all_of(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn plan() -> Table {
        let mut table = Table::new(&["after", "what", "share of the new", "until", "a rollback then"], &[2]);
        table.row(
            [
                "0s",
                "step 1",
                "5%",
                "10m, all of the new slot healthy, `switchover promote`, at most 1d",
                "all traffic to r4 at once",
            ]
            .map(str::to_owned),
        );
        table.row(["10m", "all traffic", "100%", "the bake of 10m", "all traffic to r4 at once"].map(str::to_owned));
        table
    }

    #[test]
    fn a_table_that_fits_is_as_it_is_for_a_pipe() {
        let table = plan();
        let lines = table.lines();
        assert_eq!((lines.len(), table.lines_within(None)), (3, lines.clone()));
        let width = lines.iter().map(|line| measure_text_width(line)).max().unwrap_or(0);
        assert_eq!(table.lines_within(Some(width)), lines);
        assert_ne!(table.lines_within(Some(width - 1)), lines);
    }

    #[test]
    fn the_widest_columns_are_broken_between_words_within_their_own_width() {
        expect![[r#"
            after  what         share of the new  until                  a rollback then
            0s     step 1                     5%  10m, all of the new    all traffic to r4
                                                  slot healthy,          at once
                                                  `switchover promote`,
                                                  at most 1d
            10m    all traffic              100%  the bake of 10m        all traffic to r4
                                                                         at once"#]]
        .assert_eq(&plan().lines_within(Some(80)).join("\n"));
    }

    #[test]
    fn what_no_column_can_hold_is_told_in_sentences() {
        expect![[r#"
            after: 0s; what: step 1; share of the new:
                5%; until: 10m, all of the new slot
                healthy, `switchover promote`, at most
                1d; a rollback then: all traffic to r4
                at once
            after: 10m; what: all traffic; share of the
                new: 100%; until: the bake of 10m; a
                rollback then: all traffic to r4 at once"#]]
        .assert_eq(&plan().lines_within(Some(44)).join("\n"));
    }

    #[test]
    fn no_line_is_wider_than_asked_for_and_no_word_is_lost() {
        let table = plan();
        let words = |lines: &[String]| {
            let mut words: Vec<String> = lines.join(" ").split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        for width in 60..160 {
            let lines = table.lines_within(Some(width));
            assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}: {lines:#?}");
            if !lines[0].contains(':') {
                assert_eq!(words(&lines), words(&table.lines()), "{width}");
            }
        }
    }
}
