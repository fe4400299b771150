//! The messages that a page is split into.

use tonic::Status;

use crate::model::limits::PAGE_MESSAGE_BYTES;
use crate::operation::PageMemory;

/// The most bytes of a field's tag and length, or of a count.
const FIELD_BYTES: usize = 6;

/// Splits the results of a page into messages of bounded size. The last one has room for the page's token and counts, if
/// there are any; it is empty if they do not fit elsewhere.
pub(super) fn split<T: prost::Message>(
    results: impl Iterator<Item = T>,
    token_bytes: Option<usize>,
) -> Vec<Vec<T>> {
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
    use prost::Message as _;
    use tollgate_proto::v1;

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
