//! Retries of writes, and batches, against a server with canned responses.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{SinkExt as _, Stream, StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_client::{
    Client, Error, Get, Item, Key, Options, Partial, Reason, Refusal, Retry, SaveOptions, Transaction, Write,
    Written,
};
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_server::{DataService, DataServiceServer};
use tollgate_proto::v1::schema_service_server::{SchemaService, SchemaServiceServer};
use tollgate_proto::{reason::DOMAIN, v1};
use tonic::{Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Fails with these reasons, one per call, and then succeeds.
#[derive(Default)]
struct Canned {
    failures: Mutex<VecDeque<Reason>>,
    /// The RPCs that were called.
    calls: Mutex<Vec<&'static str>>,
    /// The indexes of the keys of each BatchGet.
    read: Mutex<Vec<Vec<String>>>,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn refused(reason: Reason) -> Status {
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, []);
    Status::with_error_details(reason.code(), "refused", details)
}

fn message(reason: Reason) -> tonic_types::Status {
    prost::Message::decode(refused(reason).details()).expect("a status")
}

impl Canned {
    fn failing(reasons: impl IntoIterator<Item = Reason>) -> Arc<Canned> {
        Arc::new(Canned {
            failures: Mutex::new(reasons.into_iter().collect()),
            ..Canned::default()
        })
    }

    fn call(&self, rpc: &'static str) -> Result<(), Status> {
        lock(&self.calls).push(rpc);
        match lock(&self.failures).pop_front() {
            Some(reason) => Err(refused(reason)),
            None => Ok(()),
        }
    }

    fn calls(&self) -> Vec<&'static str> {
        lock(&self.calls).clone()
    }
}

fn lock<T>(values: &Mutex<T>) -> MutexGuard<'_, T> {
    values.lock().expect("no test panics while it holds the lock")
}

