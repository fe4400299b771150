//! A model and its attributes, as a model file declares them.

use super::attribute_type::AttributeType;
use super::checks::Checks;
use super::encryption::Encryption;
use super::offload::Offload;
use super::value::Value;

/// One model: a DynamoDB table's keys and attributes, valid by construction.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// The DynamoDB table.
    pub table: String,
    /// Name of the partition key attribute; it is in `attributes`.
    pub partition_key: String,
    /// Name of the sort key attribute.
    pub sort_key: Option<String>,
    /// In the order of the model file.
    pub attributes: Vec<Attribute>,
    /// What a write does with attributes that the model does not name.
    pub unknown_attributes: UnknownAttributes,
    /// Names of attributes that this model does not declare and that another model of its table encrypts; set by
    /// [`Models::new`]. Reads withhold them, and no condition may name them.
    pub sealed_by_others: Vec<String>,
}

/// What a write does with attributes that the model does not name; reads keep them always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownAttributes {
    /// INVALID_ARGUMENT.
    #[default]
    Reject,
    /// They are stored as they are.
    Keep,
    /// They are left out.
    Drop,
}

/// One attribute of a model.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name that requests use.
    pub name: String,
    /// What it holds.
    pub kind: AttributeType,
    /// Present and not null on Save.
    pub required: bool,
    /// The value where the caller gave none.
    pub default: Option<Value>,
    /// What is checked on writes.
    pub checks: Checks,
    /// Set where the attribute is encrypted.
    pub encrypted: Option<Encryption>,
    /// Set where the attribute's objects lie in S3; `kind` is `Object` then.
    pub s3: Option<Offload>,
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

    /// Whether this is one of the key attributes.
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
