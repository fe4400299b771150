//! DynamoDB's expression syntax: parses expressions, checks them against a model before any call is made, and renders
//! them again with generated placeholders. Pure: never calls a store, never prints a value.
//!
//! Syntax and limits:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>,
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>

mod ast;
mod attributes;
mod check;
mod condition;
mod conversion;
mod definitions;
mod field_path;
mod input;
mod key_condition;
mod key_names;
mod key_range;
mod key_template;
mod key_terms;
mod lexer;
mod names;
mod narrow;
mod parser;
mod placeholders;
mod projection;
mod render;
#[cfg(test)]
mod tests;
mod update;

pub use attributes::{attributes, equalities};
pub use condition::{condition, filter, query_filter};
pub use input::Expression;
pub use key_condition::{KeyScope, key_condition};
pub use placeholders::Placeholders;
pub use projection::{Projection, ReadScope, projection};
pub use update::{Bound, Effect, Named, Unfit, Update, named, update};
