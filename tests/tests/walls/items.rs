//! Finds items in tokens: those for tests only, the modules that a file declares, and functions with their lengths.

use crate::lexer::{Token, tokens};

/// A function and the lines from `fn` to its last brace.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The tokens that are compiled outside of tests.
pub(crate) fn without_tests(all: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match attribute_end(all, at) {
            Some(end) if is_for_tests(&all[at..end]) => at = item_end(all, end),
            _ => {
                kept.push(all[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// The names in `mod name;`.
pub(crate) fn declared_modules(tokens: &[Token]) -> Vec<String> {
    tokens
        .windows(3)
        .filter(|three| three[0].text == "mod" && three[1].is_word() && three[2].text == ";")
        .map(|three| three[1].text.clone())
        .collect()
}

pub(crate) fn functions(source: &str) -> Vec<Function> {
    let all = tokens(source);
    let is_function = |at: &usize| all[*at].text == "fn" && all.get(at + 1).is_some_and(Token::is_word);
    let starts = (0..all.len()).filter(is_function);
    let measured = starts.filter_map(|at| {
        let end = item_end(&all, at);
        (all[end - 1].text == "}").then(|| Function {
            name: all[at + 1].text.clone(),
            line: all[at].line,
            lines: all[end - 1].line - all[at].line + 1,
        })
    });
    measured.collect()
}

/// The position after the attribute that starts at `at`, if one does.
fn attribute_end(all: &[Token], at: usize) -> Option<usize> {
    let opens = all.get(at)?.text == "#" && all.get(at + 1)?.text == "[";
    opens.then(|| group_end(all, at + 1))
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let text: String = attribute.iter().map(|token| token.text.as_str()).collect();
    text == "#[cfg(test)]" || text.starts_with("#[cfg(all(test,")
}

/// The position after the item that starts at `at`: after its `;` or the brace that closes its body.
fn item_end(all: &[Token], at: usize) -> usize {
    let mut at = at;
    while at < all.len() {
        match all[at].text.as_str() {
            ";" => return at + 1,
            "{" if !is_part_of_use(all, at) => return group_end(all, at),
            "(" | "[" | "{" => at = group_end(all, at),
            _ => at += 1,
        }
    }
    all.len()
}

/// Whether a brace belongs to `use a::{b};`.
fn is_part_of_use(all: &[Token], at: usize) -> bool {
    at > 0 && (all[at - 1].text == "::" || all[at - 1].text == "use")
}

/// The position after the bracket that closes the one at `at`.
fn group_end(all: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (position, token) in all.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return position + 1;
        }
    }
    all.len()
}

#[test]
fn items_for_tests_are_left_out() {
    let source = "use a::b; #[cfg(test)] #[path = \"x\"] mod tests; #[cfg(test)] use c::{d, e}; \
                  #[cfg(test)] mod more { fn f() { g() } } #[cfg(feature = \"h\")] mod i;";
    let kept = without_tests(&tokens(source));
    assert_eq!(declared_modules(&kept), ["i"]);
    let words: Vec<_> = kept
        .iter()
        .filter(|token| token.is_word())
        .map(|token| token.text.as_str())
        .collect();
    assert_eq!(words, ["use", "a", "b", "cfg", "feature", "mod", "i"]);
}

#[test]
fn a_function_is_measured_from_its_name_to_its_last_brace() {
    let source =
        "trait A {\n fn b(&self);\n}\nfn c<T>() -> [u8; 2]\nwhere T: Fn() -> u8,\n{\n let d = \"}\";\n}\n";
    let expected = Function {
        name: "c".to_owned(),
        line: 4,
        lines: 5,
    };
    assert_eq!(functions(source), [expected]);
}
