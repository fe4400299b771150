//! The commit protocol that every write passes, with or without objects in S3. Never decides what a caller may write:
//! items, keys and conditions arrive checked.
//!
//! # Save
//!
//! 1. Encrypt the encrypted attributes; a KMS failure costs no upload.
//! 2. Upload every object under a new key, in parallel.
//! 3. Commit: one PutItem, which returns the item that it replaced.
//! 4. Delete the objects of the replaced item.
//!
//! A PutItem of a model with object attributes is not sent again after an attempt that may have been applied: another
//! writer may have replaced the item since then and deleted these objects, or the repeat would delete the other's. Without
//! new objects, it is sent again if its condition requires a version, or if a read shows that the stored pointer of a kept
//! object has fields that the caller did not send.
//!
//! An object is deleted only if it certainly belongs to the item (see [`owner`](crate::object::owner)) and no item points
//! to it. An object that is left behind costs storage until a sweep removes it.
//!
//! | PutItem | new objects | objects of the previous item | result |
//! |---|---|---|---|
//! | succeeds | live | deleted; left behind if that fails | success |
//! | fails its condition, or DynamoDB rejects it | deleted | live | that error |
//! | fails because the stored pointer of a kept object has fields that the caller did not send | not touched | live | PutItem is retried with the stored pointer |
//! | fails its condition, and the stored item is the one that an earlier attempt wrote | live | left behind | success |
//! | fails its condition after a doubtful attempt, and the stored item is equal but has neither objects nor ciphertexts | - | - | unknown outcome: another caller may have written it |
//! | fails its condition after an attempt without a response, which may still be applied | left behind | live | that error |
//! | every attempt gets a 5xx response | live if a consistent read finds the new item, else deleted | left behind if the new item was found, else live | success if it was found, else unavailable |
//! | an attempt gets no response | live if one of two consistent reads, 500 ms apart, finds the new item, else left behind: the write may still be applied | left behind if the new item was found, else live | success if it was found, else unknown outcome |
//! | the process is killed | live if the write was applied, else left behind | left behind, or live | none; the item points to complete objects, old or new |
//!
//! # Delete
//!
//! 1. DeleteItem, which returns the removed item.
//! 2. Delete its objects, one DeleteObject each.
//!
//! If DeleteItem fails, nothing else is deleted. If its outcome is unknown, or the process is killed after it, the objects
//! are left behind. A DeleteItem of a model with object attributes is not sent again after an attempt that may have been
//! applied: another writer may have created the item again since then. An unconditional delete whose item a consistent
//! read does not find was successful.
//!
//! # Update
//!
//! 1. Encrypt the values of encrypted attributes that are set.
//! 2. Upload the objects that are set, each under a new key.
//! 3. Commit: one UpdateItem, which returns the pointers that it replaced or removed. If the caller wants the new item
//!    instead, the pointers are read first and the commit is conditional on them; at most 3 commits.
//! 4. Delete the objects of these pointers.
//!
//! Index keys that are built of attributes that the update leaves alone need their values: a consistent read comes before
//! the commit, which is conditional on what it found. If the item changes in between, the commit is repeated with the item
//! that the failed condition returned, until the deadline.
//!
//! An attempt that may have been applied is repeated only if the update sets no objects and its condition requires a
//! version; in a model without object attributes also if the item remembers the request, or if the update is idempotent and
//! returns no old values. What follows from each outcome is as for a save, except that only a new object or a ciphertext
//! shows that an update was applied: without one, the outcome of an attempt that got no response is unknown.
//!
//! # Transaction
//!
//! 1. Encrypt the values of all operations.
//! 2. Upload all new objects.
//! 3. Read the pointers that the operations replace or remove: one consistent BatchGetItem, and none if there are no
//!    object attributes.
//! 4. Commit: one TransactWriteItems, conditional on these pointers. All attempts have one token.
//! 5. Delete the objects of the old pointers.
//!
//! | TransactWriteItems | new objects | objects of the previous items | result |
//! |---|---|---|---|
//! | succeeds | live | deleted; left behind if that fails | success |
//! | is cancelled because a pointer changed since it was read | not touched | live | the pointers are read again and the transaction is repeated, until the deadline |
//! | is cancelled, or DynamoDB rejects it | deleted | live | that error |
//! | is cancelled after an attempt without a response, which may still be applied | left behind | live | that error |
//! | every attempt gets a 5xx response | live if one consistent read finds one of them or a ciphertext of this call in its item, else deleted | deleted if that was found, else live | success if it was found, else unavailable |
//! | an attempt gets no response | live if one of two reads, 500 ms apart, finds one of them or a ciphertext, else left behind | deleted if that was found, else left behind, or live | success if it was found, else unknown outcome |
//! | the process is killed | live if the transaction was applied, else left behind | left behind, or live | none; each item points to complete objects |
//!
//! # Uploads by URL
//!
//! An object may take up what was uploaded by URL: in place of its upload, the content is copied to the new key, if its
//! size, etag and SHA-256 are those that the token names. Everything else is as above. Once the commit is known to have
//! been applied, the upload is deleted; otherwise it stays, so that the write can be repeated, until the sweep removes it.
//!
//! # Requests with an id
//!
//! With `idempotency: item`, a Save or Update sets the attribute `_tollgate_id` (see `remembered`), and its commit requires
//! that the stored item does not hold the id. The item that fails this condition shows whether an equal request, or an
//! attempt of this one whose response was lost, was applied: then the new objects are deleted, unless the item points to
//! them, and the result is what the server set in the item. An update may be repeated after a lost response.
//!
//! With `idempotency: { table }`, a write is a transaction of its operation and a marker (see `marker`), which requires that
//! there is no marker of the id or that it has expired. In this process, one request with an id is at work at a time. The
//! marker is read before anything is uploaded, and if the request waited for another one.
//!
//! | TransactWriteItems | new objects | objects of the previous item | result |
//! |---|---|---|---|
//! | succeeds | live | deleted; left behind if that fails | success |
//! | is cancelled: the marker is of this call | live | deleted | success |
//! | is cancelled: the marker is of an earlier equal request | deleted | live | that of the earlier request |
//! | is cancelled: the marker is of another request | deleted | live | mismatch |
//! | is cancelled: the marker, or only the item, is being written by another process | not touched | live | repeated until the deadline, then in flight, or conflict |
//! | is cancelled for another reason | deleted | live | that error, after a marker with it was written alone: one PutItem; of two, the first holds |
//! | has an unknown outcome | as the marker shows; left behind without one if an attempt got no response | the same | the same: of this call, of an earlier request, unavailable, or unknown outcome |
//!
//! # Time
//!
//! Before the commit, an error, a caller that disconnects and the deadline all end the work: uploads are aborted and new
//! objects deleted. From the commit on, everything runs to completion in a task that shutdown waits for, for at most
//! [`GRACE`] beyond the caller's deadline, and is billed to the same call. The caller gets a response by its deadline. A
//! write of a model without object attributes needs no task and ends with its caller.

