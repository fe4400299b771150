//! `tests/stores.md` lists every difference of other stores that a test names, with the stores that it is on.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{files, read};

type Differences = BTreeMap<String, BTreeSet<String>>;

/// The arguments of all `differs_on!`, by id.
fn markers(text: &str, found: &mut Differences) {
    for after in text.split("differs_on!(").skip(1) {
        let Some((arguments, _)) = after.split_once(')') else {
            continue;
        };
        let Some((stores, id)) = arguments.split_once(',') else {
            continue;
        };
        let stores = stores.split('|').map(|store| store.trim().to_owned());
        let id = id.trim().trim_matches('"').to_owned();
        found.entry(id).or_default().extend(stores);
    }
}

/// The ids and stores of the table.
fn rows(text: &str) -> Differences {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let id = cells.next()?.trim().trim_matches('`').to_owned();
        let stores = cells.next()?.split(',').map(|store| store.trim().to_owned());
        Some((id, stores.collect()))
    });
    rows.collect()
}

#[test]
fn every_difference_of_a_store_is_listed_with_its_reason() {
    let mut used = Differences::new();
    for text in files("tests/tests/wire").values() {
        markers(text, &mut used);
    }
    assert_eq!(used, rows(&read("tests/stores.md")));
}

#[test]
fn markers_and_rows_are_read() {
    let mut used = Differences::new();
    markers(r#"differs_on!(Moto | DynamoDbLocal, "files");"#, &mut used);
    markers(r#"differs_on!(Moto, "capacity");"#, &mut used);
    assert_eq!(
        used,
        rows("| `capacity` | Moto | a | b |\n|---|\n| `files` | DynamoDbLocal, Moto | c | d |\n")
    );
    assert_eq!(used.len(), 2);
}
