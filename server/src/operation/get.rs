//! Get: one item by its key.

use std::collections::HashMap;
use std::sync::Arc;

use super::authorize::Authorizing;
use super::error::Error;
use super::fields::{check_fields, check_include_objects};
use super::gateway::Gateway;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Placeholders;
use crate::fault::Faults;
use crate::item::check;
use crate::model::{Item, Model};
use crate::policy::Action;
use crate::read::{self, Opened, View};

/// Which item to read, and which parts of it.
pub struct Get {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// Paths to return; empty: all.
    pub fields: Vec<String>,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
    /// Object attributes whose content is returned inline.
    pub include_objects: Vec<String>,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 5] = ["model", "key", "fields", "consistent_read", "include_objects"];

/// Reads one item; returns `None` if the request was only checked.
pub async fn get(gateway: &Gateway, call: &Call, mut request: Get) -> Result<Option<Opened>, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    let validate_only = request.validate_only;
    let get = check_get(request)?;
    if validate_only {
        return Ok(None);
    }
    Ok(Some(gateway.reader.get(call, get).await?))
}

impl Get {
    /// Rejects what the caller may not read. From then on the model is as the caller sees it.
    pub(super) fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Get, &self.model, self.consistent_read, &self.key)?;
        self.model = Arc::clone(access.model());
        Ok(())
    }
}

/// Checks everything about a read.
pub(super) fn check_get(request: Get) -> Result<read::Get, Error> {
    let Get {
        model,
        key,
        fields,
        consistent_read,
        include_objects,
        validate_only: _,
        faults,
    } = request;
    let mut validation = Validation::new(&FIELDS, faults);
    let key = validation.field(check::check_key(&model, key, "key"));
    let include_objects = validation.field(check_include_objects(&model, &include_objects));
    let included = include_objects.as_deref().unwrap_or_default();
    let (projection, names) = match fields.is_empty() {
        true => (Some(None), HashMap::new()),
        false => {
            let mut placeholders = Placeholders::new();
            let projection = check_fields(&model, &fields, included, &mut placeholders);
            (validation.field(projection), placeholders.into_parts().0)
        }
    };
    let valid = validation.finish()?;
    let key = valid.take(key)?;
    let view = View::new(
        model,
        fields,
        valid.take(include_objects)?,
        valid.take(projection)?,
    );
    Ok(read::Get {
        key,
        view,
        names,
        consistent_read,
    })
}
