//! Which module uses what of which other one, and the circles in that.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Module, Modules, Place};

/// A use of `name`, which `to` defines, by `from`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Use {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Whether the file only passes the name on.
    pub(crate) is_re_export: bool,
    /// The first segment of the path as it is written, before re-exports are followed.
    pub(crate) written_room: String,
}

/// All uses between modules of the crate, as files define and use names.
pub(crate) fn uses(modules: &Modules) -> Vec<Use> {
    let each = modules.by_place.iter();
    each.flat_map(|(place, module)| uses_of(modules, place, module))
        .collect()
}

fn uses_of(modules: &Modules, place: &Place, module: &Module) -> Vec<Use> {
    let words: BTreeSet<_> = module.names.words.iter().collect();
    let mut imported_modules = BTreeMap::new();
    let mut written = Vec::new();
    for import in &module.names.imports {
        let Some(mut path) = modules.absolute(place, &import.path) else {
            continue;
        };
        if modules.by_place.contains_key(&path) && import.name != "*" {
            imported_modules.insert(import.name.clone(), path.clone());
        }
        if import.name == "*" {
            path.push(import.name.clone());
        }
        let is_re_export = import.is_public && !words.contains(&import.name);
        written.push((path, import.line, is_re_export));
    }
    for found in &module.names.paths {
        let absolute = match imported_modules.get(&found.path[0]) {
            Some(imported) => Some(imported.iter().chain(&found.path[1..]).cloned().collect()),
            None => modules.absolute(place, &found.path),
        };
        written.extend(absolute.map(|path| (path, found.line, false)));
    }
    let mut uses = Vec::new();
    for (path, line, is_re_export) in written {
        let targets = modules.defining(&path).into_iter();
        uses.extend(targets.map(|(to, name)| Use {
            from: place.clone(),
            to,
            name,
            line,
            is_re_export,
            written_room: path.first().cloned().unwrap_or_default(),
        }));
    }
    uses
}

/// Groups of nodes that reach each other.
pub(crate) fn circles<N: Ord + Clone>(edges: &BTreeSet<(N, N)>) -> Vec<BTreeSet<N>> {
    let nodes: BTreeSet<_> = edges.iter().map(|(from, _)| from.clone()).collect();
    let reached: BTreeMap<_, _> = nodes
        .iter()
        .map(|node| (node.clone(), reachable(edges, node)))
        .collect();
    let mut circles: Vec<BTreeSet<N>> = Vec::new();
    for node in &nodes {
        let back = |other: &&N| reached.get(*other).is_some_and(|from| from.contains(node));
        let circle: BTreeSet<N> = reached[node].iter().filter(back).cloned().collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reachable<N: Ord + Clone>(edges: &BTreeSet<(N, N)>, start: &N) -> BTreeSet<N> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.clone()];
    while let Some(node) = open.pop() {
        let next = edges.iter().filter(|(from, _)| *from == node);
        for (_, to) in next {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}

#[test]
fn nodes_that_reach_each_other_are_a_circle() {
    let edges = BTreeSet::from([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")]);
    assert_eq!(circles(&edges), [BTreeSet::from(["a", "b", "c"])]);
}
