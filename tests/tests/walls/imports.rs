//! Reads the paths that a file names: `use` declarations with all their braces, and paths in code.

use crate::lexer::Token;

/// One name that a `use` declaration brings in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name in this file: the last segment, or what follows `as`; `*` for a glob.
    pub(crate) name: String,
    pub(crate) is_public: bool,
    pub(crate) line: usize,
}

/// A path of at least two segments in code, outside of `use`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) imports: Vec<Import>,
    pub(crate) paths: Vec<Path>,
    /// The words in code that can refer to an import: not in `use` or `mod`, not a field or method.
    pub(crate) words: Vec<String>,
}

pub(crate) fn names(tokens: &[Token]) -> Names {
    let mut names = Names::default();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.text == "use" && !is_bound(tokens, at) {
            let mut tree = Tree {
                tokens,
                at: at + 1,
                is_public: is_public(tokens, at),
                found: Vec::new(),
            };
            tree.read(&[]);
            at = tree.at;
            names.imports.extend(tree.found);
        } else if token.is_word() {
            let (path, end) = path_at(tokens, at);
            if !is_declared_or_member(tokens, at) {
                names.words.extend(path.iter().cloned());
            }
            if path.len() > 1 && !is_visibility(tokens, at) {
                names.paths.push(Path {
                    path,
                    line: token.line,
                });
            }
            at = end;
        } else {
            at += 1;
        }
    }
    names
}

/// The `use<…>` of a return type.
fn is_bound(tokens: &[Token], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|token| token.text == "<")
}

fn is_public(tokens: &[Token], at: usize) -> bool {
    let before = |steps: usize| {
        at.checked_sub(steps)
            .map_or("", |position| tokens[position].text.as_str())
    };
    before(1) == "pub" || (before(1) == ")" && before(4) == "pub")
}

/// The name in `mod name` or `value.name`.
fn is_declared_or_member(tokens: &[Token], at: usize) -> bool {
    at > 0 && (tokens[at - 1].text == "mod" || tokens[at - 1].text == ".")
}

/// The path in `pub(in path)`.
fn is_visibility(tokens: &[Token], at: usize) -> bool {
    at > 1 && tokens[at - 1].text == "in" && tokens[at - 2].text == "("
}

fn path_at(tokens: &[Token], at: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[at].text.clone()];
    let mut end = at + 1;
    while end + 1 < tokens.len() && tokens[end].text == "::" && tokens[end + 1].is_word() {
        path.push(tokens[end + 1].text.clone());
        end += 2;
    }
    (path, end)
}

struct Tree<'a> {
    tokens: &'a [Token],
    at: usize,
    is_public: bool,
    found: Vec<Import>,
}

impl Tree<'_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or(";", |token| token.text.as_str())
    }

    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.text() {
                "::" => self.at += 1,
                "{" => return self.read_braces(&path),
                "*" => {
                    self.push(path, "*".to_owned());
                    self.at += 1;
                    return;
                }
                "," | "}" | ";" => break,
                "as" => {
                    self.at += 1;
                    let name = self.text().to_owned();
                    self.push(path, name);
                    self.at += 1;
                    return;
                }
                segment => {
                    path.push(segment.to_owned());
                    self.at += 1;
                }
            }
        }
        let name = path.last().cloned().unwrap_or_default();
        self.push(path, name);
    }

    fn read_braces(&mut self, prefix: &[String]) {
        self.at += 1;
        while !["}", ";"].contains(&self.text()) {
            match self.text() {
                "," => self.at += 1,
                _ => self.read(prefix),
            }
        }
        self.at += 1;
    }

    /// Adds an import; `a::{self}` is `a`.
    fn push(&mut self, mut path: Vec<String>, name: String) {
        let mut name = name;
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
            if name == "self" {
                name = path.last().cloned().unwrap_or_default();
            }
        }
        let line = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or(0, |token| token.line);
        self.found.push(Import {
            path,
            name,
            is_public: self.is_public,
            line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn imported(source: &str) -> Vec<(String, String, bool)> {
        let found = names(&tokens(source)).imports.into_iter();
        found
            .map(|import| (import.path.join("::"), import.name, import.is_public))
            .collect()
    }

    #[test]
    fn a_tree_over_lines_is_read_to_its_leaves() {
        let found = imported("use crate::{\n a::{self, B as C},\n d::*,\n};");
        let expected = [("crate::a", "a"), ("crate::a::B", "C"), ("crate::d", "*")];
        let expected = expected.map(|(path, name)| (path.to_owned(), name.to_owned(), false));
        assert_eq!(found, expected);
    }

    #[test]
    fn re_exports_are_public() {
        let found = imported("pub use a::B; pub(crate) use c::D; use e::F;");
        let public: Vec<_> = found.into_iter().map(|(_, _, is_public)| is_public).collect();
        assert_eq!(public, [true, true, false]);
    }

    #[test]
    fn paths_in_code_are_found_but_not_visibilities() {
        let found = names(&tokens(
            "pub(in crate::a) fn b() -> super::c::D { Vec::<u8>::new(); x.y() }",
        ));
        let paths: Vec<_> = found.paths.iter().map(|found| found.path.join("::")).collect();
        assert_eq!(paths, ["super::c::D"]);
    }
}
