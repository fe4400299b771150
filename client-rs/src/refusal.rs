//! Why a write was refused, as a type to match: a condition, a version, an existing item, or operations of a transaction.

use prost::Message as _;
use tollgate_proto::{Reason, v1};

use crate::{Error, Item, Partial};

/// The detail that contains the current item when a condition was not met.
const CURRENT_ITEM: &str = "type.googleapis.com/tollgate.v1.SaveResponse";
/// The detail that lists the refused operations of a transaction.
const FAILURES: &str = "type.googleapis.com/tollgate.v1.TransactionFailure";
/// The metadata of a version mismatch.
const CURRENT_VERSION: &str = "current_version";

/// Why a write was refused. Nothing was changed.
///
/// ```no_run
/// # async fn example(client: tollgate_client::Client, user: tollgate_client::Item) {
/// use tollgate_client::Refusal;
///
/// if let Err(error) = client.save("User", &user).await {
///     match error.refusal() {
///         Some(Refusal::VersionMismatch { current }) => println!("read it again: it has version {current}"),
///         Some(Refusal::AlreadyExists) => println!("the name is taken"),
///         _ => println!("{error}"),
///     }
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal<'a> {
    /// The condition was not met.
    ConditionFailed {
        /// The current item, if `ReturnValues::AllOld` was requested, there is one, and it is small.
        item: Option<&'a Partial<Item>>,
    },
    /// The item has another version. Read it again: the same write would fail again.
    VersionMismatch {
        /// The current version; 0 if there is no item.
        current: u64,
    },
    /// The item exists already.
    AlreadyExists,
    /// Operations of a transaction were refused, and none was applied.
    Transaction {
        /// The refused operations.
        failures: &'a [OperationFailure],
    },
}

/// Why one operation of a transaction was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationFailure {
    /// The index of the operation.
    pub index: usize,
    /// The reason. `None` if this crate does not know it.
    pub reason: Option<Reason>,
    /// A message for people.
    pub message: String,
    /// The current item, if `ReturnValues::AllOld` was requested for the operation, there is one, and it is small.
    pub item: Option<Partial<Item>>,
}

impl Error {
    /// Why a write was refused, if it was refused for the state of the stored items.
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        if !self.failures().is_empty() {
            return Some(Refusal::Transaction {
                failures: self.failures(),
            });
        }
        match self.reason()? {
            Reason::ConditionFailed => Some(Refusal::ConditionFailed {
                item: self.current_item(),
            }),
            Reason::VersionMismatch => {
                let info = self.details().error_info()?;
                let current = info.metadata.get(CURRENT_VERSION)?.parse().ok()?;
                Some(Refusal::VersionMismatch { current })
            }
            Reason::AlreadyExists => Some(Refusal::AlreadyExists),
            _ => None,
        }
    }
}

/// The current item of a failed condition.
pub(crate) fn current_item(status: &tonic_types::Status) -> Option<Partial<Item>> {
    let response = v1::SaveResponse::decode(of_type(status, CURRENT_ITEM)?).ok()?;
    Partial::from_wire("", response.old_item, response.withheld, Vec::new(), false).ok()
}

/// The refused operations of a transaction.
pub(crate) fn failures(status: &tonic_types::Status) -> Vec<OperationFailure> {
    let message = of_type(status, FAILURES).and_then(|bytes| v1::TransactionFailure::decode(bytes).ok());
    let failures = message.unwrap_or_default().failures.into_iter();
    failures
        .map(|failure| {
            let item = match failure.item.is_empty() {
                true => None,
                false => Partial::from_wire("", failure.item, failure.withheld, Vec::new(), false).ok(),
            };
            OperationFailure {
                index: failure.index as usize,
                reason: Reason::from_text(&failure.reason),
                message: failure.message,
                item,
            }
        })
        .collect()
}

fn of_type<'a>(status: &'a tonic_types::Status, type_url: &str) -> Option<&'a [u8]> {
    let detail = status.details.iter().find(|detail| detail.type_url == type_url)?;
    Some(detail.value.as_slice())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tollgate_proto::reason::DOMAIN;
    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    /// A status with `ErrorInfo` and a message of the contract.
    fn status(reason: Reason, metadata: &[(&str, &str)], detail: Option<(&str, Vec<u8>)>) -> Status {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let info = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
        let status = Status::with_error_details(reason.code(), "refused", info);
        let mut message = tonic_types::Status::decode(status.details()).unwrap();
        if let Some((type_url, value)) = detail {
            message.details.resize_with(2, Default::default);
            message.details[1].type_url = type_url.to_owned();
            message.details[1].value = value;
        }
        Status::with_details(status.code(), "refused", message.encode_to_vec().into())
    }

    fn paid() -> HashMap<String, v1::AttributeValue> {
        let value = v1::AttributeValue {
            kind: Some(v1::attribute_value::Kind::Bool(true)),
        };
        [("paid".to_owned(), value)].into()
    }

    #[test]
    fn a_failed_condition_has_the_current_item() {
        let response = v1::SaveResponse {
            old_item: paid(),
            withheld: vec!["ssn".to_owned()],
            ..Default::default()
        };
        let detail = (CURRENT_ITEM, response.encode_to_vec());
        let error = Error::from(status(Reason::ConditionFailed, &[], Some(detail)));
        let Some(Refusal::ConditionFailed { item: Some(item) }) = error.refusal() else {
            panic!("{error:?}");
        };
        assert_eq!((&item["paid"], item.is_complete()), (&true.into(), false));
        let without = Error::from(status(Reason::ConditionFailed, &[], None));
        assert_eq!(without.refusal(), Some(Refusal::ConditionFailed { item: None }));
    }

    #[test]
    fn a_stale_version_has_the_current_one() {
        let error = Error::from(status(Reason::VersionMismatch, &[(CURRENT_VERSION, "7")], None));
        assert_eq!(error.refusal(), Some(Refusal::VersionMismatch { current: 7 }));
        let unknown = Error::from(status(Reason::VersionMismatch, &[], None));
        assert_eq!(unknown.refusal(), None);
    }

    #[test]
    fn a_cancelled_transaction_lists_its_operations() {
        let failure = v1::OperationFailure {
            index: 3,
            reason: "CONDITION_FAILED".to_owned(),
            message: "condition was not met".to_owned(),
            item: paid(),
            withheld: Vec::new(),
        };
        let failure = v1::TransactionFailure {
            failures: vec![failure],
        };
        let detail = (FAILURES, failure.encode_to_vec());
        let error = Error::from(status(Reason::TransactionCancelled, &[], Some(detail)));
        let Some(Refusal::Transaction { failures: [only] }) = error.refusal() else {
            panic!("{error:?}");
        };
        assert_eq!((only.index, only.reason), (3, Some(Reason::ConditionFailed)));
        assert_eq!(only.item.as_ref().expect("an item")["paid"], true.into());
    }

    #[test]
    fn other_errors_are_not_refusals() {
        assert_eq!(Error::from(status(Reason::Throttled, &[], None)).refusal(), None);
        assert_eq!(Error::from(Status::unavailable("gone")).refusal(), None);
    }
}
