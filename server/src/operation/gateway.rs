//! What all operations share.

use std::sync::Arc;

use super::error::{Error, shorten};
use crate::fault::Fault;
use crate::model::{Model, Served};
use crate::read::Reader;
use crate::write::{Committer, RequestIds, TransactionTokens, UploadTokens};

/// What all operations share.
pub struct Gateway {
    /// The models being served.
    pub models: Served,
    /// Reads items.
    pub reader: Reader,
    /// Writes items.
    pub committer: Committer,
    /// Makes transactions idempotent; none if the key of the tokens ends with this process, but the tables do not.
    pub transaction_tokens: Option<TransactionTokens>,
    /// Identifies requests with a request id; none if its key ends with this process, but the tables do not.
    pub request_ids: Option<RequestIds>,
    /// Seals and opens the tokens of uploads by URL.
    pub upload_tokens: UploadTokens,
    /// Levels of lists and maps that one attribute may have.
    pub attribute_depth: usize,
}

impl Gateway {
    /// The model that a request names.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is empty, `UnknownModel` if no such model is served.
    pub fn model(&self, name: &str) -> Result<Arc<Model>, Error> {
        if name.is_empty() {
            return Err(Error::Invalid(Fault::new("model", "is required").into()));
        }
        self.models.get(name).ok_or_else(|| Error::UnknownModel {
            model: shorten(name),
            near: self.models.all().near(name),
        })
    }
}
