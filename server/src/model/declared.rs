//! The content of a document of a model file, with the places that faults refer to.

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::schema::Model;

/// The content of a document, as far as it is valid.
pub(super) struct Parsed {
    /// The model, if it has no faults.
    pub(super) model: Option<Model>,
    /// Its name, with the line of the name.
    pub(super) name: Option<(String, usize)>,
    /// The table, if all its keys are valid.
    pub(super) table: Option<Table>,
    /// The lines of options that models of one table must agree on.
    pub(super) lines: Lines,
}

/// What models of the same table must agree on: the stored names and types of the keys, and what is encrypted or in S3.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) keys: Vec<(String, AttributeType)>,
    /// The line of the keys.
    pub(super) line: usize,
    pub(super) declared: Vec<Declared>,
    /// The line of `unknown_attributes: keep`, if present.
    pub(super) keep_line: Option<usize>,
}

/// The lines of options.
pub(super) struct Lines {
    /// The line of the partition key.
    pub(super) keys: usize,
    /// The lines of the indexes, in their order.
    pub(super) indexes: Vec<usize>,
    /// The line of the discriminator.
    pub(super) discriminator: usize,
    /// The line of `idempotency`.
    pub(super) idempotency: usize,
    /// The line of `protect`.
    pub(super) protect: usize,
    /// The line of `tenant`.
    pub(super) tenant: usize,
}

/// An attribute with its place.
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) line: usize,
    /// The path in the document.
    pub(super) path: String,
    /// None if the attribute has faults.
    pub(super) attribute: Option<Attribute>,
}

impl Declared {
    /// The name in DynamoDB, if the attribute has no faults; otherwise the name in the model file.
    pub(super) fn stored_name(&self) -> &str {
        self.attribute
            .as_ref()
            .map_or(&self.name, |attribute| &attribute.stored_name)
    }
}

impl Parsed {
    /// The model with its place: `the model User at a.yaml:1`.
    pub(super) fn place(&self, file: &str, line: usize) -> String {
        match &self.name {
            Some((name, _)) => format!("the model {name} at {file}:{line}"),
            None => format!("the model at {file}:{line}"),
        }
    }
}
