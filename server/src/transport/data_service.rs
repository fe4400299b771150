//! `DataService`: each method decodes the request, runs one operation and encodes the result.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_server::DataService;
use tollgate_proto::{Reason, metadata};
use tonic::{Request, Response, Status, Streaming};

use super::batches::{self, StreamEnd};
use super::{decode, encode, failure, status, uploads};
use crate::billing;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::model::Model;
use crate::operation::{self, Gateway};
use crate::policy::Action;

/// Reads and writes items.
pub struct Data {
    gateway: Arc<Gateway>,
}

impl Data {
    /// The service over what operations share.
    pub fn new(gateway: Arc<Gateway>) -> Data {
        Data { gateway }
    }

    /// The model of a request. Records it in the call.
    fn model(&self, call: &Call, action: Action, name: &str) -> Result<Arc<Model>, Status> {
        let model = self
            .gateway
            .model(call, &[action], name)
            .map_err(|error| failure::status(call, error))?;
        call.set_model(&model.name);
        Ok(model)
    }
}

type Pages<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl DataService for Data {
    async fn save(&self, request: Request<v1::SaveRequest>) -> Result<Response<v1::SaveResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, Action::Save, &request.model)?;
        let outcome = operation::save(&self.gateway, &call, decode::save(request, model)).await;
        let saved = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::save(saved)))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, Action::Get, &request.model)?;
        let outcome = operation::get(&self.gateway, &call, decode::get(request, model)).await;
        let found = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::get(&call, found)))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, Action::Update, &request.model)?;
        let outcome = operation::update(&self.gateway, &call, decode::update(request, model)).await;
        let updated = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::update(updated)))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, Action::Delete, &request.model)?;
        let outcome = operation::delete(&self.gateway, &call, decode::delete(request, model)).await;
        let old = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::delete(old)))
    }

    async fn transact_get(
        &self,
        request: Request<v1::TransactGetRequest>,
    ) -> Result<Response<v1::TransactGetResponse>, Status> {
        let (call, request) = open(request, |_| "")?;
        let gets = batches::gets(&self.gateway, &call, Action::TransactGet, request.requests);
        batches::set_model(&call, gets.iter().flatten().map(|get| &get.model));
        let request = operation::TransactGet {
            gets,
            validate_only: request.validate_only,
        };
        let outcome = operation::transact_get(&self.gateway, &call, request).await;
        let results = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::transact_get(&call, results)))
    }

    async fn transact_write(
        &self,
        request: Request<v1::TransactWriteRequest>,
    ) -> Result<Response<v1::TransactWriteResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let operations = batches::operations(&self.gateway, &call, request.operations);
        batches::set_model(&call, operations.iter().flatten().map(batches::model_of));
        let request = operation::TransactWrite {
            operations,
            request_id: request.request_id,
            validate_only: request.validate_only,
            faults: Faults::new(),
        };
        let outcome = operation::transact_write(&self.gateway, &call, request).await;
        let done = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::transact_write(done)))
    }

    async fn presign(
        &self,
        request: Request<v1::PresignRequest>,
    ) -> Result<Response<v1::PresignResponse>, Status> {
        let (call, request) = open(request, |_| "")?;
        // a presigned URL is a credential
        call.forbid_compression();
        let model = self.model(&call, presign_action(request.method()), &request.model)?;
        let outcome = operation::presign(&self.gateway, &call, decode::presign(request, model)).await;
        let presigned = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::presign(presigned)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        let named_in_metadata = request.metadata().contains_key(metadata::REQUEST_ID);
        let (call, mut messages) = open(request, |_| "")?;
        let first = messages.message().await?.unwrap_or_default();
        name(&call, named_in_metadata, uploads::request_id(&first))?;
        let end = StreamEnd::default();
        let outcome = match uploads::write(&self.gateway, &call, first) {
            Ok(write) => {
                let chunks = uploads::chunks(messages, end.clone());
                let request = operation::Upload { write, chunks };
                operation::upload(&self.gateway, &call, request).await
            }
            Err(error) => Err(error),
        };
        match (outcome, end.take()) {
            (Ok(uploaded), _) => Ok(Response::new(encode::upload(uploaded))),
            (Err(operation::Error::Interrupted), Some(status)) => Err(status),
            (Err(error), _) => Err(failure::status(&call, error)),
        }
    }

    // add-an-rpc: its method

    type BatchGetStream = Pages<v1::BatchGetResponse>;

    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Result<Response<Self::BatchGetStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let gets = batches::gets(&self.gateway, &call, Action::BatchGet, request.requests);
        batches::set_model(&call, gets.iter().flatten().map(|get| &get.model));
        let request = operation::BatchGet {
            gets,
            validate_only: request.validate_only,
        };
        let parts = operation::batch_get(&self.gateway, &call, request);
        let parts = parts.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(
            parts
                .flat_map(move |part| stream::iter(encode::batch_get(&call, part)))
                .boxed(),
        ))
    }

    type BatchWriteStream = Pages<v1::BatchWriteResponse>;

    async fn batch_write(
        &self,
        request: Request<Streaming<v1::BatchWriteRequest>>,
    ) -> Result<Response<Self::BatchWriteStream>, Status> {
        let (call, mut requests) = open(request, |_| "")?;
        // the limit on the time of a request applies to its first message
        let Some(first) = requests.message().await? else {
            return Ok(Response::new(stream::empty().boxed()));
        };
        let end = StreamEnd::default();
        let writes = batches::writes(
            (Arc::clone(&self.gateway), call.clone()),
            first,
            requests,
            end.clone(),
        );
        let results = operation::batch_write(&self.gateway, &call, writes);
        let results = results.map(move |written| match written {
            Ok(written) => Ok(encode::batch_written(&call, written)),
            Err(error) => Err(failure::status(&call, error)),
        });
        let failed = stream::iter(std::iter::from_fn(move || end.take().map(Err)));
        Ok(Response::new(results.chain(failed).boxed()))
    }

    type DownloadStream = Pages<v1::DownloadResponse>;

    async fn download(
        &self,
        request: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, Action::Download, &request.model)?;
        let outcome = operation::download(&self.gateway, &call, decode::download(request, model)).await;
        let parts = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(match parts {
            Some(parts) => parts.map(move |part| encode::download(&call, part)).boxed(),
            None => stream::empty().boxed(),
        }))
    }

    type QueryStream = Pages<v1::QueryResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, Action::Query, &request.model)?;
        let pages = operation::query(&self.gateway, &call, decode::query(request, model));
        let pages = pages.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(
            pages
                .flat_map(move |page| stream::iter(encode::query_page(&call, page)))
                .boxed(),
        ))
    }

    type ScanStream = Pages<v1::ScanResponse>;

    async fn scan(&self, request: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, Action::Scan, &request.model)?;
        let pages = operation::scan(&self.gateway, &call, decode::scan(request, model));
        let pages = pages.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(
            pages
                .flat_map(move |page| stream::iter(encode::scan_page(&call, page)))
                .boxed(),
        ))
    }
}

