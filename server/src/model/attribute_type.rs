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
    /// A set of texts.
    StringSet,
    /// A set of numbers.
    NumberSet,
    /// A set of byte strings.
    BinarySet,
    /// JSON text.
    Json,
    /// A moment, as RFC 3339 text in requests.
    Datetime,
    /// When the item expires: epoch seconds.
    Ttl,
    /// The number of the item's version: 1, 2, 3 …
    Version,
}

impl AttributeType {
    /// All types, in the order of the documentation.
    pub const ALL: [AttributeType; 14] = [
        AttributeType::String,
        AttributeType::Number,
        AttributeType::Binary,
        AttributeType::Boolean,
        AttributeType::List,
        AttributeType::Map,
        AttributeType::Object,
        AttributeType::StringSet,
        AttributeType::NumberSet,
        AttributeType::BinarySet,
        AttributeType::Json,
        AttributeType::Datetime,
        AttributeType::Ttl,
        AttributeType::Version,
    ];

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
            AttributeType::StringSet => "string_set",
            AttributeType::NumberSet => "number_set",
            AttributeType::BinarySet => "binary_set",
            AttributeType::Json => "json",
            AttributeType::Datetime => "datetime",
            AttributeType::Ttl => "ttl",
            AttributeType::Version => "version",
        }
    }

    /// Whether this is a set of strings, numbers or binaries.
    pub const fn is_set(self) -> bool {
        matches!(
            self,
            AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet
        )
    }

    /// The type of a set's members; otherwise the type itself.
    pub const fn member(self) -> AttributeType {
        match self {
            AttributeType::StringSet => AttributeType::String,
            AttributeType::NumberSet => AttributeType::Number,
            AttributeType::BinarySet => AttributeType::Binary,
            other => other,
        }
    }
}
