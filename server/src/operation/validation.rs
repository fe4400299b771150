//! Collects the faults of all checks of a request: each is reported, in the order of the request's fields.

use super::Error;
use crate::fault::Faults;

/// Collects faults. A value whose check failed is `None`, and `finish` then returns the faults.
pub(super) struct Validation {
    order: &'static [&'static str],
    decoding: Faults,
    fields: Faults,
    expressions: Faults,
}

/// Proves that all checks passed.
pub(super) struct Valid;

impl Validation {
    /// Begins with the faults that decoding found; `order` is that of the request's fields.
    pub(super) fn new(order: &'static [&'static str], decoding: Faults) -> Validation {
        Validation {
            order,
            decoding,
            fields: Faults::new(),
            expressions: Faults::new(),
        }
    }

    /// The checked value of a field, or `None` if it has faults.
    pub(super) fn field<T>(&mut self, outcome: Result<T, Faults>) -> Option<T> {
        outcome.map_err(|faults| self.add_fields(faults)).ok()
    }

    /// The checked value of an expression, or `None` if it has faults.
    pub(super) fn expression<T>(&mut self, outcome: Result<T, Faults>) -> Option<T> {
        outcome.map_err(|faults| self.add_expressions(faults)).ok()
    }

    /// Adds faults of fields.
    pub(super) fn add_fields(&mut self, faults: Faults) {
        let faults = self.independent(faults);
        self.fields.extend(faults);
    }

    /// Adds faults of expressions.
    pub(super) fn add_expressions(&mut self, faults: Faults) {
        let faults = self.independent(faults);
        self.expressions.extend(faults);
    }

    /// Drops faults that only follow from decoding: later checks report a value that was not decoded as missing or
    /// undefined. If decoding found more faults than it kept, all later ones are dropped.
    fn independent(&self, faults: Faults) -> Faults {
        if self.decoding.has_more() {
            return Faults::new();
        }
        faults.without_known(&self.decoding)
    }

    /// Succeeds if there are no faults. The error is `InvalidExpression` if only expressions have faults.
    pub(super) fn finish(self) -> Result<Valid, Error> {
        let mut faults = self.decoding;
        faults.extend(self.fields);
        if !faults.is_empty() {
            faults.extend(self.expressions);
            return Err(Error::Invalid(faults.sorted(self.order)));
        }
        match self.expressions.is_empty() {
            true => Ok(Valid),
            false => Err(Error::InvalidExpression(self.expressions.sorted(self.order))),
        }
    }
}

impl Valid {
    /// The value of a check, once all have passed.
    pub(super) fn take<T>(&self, checked: Option<T>) -> Result<T, Error> {
        checked.ok_or(Error::Internal("a check failed without reporting a fault"))
    }
}