mod batch;
mod caller;
mod cleanup;
mod commit;
mod committer;
mod conjunction;
mod delete;
mod error;
mod generated;
mod identity;
mod in_flight;
mod index_keys;
mod kept;
mod marked;
mod marked_write;
mod marker;
mod marker_content;
mod new_object;
mod offloaded;
mod old_item;
mod prepared;
mod presign;
mod protected;
mod races;
mod refused;
mod remembered;
mod remembering;
mod rendered;
mod request;
mod save;
mod settle;
mod stored_items;
mod streamed;
mod token;
mod transact;
mod transact_commit;
mod transact_refusal;
mod transact_request;
mod update;
mod update_commit;
mod upload_token;
mod uploads;
mod versions;

pub use crate::aws::Misfit;
pub use crate::object::content::{ContentError, ContentSender, stream};
pub use crate::object::digest::sha256_hex;
pub use crate::object::window::Window;

pub use self::batch::PlainWrite;
pub use self::committer::{Committer, GRACE};
pub use self::error::Error;
pub use self::identity::{Identity, RequestIds, digest_contents};
pub use self::index_keys::{IndexKeyError, IndexKeys};
pub use self::kept::{condition_bytes, count_kept, foreign_kept, keep_unchanged};
pub use self::prepared::pinned_bytes;
pub use self::presign::NewUpload;
pub use self::refused::{OperationRefusal, RefusedOperation};
pub use self::remembered::{REMEMBERED_CONDITION_BYTES, Term};
pub use self::request::{
    Committed, CommittedUpdate, Condition, Contents, DeleteRequest, ExpectedVersion, ItemUpdate, SaveRequest,
    UpdateRequest,
};
pub use self::token::TransactionTokens;
pub use self::transact_request::{
    AppliedOperation, Change, Marking, Operation, Recognition, TransactOutcome,
};
pub use self::upload_token::{PresignedUpload, UploadPlace, UploadTokens};
pub use self::versions::VERSION_CONDITION_BYTES;

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
