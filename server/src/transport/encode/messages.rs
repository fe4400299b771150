//! The messages that a page is split into.

use std::collections::HashMap;

use prost::Message as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::get_result;
use tonic::Status;

use crate::model::limits::PAGE_MESSAGE_BYTES;
use crate::operation::PageMemory;

/// The most bytes of a field's tag and length, or of a count.
const FIELD_BYTES: usize = 6;
/// The longest name of a model.
const MAX_NAME_BYTES: usize = 128;
/// The most bytes of a result beside its values: an index or the name of a model, and the tags and lengths around.
const RESULT_BYTES: usize = MAX_NAME_BYTES + 8 * FIELD_BYTES;

/// The result of one read.
pub(super) trait ReadResult: prost::Message {
    /// Its values, if there is little else: their size is a bound as it is.
    fn values(&self) -> Option<&HashMap<String, v1::AttributeValue>>;

    /// A bound of its encoded size that is cheaper to compute.
    fn max_bytes(&self) -> usize {
        match self.values() {
            Some(values) => values.iter().map(max_value_bytes).sum::<usize>() + RESULT_BYTES,
            None => self.encoded_len(),
        }
    }
}

impl ReadResult for v1::ItemResult {
    fn values(&self) -> Option<&HashMap<String, v1::AttributeValue>> {
        let is_plain = self.withheld.is_empty() && self.unreadable.is_empty() && self.error.is_none();
        (is_plain && self.model.len() <= MAX_NAME_BYTES).then_some(&self.item)
    }
}

impl ReadResult for v1::GetResult {
    fn values(&self) -> Option<&HashMap<String, v1::AttributeValue>> {
        match &self.result {
            Some(get_result::Result::Found(found)) => {
                let is_plain = found.withheld.is_empty() && found.unreadable.is_empty();
                is_plain.then_some(&found.item)
            }
            Some(get_result::Result::Error(_)) | None => None,
        }
    }
}

fn max_value_bytes((name, value): (&String, &v1::AttributeValue)) -> usize {
    let bytes = match &value.kind {
        Some(Kind::S(text) | Kind::N(text)) => text.len(),
        Some(Kind::B(bytes)) => bytes.len(),
        _ => value.encoded_len(),
    };
    // the tags and lengths of the entry, its name, its value and the kind of that
    name.len() + bytes + 4 * FIELD_BYTES
}

/// Splits the results of a page into messages of bounded size. The last one has room for the page's token and counts, if
/// there are any; it is empty if they do not fit elsewhere.
pub(super) fn split<T: ReadResult>(
    results: impl Iterator<Item = T>,
    token_bytes: Option<usize>,
) -> Vec<Vec<T>> {
    let results: Vec<T> = results.collect();
    let max_bytes: usize = results.iter().map(T::max_bytes).sum();
    if max_bytes + token_bytes.unwrap_or(0) + 4 * FIELD_BYTES <= PAGE_MESSAGE_BYTES {
        return vec![results];
    }
    let mut messages = vec![Vec::new()];
    let mut message_bytes = 0;
    for result in results {
        let bytes = result.encoded_len() + FIELD_BYTES;
        if message_bytes > 0 && message_bytes + bytes > PAGE_MESSAGE_BYTES {
            messages.push(Vec::new());
            message_bytes = 0;
        }
        message_bytes += bytes;
        messages.last_mut().expect("at least one message").push(result);
    }
    let end_bytes = token_bytes.map_or(0, |token_bytes| token_bytes + 4 * FIELD_BYTES);
    if message_bytes > 0 && message_bytes + end_bytes > PAGE_MESSAGE_BYTES && token_bytes.is_some() {
        messages.push(Vec::new());
    }
    messages
}

/// Messages that are encoded one after the other. Taking the last one releases their memory.
pub(crate) struct Messages<T> {
    messages: std::vec::IntoIter<Result<T, Status>>,
    memory: PageMemory,
}

impl<T> Messages<T> {
    /// Messages that occupy `memory`.
    pub(super) fn new(messages: Vec<Result<T, Status>>, memory: PageMemory) -> Messages<T> {
        Messages {
            messages: messages.into_iter(),
            memory,
        }
    }
}

impl<T> Iterator for Messages<T> {
    type Item = Result<T, Status>;

    fn next(&mut self) -> Option<Result<T, Status>> {
        let message = self.messages.next();
        if self.messages.as_slice().is_empty() {
            // tonic encodes a message before it takes the next one
            self.memory = PageMemory::default();
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Value;
    use crate::transport::encode::values::value;

    fn result(bytes: usize) -> v1::ItemResult {
        let value = value(Value::S("x".repeat(bytes)));
        v1::ItemResult {
            item: [("a".to_owned(), value)].into(),
            ..v1::ItemResult::default()
        }
    }

    proptest! {
        #[test]
        fn the_cheap_bound_is_one(
            names in proptest::collection::vec(".{0,200}", 0..6),
            text in ".{0,300}",
            index in any::<u32>(),
        ) {
            let kinds = [
                Kind::S(text.clone()),
                Kind::N(text.clone()),
                Kind::B(text.clone().into()),
                Kind::Bool(true),
                Kind::Ss(v1::StringSet { values: vec![text.clone()] }),
                Kind::M(v1::MapValue { fields: [(text, v1::AttributeValue { kind: None })].into() }),
            ];
            let values = kinds.map(|kind| v1::AttributeValue { kind: Some(kind) });
            let item: HashMap<String, v1::AttributeValue> = names.into_iter().zip(values).collect();
            let of_page = v1::ItemResult {
                item: item.clone(),
                model: "m".repeat(MAX_NAME_BYTES),
                partial: true,
                ..v1::ItemResult::default()
            };
            let found = v1::GetResponse { item, ..v1::GetResponse::default() };
            let of_batch = v1::GetResult {
                index,
                result: Some(get_result::Result::Found(found)),
            };
            prop_assert!(of_page.encoded_len() + FIELD_BYTES <= of_page.max_bytes());
            prop_assert!(of_batch.encoded_len() + FIELD_BYTES <= of_batch.max_bytes());
        }
    }

    #[test]
    fn splits_pages_into_bounded_messages() {
        const MIB: usize = 1024 * 1024;
        for (sizes, token_bytes, expected) in [
            (vec![], Some(0), vec![0]),
            (vec![10, 10], Some(100), vec![2]),
            (vec![MIB; 7], None, vec![2, 2, 2, 1]),
            (vec![10, 5 * MIB, 10], Some(10), vec![1, 1, 1]),
            (vec![10, 5 * MIB], Some(10), vec![1, 1, 0]),
            (vec![3 * MIB - 100], Some(200_000), vec![1, 0]),
            (vec![3 * MIB - 100], None, vec![1]),
        ] {
            let messages = split(sizes.into_iter().map(result), token_bytes);
            let lengths: Vec<_> = messages.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected);
            for results in messages.into_iter().filter(|results| results.len() > 1) {
                let message = v1::QueryResponse {
                    results,
                    ..v1::QueryResponse::default()
                };
                assert!(message.encoded_len() <= PAGE_MESSAGE_BYTES);
            }
        }
    }
}
