//! What the RPCs do, one file each: check, then item and store, then the answer. Knows nothing of gRPC.

mod delete;
mod error;
mod get;
mod page_token;
mod pages;
mod query;
mod read;
mod save;
mod scan;
mod selection;
mod verdict;

pub use delete::{Delete, delete};
pub use error::Error;
pub use get::{Get, Got, get};
pub use page_token::PageTokens;
pub use pages::{Found, Memory, Page, PageEnd};
pub use query::{Query, query};
pub use save::{Save, Saved, save};
pub use scan::{Scan, scan};
pub use selection::Selection;

pub use crate::item::load::Opened;

use std::sync::Arc;

use crate::aws::Stores;
use crate::crypto::Keyring;
use crate::fault::Fault;
use crate::model::{Model, Served};
use crate::object::settle::Settler;

/// Everything that operations share.
pub struct Gate {
    /// The models being served.
    pub models: Served,
    /// The AWS clients.
    pub stores: Stores,
    /// Data keys.
    pub keyring: Keyring,
    /// Multi-step writes.
    pub settler: Settler,
    /// Seals page tokens.
    pub page_tokens: PageTokens,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what one call may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of lists and maps in one attribute.
    pub attribute_depth: usize,
    /// Bytes of one message, inline objects included.
    pub message_bytes: usize,
    /// Objects read side by side in one call.
    pub objects_in_flight: usize,
}

/// What a write answers of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnValues {
    /// Nothing.
    #[default]
    None,
    /// The item before.
    AllOld,
    /// The item after.
    AllNew,
}

impl Gate {
    /// The model that a request names.
    pub fn model(&self, name: &str) -> Result<Arc<Model>, Error> {
        if name.is_empty() {
            return Err(Error::Invalid(Fault::new("model", "is required").into()));
        }
        self.models.get(name).ok_or_else(|| Error::UnknownModel {
            model: shown(name),
            near: self.models.all().near(name),
        })
    }
}

/// Characters of a caller's name that an error holds.
const MAX_SHOWN_CHARS: usize = 64;

/// A name of the caller's, cut to what an error shows of it.
fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
