//! The faults of the parts of a request, such as the operations of a transaction.

use std::fmt;

use super::error::Error;
use crate::fault::Faults;
use crate::policy::Denied;

/// The error of a part that the caller may not do, at its place in the request.
fn under(place: &str, path: &str, denied: Denied) -> Error {
    let path = match path {
        "" => place.to_owned(),
        path => format!("{place}.{path}"),
    };
    Error::Denied { path, denied }
}

/// The faults of the parts of a request, such as the reads of a batch: they are reported together.
#[derive(Default)]
pub(super) struct PartFaults {
    fields: Faults,
    expressions: Faults,
    modes: Faults,
    checksums: Faults,
}

impl From<Faults> for PartFaults {
    fn from(fields: Faults) -> PartFaults {
        PartFaults {
            fields,
            ..PartFaults::default()
        }
    }
}

impl PartFaults {
    /// Takes the value of a part, or adds its faults at `place`. Any other error is returned.
    pub(super) fn take<T>(
        &mut self,
        place: impl fmt::Display,
        part: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let error = match part {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let place = place.to_string();
        match error {
            Error::Invalid(faults) => self.fields.extend(faults.under(&place)),
            Error::InvalidExpression(faults) => self.expressions.extend(faults.under(&place)),
            Error::Mode(faults) => self.modes.extend(faults.under(&place)),
            Error::Checksum(faults) => self.checksums.extend(faults.under(&place)),
            Error::ItemTooLarge { bytes } => {
                let text = Error::ItemTooLarge { bytes }.to_string();
                self.fields.push(place, text);
            }
            Error::Denied { path, denied } => return Err(under(&place, &path, denied)),
            error => return Err(error),
        }
        Ok(None)
    }

    /// Adds a fault of a field.
    pub(super) fn push(&mut self, field: impl fmt::Display, description: impl fmt::Display) {
        self.fields.push(field, description);
    }

    /// Fails with the faults of fields and expressions, else with those of modes, else with those of contents.
    pub(super) fn into_result(mut self) -> Result<(), Error> {
        if !self.fields.is_empty() {
            self.fields.extend(self.expressions);
            return Err(Error::Invalid(self.fields));
        }
        if !self.expressions.is_empty() {
            return Err(Error::InvalidExpression(self.expressions));
        }
        if !self.modes.is_empty() {
            return Err(Error::Mode(self.modes));
        }
        match self.checksums.is_empty() {
            true => Ok(()),
            false => Err(Error::Checksum(self.checksums)),
        }
    }
}
