//! What each RPC does, one file per RPC: check the request as a whole, then read or write, then return the result. Knows
//! nothing of gRPC, and reaches the stores only through `read` and `write`.

mod added_filter;
mod authorize;
mod batch_get;
mod batch_write;
mod changes;
mod condition;
mod contents;
mod delete;
mod download;
mod error;
mod fields;
mod gateway;
mod get;
mod idempotency;
mod object_attribute;
mod part_faults;
mod presign;
mod query;
mod read_from;
mod recognition;
mod save;
mod scan;
mod selection;
#[cfg(all(test, feature = "embedded"))]
mod tests;
mod transact_get;
mod transact_write;
mod update;
mod upload;
mod upload_tokens;
mod validation;
// add-an-rpc: the module

pub use batch_get::{BatchGet, batch_get};
pub use batch_write::{BatchWrite, BatchWritten, BatchedWrite, Writes, Written, batch_write};
pub use delete::{Delete, delete};
pub use download::{Download, download};
pub use error::Error;
pub use gateway::Gateway;
pub use get::{Get, get};
pub use presign::{Presign, PresignMethod, Presigned, presign};
pub use query::{Query, query};
pub use save::{Save, Saved, save};
pub use scan::{Scan, scan};
pub use selection::Selection;
pub use transact_get::{TransactGet, transact_get};
pub use transact_write::{Check, TransactOperation, TransactWrite, Transacted, transact_write};
pub use update::{Update, Updated, update};
pub use upload::{Chunks, ObjectChunk, Upload, UploadWrite, Uploaded, upload};
// add-an-rpc: its request and function

pub use crate::read::{
    BatchPart, BatchResult, DownloadPart, Error as ReadError, Opened, Page, PageEnd, PageItem, PageMemory,
    UnreadableAttribute,
};
pub use crate::write::{ContentError, Error as WriteError, OperationRefusal, RefusedOperation};
