//! The names of all files and folders in the data folder, and their permissions.
//!
//! | file | content |
//! |---|---|
//! | `lock` | locked exclusively while any engine is open; contains the process id, for the error of a second process |
//! | `VERSION` | the folder's format: a decimal number and a newline |
//! | `CONTENTS` | which other files the folder contains: see `contents.rs` |
//! | `root.key` | 32 random bytes that wrap the KMS keys |
//! | `token.key` | 32 random bytes that encrypt page tokens |
//! | `kms.json` | keys and aliases of the KMS engine: see `kms/store.rs` |
//! | `dynamodb.sqlite` | tables and items |
//! | `s3/index.sqlite` | buckets, keys, metadata and small bodies: see `s3/schema.rs` |
//! | `s3/objects/NN/ID` | large bodies: see `s3/body_files.rs` |
//! | `s3/unfinished/ID` | large bodies that are being written |
//! | `s3/lost` | bodies without a row, and what `fsck --repair` removed from the index |
//! | `lost` | other unusable files that `fsck --repair` moved |

/// The lock file.
pub(super) const LOCK_FILE: &str = "lock";
/// The file with the folder's format.
pub(super) const VERSION_FILE: &str = "VERSION";
/// The record of the other files.
pub(super) const CONTENTS_FILE: &str = "CONTENTS";
/// The key that wraps all other keys.
pub(super) const ROOT_KEY_FILE: &str = "root.key";
/// The key that encrypts page tokens.
pub(super) const TOKEN_KEY_FILE: &str = "token.key";
/// The file of the KMS engine. Its keys can be unwrapped only with the root key they were created under.
pub(super) const KMS_FILE: &str = "kms.json";
/// The database of the DynamoDB engine.
pub(super) const DYNAMODB_FILE: &str = "dynamodb.sqlite";
/// The folder of the S3 engine.
pub(super) const S3_FOLDER: &str = "s3";
/// The index of the S3 engine, relative to the data folder.
pub(super) const INDEX_FILE: &str = "s3/index.sqlite";
/// The large bodies of the S3 engine, relative to the data folder.
pub(super) const OBJECTS_FOLDER: &str = "s3/objects";
/// The index, relative to the folder of the S3 engine.
pub(super) const S3_INDEX: &str = "index.sqlite";
/// The index's write-ahead log, relative to the folder of the S3 engine.
pub(super) const S3_INDEX_LOG: &str = "index.sqlite-wal";
/// Finished bodies, relative to the folder of the S3 engine.
pub(super) const S3_OBJECTS: &str = "objects";
/// Bodies that are being written, relative to the folder of the S3 engine.
pub(super) const S3_UNFINISHED: &str = "unfinished";
/// Unusable files; a folder of this name is in the data folder and in the folder of the S3 engine.
pub(super) const LOST_FOLDER: &str = "lost";
/// SQLite's suffix for the write-ahead log of a database.
pub(super) const LOG: &str = "-wal";
/// SQLite's suffix for the shared memory file of a database.
pub(super) const SHARED_MEMORY: &str = "-shm";

/// Permissions of every folder.
pub(super) const FOLDER_MODE: u32 = 0o700;
/// Permissions of every file.
pub(super) const FILE_MODE: u32 = 0o600;
/// Permission bits of the group and of others.
pub(super) const FOREIGN_BITS: u32 = 0o077;
