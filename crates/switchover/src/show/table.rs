//! Plain tables: columns as wide as their widest cell.

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
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let wide = |cell: &String| console::measure_text_width(cell);
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.rows.iter().filter_map(|row| row.get(at)).map(wide).max().unwrap_or(0))
            .collect();
        self.rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                    let side =
                        if self.right.contains(&at) { console::Alignment::Right } else { console::Alignment::Left };
                    console::pad_str(cell, *width, side, None).into_owned()
                });
                cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            })
            .collect()
    }
}
