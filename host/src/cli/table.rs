//! Columns of text, as wide as they must be. Whatever a cell holds, it stays one.

use std::fmt;

use crate::text::Show as _;

/// Rows under a header.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns whose cells stand at the right: numbers.
    right: Vec<usize>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&h| h.to_owned()).collect()], right: Vec::new() }
    }

    pub(super) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| cell.shown().to_string()).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, i: usize| row.get(i).map_or(0, |c| c.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|i| self.rows.iter().map(|r| cell_width(r, i)).max().unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let fill = " ".repeat(widths[i] - cell.chars().count());
                line += &if self.right.contains(&i) { format!("{fill}{cell}  ") } else { format!("{cell}{fill}  ") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["layer", "parameters"]).right(&[1]);
        table.row(["conv1".into(), "1,024".into()]);
        table.row(["γ".into(), "7".into()]);
        assert_eq!(table.to_string(), "layer  parameters\nconv1       1,024\nγ               7\n");
        let mut table = Table::new(&["name", "images"]).right(&[1]);
        table.row(["a\nb\u{1b}[2J".into(), "1".into()]);
        assert_eq!(table.to_string(), "name              images\na\\u{a}b\\u{1b}[2J       1\n");
    }
}