fn presign_action(method: v1::PresignMethod) -> Action {
    match method {
        v1::PresignMethod::Put => Action::PresignPut,
        v1::PresignMethod::Get | v1::PresignMethod::Unspecified => Action::PresignGet,
    }
}

/// The call, which the layer added to the request, and the message.
fn open<T>(request: Request<T>, request_id: impl Fn(&T) -> &str) -> Result<(Call, T), Status> {
    let named_in_metadata = request.metadata().contains_key(metadata::REQUEST_ID);
    let (_, mut extensions, message) = request.into_parts();
    let call: Call = extensions
        .remove()
        .ok_or_else(|| status::status(Reason::Internal, "the call has no ledger"))?;
    name(&call, named_in_metadata, request_id(&message))?;
    Ok((call, message))
}

/// Sets the id of the call from the request, unless the metadata has one.
fn name(call: &Call, named_in_metadata: bool, id: &str) -> Result<(), Status> {
    if named_in_metadata || id.is_empty() {
        return Ok(());
    }
    if !billing::is_valid_name(id) {
        let fault = Fault::new("request_id", "must be 1 to 128 characters of A-Za-z0-9._:-");
        return Err(status::invalid(Reason::InvalidField, fault));
    }
    call.set_request_id(id);
    Ok(())
}
