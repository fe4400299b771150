//! A server with canned responses.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_client::{Client, Options, Reason, Retry};
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_server::{DataService, DataServiceServer};
use tollgate_proto::v1::schema_service_server::{SchemaService, SchemaServiceServer};
use tollgate_proto::{reason::DOMAIN, v1};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Fails with these reasons, one per call, and then succeeds.
#[derive(Default)]
pub(crate) struct Canned {
    failures: Mutex<VecDeque<Reason>>,
    /// The RPCs that were called.
    calls: Mutex<Vec<&'static str>>,
    /// The indexes of the keys of each BatchGet.
    pub(crate) read: Mutex<Vec<Vec<String>>>,
    /// How the messages of Saves were compressed, and in which ways their responses may be.
    pub(crate) encodings: Mutex<Vec<[Option<String>; 2]>>,
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
    pub(crate) fn failing(reasons: impl IntoIterator<Item = Reason>) -> Arc<Canned> {
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

    pub(crate) fn calls(&self) -> Vec<&'static str> {
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
    async fn save(&self, request: Request<v1::SaveRequest>) -> Result<Response<v1::SaveResponse>, Status> {
        let header = |name: &str| {
            let value = request.metadata().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let encodings = ["grpc-encoding", "grpc-accept-encoding"].map(header);
        lock(&self.encodings).push(encodings);
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

    async fn upload(
        &self,
        _: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn presign(&self, _: Request<v1::PresignRequest>) -> Result<Response<v1::PresignResponse>, Status> {
        Err(refused(Reason::Unimplemented))
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

pub(crate) async fn serve(canned: &Arc<Canned>) -> Client {
    serve_to(canned, Options::default()).await
}

/// Like [`serve`], with these options.
pub(crate) async fn serve_to(canned: &Arc<Canned>, options: Options) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("a bound address");
    let data = DataServiceServer::from_arc(Arc::clone(canned))
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Zstd);
    let server = tonic::transport::Server::builder()
        .add_service(data)
        .add_service(SchemaServiceServer::from_arc(Arc::clone(canned)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let retry = Retry {
        attempts: 3,
        initial_backoff: Duration::from_millis(1),
        ..Retry::default()
    };
    let options = Options { retry, ..options };
    let connected = Client::connect_with(format!("http://{address}"), options).await;
    connected.expect("the server listens")
}
