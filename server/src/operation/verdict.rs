//! One verdict of all checks of a request: every fault is reported, in the order of the request, none hides another.

use super::Error;
use crate::fault::Faults;

/// Collects faults; a value whose check failed is not there, and `pass` does not let the request on.
pub(super) struct Verdict {
    order: &'static [&'static str],
    decoding: Faults,
    fields: Faults,
    expressions: Faults,
}

/// A value whose check passed, or whose faults were reported.
pub(super) struct Passed;

impl Verdict {
    /// Begins with what decoding found; `order` is that of the request's fields.
    pub(super) fn new(order: &'static [&'static str], decoding: Faults) -> Verdict {
        Verdict {
            order,
            decoding,
            fields: Faults::new(),
            expressions: Faults::new(),
        }
    }

    /// The outcome of checking a field.
    pub(super) fn field<T>(&mut self, outcome: Result<T, Faults>) -> Option<T> {
        outcome.map_err(|faults| self.add_fields(faults)).ok()
    }

    /// The outcome of checking an expression.
    pub(super) fn expression<T>(&mut self, outcome: Result<T, Faults>) -> Option<T> {
        outcome.map_err(|faults| self.add_expressions(faults)).ok()
    }

    /// Adds faults of fields.
    pub(super) fn add_fields(&mut self, faults: Faults) {
        let faults = self.news(faults);
        self.fields.extend(faults);
    }

    /// Adds faults of expressions.
    pub(super) fn add_expressions(&mut self, faults: Faults) {
        let faults = self.news(faults);
        self.expressions.extend(faults);
    }

    /// What did not decode is not there for later checks, which call it missing or undefined: that is not news. Where
    /// not all of it is known, nothing is.
    fn news(&self, faults: Faults) -> Faults {
        if self.decoding.has_more() {
            return Faults::new();
        }
        faults.without_known(&self.decoding)
    }

    /// Lets the request on if nothing is wrong. Expressions lend their reason if nothing else is.
    pub(super) fn pass(self) -> Result<Passed, Error> {
        let mut faults = self.decoding;
        faults.extend(self.fields);
        if !faults.is_empty() {
            faults.extend(self.expressions);
            return Err(Error::Invalid(faults.sorted(self.order)));
        }
        match self.expressions.is_empty() {
            true => Ok(Passed),
            false => Err(Error::InvalidExpression(self.expressions.sorted(self.order))),
        }
    }
}

impl Passed {
    /// What a check gave, once all have passed.
    pub(super) fn take<T>(&self, checked: Option<T>) -> Result<T, Error> {
        checked.ok_or(Error::Internal("a check failed without a fault"))
    }
}
