//! The definitions of an expression's `#names` and `:values`, and the places of its faults. Independent of models. Values
//! are checked like those of an item, in `item::check`.

use std::collections::BTreeMap;

use super::ast::{Name, Path, Step, ValueRef};
use super::input::Expression;
use super::lexer::{Token, TokenKind, is_placeholder};
use crate::fault::{self, Fault, Faults, by_name};
use crate::model::Value;
use crate::model::limits::{MAX_EXPRESSION_BYTES, MAX_NAME_BYTES, MAX_PLACEHOLDER_BYTES};

/// Maximum number of names or of values of an expression. A text cannot contain more, because each placeholder takes at
/// least two characters and a separator.
const MAX_PLACEHOLDERS: usize = MAX_EXPRESSION_BYTES / 3;

/// The definitions of one expression, at its field of the request.
#[derive(Clone, Copy)]
pub(super) struct Definitions<'a> {
    expression: &'a Expression,
    root: &'a str,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(expression: &'a Expression, root: &'a str) -> Definitions<'a> {
        Definitions { expression, root }
    }

    /// The attribute name. `None` if its placeholder is not defined.
    pub(super) fn name(&self, name: &Name<'a>) -> Option<&'a str> {
        if name.is_placeholder {
            self.expression.names.get(name.text).map(String::as_str)
        } else {
            Some(name.text)
        }
    }

    /// The names of the steps of a path, up to one that is not defined; none for an index.
    pub(super) fn steps<'p>(
        &self,
        path: &'p Path<'a>,
    ) -> impl Iterator<Item = Option<&'a str>> + use<'a, 'p> {
        let definitions = *self;
        path.steps.iter().map_while(move |step| match step {
            Step::Index(_) => Some(None),
            Step::Name(name) => definitions.name(name).map(Some),
        })
    }

    /// The value. `None` if its placeholder is not defined.
    pub(super) fn value(&self, value: &ValueRef<'a>) -> Option<&'a Value> {
        self.expression.values.get(value.name)
    }

    /// A fault that concerns the whole text.
    pub(super) fn text_fault(&self, description: impl std::fmt::Display) -> Fault {
        Fault::new(
            fault::Path::Name(&fault::Path::Root(self.root), "text"),
            description,
        )
    }

    /// A fault at a column of the text.
    pub(super) fn fault_at(&self, column: usize, description: impl AsRef<str>) -> Fault {
        self.text_fault(format!("column {column}: {}", description.as_ref()))
    }

    /// A fault of a value.
    pub(super) fn value_fault(&self, placeholder: &str, description: impl std::fmt::Display) -> Fault {
        self.member_fault("values", placeholder, description)
    }

    /// A fault of a name, at its definition if it is a placeholder, otherwise at its column in the text.
    pub(super) fn name_fault(&self, name: &Name<'a>, description: impl AsRef<str>) -> Fault {
        if name.is_placeholder {
            return self.member_fault("names", name.text, description.as_ref());
        }
        self.fault_at(name.column, description)
    }

    /// A fault that concerns all values.
    pub(super) fn values_fault(&self, description: impl std::fmt::Display) -> Fault {
        Fault::new(
            fault::Path::Name(&fault::Path::Root(self.root), "values"),
            description,
        )
    }

    /// Checks the definitions, and that each is used by the tokens and none is missing.
    pub(super) fn check(&self, tokens: &[Token<'a>]) -> Faults {
        self.check_each(tokens, |_| None)
    }

    /// Like [`Definitions::check`], and objects are errors: no condition can compare them.
    pub(super) fn check_comparable(&self, tokens: &[Token<'a>]) -> Faults {
        self.check_each(tokens, |value| {
            matches!(value, Value::Object(_)).then_some("is an object, which expressions cannot compare")
        })
    }

    fn check_each(&self, tokens: &[Token<'a>], refusal: fn(&Value) -> Option<&'static str>) -> Faults {
        let Expression { names, values, .. } = self.expression;
        let mut faults = Faults::new();
        for (members, count) in [("names", names.len()), ("values", values.len())] {
            if count > MAX_PLACEHOLDERS {
                let field = fault::Path::Root(self.root);
                faults.push(
                    fault::Path::Name(&field, members),
                    format_args!("has more than {MAX_PLACEHOLDERS} entries"),
                );
            }
        }
        if !faults.is_empty() {
            return faults;
        }
        self.check_use(tokens, &mut faults);
        for (placeholder, name) in by_name(names) {
            self.check_placeholder("names", placeholder, '#', &mut faults);
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                let description = format!("a name must have 1 to {MAX_NAME_BYTES} bytes");
                faults.extend(self.member_fault("names", placeholder, description));
            }
        }
        for (placeholder, value) in by_name(values) {
            self.check_placeholder("values", placeholder, ':', &mut faults);
            if let Some(description) = refusal(value) {
                faults.extend(self.value_fault(placeholder, description));
            }
        }
        faults
    }

    /// Reports placeholders that are used but not defined, and those that are defined but not used.
    fn check_use(&self, tokens: &[Token<'a>], faults: &mut Faults) {
        let mut names = BTreeMap::new();
        let mut values = BTreeMap::new();
        let mut is_complete = true;
        for token in tokens {
            match token.kind {
                TokenKind::NameRef(name) => _ = names.entry(name).or_insert(token.column),
                TokenKind::ValueRef(value) => _ = values.entry(value).or_insert(token.column),
                TokenKind::Unknown => is_complete = false,
                _ => {}
            }
        }
        for (members, used, defined) in [
            ("names", names, placeholders(&self.expression.names)),
            ("values", values, placeholders(&self.expression.values)),
        ] {
            for (placeholder, column) in &used {
                if defined.binary_search(placeholder).is_err() {
                    let description = format!("is not defined, but used at column {column} of the text");
                    faults.extend(self.member_fault(members, placeholder, description));
                }
            }
            let unused = defined
                .iter()
                .filter(|placeholder| is_complete && !used.contains_key(*placeholder));
            for placeholder in unused {
                faults.extend(self.member_fault(members, placeholder, "is not used in the text"));
            }
        }
    }

    fn check_placeholder(&self, members: &'static str, placeholder: &str, mark: char, faults: &mut Faults) {
        if placeholder.len() > MAX_PLACEHOLDER_BYTES {
            let description = format!("is longer than {MAX_PLACEHOLDER_BYTES} bytes");
            faults.extend(self.member_fault(members, placeholder, description));
        } else if !is_placeholder(placeholder, mark) {
            let description = format!("must be `{mark}` followed by letters, digits and `_`");
            faults.extend(self.member_fault(members, placeholder, description));
        }
    }

    /// A fault of one definition. Does not repeat a placeholder that is too long.
    fn member_fault(
        &self,
        members: &'static str,
        placeholder: &str,
        description: impl std::fmt::Display,
    ) -> Fault {
        let root = fault::Path::Root(self.root);
        let members = fault::Path::Name(&root, members);
        if placeholder.len() > MAX_PLACEHOLDER_BYTES {
            return Fault::new(members, format_args!("a placeholder {description}"));
        }
        Fault::new(fault::Path::Name(&members, placeholder), description)
    }
}

fn placeholders<T>(members: &std::collections::HashMap<String, T>) -> Vec<&str> {
    by_name(members)
        .into_iter()
        .map(|(placeholder, _)| placeholder.as_str())
        .collect()
}
