//! A model, as a model file declares it.

use super::attribute::Attribute;

/// A model: the keys and attributes of a DynamoDB table. Valid by construction.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// The DynamoDB table.
    pub table: String,
    /// Name of the partition key attribute, which is one of `attributes`.
    pub partition_key: String,
    /// Name of the sort key attribute.
    pub sort_key: Option<String>,
    /// The attributes, in the order of the model file.
    pub attributes: Vec<Attribute>,
    /// What a write does with undeclared attributes.
    pub unknown_attributes: UnknownAttributes,
    /// Names of the attributes that this model does not declare but another model of the same table encrypts. Set by
    /// [`Models::new`](super::Models::new). Reads withhold them, and conditions cannot use them.
    pub sealed_by_others: Vec<String>,
}

/// What a write does with undeclared attributes. Reads always return them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownAttributes {
    /// Fail with INVALID_ARGUMENT.
    #[default]
    Reject,
    /// Store them unchanged.
    Keep,
    /// Leave them out.
    Drop,
}

impl Model {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Names of the key attributes, partition key first.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.partition_key.as_str()).chain(self.sort_key.as_deref())
    }

    /// Whether this is a key attribute.
    pub fn is_key(&self, name: &str) -> bool {
        self.key_names().any(|key| key == name)
    }
}

impl UnknownAttributes {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            UnknownAttributes::Reject => "reject",
            UnknownAttributes::Keep => "keep",
            UnknownAttributes::Drop => "drop",
        }
    }
}
