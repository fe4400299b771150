//! Calls of many items, by the SDK alone.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use futures::future::join_all;

use super::direct::{TABLE, key, user};
use super::load::{BATCH, ITEMS, LIST, PAGE, SORT, partition};

/// Writes that one BatchWriteItem takes.
const WRITES: usize = 25;

/// Reads a batch by one BatchGetItem; every item is found.
pub(crate) async fn batch_get(client: &Client, numbers: impl Iterator<Item = u64>) {
    let keys = KeysAndAttributes::builder().set_keys(Some(numbers.map(key).collect()));
    let keys = keys.build().expect("keys");
    let request = client.batch_get_item().request_items(TABLE, keys);
    let found = request.send().await.expect("BatchGetItem succeeds");
    let items = found.responses.and_then(|mut tables| tables.remove(TABLE));
    assert_eq!(items.map(|items| items.len() as u64), Some(BATCH));
}

/// Writes a batch by as many BatchWriteItems as it needs, in parallel; every item is written.
pub(crate) async fn batch_write(client: &Client, numbers: impl Iterator<Item = u64>) {
    let writes: Vec<WriteRequest> = numbers
        .map(|number| {
            let item = user(partition(number), SORT.to_owned());
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("an item");
            WriteRequest::builder().put_request(put).build()
        })
        .collect();
    let requests = writes.chunks(WRITES).map(|writes| {
        let request = client.batch_write_item().request_items(TABLE, writes.to_vec());
        async {
            let written = request.send().await.expect("BatchWriteItem succeeds");
            assert!(written.unprocessed_items.is_none_or(|items| items.is_empty()));
        }
    });
    join_all(requests).await;
}

/// Reads all items of a partition.
pub(crate) async fn query(client: &Client) {
    found(client, None, ITEMS).await;
}

/// Reads the first items of a partition.
pub(crate) async fn page(client: &Client) {
    found(client, Some(PAGE as i32), PAGE).await;
}

async fn found(client: &Client, limit: Option<i32>, expected: u64) {
    let request = client
        .query()
        .table_name(TABLE)
        .set_limit(limit)
        .key_condition_expression("pk = :pk");
    let request = request.expression_attribute_values(":pk", AttributeValue::S(LIST.to_owned()));
    let found = request.send().await.expect("Query succeeds");
    assert_eq!(found.items().len() as u64, expected);
    assert!(found.last_evaluated_key.is_none(), "one page");
}

/// Reads the whole table, and counts its items.
pub(crate) async fn scan(client: &Client) -> u64 {
    let (mut items, mut last) = (0, None);
    loop {
        let page = client.scan().table_name(TABLE).set_exclusive_start_key(last);
        let page = page.send().await.expect("Scan succeeds");
        items += page.items().len() as u64;
        last = page.last_evaluated_key;
        if last.is_none() {
            return items;
        }
    }
}
