//! A model, as a model file declares it.

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::encryption::Encryption;
use super::index::Index;
use super::model_options::{Discriminator, Idempotency};
use super::protection::Protection;
use super::stored_form::Compat;
use super::tenancy::Tenancy;
use super::unknown_attributes::UnknownAttributes;

/// A model: the keys and attributes of a DynamoDB table. Valid by construction.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// The DynamoDB table.
    pub table: String,
    /// Name of the partition key attribute, as in requests, which is one of `attributes`.
    pub partition_key: String,
    /// Name of the sort key attribute.
    pub sort_key: Option<String>,
    /// The attributes, in the order of the model file.
    pub attributes: Vec<Attribute>,
    /// The secondary indexes, in the order of the model file.
    pub indexes: Vec<Index>,
    /// Set if the model shares its table with others.
    pub discriminator: Option<Discriminator>,
    /// What a write does with undeclared attributes.
    pub unknown_attributes: UnknownAttributes,
    /// The program whose stored forms the model follows.
    pub compat: Compat,
    /// Where a write's `request_id` is remembered, if it is.
    pub idempotency: Option<Idempotency>,
    /// How partition keys say whose items they are, if the items belong to tenants.
    pub tenancy: Option<Tenancy>,
    /// How items are protected as a whole, if they are.
    pub protection: Option<Protection>,
    /// Whether the data keys of its values may be kept beyond their call, if the settings say so.
    pub kms_cache: bool,
    /// Stored names of the attributes that this model does not declare but another model of the same table encrypts. Set by
    /// [`Models::new`](super::Models::new). Reads withhold them, and conditions cannot use them.
    pub sealed_by_others: Vec<String>,
    /// Whether the caller that this view of the model is for may not read the attributes that it does not declare. The
    /// models that are served withhold nothing.
    pub withholds_undeclared: bool,
}

impl Model {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The attribute of this stored name.
    pub fn stored_attribute(&self, stored_name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.stored_name == stored_name)
    }

    /// The stored name of an attribute: its alias, or the name itself.
    pub fn stored_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.attribute(name)
            .map_or(name, |attribute| attribute.stored_name.as_str())
    }

    /// The name in requests of an attribute with this stored name.
    pub fn model_name<'a>(&'a self, stored_name: &'a str) -> &'a str {
        self.stored_attribute(stored_name)
            .map_or(stored_name, |attribute| attribute.name.as_str())
    }

    /// The secondary index of this name.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The attribute with the item's version, if the model has one.
    pub fn version(&self) -> Option<&Attribute> {
        self.first_of(AttributeType::Version)
    }

    /// The attribute by which DynamoDB removes items, if the model has one.
    pub fn ttl(&self) -> Option<&Attribute> {
        self.first_of(AttributeType::Ttl)
    }

    fn first_of(&self, kind: AttributeType) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.kind == kind)
    }

    /// Whether values of its items may be in S3 in place of the item.
    pub fn offloads_values(&self) -> bool {
        self.attributes.iter().any(Attribute::offloads_values)
    }

    /// The keys of all encrypted values: those of attributes, in their order, and those of seals.
    pub fn encryptions(&self) -> impl Iterator<Item = &Encryption> {
        let attributes = self
            .attributes
            .iter()
            .filter_map(|attribute| attribute.encrypted.as_ref());
        attributes.chain(self.protection.as_ref().map(|protection| &protection.encryption))
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
