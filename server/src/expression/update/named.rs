//! The attributes that an update names: those that it changes, and those whose stored values decide what it does.

use std::collections::BTreeSet;

use super::ast::{Action, Assigned, Operand};
use super::parser;
use crate::expression::definitions::Definitions;
use crate::expression::input::Expression;
use crate::expression::lexer;
use crate::model::limits::MAX_EXPRESSION_BYTES;

/// The attributes that an update names. All are empty if it is not valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Those that it sets or removes, wholly or in part.
    pub written: BTreeSet<String>,
    /// Those whose stored values it reads: operands, and those of which it changes a part, which must be there.
    pub read: BTreeSet<String>,
    /// Those that it adds to. The result may have to be within bounds.
    pub added: BTreeSet<String>,
}

/// The attributes that an update names.
pub fn named(expression: &Expression) -> Named {
    let mut named = Named::default();
    if expression.text.len() > MAX_EXPRESSION_BYTES {
        return named;
    }
    let tokens = lexer::tokens(&expression.text);
    let Ok(actions) = parser::actions(&tokens) else {
        return named;
    };
    let definitions = Definitions::new(expression, "");
    for action in &actions {
        let target = action.target();
        let Some(name) = definitions.name(&target.attribute) else {
            continue;
        };
        named.written.insert(name.to_owned());
        if !target.steps.is_empty() {
            named.read.insert(name.to_owned());
        }
        match action {
            Action::Set(_, Assigned::Operand(operand)) => read(operand, &definitions, &mut named),
            Action::Set(_, Assigned::Sum(left, right) | Assigned::Difference(left, right)) => {
                read(left, &definitions, &mut named);
                read(right, &definitions, &mut named);
            }
            Action::Add(..) => {
                named.added.insert(name.to_owned());
            }
            Action::Remove(_) | Action::Delete(..) => {}
        }
    }
    named
}

/// Adds the attributes that an operand reads. Operands are nested no deeper than the parser allows.
fn read(operand: &Operand<'_>, definitions: &Definitions<'_>, named: &mut Named) {
    let mut open = vec![operand];
    while let Some(operand) = open.pop() {
        match operand {
            Operand::Path(path) => add(path, definitions, named),
            Operand::IfNotExists(path, value) => {
                add(path, definitions, named);
                open.push(value);
            }
            Operand::ListAppend(first, second) => open.extend([&**first, &**second]),
            Operand::Value(_) => {}
        }
    }
}

fn add(path: &crate::expression::ast::Path<'_>, definitions: &Definitions<'_>, named: &mut Named) {
    if let Some(name) = definitions.name(&path.attribute) {
        named.read.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::expression;
    use super::*;

    #[test]
    fn lists_what_is_written_and_what_is_read() {
        let named = |text: &str| {
            let Named { written, read, added } = named(&expression(text, &[], &[("#a", "and")]));
            [written, read, added].map(|names| names.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(named("SET a = ssn REMOVE #a"), ["a and", "ssn", ""]);
        assert_eq!(
            named("SET a = if_not_exists(b, c), d = d + :v"),
            ["a d", "b c d", ""]
        );
        assert_eq!(
            named("SET a = list_append(b, if_not_exists(c, :v))"),
            ["a", "b c", ""]
        );
        assert_eq!(named("SET a = :v - b ADD c :v DELETE d :v"), ["a c d", "b", "c"]);
        assert_eq!(named("SET a.b = :v REMOVE c[1]"), ["a c", "a c", ""]);
        assert_eq!(named("SET a ="), ["", "", ""]);
    }
}
