//! From the results of `operation`, the models and the books to the contract's messages. Never fails, and never drops a
//! value.

mod batches;
mod bill;
mod messages;
mod model;
mod pages;
mod responses;
mod unreadable;
mod values;

pub(super) use batches::{batch_get, batch_written, transact_get, transact_write};
pub(super) use bill::{finished_call, totals};
pub(super) use model::model;
pub(super) use pages::{query_page, scan_page};
pub(super) use responses::{delete, download, get, presign, save, update, upload};
pub(super) use values::item;
// add-an-rpc: the encoder of its response
