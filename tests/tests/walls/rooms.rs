//! The table of rooms is complete, its imports form no ring, and each room imports only what its row allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    graph::{circles, uses},
    modules::Modules,
    table::{Row, rows},
    workspace::{read, sample, server, server_files},
};

fn table() -> Vec<Row> {
    rows(&read("server/ARCHITECTURE.md"))
}

/// The modules that `lib.rs` declares, and the program.
fn rooms(modules: &Modules) -> BTreeSet<String> {
    let places = modules.by_place.keys().filter(|place| place.len() == 1);
    places.map(|place| place[0].clone()).collect()
}

/// One line per use of a room that the table does not allow. A name that a room re-exports counts as an import of
/// both rooms.
fn forbidden_imports(modules: &Modules, table: &[Row]) -> Vec<String> {
    let rows: BTreeMap<_, _> = table.iter().map(|row| (row.room.as_str(), row)).collect();
    let mut lines = BTreeSet::new();
    for one in uses(modules) {
        let Some(row) = one.from.first().and_then(|room| rows.get(room.as_str())) else {
            continue;
        };
        let defining = one.to.first().cloned().unwrap_or_default();
        for room in [defining, one.written_room] {
            let is_foreign = rows.contains_key(room.as_str()) && room != row.room;
            if is_foreign && !row.may_import.contains(&room) {
                let file = &modules.by_place[&one.from].file;
                lines.insert(format!("{file}:{} imports {} of {room}", one.line, one.name));
            }
        }
    }
    lines.into_iter().collect()
}

fn rings(table: &[Row]) -> Vec<BTreeSet<String>> {
    let pairs = table.iter().flat_map(|row| {
        let imports = row.may_import.iter();
        imports.map(|import| (row.room.clone(), import.clone()))
    });
    circles(&pairs.collect())
}

fn names(table: &[Row]) -> BTreeSet<String> {
    table.iter().map(|row| row.room.clone()).collect()
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let table = table();
    assert_eq!(names(&table), rooms(server()));
    assert_eq!(table.len(), names(&table).len(), "a room has one row");
    for row in &table {
        let unknown: Vec<_> = row.may_import.difference(&names(&table)).cloned().collect();
        assert!(
            unknown.is_empty(),
            "{} may import unknown rooms: {unknown:?}",
            row.room
        );
        assert!(!row.purpose.is_empty(), "{} has no purpose", row.room);
    }
}

#[test]
fn every_entry_file_exists_and_says_what_its_room_is() {
    for row in table() {
        let expected = [format!("{}.rs", row.room), format!("{}/mod.rs", row.room)];
        assert!(
            expected.contains(&row.entry_file),
            "{}: entry file {}",
            row.room,
            row.entry_file
        );
        let text = read(&format!("server/src/{}", row.entry_file));
        assert!(
            text.starts_with("//! "),
            "{} must start with `//! `",
            row.entry_file
        );
    }
}

#[test]
fn every_file_says_what_it_is() {
    let files = server_files();
    let silent: Vec<_> = server()
        .by_place
        .values()
        .filter(|module| !files[&module.file].starts_with("//!"))
        .map(|module| &module.file)
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn a_room_imports_only_what_its_row_allows() {
    let forbidden = forbidden_imports(server(), &table());
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn the_table_has_no_ring() {
    let rings = rings(&table());
    assert!(rings.is_empty(), "{rings:#?}");
}

fn sample_row(room: &str, may_import: &[&str]) -> Row {
    Row {
        room: room.to_owned(),
        purpose: "a sample".to_owned(),
        may_import: may_import.iter().map(|&name| name.to_owned()).collect(),
        entry_file: format!("{room}.rs"),
    }
}

#[test]
fn finds_imports_in_braces_in_code_and_across_super() {
    let modules = sample(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod c; fn f() { crate::b::g() }"),
        (
            "a/c.rs",
            "use super::super::b::H;\nuse crate::{\n  b::{I, J as K},\n};",
        ),
        ("b.rs", "pub fn g() {} pub struct H; pub struct I; pub struct J;"),
    ]);
    let table = [sample_row("a", &[]), sample_row("b", &[])];
    let expected = [
        "a/c.rs:1 imports H of b",
        "a/c.rs:3 imports I of b",
        "a/c.rs:3 imports J of b",
        "a/mod.rs:1 imports g of b",
    ];
    assert_eq!(forbidden_imports(&modules, &table), expected);
    let table = [sample_row("a", &["b"]), sample_row("b", &[])];
    assert_eq!(forbidden_imports(&modules, &table), Vec::<String>::new());
}

#[test]
fn finds_an_import_through_the_re_export_of_another_room() {
    let modules = sample(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::D;"),
        ("b.rs", "pub use crate::c::D;"),
        ("c.rs", "pub struct D;"),
    ]);
    let table = [
        sample_row("a", &["b"]),
        sample_row("b", &["c"]),
        sample_row("c", &[]),
    ];
    assert_eq!(forbidden_imports(&modules, &table), ["a.rs:1 imports D of c"]);
}

#[test]
fn finds_a_ring_of_rows() {
    let table = [
        sample_row("a", &["b"]),
        sample_row("b", &["c"]),
        sample_row("c", &["a"]),
    ];
    assert_eq!(rings(&table).len(), 1);
    assert_eq!(rings(&table[..2]).len(), 0);
}
