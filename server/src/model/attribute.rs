//! An attribute of a model: its type and its options.

use super::attribute_type::AttributeType;
use super::checks::Checks;
use super::compression::Compression;
use super::encryption::Encryption;
use super::generate::Generate;
use super::offload::Offload;
use super::stored_form::{Compat, DatetimeStore, SetEncoding};
use super::template::{Source, Template};
use super::unknown_attributes::UnknownAttributes;
use super::value::Value;

/// One attribute of a model, or of a map or list inside it.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name that requests use. Empty for the members of a list.
    pub name: String,
    /// The name in DynamoDB: the alias, or the name.
    pub stored_name: String,
    /// The type of its value.
    pub kind: AttributeType,
    /// Whether a Save must set it to a value that is not null.
    pub required: bool,
    /// The value if the caller sets none, as a caller would send it.
    pub default: Option<Value>,
    /// What the server generates if the caller sets no value.
    pub generate: Option<Generate>,
    /// Set if the value is built from other attributes. Then `kind` is `String`.
    pub template: Option<Template>,
    /// Whether responses leave it out.
    pub hidden: bool,
    /// What writes check.
    pub checks: Checks,
    /// Set if the attribute is encrypted.
    pub encrypted: Option<Encryption>,
    /// Set if the attribute is compressed. Then `kind` is `String`, `Json` or `Object`.
    pub compressed: Option<Compression>,
    /// Set if the attribute is stored in S3: always if `kind` is `Object`, above a size if it is `String` or `Binary`.
    pub s3: Option<Offload>,
    /// The fields that a map declares, in the order of the model file. Empty: any.
    pub attributes: Vec<Attribute>,
    /// What each member of a list is; `None`: anything.
    pub items: Option<Box<Attribute>>,
    /// What a write does with undeclared fields of a map that declares some. `None`: as the model does.
    pub nested_unknown: Option<UnknownAttributes>,
    /// How a set is stored.
    pub set_encoding: SetEncoding,
    /// Whether NULL in place of a set reads as absent and is replaced by the next write.
    pub null_sets_repair: bool,
    /// Whether reads leave out items that have expired by this attribute. Then `kind` is `Ttl`.
    pub hide_expired: bool,
    /// How a datetime is stored.
    pub datetime_store: DatetimeStore,
    /// The program whose stored forms the model follows.
    pub compat: Compat,
    // add-a-model-option: its field
    /// Whether the caller that this view of the model is for may not read it. The models that are served withhold nothing.
    pub withheld: bool,
}

impl Attribute {
    /// An attribute with the default of every option.
    pub(super) fn plain(name: &str, kind: AttributeType) -> Attribute {
        Attribute {
            name: name.to_owned(),
            stored_name: name.to_owned(),
            kind,
            required: false,
            default: None,
            generate: None,
            template: None,
            hidden: false,
            checks: Checks::default(),
            encrypted: None,
            compressed: None,
            s3: None,
            attributes: Vec::new(),
            items: None,
            nested_unknown: None,
            set_encoding: SetEncoding::default(),
            null_sets_repair: false,
            hide_expired: false,
            datetime_store: DatetimeStore::default(),
            compat: Compat::default(),
            withheld: false,
        }
    }

    /// DynamoDB's name of the type of its stored value, if the attribute is a key of a table or index: `S`, `N` or `B`.
    pub fn key_type(&self) -> &'static str {
        match self.kind {
            AttributeType::Number | AttributeType::Ttl | AttributeType::Version => "N",
            AttributeType::Datetime if self.datetime_store.is_number() => "N",
            AttributeType::Binary => "B",
            AttributeType::String
            | AttributeType::Boolean
            | AttributeType::List
            | AttributeType::Map
            | AttributeType::Object
            | AttributeType::StringSet
            | AttributeType::NumberSet
            | AttributeType::BinarySet
            | AttributeType::Json
            | AttributeType::Datetime => "S",
        }
    }

    /// Whether its values may be in S3 in place of the item: strings or binaries above a size.
    pub fn offloads_values(&self) -> bool {
        self.kind != AttributeType::Object && self.s3.is_some()
    }

    /// Whether the size of a stored value is known only when it has been compressed, or not put in the item.
    pub fn may_shrink(&self) -> bool {
        self.compressed.is_some() || self.offloads_values()
    }

    /// Whether a pointer of this form is one of the attribute: that of an offloaded value, or of an object.
    pub fn is_offloaded(&self, of_value: bool) -> bool {
        self.s3.is_some() && self.offloads_values() == of_value
    }

    /// The attribute as a part of a template.
    pub(super) fn as_part(&self) -> Source<'_> {
        let conflicts = [
            (self.template.is_some(), "has a template"),
            (self.encrypted.is_some(), "is encrypted, and a key is not"),
            (self.compressed.is_some(), "is compressed, and a key is not"),
            (self.s3.is_some(), "is in S3, and a key is not"),
        ];
        Source {
            name: &self.name,
            kind: self.kind,
            store: self.datetime_store,
            conflict: conflicts
                .iter()
                .find_map(|(conflicts, text)| conflicts.then_some(*text)),
        }
    }

    /// The field of this name that a map declares.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The field that a map declares under this stored name.
    pub fn stored_attribute(&self, stored_name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.stored_name == stored_name)
    }
}
