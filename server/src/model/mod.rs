//! The schema language: models, their attributes, and the values that attributes hold. Pure, except that it reads the
//! model files. Imports no room but `yaml` and `fault`.

mod attribute;
mod attribute_type;
mod changes;
mod checks;
mod encryption;
mod files;
pub mod limits;
mod literal;
mod models;
mod names;
mod number;
mod offload;
mod parse;
mod schema;
mod served;
pub mod size;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod value;

pub use crate::yaml::Fault as ModelFault;
pub use attribute::Attribute;
pub use attribute_type::AttributeType;
pub use changes::{Change, Changes};
pub use checks::Checks;
pub use encryption::{Encryption, EncryptionFormat, EncryptionMode};
pub use files::model_files;
pub use models::Models;
pub use names::is_bucket_name;
pub use number::{InvalidNumber, Number};
pub use offload::{ForeignPointers, Offload};
pub use schema::{Model, UnknownAttributes};
pub use served::Served;
pub use value::{Item, Object, Value};
