//! BatchGet: items by their keys, across models, each with a result.

use std::fmt;

use futures::stream::{self, Stream, StreamExt as _};

use super::authorize::Authorizing;
use super::error::Error;
use super::gateway::Gateway;
use super::get::{Get, check_get};
use super::part_faults::PartFaults;
use crate::call::Call;
use crate::policy::Action;
use crate::read::{self, BatchPart};

/// Reads of one batch.
const MAX_GETS: usize = 10_000;

/// Which items to read.
pub struct BatchGet {
    /// The reads, or why they could not be decoded.
    pub gets: Vec<Result<Get, Error>>,
    /// Whether only to check the request.
    pub validate_only: bool,
}

/// Reads items in any order; nothing if the request was only checked.
///
/// # Errors
///
/// The faults of all reads together; then nothing is read.
pub fn batch_get(
    gateway: &Gateway,
    call: &Call,
    request: BatchGet,
) -> Result<impl Stream<Item = Result<BatchPart, Error>> + Send + use<>, Error> {
    let asking = Authorizing::within(gateway, call, Action::BatchGet);
    let gets = check_gets(asking, request.gets, MAX_GETS)?;
    if request.validate_only {
        return Ok(stream::empty().left_stream());
    }
    let parts = gateway.reader.batch_get(call, gets);
    Ok(parts.map(|part| part.map_err(Error::from)).right_stream())
}

/// Checks the reads of a batch or transaction, of which there may be `max`.
pub(super) fn check_gets(
    asking: Authorizing<'_>,
    mut gets: Vec<Result<Get, Error>>,
    max: usize,
) -> Result<Vec<read::Get>, Error> {
    let mut faults = PartFaults::default();
    for (index, get) in gets.iter_mut().take(max).enumerate() {
        if let Ok(get) = get {
            let outcome = get.authorize(asking);
            faults.take(Place(index), asking.part(outcome, &get.model, &get.key))?;
        }
    }
    if gets.is_empty() || gets.len() > max {
        faults.push("requests", format_args!("must have 1 to {max} reads"));
        return faults.into_result().map(|()| Vec::new());
    }
    let mut checked = Vec::with_capacity(gets.len());
    for (index, get) in gets.into_iter().enumerate() {
        let place = Place(index);
        if get.as_ref().is_ok_and(|get| get.validate_only) {
            faults.push(
                format_args!("{place}.validate_only"),
                "must be unset; set it in the request as a whole",
            );
        }
        checked.extend(faults.take(&place, get.and_then(check_get))?);
    }
    faults.into_result()?;
    Ok(checked)
}

/// The path of a read.
pub(super) struct Place(pub(super) usize);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "requests[{}]", self.0)
    }
}
