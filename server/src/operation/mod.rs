//! What each RPC does, one file per RPC: check the request as a whole, then read or write, then return the result. Knows
//! nothing of gRPC, and reaches the stores only through `read` and `write`.

mod added_filter;
mod condition;
mod delete;
mod error;
mod fields;
mod gateway;
mod get;
mod query;
mod read_from;
mod return_values;
mod save;
mod scan;
mod selection;
mod update;
mod validation;
// add-an-rpc: the module

pub use delete::{Delete, delete};
pub use error::Error;
pub use gateway::Gateway;
pub use get::{Get, get};
pub use query::{Query, query};
pub use return_values::ReturnValues;
pub use save::{Save, Saved, save};
pub use scan::{Scan, scan};
pub use selection::Selection;
pub use update::{Update, Updated, update};
// add-an-rpc: its request and function

pub use crate::read::{Error as ReadError, Opened, Page, PageEnd, PageItem, PageMemory, UnreadableAttribute};
pub use crate::write::Error as WriteError;
