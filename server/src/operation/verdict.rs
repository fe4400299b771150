//! One verdict of all checks of a request: every fault is told, none hides another.

use super::Error;
use crate::fault::Fault;

/// Collects faults; a value whose check failed is not there, and `pass` does not let the request on.
#[derive(Default)]
pub(super) struct Verdict {
    fields: Vec<Fault>,
    expressions: Vec<Fault>,
}

/// A value whose check passed, or was not told of.
pub(super) struct Passed;

impl Verdict {
    /// Begins with what decoding found.
    pub(super) fn new(decoding: Vec<Fault>) -> Verdict {
        Verdict {
            fields: decoding,
            expressions: Vec::new(),
        }
    }

    /// The outcome of checking a field.
    pub(super) fn field<T>(&mut self, outcome: Result<T, Vec<Fault>>) -> Option<T> {
        outcome.map_err(|faults| self.add_fields(faults)).ok()
    }

    /// The outcome of checking an expression.
    pub(super) fn expression<T>(&mut self, outcome: Result<T, Vec<Fault>>) -> Option<T> {
        outcome.map_err(|faults| self.expressions.extend(faults)).ok()
    }

    /// Adds faults of fields. What did not decode is not there for later checks: they would call it missing.
    pub(super) fn add_fields(&mut self, faults: Vec<Fault>) {
        let told: Vec<String> = self.fields.iter().map(|fault| fault.field.clone()).collect();
        let hides = |fault: &Fault| told.iter().any(|field| field.starts_with(&fault.field));
        self.fields
            .extend(faults.into_iter().filter(|fault| !hides(fault)));
    }

    /// Lets the request on where nothing is wrong. Expressions lend their reason where nothing else is.
    pub(super) fn pass(self) -> Result<Passed, Error> {
        match (self.fields.is_empty(), self.expressions.is_empty()) {
            (true, true) => Ok(Passed),
            (true, false) => Err(Error::InvalidExpression(self.expressions)),
            (false, _) => Err(Error::Invalid([self.fields, self.expressions].concat())),
        }
    }
}

impl Passed {
    /// What a check gave, once all have passed.
    pub(super) fn take<T>(&self, checked: Option<T>) -> Result<T, Error> {
        checked.ok_or(Error::Internal("a check failed without a fault"))
    }
}
