//! How things look to people.

pub mod clock;
pub mod contents;
pub mod item;
pub mod listing;
pub mod plan;
pub mod record;
pub mod report;

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines, in the way of `ls -l`.
pub fn table(headings: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.iter().map(|heading| heading.to_uppercase()));
    table
}

/// Aligns the numbers of `columns` to the right.
pub fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
