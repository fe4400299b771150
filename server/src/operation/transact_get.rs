//! TransactGet: several items as they are at one moment.

use std::collections::HashMap;

use super::authorize::Authorizing;
use super::batch_get::{Place, check_gets};
use super::error::Error;
use super::gateway::Gateway;
use super::get::Get;
use super::part_faults::PartFaults;
use crate::call::Call;
use crate::item::ItemId;
use crate::policy::Action;
use crate::read::BatchResult;

/// Reads of one transaction.
const MAX_GETS: usize = 100;

/// Which items to read.
pub struct TransactGet {
    /// The reads, or why they could not be decoded.
    pub gets: Vec<Result<Get, Error>>,
    /// Whether only to check the request.
    pub validate_only: bool,
}

/// Reads items, in the order of the request; returns nothing if the request was only checked.
///
/// # Errors
///
/// The faults of all reads together; then nothing is read.
pub async fn transact_get(
    gateway: &Gateway,
    call: &Call,
    request: TransactGet,
) -> Result<Vec<BatchResult>, Error> {
    let asking = Authorizing::within(gateway, call, Action::TransactGet);
    let gets = check_gets(asking, request.gets, MAX_GETS)?;
    let mut faults = PartFaults::default();
    let mut seen = HashMap::new();
    for (index, get) in gets.iter().enumerate() {
        let place = Place(index);
        if let Some(first) = seen.insert(ItemId::new(&get.view.model.table, &get.key), index) {
            let other = Place(first);
            faults.push(
                format_args!("{place}.key"),
                format_args!("is the item of {other} too; a transaction reads an item once"),
            );
        }
    }
    faults.into_result()?;
    if request.validate_only {
        return Ok(Vec::new());
    }
    Ok(gateway.reader.transact_get(call, gets).await?)
}
