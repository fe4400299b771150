//! The request that an item remembers: the attribute `_tollgate_id`, a map that every write with a request id sets if its
//! model has `idempotency: item`. The next write of the item replaces it.
//!
//! | field | type | |
//! |---|---|---|
//! | `id` | B, 16 bytes | the keyed hash of caller, model and request id |
//! | `request` | B, 16 bytes | the keyed hash of the request |
//! | `at` | N | when the request arrived, in seconds since 1970 |

use bytes::Bytes;

use crate::model::{Item, Number, REMEMBERED_REQUEST, Value};

use super::identity::{Identity, WINDOW};
use super::request::Condition;

/// Bytes that the comparison adds to a condition, with the longest placeholders.
pub const REMEMBERED_CONDITION_BYTES: usize = 160;

const ID: &str = "id";
const REQUEST: &str = "request";
const AT: &str = "at";
/// Bytes of a hash that an item keeps.
const STORED_BYTES: usize = 16;

/// What a placeholder of a condition stands for.
pub enum Term {
    /// A name.
    Name(&'static str),
    /// A value.
    Value(Value),
}

/// What an item shows about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It does not remember the request's id.
    No,
    /// The request, or one that it repeats, wrote it.
    Same,
    /// Another request with the same id wrote it.
    Other,
}

impl Identity {
    /// What the written item remembers.
    pub fn remembered(&self) -> Value {
        let fields = [
            (ID, stored(self.id())),
            (REQUEST, stored(self.request())),
            (AT, Value::N(Number::from(self.seconds()))),
        ];
        Value::M(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The condition that the stored item does not remember the id. `placeholder` returns one for each term.
    pub fn condition(&self, mut placeholder: impl FnMut(Term) -> String) -> String {
        let attribute = placeholder(Term::Name(REMEMBERED_REQUEST));
        let (id, at) = (placeholder(Term::Name(ID)), placeholder(Term::Name(AT)));
        let own = placeholder(Term::Value(stored(self.id())));
        let since = placeholder(Term::Value(Value::N(Number::from(self.since()))));
        format!(
            "(attribute_not_exists({attribute}.{id}) OR {attribute}.{id}<>{own} OR {attribute}.{at}<{since})"
        )
    }

    /// What a stored item shows about the request.
    pub(super) fn seen_in(&self, item: &Item) -> Seen {
        let Some(Value::M(fields)) = item.get(REMEMBERED_REQUEST) else {
            return Seen::No;
        };
        let at = match fields.get(AT) {
            Some(Value::N(number)) => number.as_str().parse().unwrap_or(0),
            Some(_) | None => 0,
        };
        if fields.get(ID) != Some(&stored(self.id())) || at < self.since() {
            return Seen::No;
        }
        match fields.get(REQUEST) == Some(&stored(self.request())) {
            true => Seen::Same,
            false => Seen::Other,
        }
    }

    /// An id that was remembered before is forgotten.
    fn since(&self) -> u64 {
        self.seconds().saturating_sub(WINDOW.as_secs())
    }
}

impl Condition {
    /// The condition, and that the stored item does not remember the request's id.
    #[must_use]
    pub fn with_identity(mut self, identity: &Identity) -> Condition {
        let (names, values) = (&mut self.names, &mut self.values);
        let comparison = identity.condition(|term| match term {
            Term::Name(name) => {
                let placeholder = format!("#remembered{}", names.len());
                names.insert(placeholder.clone(), name.to_owned());
                placeholder
            }
            Term::Value(value) => {
                let placeholder = format!(":remembered{}", values.len());
                values.insert(placeholder.clone(), value);
                placeholder
            }
        });
        self.text = match self.text.as_str() {
            "" => comparison,
            text => format!("({text}) AND {comparison}"),
        };
        self
    }
}

fn stored(hash: &[u8; 32]) -> Value {
    Value::B(Bytes::copy_from_slice(&hash[..STORED_BYTES]))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::identity::RequestIds;
    use super::*;
    use crate::model::size::stored_bytes;

    fn identity(id: &str, hash: &[u8], seconds: u64) -> Identity {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        RequestIds::new(&[1; 32]).identity(b"", "User", id, hash, now)
    }

    fn item(written: &Identity) -> Item {
        [(REMEMBERED_REQUEST.to_owned(), written.remembered())].into()
    }

    #[test]
    fn an_item_remembers_the_id_of_its_newest_write_for_ten_minutes() {
        let first = identity("a", b"1", 10_000);
        let stored = item(&first);
        assert_eq!(first.seen_in(&stored), Seen::Same);
        assert_eq!(identity("a", b"1", 10_600).seen_in(&stored), Seen::Same);
        assert_eq!(identity("a", b"1", 10_601).seen_in(&stored), Seen::No);
        assert_eq!(identity("a", b"2", 10_000).seen_in(&stored), Seen::Other);
        assert_eq!(identity("b", b"1", 10_000).seen_in(&stored), Seen::No);
    }

    #[test]
    fn what_another_program_stored_is_no_request() {
        let own = identity("a", b"1", 10_000);
        let fields = |fields: Value| Item::from([(REMEMBERED_REQUEST.to_owned(), fields)]);
        for stored in [Value::Null, Value::M([].into()), Value::S("a".to_owned())] {
            assert_eq!(own.seen_in(&fields(stored)), Seen::No);
        }
        assert_eq!(own.seen_in(&Item::new()), Seen::No);
    }

    #[test]
    fn the_condition_fits_and_names_nothing_twice() {
        let mut condition = Condition {
            text: "#a = :a".to_owned(),
            names: [("#a".to_owned(), "a".to_owned())].into(),
            values: [(":a".to_owned(), Value::Null)].into(),
        };
        let before = condition.text.len();
        condition = condition.with_identity(&identity("a", b"1", 10_000));
        assert!(
            condition.text.len() - before <= REMEMBERED_CONDITION_BYTES,
            "{}",
            condition.text
        );
        assert_eq!((condition.names.len(), condition.values.len()), (4, 3));
        assert!(stored_bytes(&item(&identity("a", b"1", 1_700_000_000))) < 100);
    }
}
