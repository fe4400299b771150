//! The limits of DynamoDB, KMS and S3, and those that several rooms of this program share. Constants only.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of a DynamoDB item, names and values: 400 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Bytes that a seal adds to an item, at least: its name, and the seal with the shortest wrapped key.
pub const MIN_ITEM_SEAL_BYTES: usize = 13 + 53;

/// Bytes that one write capacity unit covers.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
pub const WRITE_UNIT_BYTES: usize = 1024;

/// Bytes of a partition key's value.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub const MAX_PARTITION_KEY_BYTES: usize = 2048;

/// Bytes of a sort key's value.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub const MAX_SORT_KEY_BYTES: usize = 1024;

/// Bytes of the name of an attribute or of a map's field.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>
pub const MAX_NAME_BYTES: usize = 65_535;

/// Bytes of the name of a key attribute.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>
pub const MAX_KEY_NAME_BYTES: usize = 255;

/// Global secondary indexes of a table.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-secondary-indexes>
pub const MAX_GLOBAL_INDEXES: usize = 20;

/// Local secondary indexes of a table.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-secondary-indexes>
pub const MAX_LOCAL_INDEXES: usize = 5;

/// Attributes that the projection lists of all indexes of a table name.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-secondary-indexes>
pub const MAX_PROJECTED_ATTRIBUTES: usize = 100;

/// Attributes that the projection list of one index names.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Projection.html>
pub const MAX_PROJECTED_NAMES: usize = 20;

/// Attributes of the partition key of a global index, and of its sort key.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.DesignPattern.MultiAttributeKeys.html>
pub const MAX_INDEX_KEY_ATTRIBUTES: usize = 4;

/// Bytes of a table's name.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
pub const TABLE_NAME_BYTES: RangeInclusive<usize> = 3..=255;

/// Levels of nested lists and maps in an attribute; the attribute's own value is the first.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>
pub const MAX_DEPTH: usize = 32;

/// Levels of nested lists and maps in an encrypted value: one more than DynamoDB allows in an attribute, so that
/// whatever passed the check of an item can be encrypted.
pub const MAX_ENCRYPTED_DEPTH: usize = MAX_DEPTH + 1;

/// Bytes of the items that one page of a Query or Scan evaluates: 1 MB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.Pagination>
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Segments of a parallel Scan, in all.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>
pub const MAX_SEGMENTS: u32 = 1_000_000;

/// Bytes of one expression's text, as received and as rendered: 4 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// Bytes of a placeholder, `#name` or `:name`.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
pub const MAX_PLACEHOLDER_BYTES: usize = 255;

/// Bytes of all names and values that the placeholders of a request stand for: 2 MB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
pub const MAX_SUBSTITUTED_BYTES: usize = 2 * 1024 * 1024;

/// Operators and functions in one expression.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
pub const MAX_OPERATORS: usize = 300;

/// Operands of one `IN`.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
pub const MAX_IN_OPERANDS: usize = 100;

/// Names and indexes in one path: a path leads no deeper than values are nested.
pub const MAX_PATH_ELEMENTS: usize = MAX_DEPTH;

/// Characters of a KMS key id, ARN or alias.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html>
pub const MAX_KEY_ID_BYTES: usize = 2048;

/// Bytes of all names and values of an encryption context.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html>
pub const MAX_CONTEXT_BYTES: usize = 8192;

/// Bytes of a wrapped data key: what `Decrypt` accepts.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html>
pub const MAX_WRAPPED_KEY_BYTES: usize = 6144;

/// Bytes of a bucket's name.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub const BUCKET_NAME_BYTES: RangeInclusive<usize> = 3..=63;

/// Bytes of an object's key.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub const MAX_OBJECT_KEY_BYTES: usize = 1024;

/// Bytes of all names and values of an object's metadata: 2 KB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
pub const MAX_METADATA_BYTES: usize = 2048;

/// Bytes of [`MAX_METADATA_BYTES`] reserved for the object's owner: three names, and three values as long as a hash.
pub const OWNER_METADATA_BYTES: usize = 258;

/// Bytes of every part of a multipart upload but the last, at least: 5 MiB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

/// Bytes of an object: 5 TiB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// Parts of a multipart upload.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_PARTS: usize = 10_000;

/// Encoded bytes of one message of a Query or Scan stream, unless a single item is larger: gRPC clients accept 4 MiB
/// by default.
pub const PAGE_MESSAGE_BYTES: usize = 3 * 1024 * 1024;

/// The longest life of a presigned URL, with Signature Version 4.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>
pub const MAX_URL_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
