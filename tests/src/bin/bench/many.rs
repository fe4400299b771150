//! Calls of many items through the gateway.

use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::batch_write_response::Result as Written;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::get_result::Result as Got;
use tollgate_tests::values;
use tonic::transport::Channel;

use super::load::{self, BATCH, ITEMS, LIST, PAGE};

/// Reads a batch; every item is found.
pub(crate) async fn batch_get(client: &mut DataServiceClient<Channel>, numbers: impl Iterator<Item = u64>) {
    let request = v1::BatchGetRequest {
        requests: numbers.map(load::get).collect(),
        ..Default::default()
    };
    let mut stream = client
        .batch_get(request)
        .await
        .expect("a BatchGet begins")
        .into_inner();
    let mut found = 0;
    while let Some(message) = stream.message().await.expect("a BatchGet succeeds") {
        let results = message.results.iter();
        found += results
            .filter(|result| matches!(result.result, Some(Got::Found(_))))
            .count();
    }
    assert_eq!(found as u64, BATCH);
}

/// Writes a batch; every item is saved.
pub(crate) async fn batch_write(client: &mut DataServiceClient<Channel>, numbers: impl Iterator<Item = u64>) {
    let writes: Vec<_> = numbers
        .map(|number| v1::BatchWriteRequest {
            write: Some(Write::Save(load::save(number))),
        })
        .collect();
    let stream = client.batch_write(tokio_stream::iter(writes)).await;
    let mut stream = stream.expect("a BatchWrite begins").into_inner();
    let mut saved = 0;
    while let Some(message) = stream.message().await.expect("a BatchWrite succeeds") {
        saved += u64::from(matches!(message.result, Some(Written::Saved(_))));
    }
    assert_eq!(saved, BATCH);
}

/// Reads all items of a partition.
pub(crate) async fn query(client: &mut DataServiceClient<Channel>) {
    found(client, values::query("User", LIST), ITEMS).await;
}

/// Reads the first items of a partition.
pub(crate) async fn page(client: &mut DataServiceClient<Channel>) {
    let request = v1::QueryRequest {
        limit: PAGE as u32,
        ..values::query("User", LIST)
    };
    found(client, request, PAGE).await;
}

async fn found(client: &mut DataServiceClient<Channel>, request: v1::QueryRequest, expected: u64) {
    let mut stream = client.query(request).await.expect("a Query begins").into_inner();
    let mut found = 0;
    while let Some(message) = stream.message().await.expect("a Query succeeds") {
        found += message.results.len();
    }
    assert_eq!(found as u64, expected);
}
