//! Update expressions: parsed, checked against a model, and kept as changes that a write can complete before they are
//! rendered: values to seal, attributes that the server sets.

mod apply;
mod assignment;
mod ast;
mod bounds;
mod changes;
mod check;
mod checker;
mod in_place;
mod named;
mod operand;
mod parser;
mod render;
#[cfg(test)]
mod tests;

pub use apply::Unfit;
pub use bounds::Bound;
pub use changes::{Effect, Update};
pub use named::{Named, named};

use std::time::SystemTime;

use super::definitions::Definitions;
use super::input::Expression;
use super::lexer;
use crate::fault::Faults;
use crate::model::Model;
use crate::model::limits::MAX_EXPRESSION_BYTES;

/// The changes of an update expression. `root` is the request's field; errors are at `{root}.text`,
/// `{root}.values.:x` and `{root}.names.#x`. `now` is when the request arrived.
///
/// # Errors
///
/// All errors at once: of syntax, of attributes and types, of the model's checks, and changes of key attributes.
pub fn update(model: &Model, expression: &Expression, root: &str, now: SystemTime) -> Result<Update, Faults> {
    let definitions = Definitions::new(expression, root);
    if expression.text.len() > MAX_EXPRESSION_BYTES {
        return Err(definitions
            .text_fault(format!("is longer than {MAX_EXPRESSION_BYTES} bytes"))
            .into());
    }
    let tokens = lexer::tokens(&expression.text);
    let faults = definitions.check(&tokens);
    match parser::actions(&tokens) {
        Ok(actions) => check::check(model, definitions, faults, actions, now),
        Err(error) => {
            let mut all = Faults::from(definitions.fault_at(error.column, error.description));
            all.extend(faults);
            Err(all)
        }
    }
}
