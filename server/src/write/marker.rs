//! Markers: items of an idempotency table, each of which remembers one request and its outcome. A marker is written in the
//! transaction of its write, or alone if the write was refused.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `id` | S, 64 hexadecimal digits | the key: the keyed hash of caller, model and request id |
//! | `request` | B, 32 bytes | the keyed hash of the request |
//! | `attempt` | B, 16 bytes | random, of the call that wrote the marker |
//! | `generated` | L of M, or B | what the server set, for each operation; a ciphertext if a model encrypts attributes |
//! | `refused` | L of M | why operations were refused, in place of `generated` |
//! | `expires` | N | in seconds since 1970; DynamoDB removes the marker some time later |

use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;

use crate::aws::{self, DynamoDb, GetItem, Kind, PutItem};
use crate::call::Call;
use crate::model::{Item, MARKER_EXPIRES, MARKER_KEY, Number, Value};

use super::error::Error;
use super::identity::{Identity, WINDOW};

/// What the server set.
pub(super) const GENERATED: &str = "generated";
/// Why operations were refused.
pub(super) const REFUSED: &str = "refused";
const REQUEST: &str = "request";
const ATTEMPT: &str = "attempt";
/// Bytes of an attempt's random id.
const ATTEMPT_BYTES: usize = 16;

/// The marker of a request, as one call writes it.
pub(super) struct Marker {
    table: String,
    identity: Identity,
    attempt: Bytes,
}

/// The marker that a table has for the id of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// This call wrote it.
    Own,
    /// An earlier call with the same request wrote it.
    Same(Item),
    /// Another request had the id.
    Other,
}

impl Marker {
    /// A marker in this table.
    pub(super) fn new(table: String, identity: Identity) -> Result<Marker, Error> {
        let mut attempt = [0; ATTEMPT_BYTES];
        getrandom::fill(&mut attempt).map_err(|_| Error::Internal("the system random source failed"))?;
        Ok(Marker {
            table,
            identity,
            attempt: Bytes::copy_from_slice(&attempt),
        })
    }

    /// The table.
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// The value of the key.
    pub(super) fn key(&self) -> Value {
        let mut text = String::with_capacity(64);
        for byte in self.identity.id() {
            // writing to a string never fails
            let _ = write!(text, "{byte:02x}");
        }
        Value::S(text)
    }

    /// The request that writes the marker with this outcome, unless there is one that has not expired.
    pub(super) fn put(&self, outcome: (&str, Value)) -> PutItem {
        let now = seconds();
        let (outcome, value) = outcome;
        let request = Bytes::copy_from_slice(self.identity.request());
        let item = [
            (MARKER_KEY, self.key()),
            (REQUEST, Value::B(request)),
            (ATTEMPT, Value::B(self.attempt.clone())),
            (outcome, value),
            (MARKER_EXPIRES, number(now + WINDOW.as_secs())),
        ];
        let names = [("#id", MARKER_KEY), ("#expires", MARKER_EXPIRES)];
        PutItem {
            table: self.table.clone(),
            item: item.map(|(name, value)| (name.to_owned(), value)).into(),
            condition: Some("attribute_not_exists(#id) OR #expires < :now".to_owned()),
            names: names
                .map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned()))
                .into(),
            values: [(":now".to_owned(), number(now))].into(),
            return_old: false,
            once: false,
        }
    }

    /// The marker that the table has.
    pub(super) async fn find(&self, dynamodb: &DynamoDb, call: &Call) -> Result<Option<Found>, aws::Error> {
        let get = GetItem {
            table: self.table.clone(),
            key: [(MARKER_KEY.to_owned(), self.key())].into(),
            consistent_read: true,
            uncounted: true,
            ..GetItem::default()
        };
        let stored = dynamodb.get_item(call, get).await?;
        Ok(stored.and_then(|stored| self.read(stored)))
    }

    /// What a stored marker shows; `None` if it expired.
    pub(super) fn read(&self, stored: Item) -> Option<Found> {
        let expires = match stored.get(MARKER_EXPIRES) {
            Some(Value::N(number)) => number.as_str().parse().unwrap_or(0),
            Some(_) | None => 0,
        };
        if expires < seconds() {
            return None;
        }
        let holds =
            |name: &str, bytes: &[u8]| matches!(stored.get(name), Some(Value::B(held)) if held == bytes);
        Some(if !holds(REQUEST, self.identity.request()) {
            Found::Other
        } else if holds(ATTEMPT, &self.attempt) {
            Found::Own
        } else {
            Found::Same(stored)
        })
    }

    /// Writes the marker alone. Returns the one that another call wrote before.
    pub(super) async fn remember(
        &self,
        dynamodb: &DynamoDb,
        call: &Call,
        outcome: (&str, Value),
    ) -> Result<Option<Found>, aws::Error> {
        let error = match dynamodb.put_item(call, self.put(outcome)).await {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        let found = match &error.kind {
            Kind::ConditionFailed { item: Some(item) } => self.read(item.clone()),
            Kind::ConditionFailed { item: None } => self.find(dynamodb, call).await?,
            _ => None,
        };
        found.map(Some).ok_or(error)
    }
}

fn number(seconds: u64) -> Value {
    Value::N(Number::from(seconds))
}

/// The time, in seconds since 1970.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
