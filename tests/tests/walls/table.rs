//! Reads the table of rooms in `server/ARCHITECTURE.md`.

use std::collections::BTreeSet;

/// One row: a room, the rooms that it may import, and its entry file relative to `server/src/`.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) room: String,
    pub(crate) purpose: String,
    pub(crate) may_import: BTreeSet<String>,
    pub(crate) entry_file: String,
}

const HEADER: [&str; 4] = ["room", "purpose", "may import", "entry file"];

/// The rows of the table with the columns room, purpose, may import and entry file. Panics if there is none.
pub(crate) fn rows(page: &str) -> Vec<Row> {
    let mut lines = page.lines().map(cells);
    let found = lines
        .by_ref()
        .any(|cells| cells.iter().map(|cell| cell.to_lowercase()).eq(HEADER));
    assert!(
        found,
        "ARCHITECTURE.md must have a table with the columns {HEADER:?}"
    );
    let rows = lines.skip(1).take_while(|cells| !cells.is_empty());
    rows.map(|cells| row(&cells)).collect()
}

fn row(cells: &[String]) -> Row {
    assert_eq!(cells.len(), HEADER.len(), "a row has four cells: {cells:?}");
    let one = |cell: &str| {
        let names = in_backticks(cell);
        assert_eq!(names.len(), 1, "a cell with one name in backticks: {cell}");
        names[0].clone()
    };
    Row {
        room: one(&cells[0]),
        purpose: cells[1].clone(),
        may_import: in_backticks(&cells[2]).into_iter().collect(),
        entry_file: one(&cells[3]),
    }
}

/// The cells of a line of a table; none for any other line.
fn cells(line: &str) -> Vec<String> {
    let inside = line
        .trim()
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    inside.map_or_else(Vec::new, |inside| {
        inside.split('|').map(|cell| cell.trim().to_owned()).collect()
    })
}

fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn rows_are_read_until_the_table_ends() {
    let page = "Text\n\n| Room | Purpose | May import | Entry file |\n|---|---|---|---|\n\
                | `a` | does it | `b`, `c` | `a.rs` |\n| `b` | helps | – | `b/mod.rs` |\n\n| `x` | y |\n";
    let found = rows(page);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].room, "a");
    assert_eq!(found[0].purpose, "does it");
    assert_eq!(
        found[0].may_import,
        BTreeSet::from(["b".to_owned(), "c".to_owned()])
    );
    assert_eq!(found[1].may_import, BTreeSet::new());
    assert_eq!(found[1].entry_file, "b/mod.rs");
}

#[test]
#[should_panic(expected = "must have a table")]
fn a_page_without_the_table_fails() {
    rows("| room | purpose |\n|---|---|\n| `a` | b |\n");
}
