//! The schema language: models, their attributes, and the values that attributes hold. Pure, except that it reads the
//! model files. Imports no room but `yaml` and `fault`.

mod attribute;
mod attribute_reader;
mod attribute_rules;
mod attribute_type;
mod changes;
mod checks;
mod compression;
mod conversion;
mod declared;
mod encryption;
mod files;
mod generate;
mod generated;
mod index;
mod index_reader;
mod later;
pub mod limits;
mod literal;
mod model_options;
mod models;
mod names;
mod needed_tables;
mod number;
mod offload;
mod overlap;
mod ownership;
mod parse;
mod place;
mod return_values;
mod schema;
mod served;
mod shared_tables;
pub mod size;
mod stored_form;
mod tables;
mod template;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod unknown_attributes;
mod value;

pub use crate::yaml::Fault as ModelFault;
pub use attribute::Attribute;
pub use attribute_type::AttributeType;
pub use changes::{Change, Changes};
pub use checks::Checks;
pub use compression::{Compression, CompressionAlgorithm};
pub use encryption::{Encryption, EncryptionFormat, EncryptionMode};
pub use files::model_files;
pub use generate::Generate;
pub use index::{Index, Projection};
pub use model_options::{Discriminator, Idempotency};
pub use models::Models;
pub use names::{REMEMBERED_REQUEST, is_bucket_name};
pub use needed_tables::{MARKER_EXPIRES, MARKER_KEY, NeededTable};
pub use number::{InvalidNumber, Number};
pub use offload::{ForeignPointers, Offload};
pub use return_values::ReturnValues;
pub use schema::Model;
pub use served::Served;
pub use stored_form::{Compat, DatetimeStore, SetEncoding};
pub use template::{Leading, Part, PartFormat, Piece, Template, TemplateError};
pub use unknown_attributes::UnknownAttributes;
pub use value::{Item, Object, Value};
