//! The types of attributes.

/// The types of the schema language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// Text.
    String,
    /// An exact decimal number.
    Number,
    /// Bytes.
    Binary,
    /// True or false.
    Boolean,
    /// An ordered list.
    List,
    /// A map.
    Map,
    /// A value that is stored in S3.
    Object,
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
