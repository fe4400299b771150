//! No two files of a room import from each other, directly or through others. What counts is the file that defines a
//! name: `mod.rs` may re-export its children, but not define what they import and use them too.

use std::collections::BTreeSet;

use crate::{
    graph::{circles, uses},
    modules::{Modules, Place},
    workspace::{sample, server},
};

/// One line per use that is part of a circle within a room.
fn circular_uses(modules: &Modules) -> Vec<String> {
    let uses = uses(modules);
    let within: Vec<_> = uses
        .iter()
        .filter(|one| !one.is_re_export && !one.name.is_empty())
        .filter(|one| one.from != one.to && one.from.first() == one.to.first())
        .collect();
    let edges: BTreeSet<(Place, Place)> = within
        .iter()
        .map(|one| (one.from.clone(), one.to.clone()))
        .collect();
    let mut lines = BTreeSet::new();
    for circle in circles(&edges) {
        let inside = within
            .iter()
            .filter(|one| circle.contains(&one.from) && circle.contains(&one.to));
        lines.extend(inside.map(|one| {
            let file = &modules.by_place[&one.from].file;
            format!(
                "{file}:{} imports {} of {}",
                one.line,
                one.name,
                one.to.join("::")
            )
        }));
    }
    lines.into_iter().collect()
}

#[test]
fn no_files_of_a_room_import_each_other() {
    let circular = circular_uses(server());
    assert!(circular.is_empty(), "{circular:#?}");
}

#[test]
fn finds_a_circle_through_mod_rs() {
    let modules = sample(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; pub struct Error; fn run() { b::run() }"),
        ("a/b.rs", "use super::Error; pub fn run() {}"),
    ]);
    assert_eq!(
        circular_uses(&modules),
        ["a/b.rs:1 imports Error of a", "a/mod.rs:1 imports run of a::b"]
    );
}

#[test]
fn finds_a_circle_through_a_re_export() {
    let modules = sample(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
        ("a/b.rs", "use super::C; pub struct B(C);"),
        ("a/c.rs", "use crate::a::B; pub struct C(B);"),
    ]);
    assert_eq!(circular_uses(&modules).len(), 2);
}

#[test]
fn allows_re_exports_by_the_parent() {
    let modules = sample(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
        ("a/b.rs", "pub struct B;"),
        ("a/c.rs", "use super::B; pub struct C(B);"),
    ]);
    assert_eq!(circular_uses(&modules), Vec::<String>::new());
}
