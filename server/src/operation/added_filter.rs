//! What the server adds to the filter of a Query or Scan, so that the store returns and counts only items of the model that
//! have not expired.

use super::read_from::ReadFrom;
use crate::expression::Placeholders;
use crate::fault::{Fault, Faults};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Model, Number, Value};

/// Conditions of the server.
pub(super) struct AddedFilter {
    conditions: Vec<String>,
    /// Whether the conditions leave out all items that are to be left out. Otherwise the server looks at each item.
    pub(super) is_complete: bool,
}

impl AddedFilter {
    /// The conditions for the items of one model. For a collection there are none: its models differ.
    pub(super) fn new(
        from: &ReadFrom,
        is_query: bool,
        now: &Number,
        placeholders: &mut Placeholders,
    ) -> AddedFilter {
        let model = from.model();
        if from.is_collection() {
            return AddedFilter {
                conditions: Vec::new(),
                is_complete: false,
            };
        }
        // whether a template can have built a key, only the server can say
        let has_templates = model.has_key_templates();
        let mut added = AddedFilter {
            conditions: Vec::new(),
            is_complete: !has_templates,
        };
        // the filter of a Query cannot use the keys that it compares
        let is_filterable = |name: &str| !(is_query && from.is_key(name));
        if let Some(discriminator) = &model.discriminator
            && from.contains(&discriminator.attribute)
            && !has_templates
        {
            let name = &discriminator.attribute;
            let value = Value::S(discriminator.value.clone());
            added.add(is_filterable(name), || {
                let stored_name = placeholders.name(model.stored_name(name));
                format!("{stored_name}={}", placeholders.value(value))
            });
        }
        if let Some(ttl) = model.hiding_ttl()
            && from.contains(&ttl.name)
        {
            added.add(is_filterable(&ttl.name), || {
                unexpired(model, &ttl.name, now, placeholders)
            });
        }
        added
    }

    fn add(&mut self, is_filterable: bool, condition: impl FnOnce() -> String) {
        match is_filterable {
            true => self.conditions.push(condition()),
            false => self.is_complete = false,
        }
    }

    /// The whole filter: that of the caller, and these conditions.
    pub(super) fn joined(&self, filter: Option<String>) -> Result<Option<String>, Faults> {
        let of_caller = filter.map(|filter| match self.conditions.is_empty() {
            true => filter,
            false => format!("({filter})"),
        });
        let parts: Vec<_> = of_caller
            .iter()
            .chain(&self.conditions)
            .map(String::as_str)
            .collect();
        let whole = parts.join(" AND ");
        if whole.len() > MAX_EXPRESSION_BYTES {
            let description = format!(
                "is longer than {MAX_EXPRESSION_BYTES} bytes with the conditions that the server adds"
            );
            return Err(Fault::new("filter.text", description).into());
        }
        Ok((!whole.is_empty()).then_some(whole))
    }
}

/// The condition that an item has not expired. NULL and other values that are not numbers never expire.
fn unexpired(model: &Model, ttl: &str, now: &Number, placeholders: &mut Placeholders) -> String {
    let name = placeholders.name(model.stored_name(ttl));
    let number = placeholders.value(Value::S("N".to_owned()));
    let now = placeholders.value(Value::N(now.clone()));
    format!("(NOT attribute_type({name},{number}) OR {name}>{now})")
}
