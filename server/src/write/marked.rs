//! What a failed commit shows whose transaction writes a marker: whether it, or an earlier equal request, was applied.

use std::time::Duration;

use crate::aws::{self, Doubt, DynamoDb, Kind, Refusal};
use crate::call::Call;
use crate::model::Item;

use super::marker::{Found, Marker};

/// How long a transaction without a response gets to be applied before the second read.
const SECOND_READ_DELAY: Duration = Duration::from_millis(500);

/// What a failed commit shows.
pub(super) enum Verdict {
    /// It was applied.
    Applied,
    /// An earlier equal request was settled, with this marker.
    Repeated(Item),
    /// Another request has the same id.
    OtherRequest,
    /// Another process is working on a request with the same id.
    Busy,
    /// It was not applied, and there is no marker.
    NotApplied,
    /// Whether it was applied is not known.
    Unknown,
}

impl From<Found> for Verdict {
    fn from(found: Found) -> Verdict {
        match found {
            Found::Own => Verdict::Applied,
            Found::Same(stored) => Verdict::Repeated(stored),
            Found::Other => Verdict::OtherRequest,
        }
    }
}

impl Marker {
    /// What a failed commit shows; `index` is the marker's among its operations.
    pub(super) async fn judge(
        &self,
        dynamodb: &DynamoDb,
        call: &Call,
        error: &aws::Error,
        index: usize,
    ) -> Verdict {
        match &error.kind {
            Kind::TransactionCancelled { reasons } => match reasons.get(index) {
                Some(Some(Refusal::ConditionFailed { item: Some(item) })) => {
                    self.read(item.clone()).map_or(Verdict::Busy, Verdict::from)
                }
                Some(Some(Refusal::ConditionFailed { item: None } | Refusal::Conflict)) => {
                    match self.find(dynamodb, call).await {
                        Ok(found) => found.map_or(Verdict::Busy, Verdict::from),
                        Err(_) => Verdict::Busy,
                    }
                }
                Some(_) | None => Verdict::NotApplied,
            },
            Kind::OutcomeUnknown | Kind::Deadline { sent: true } => {
                self.settle(dynamodb, call, error.doubt).await
            }
            Kind::ConditionFailed { .. }
            | Kind::Conflict
            | Kind::TokenMismatch
            | Kind::Missing { .. }
            | Kind::Throttled
            | Kind::Denied
            | Kind::KeyUnusable
            | Kind::InvalidCiphertext
            | Kind::IncorrectKey
            | Kind::UnknownKey
            | Kind::TooLarge
            | Kind::Refused
            | Kind::Unavailable
            | Kind::Deadline { sent: false } => Verdict::NotApplied,
        }
    }

    /// Reads the marker to find out whether a commit with an unknown outcome was applied.
    async fn settle(&self, dynamodb: &DynamoDb, call: &Call, doubt: Doubt) -> Verdict {
        match self.find(dynamodb, call).await {
            Ok(Some(found)) => return found.into(),
            Ok(None) if doubt != Doubt::Lost => return Verdict::NotApplied,
            Ok(None) => tokio::time::sleep(SECOND_READ_DELAY).await,
            Err(_) => return Verdict::Unknown,
        }
        match self.find(dynamodb, call).await {
            Ok(Some(found)) => found.into(),
            Ok(None) | Err(_) => Verdict::Unknown,
        }
    }
}
