//! The idempotency of TransactWriteItems: the client tokens of the last ten minutes and their items. Kept in memory
//! with the writing handle. Never runs a transaction itself.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use dynoxide::actions::transact_get_items::{TransactGet, TransactGetItem, TransactGetItemsRequest};
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::storage::Storage;
use dynoxide::types::KeySchemaElement;
use dynoxide::{AttributeValue, DynoxideError, Item};
use sha2::{Digest, Sha256};

/// How long DynamoDB remembers a token.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The SDK sends a token with every transaction; the oldest are dropped beyond this number.
const MAX_TOKENS: usize = 100_000;

type ItemsDigest = [u8; 32];
type ItemKey = HashMap<String, AttributeValue>;

/// The tokens of committed transactions.
#[derive(Default)]
pub(super) struct Tokens {
    done: HashMap<String, ItemsDigest>,
    by_age: VecDeque<(Instant, String)>,
}

/// Whether a request must run.
pub(super) enum TokenCheck {
    /// The token is new: run the request, then [`Tokens::record`] this.
    Run(Option<(String, ItemsDigest)>),
    /// The request has run before with the same items.
    Replay,
}

impl Tokens {
    /// Looks up the token of a request.
    ///
    /// # Errors
    ///
    /// `IdempotentParameterMismatchException` if the token was used with other items.
    pub(super) fn check(&mut self, request: &TransactWriteItemsRequest) -> Result<TokenCheck, DynoxideError> {
        let Some(token) = &request.client_request_token else {
            return Ok(TokenCheck::Run(None));
        };
        self.drop_old(Instant::now());
        let digest = digest(&request.transact_items)?;
        match self.done.get(token) {
            None => Ok(TokenCheck::Run(Some((token.clone(), digest)))),
            Some(known) if *known == digest => Ok(TokenCheck::Replay),
            Some(_) => Err(DynoxideError::IdempotentParameterMismatchException(
                "The request uses the same client token as a previous, but non-identical request.".to_owned(),
            )),
        }
    }

    /// Records a committed transaction.
    pub(super) fn record(&mut self, (token, digest): (String, ItemsDigest)) {
        self.by_age.push_back((Instant::now(), token.clone()));
        self.done.insert(token, digest);
    }

    fn drop_old(&mut self, now: Instant) {
        while let Some((at, _)) = self.by_age.front()
            && (now.duration_since(*at) >= WINDOW || self.by_age.len() >= MAX_TOKENS)
            && let Some((_, token)) = self.by_age.pop_front()
        {
            self.done.remove(&token);
        }
    }
}

/// The read that determines the capacity of a replay: AWS charges the read units of the transaction's items.
pub(super) fn replay_read(
    storage: &Storage,
    request: &TransactWriteItemsRequest,
) -> Result<TransactGetItemsRequest, DynoxideError> {
    let mut transact_items = Vec::with_capacity(request.transact_items.len());
    for item in &request.transact_items {
        if let Some((table_name, key)) = target(storage, item)? {
            transact_items.push(TransactGetItem {
                get: TransactGet {
                    table_name,
                    key,
                    ..Default::default()
                },
            });
        }
    }
    let return_consumed_capacity = request.return_consumed_capacity.clone();
    Ok(TransactGetItemsRequest {
        transact_items,
        return_consumed_capacity,
    })
}

fn target(storage: &Storage, item: &TransactWriteItem) -> Result<Option<(String, ItemKey)>, DynoxideError> {
    if let Some(put) = &item.put {
        return Ok(Some((
            put.table_name.clone(),
            key_of(storage, &put.table_name, &put.item)?,
        )));
    }
    let update = item
        .update
        .as_ref()
        .map(|update| (&update.table_name, &update.key));
    let delete = item
        .delete
        .as_ref()
        .map(|delete| (&delete.table_name, &delete.key));
    let check = item
        .condition_check
        .as_ref()
        .map(|check| (&check.table_name, &check.key));
    Ok(update
        .or(delete)
        .or(check)
        .map(|(table, key)| (table.clone(), key.clone())))
}

/// The key attributes of an item.
fn key_of(storage: &Storage, table: &str, item: &Item) -> Result<ItemKey, DynoxideError> {
    let metadata = storage.get_table_metadata(table)?.ok_or_else(|| {
        DynoxideError::ResourceNotFoundException(format!(
            "Requested resource not found: Table: {table} not found"
        ))
    })?;
    let schema: Vec<KeySchemaElement> = serde_json::from_str(&metadata.key_schema)
        .map_err(|_| DynoxideError::InternalServerError("unreadable key schema".to_owned()))?;
    let names = schema.into_iter().map(|element| element.attribute_name);
    Ok(names
        .filter_map(|name| item.get(&name).cloned().map(|value| (name, value)))
        .collect())
}

/// A digest of the items of a transaction; independent of the order of attributes.
fn digest(items: &[TransactWriteItem]) -> Result<ItemsDigest, DynoxideError> {
    let canonical = serde_json::to_value(items).and_then(|mut items| {
        // items are hash maps, whose order is random
        items.sort_all_objects();
        serde_json::to_vec(&items)
    });
    let canonical = canonical.map_err(|failure| DynoxideError::InternalServerError(failure.to_string()))?;
    Ok(Sha256::digest(&canonical).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_attributes_does_not_matter() {
        let digest = |hits: u32| {
            let names = (0..20).map(|number| (number.to_string(), AttributeValue::N(number.to_string())));
            let inner: Item = names.collect();
            let mut item: Item = inner.clone();
            item.insert("inner".to_owned(), AttributeValue::M(inner));
            item.insert("hits".to_owned(), AttributeValue::N(hits.to_string()));
            let put = dynoxide::actions::transact_write_items::TransactPut {
                table_name: "t".to_owned(),
                item,
                ..Default::default()
            };
            let put = TransactWriteItem {
                put: Some(put),
                ..Default::default()
            };
            digest(&[put]).unwrap()
        };
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn drops_tokens_by_age_and_by_number() {
        let mut tokens = Tokens::default();
        tokens.record(("old".to_owned(), [0; 32]));
        tokens.drop_old(Instant::now() + WINDOW / 2);
        assert!(tokens.done.contains_key("old"));
        tokens.drop_old(Instant::now() + WINDOW);
        assert!(tokens.done.is_empty() && tokens.by_age.is_empty());
        for number in 0..=MAX_TOKENS {
            tokens.drop_old(Instant::now());
            tokens.record((number.to_string(), [0; 32]));
        }
        assert_eq!((tokens.done.len(), tokens.by_age.len()), (MAX_TOKENS, MAX_TOKENS));
        assert!(!tokens.done.contains_key("0"));
    }
}
