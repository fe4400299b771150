//! Options of a model that concern whole items: how models share a table, and how writes are made idempotent.

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::names;
use super::value::Value;
use crate::yaml::{Cursor, Keys, Report, View};

/// The keys of `discriminator`.
pub(super) const DISCRIMINATOR: Keys = Keys {
    known: &["attribute", "value"],
    later: &[],
};

/// The keys of `idempotency`.
pub(super) const IDEMPOTENCY: Keys = Keys {
    known: &["table"],
    later: &[],
};

/// Maximum bytes of a discriminator's value.
const MAX_VALUE_BYTES: usize = 255;

/// What distinguishes the items of a model from those of other models in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discriminator {
    /// The attribute that holds the value, which is one of the model's.
    pub attribute: String,
    /// The value of this model's items.
    pub value: String,
}

/// Where a write's `request_id` is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// In the item: only an item's newest write is recognised.
    Item,
    /// In a table for this purpose: exact.
    Table(String),
}

impl Discriminator {
    /// The attribute of a model that does not declare it.
    pub(super) fn implied(&self) -> Attribute {
        let mut attribute = Attribute::plain(&self.attribute, AttributeType::String);
        self.bind(&mut attribute);
        attribute
    }

    /// Sets the default of the attribute to the model's value, and allows no other.
    pub(super) fn bind(&self, attribute: &mut Attribute) {
        let value = Value::S(self.value.clone());
        attribute.checks.one_of = vec![value.clone()];
        attribute.default = Some(value);
    }
}

/// Reads `discriminator`.
pub(super) fn discriminator(at: &Cursor<'_>, report: &mut Report) -> Option<Discriminator> {
    let fields = at.fields(&DISCRIMINATOR, report)?;
    let attribute = fields.require("attribute", report).and_then(|at| {
        let name = at.text(report)?;
        names::attribute(name, false)
            .map_err(|fault| report.add(at, fault))
            .ok()?;
        Some(name.to_owned())
    });
    let value = fields.require("value", report).and_then(|at| {
        let value = at.text(report)?;
        if !(1..=MAX_VALUE_BYTES).contains(&value.len()) {
            report.add(at, format!("must have 1 to {MAX_VALUE_BYTES} bytes"));
        }
        Some(value.to_owned())
    });
    Some(Discriminator {
        attribute: attribute?,
        value: value?,
    })
}

/// Why the attribute that a model declares cannot be its discriminator.
pub(super) fn discriminator_fault(attribute: &Attribute, is_key: bool) -> Option<&'static str> {
    let Attribute {
        kind,
        default,
        generate,
        template,
        checks,
        encrypted,
        compressed,
        s3,
        ..
    } = attribute;
    if is_key {
        Some("must not be a key of the table")
    } else if *kind != AttributeType::String {
        Some("must be an attribute of type string")
    } else if encrypted.is_some() || compressed.is_some() || s3.is_some() {
        Some("must be neither encrypted nor compressed nor in S3")
    } else if default.is_some() || generate.is_some() || template.is_some() || !checks.one_of.is_empty() {
        Some(
            "must have no `default`, `generate`, `template` or `enum`: its value is that of the discriminator",
        )
    } else {
        None
    }
}

/// Reads `idempotency`: `item`, or a map with the table.
pub(super) fn idempotency(at: &Cursor<'_>, report: &mut Report) -> Option<Idempotency> {
    match at.view(report)? {
        View::Text("item") => Some(Idempotency::Item),
        View::Map(_) => {
            let fields = at.fields(&IDEMPOTENCY, report)?;
            let table = fields.require("table", report)?;
            names::valid(table, names::table, report).map(Idempotency::Table)
        }
        _ => {
            report.add(at, "must be `item` or `{ table: NAME }`");
            None
        }
    }
}
