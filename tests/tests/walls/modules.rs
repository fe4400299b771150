//! The modules of the server as `mod` declarations form them, without those for tests, and what each of them names.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    imports::{Names, names},
    items::{declared_modules, without_tests},
    lexer::{Token, tokens},
};

/// The name of the library in `main.rs`.
const LIBRARY: &str = "tollgate";
const MAIN: &str = "main";

/// A module's path from the root of the crate, which is empty.
pub(crate) type Place = Vec<String>;

pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) names: Names,
    /// Names that this file defines, at any depth.
    defined: BTreeSet<String>,
}

/// All modules that are compiled outside of tests.
pub(crate) struct Modules {
    pub(crate) by_place: BTreeMap<Place, Module>,
}

impl Modules {
    /// Follows the `mod` declarations from `lib.rs` through `files`, whose paths are relative to it. The program's
    /// `main.rs`, which uses the library by name, is a module too.
    pub(crate) fn read(files: &BTreeMap<String, String>) -> Modules {
        let mut modules = Modules {
            by_place: BTreeMap::new(),
        };
        modules.add(files, Vec::new(), "lib.rs".to_owned());
        if files.contains_key("main.rs") {
            modules.add(files, vec![MAIN.to_owned()], "main.rs".to_owned());
        }
        modules
    }

    fn add(&mut self, files: &BTreeMap<String, String>, place: Place, file: String) {
        let tokens = without_tests(&tokens(&files[&file]));
        for child in declared_modules(&tokens) {
            let mut inner = place.clone();
            inner.push(child);
            let stem = inner.join("/");
            let candidates = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
            let found = candidates
                .into_iter()
                .find(|candidate| files.contains_key(candidate));
            let found = found.unwrap_or_else(|| panic!("no file of the module {stem}"));
            self.add(files, inner, found);
        }
        let module = Module {
            names: names(&tokens),
            defined: defined(&tokens),
            file,
            tokens,
        };
        self.by_place.insert(place, module);
    }

    /// The path from the root of the crate that `path` means in the module at `place`; `None` if it leaves the crate.
    pub(crate) fn absolute(&self, place: &Place, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        let rest = path[1..].iter().cloned();
        let mut absolute = match first.as_str() {
            "crate" => Vec::new(),
            LIBRARY if place.iter().eq([MAIN]) => Vec::new(),
            "self" => place.clone(),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let parent = &place[..place.len().checked_sub(ups)?];
                return Some(parent.iter().chain(&path[ups..]).cloned().collect());
            }
            _ => {
                let mut child = place.clone();
                child.push(first.clone());
                self.by_place.contains_key(&child).then_some(child)?
            }
        };
        absolute.extend(rest);
        Some(absolute)
    }

    /// The module that defines what an absolute path names, following re-exports. There can be several when
    /// features choose between them.
    pub(crate) fn defining(&self, path: &[String]) -> Vec<(Place, String)> {
        self.follow(path, 8)
    }

    fn follow(&self, path: &[String], steps: usize) -> Vec<(Place, String)> {
        let longest = (0..=path.len())
            .rev()
            .find(|end| self.by_place.contains_key(&path[..*end]));
        let Some(end) = longest else {
            return Vec::new();
        };
        let (place, rest) = (path[..end].to_vec(), &path[end..]);
        let name = rest.first().cloned().unwrap_or_default();
        let module = &self.by_place[&place];
        if steps == 0 || rest.is_empty() || name == "*" {
            return vec![(place, name)];
        }
        let exports = module.names.imports.iter().filter(|import| import.is_public);
        let named: Vec<_> = exports.clone().filter(|import| import.name == name).collect();
        let mut found = Vec::new();
        for import in named {
            if let Some(mut target) = self.absolute(&place, &import.path) {
                target.extend_from_slice(&rest[1..]);
                found.extend(self.follow(&target, steps - 1));
            }
        }
        if found.is_empty() && module.defined.contains(&name) {
            return vec![(place, name)];
        }
        for glob in exports.filter(|import| import.name == "*") {
            let target = self.absolute(&place, &glob.path);
            let target = target.filter(|target| {
                let module = self.by_place.get(target);
                module.is_some_and(|module| module.defined.contains(&name))
            });
            found.extend(target.map(|target| (target, name.clone())));
        }
        if found.is_empty() {
            found.push((place, name));
        }
        found
    }
}

/// The names after the words that define something.
fn defined(tokens: &[Token]) -> BTreeSet<String> {
    let keywords = [
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "fn",
        "const",
        "static",
        "mod",
        "macro_rules",
    ];
    let mut defined = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        if keywords.contains(&token.text.as_str()) {
            let name = tokens[at + 1..].iter().find(|token| token.text != "!");
            let is_module_in_a_file =
                token.text == "mod" && tokens.get(at + 2).is_some_and(|token| token.text == ";");
            if let Some(name) = name.filter(|name| name.is_word() && !is_module_in_a_file) {
                defined.insert(name.text.clone());
            }
        }
    }
    defined
}

#[cfg(test)]
mod tests {
    use crate::workspace::sample;

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn a_re_export_is_followed_to_the_defining_file() {
        let modules = sample(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod c; mod d; pub use c::*; pub use d::E as F;"),
            ("a/c.rs", "pub struct G;"),
            ("a/d.rs", "pub enum E {}"),
            ("b.rs", "pub use crate::a::F;"),
        ]);
        assert_eq!(modules.defining(&path("b::F")), [(path("a::d"), "E".to_owned())]);
        assert_eq!(modules.defining(&path("a::G")), [(path("a::c"), "G".to_owned())]);
    }

    #[test]
    fn super_and_child_modules_are_resolved() {
        let modules = sample(&[("lib.rs", "mod a;"), ("a.rs", "mod b;"), ("a/b.rs", "")]);
        let from_b = modules.absolute(&path("a::b"), &path("super::super::a::X"));
        assert_eq!(from_b, Some(path("a::X")));
        let from_a = modules.absolute(&path("a"), &path("b::Y"));
        assert_eq!(from_a, Some(path("a::b::Y")));
        assert_eq!(modules.absolute(&path("a"), &path("std::Z")), None);
    }

    #[test]
    fn the_program_uses_the_library_by_name() {
        let modules = sample(&[("lib.rs", "mod a;"), ("a.rs", ""), ("main.rs", "")]);
        let from_main = modules.absolute(&path("main"), &path("tollgate::a::X"));
        assert_eq!(from_main, Some(path("a::X")));
        assert_eq!(modules.absolute(&path("a"), &path("tollgate::a::X")), None);
    }

    #[test]
    fn modules_for_tests_are_left_out() {
        let modules = sample(&[
            ("lib.rs", "mod a; #[cfg(test)] mod testing;"),
            ("a.rs", ""),
            ("testing.rs", ""),
        ]);
        assert!(!modules.by_place.contains_key(&path("testing")));
    }
}
