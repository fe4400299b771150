//! Get: one item by its key.

use std::sync::Arc;

use super::read::{Reader, check_include, project};
use super::verdict::Verdict;
use super::{Error, Gate};
use crate::aws::GetItem;
use crate::billing::Call;
use crate::expression::Placeholders;
use crate::fault::Faults;
use crate::item::check;
use crate::item::load::Opened;
use crate::model::{Item, Model};

/// What to read.
pub struct Get {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// Paths to answer; empty: all.
    pub fields: Vec<String>,
    /// Read what every earlier write left.
    pub consistent_read: bool,
    /// Object attributes whose content comes inline.
    pub include_objects: Vec<String>,
    /// Check only.
    pub validate_only: bool,
    /// What decoding found.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 5] = ["model", "key", "fields", "consistent_read", "include_objects"];

/// What was read; none where the request was only checked.
pub type Got = Option<Opened>;

/// Reads one item.
pub async fn get(gate: &Arc<Gate>, call: &Call, request: Get) -> Result<Got, Error> {
    let Get {
        model,
        key,
        fields,
        consistent_read,
        include_objects,
        validate_only,
        faults,
    } = request;
    let mut placeholders = Placeholders::new();
    let mut verdict = Verdict::new(&FIELDS, faults);
    let key = verdict.field(check::check_key(&model, key, "key"));
    let include_objects = verdict.field(check_include(&model, &include_objects));
    let included = include_objects.as_deref().unwrap_or_default();
    let projection = verdict.field(project(&model, &fields, included, &mut placeholders));
    let passed = verdict.pass()?;
    let (key, projection) = (passed.take(key)?, passed.take(projection)?);
    let include_objects = passed.take(include_objects)?;
    if validate_only {
        return Ok(None);
    }
    let (names, _) = placeholders.into_parts();
    let read = GetItem {
        table: model.table.clone(),
        key: key.item(),
        projection: projection.as_ref().map(|projection| projection.text.clone()),
        names,
        consistent_read,
        uncounted: false,
    };
    let stored = gate.stores.dynamodb.get_item(call, read).await?;
    let stored = stored.ok_or_else(|| Error::ItemNotFound {
        model: model.name.clone(),
    })?;
    let reader = Reader::new(gate, call, model, projection, fields, include_objects);
    reader.open(stored, 0).await.map(Some)
}