fn text(item: &std::collections::HashMap<String, v1::AttributeValue>) -> String {
    match &item["pk"].kind {
        Some(Kind::S(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tonic::async_trait]
impl DataService for Canned {
    async fn save(&self, _: Request<v1::SaveRequest>) -> Result<Response<v1::SaveResponse>, Status> {
        self.call("Save")
            .map(|()| Response::new(v1::SaveResponse::default()))
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        self.call("Get")
            .map(|()| Response::new(v1::GetResponse::default()))
    }

    async fn delete(&self, _: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        self.call("Delete")
            .map(|()| Response::new(v1::DeleteResponse::default()))
    }

    async fn update(&self, _: Request<v1::UpdateRequest>) -> Result<Response<v1::UpdateResponse>, Status> {
        self.call("Update")
            .map(|()| Response::new(v1::UpdateResponse::default()))
    }

    type QueryStream = Messages<v1::QueryResponse>;

    async fn query(&self, _: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    type ScanStream = Messages<v1::ScanResponse>;

    async fn scan(&self, _: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    type BatchGetStream = Messages<v1::BatchGetResponse>;

    /// The first call breaks after half of its results, in reverse order. Keys that begin with `-` do not exist, and those
    /// that begin with `!` cannot be read.
    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Result<Response<Self::BatchGetStream>, Status> {
        let requests = request.into_inner().requests;
        let keys: Vec<String> = requests.iter().map(|request| text(&request.key)).collect();
        let mut read = lock(&self.read);
        let breaks = read.is_empty();
        read.push(keys.clone());
        let results = requests.into_iter().enumerate().rev().map(|(index, request)| {
            let result = match keys[index].chars().next() {
                Some('-') => v1::get_result::Result::Error(message(Reason::ItemNotFound)),
                Some('!') => v1::get_result::Result::Error(message(Reason::CiphertextInvalid)),
                _ => v1::get_result::Result::Found(v1::GetResponse {
                    item: request.key,
                    ..Default::default()
                }),
            };
            Ok(v1::BatchGetResponse {
                results: vec![v1::GetResult {
                    index: index as u32,
                    result: Some(result),
                }],
            })
        });
        if !breaks {
            return Ok(Response::new(stream::iter(results.collect::<Vec<_>>()).boxed()));
        }
        let half = keys.len() / 2;
        let cut = results.take(half).chain([Err(refused(Reason::ShuttingDown))]);
        Ok(Response::new(stream::iter(cut.collect::<Vec<_>>()).boxed()))
    }

    type BatchWriteStream = Messages<v1::BatchWriteResponse>;

    /// Every tenth write fails. After a write of the model `Cut` the stream breaks.
    async fn batch_write(
        &self,
        request: Request<Streaming<v1::BatchWriteRequest>>,
    ) -> Result<Response<Self::BatchWriteStream>, Status> {
        let results = request.into_inner().enumerate().map(|(index, write)| {
            use v1::batch_write_request::Write;
            use v1::batch_write_response::Result as Outcome;
            let result = match write?.write {
                Some(Write::Delete(delete)) if delete.model == "Cut" => {
                    return Err(refused(Reason::ShuttingDown));
                }
                _ if index % 10 == 9 => Outcome::Error(message(Reason::ConditionFailed)),
                Some(Write::Save(_)) => Outcome::Saved(v1::SaveResponse::default()),
                Some(Write::Update(_)) => Outcome::Updated(v1::UpdateResponse::default()),
                Some(Write::Delete(_)) | None => Outcome::Deleted(v1::DeleteResponse::default()),
            };
            Ok(v1::BatchWriteResponse {
                index: index as u64,
                result: Some(result),
            })
        });
        Ok(Response::new(results.boxed()))
    }

    async fn transact_get(
        &self,
        _: Request<v1::TransactGetRequest>,
    ) -> Result<Response<v1::TransactGetResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn transact_write(
        &self,
        _: Request<v1::TransactWriteRequest>,
    ) -> Result<Response<v1::TransactWriteResponse>, Status> {
        self.call("TransactWrite")
            .map(|()| Response::new(v1::TransactWriteResponse::default()))
    }

    type DownloadStream = Messages<v1::DownloadResponse>;

    async fn download(
        &self,
        _: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }
}

#[tonic::async_trait]
impl SchemaService for Canned {
    async fn list_models(
        &self,
        _: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    /// Only the model `Once` is idempotent.
    async fn get_model(
        &self,
        request: Request<v1::GetModelRequest>,
    ) -> Result<Response<v1::GetModelResponse>, Status> {
        lock(&self.calls).push("GetModel");
        let idempotency = (request.into_inner().name == "Once").then(v1::Idempotency::default);
        let model = v1::Model {
            idempotency,
            ..Default::default()
        };
        Ok(Response::new(v1::GetModelResponse { model: Some(model) }))
    }
}

async fn serve(canned: &Arc<Canned>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("a bound address");
    let server = tonic::transport::Server::builder()
        .add_service(DataServiceServer::from_arc(Arc::clone(canned)))
        .add_service(SchemaServiceServer::from_arc(Arc::clone(canned)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let retry = Retry {
        attempts: 3,
        initial_backoff: Duration::from_millis(1),
        ..Retry::default()
    };
    let options = Options {
        retry,
        ..Options::default()
    };
    let connected = Client::connect_with(format!("http://{address}"), options).await;
    connected.expect("the server listens")
}

fn request_id() -> SaveOptions {
    SaveOptions {
        request_id: "import-7".to_owned(),
        ..SaveOptions::default()
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_retried_if_the_caller_allows_it() {
    let canned = Canned::failing([Reason::OutcomeUnknown, Reason::Throttled]);
    let client = serve(&canned).await;
    let error = client.save("User", &Item::new()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls(), ["Save"]);

    let canned = Canned::failing([Reason::OutcomeUnknown, Reason::Throttled]);
    let client = serve(&canned).await;
    let harmless = SaveOptions {
        idempotent: true,
        ..SaveOptions::default()
    };
    client.save_with("User", &Item::new(), harmless).await.unwrap();
    assert_eq!(canned.calls(), ["Save", "Save", "Save"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_retried_if_the_model_is_idempotent() {
    let canned = Canned::failing([Reason::Throttled, Reason::OutcomeUnknown]);
    let client = serve(&canned).await;
    client
        .save_with("Once", &Item::new(), request_id())
        .await
        .unwrap();
    assert_eq!(canned.calls(), ["Save", "Save", "GetModel", "Save"]);

    let canned = Canned::failing([Reason::OutcomeUnknown]);
    let client = serve(&canned).await;
    let error = client
        .save_with("User", &Item::new(), request_id())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls(), ["Save", "GetModel"]);
}

#[tokio::test]
async fn lost_races_are_not_retried() {
    let canned = Canned::failing([Reason::VersionMismatch]);
    let client = serve(&canned).await;
    let options = SaveOptions {
        idempotent: true,
        ..request_id()
    };
    assert!(client.save_with("Once", &Item::new(), options).await.is_err());
    assert_eq!(canned.calls(), ["Save"]);
}

#[tokio::test]
async fn conflicts_of_transactions_are_retried_and_unknown_outcomes_with_an_id() {
    let delete = || Transaction::new().delete("User", Key::new("pk", "A"));
    let canned = Canned::failing([Reason::TransactionConflict, Reason::OutcomeUnknown]);
    let error = serve(&canned).await.transact_write(delete()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls().len(), 2);

    let canned = Canned::failing([Reason::TransactionConflict, Reason::OutcomeUnknown]);
    let named = delete().request_id("t-1");
    serve(&canned).await.transact_write(named).await.unwrap();
    assert_eq!(canned.calls(), ["TransactWrite"; 3]);
}

#[tokio::test]
async fn an_invalid_operation_is_reported_with_its_index() {
    let canned = Canned::failing([]);
    let transaction = Transaction::new()
        .delete("User", Key::new("pk", "A"))
        .delete("User", Key::new("pk", f64::NAN));
    let error = serve(&canned)
        .await
        .transact_write(transaction)
        .await
        .unwrap_err();
    assert_eq!(
        (error.index(), error.violations()[0].field.as_str()),
        (Some(1), "key.pk")
    );
    assert!(canned.calls().is_empty());
}

#[tokio::test]
async fn a_broken_batch_continues_with_the_requests_that_have_no_result() {
    let canned = Canned::failing([]);
    let client = serve(&canned).await;
    let keys = ["a", "b", "-c", "d", "e", "!f"];
    let gets = || keys.map(|pk| Get::new("User", Key::new("pk", pk)));
    let mut results: Vec<_> = client.batch_get::<Item>(gets()).collect().await;
    results.sort_by_key(|result| match result {
        Ok(got) => got.index,
        Err(error) => error.index().expect("an index"),
    });
    let found: Vec<Option<bool>> = results
        .iter()
        .map(|result| result.as_ref().ok().map(|got| got.item.is_some()))
        .collect();
    assert_eq!(
        found,
        [Some(true), Some(true), Some(false), Some(true), Some(true), None]
    );
    let error = results[5].as_ref().unwrap_err();
    assert!(error.is_of_item() && error.reason() == Some(Reason::CiphertextInvalid));
    assert_eq!(canned.read.lock().unwrap()[1], ["a", "b", "-c"]);

    let read = client
        .batch_get::<Partial<Item>>(gets().into_iter().take(3))
        .in_order()
        .await;
    let items = read.unwrap().value;
    assert_eq!(items[1].as_ref().expect("an item")["pk"], "b".into());
    assert!(items[0].as_ref().is_some_and(Partial::is_complete) && items[2].is_none());
    assert_eq!(items[0].as_ref().map(Partial::model), Some("User"));
}

#[tokio::test]
async fn fields_require_partial_items() {
    let client = serve(&Canned::failing([])).await;
    let get = Get {
        fields: vec!["pk".to_owned()],
        ..Get::new("User", Key::new("pk", "a"))
    };
    let results: Vec<_> = client.batch_get::<Item>([get.clone()]).collect().await;
    let error = results[0].as_ref().unwrap_err();
    assert_eq!(
        (error.violations()[0].field.as_str(), results.len()),
        ("fields", 1)
    );
    let mut partial = client.batch_get::<Partial<Item>>([get.clone(), get]);
    let got = partial.next().await.unwrap().unwrap();
    assert!(!got.item.expect("an item").is_complete());
}

fn delete(number: usize) -> Write {
    Write::delete("User", Key::new("pk", number)).expect("a valid key")
}

#[tokio::test]
async fn results_arrive_while_writes_are_sent() {
    const WRITES: usize = 20_000;
    let client = serve(&Canned::failing([])).await;
    let (mut writer, results) = client.batch_writer();
    let send = async move {
        for number in 0..WRITES {
            writer.send(delete(number)).await?;
        }
        writer.close().await
    };
    let (sent, results) = futures::join!(send, results.collect::<Vec<_>>());
    sent.unwrap();
    assert_eq!(results.len(), WRITES);
    let failed: Vec<&Error> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!(failed.len(), WRITES / 10);
    assert!(failed.iter().all(|error| error.is_of_item()
        && error.refusal() == Some(Refusal::ConditionFailed { item: None })
        && error.index().is_some_and(|index| index % 10 == 9)));
    let deleted = results
        .iter()
        .flatten()
        .all(|one| one.written == Written::Deleted(None));
    assert!(deleted);
}

#[tokio::test]
async fn a_cut_batch_ends_with_an_error_and_the_writer_learns_of_it() {
    let client = serve(&Canned::failing([])).await;
    let cut = Write::delete("Cut", Key::new("pk", 1)).unwrap();
    let writes = stream::iter([delete(0), cut]).chain(stream::pending());
    let mut results = client.batch_write(writes);
    assert!(results.next().await.unwrap().is_ok());
    let error = results.next().await.unwrap().unwrap_err();
    assert!(
        !error.is_of_item() && error.reason() == Some(Reason::ShuttingDown),
        "{error:?}"
    );
    assert!(results.next().await.is_none());

    let (mut writer, results) = client.batch_writer();
    drop(results);
    let error = writer.send(delete(0)).await.unwrap_err();
    assert!(error.nothing_changed());
}

#[tokio::test]
async fn a_batch_has_a_deadline() {
    let client = serve(&Canned::failing([])).await;
    let hasty = client.with_timeout(Duration::from_millis(50));
    let mut results = hasty.batch_write(stream::pending());
    let error = results.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), tollgate_client::Code::DeadlineExceeded);
}
