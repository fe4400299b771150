//! The schema language: models, their attributes, and the values that attributes hold. Pure: no I/O beyond reading
//! the model files, no other room but `yaml` and `fault`.

mod attribute;
mod changes;
mod checks;
mod files;
pub mod limits;
mod literal;
mod names;
mod number;
mod parse;
mod places;
mod served;
pub mod size;
mod tables;
#[cfg(test)]
mod tests;
mod value;

pub use changes::{Change, Changes};
pub use files::model_files;
pub use number::{InvalidNumber, Number};
pub use served::Served;
pub use value::{Item, Object, Value};

/// One fault of a model file.
pub use crate::yaml::Fault as ModelFault;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;

use crate::fault::did_you_mean;

/// All models being served, by name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    by_name: Arc<BTreeMap<String, Arc<Model>>>,
}

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

/// The types of the schema language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// Text.
    String,
    /// An exact decimal.
    Number,
    /// Bytes.
    Binary,
    /// True or false.
    Boolean,
    /// An ordered list.
    List,
    /// A map.
    Map,
    /// A value in S3.
    Object,
}

/// What a written value must satisfy.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Least value of a number.
    pub min: Option<Number>,
    /// Greatest value of a number.
    pub max: Option<Number>,
    /// Least length: characters of a string, bytes of a binary, members of a list or map.
    pub min_length: Option<u64>,
    /// Greatest length.
    pub max_length: Option<u64>,
    /// The whole string must match; it is anchored at both ends (`Checks::pattern_text` is what was written).
    pub pattern: Option<Regex>,
    /// The values allowed; empty: any.
    pub one_of: Vec<Value>,
}

/// How an attribute is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// KMS key id, ARN or alias (`alias/my-app-key`): seals, and opens.
    pub key_id: String,
    /// Further keys that may open stored values, in the order in which they are tried: those that `key_id` replaced.
    pub accepts: Vec<String>,
    /// The attribute's KMS encryption context.
    pub context: BTreeMap<String, String>,
    /// Who may open it, who may set it.
    pub mode: EncryptionMode,
    /// The stored format that writes use.
    pub format: EncryptionFormat,
    /// Formats that reads accept beside it. `sealed` is always read: it is tied to its place.
    pub accept_formats: Vec<EncryptionFormat>,
    /// A value stored in plaintext is read as it is, while a table is being adopted.
    pub allow_plaintext: bool,
}

impl Encryption {
    /// The keys that may open stored values, in the order in which they are tried.
    pub fn key_ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.key_id).chain(&self.accepts)
    }

    /// Whether stored values of this format are opened.
    pub fn reads(&self, format: EncryptionFormat) -> bool {
        match format {
            EncryptionFormat::Sealed => true,
            EncryptionFormat::Pydynox => self.format == format || self.accept_formats.contains(&format),
        }
    }
}

/// What an encrypted attribute allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionMode {
    /// Sealed on writes, opened on reads.
    #[default]
    ReadWrite,
    /// Sealed on writes, never opened: listed in `withheld`.
    WriteOnly,
    /// Opened on reads; a write that sets it is refused.
    ReadOnly,
}

/// Stored formats of encrypted attributes (`storage.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionFormat {
    /// Format id 4; id 2 is read as well.
    #[default]
    Sealed,
    /// Format id 1, as pydynox writes it.
    Pydynox,
}

/// Where an attribute's objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offload {
    /// The bucket.
    pub bucket: String,
    /// What the objects' keys begin with; empty or ending in `/`.
    pub prefix: String,
    /// The bucket's region, where it is not the client's.
    pub region: Option<String>,
    /// What becomes of pointers to objects that are not the item's own.
    pub foreign_pointers: ForeignPointers,
}

/// What an attribute does with pointers out of the item's own folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignPointers {
    /// Their objects are not read.
    #[default]
    Refuse,
    /// Their objects are read, never deleted.
    Read,
}

/// Whether S3 has buckets of this name.
pub fn is_bucket_name(name: &str) -> bool {
    names::bucket(name).is_ok()
}

impl Models {
    /// Models by their names; `models` are unique by name (the reader of the files sees to that).
    pub fn new(models: impl IntoIterator<Item = Model>) -> Models {
        let mut models: Vec<Model> = models.into_iter().collect();
        tables::note_sealed(&mut models);
        let by_name = models
            .into_iter()
            .map(|model| (model.name.clone(), Arc::new(model)))
            .collect();
        Models {
            by_name: Arc::new(by_name),
        }
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }

    /// ` (did you mean …?)` if a model is near a name that none has, else nothing.
    pub fn near(&self, name: &str) -> String {
        did_you_mean(name, self.by_name.keys().map(String::as_str))
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All models in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_name.values()
    }
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

impl AttributeType {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            AttributeType::String => "string",
            AttributeType::Number => "number",
            AttributeType::Binary => "binary",
            AttributeType::Boolean => "boolean",
            AttributeType::List => "list",
            AttributeType::Map => "map",
            AttributeType::Object => "object",
        }
    }
}
