//! `DataService`: each method decodes the request, runs one operation and encodes the result.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_server::DataService;
use tollgate_proto::{Reason, metadata};
use tonic::{Request, Response, Status};

use super::{decode, encode, failure, status};
use crate::billing;
use crate::call::Call;
use crate::fault::Fault;
use crate::model::Model;
use crate::operation::{self, Gateway};

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
    fn model(&self, call: &Call, name: &str) -> Result<Arc<Model>, Status> {
        let model = self
            .gateway
            .model(name)
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
        let model = self.model(&call, &request.model)?;
        let outcome = operation::save(&self.gateway, &call, decode::save(request, model)).await;
        let saved = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::save(saved)))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, &request.model)?;
        let outcome = operation::get(&self.gateway, &call, decode::get(request, model)).await;
        let found = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::get(&call, found)))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, &request.model)?;
        let outcome = operation::update(&self.gateway, &call, decode::update(request, model)).await;
        let updated = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::update(updated)))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, &request.model)?;
        let outcome = operation::delete(&self.gateway, &call, decode::delete(request, model)).await;
        let old = outcome.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(encode::delete(old)))
    }

    // add-an-rpc: its method

    type QueryStream = Pages<v1::QueryResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, &request.model)?;
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
        let model = self.model(&call, &request.model)?;
        let pages = operation::scan(&self.gateway, &call, decode::scan(request, model));
        let pages = pages.map_err(|error| failure::status(&call, error))?;
        Ok(Response::new(
            pages
                .flat_map(move |page| stream::iter(encode::scan_page(&call, page)))
                .boxed(),
        ))
    }
}

/// The call, which the layer added to the request, and the message.
fn open<T>(request: Request<T>, request_id: impl Fn(&T) -> &str) -> Result<(Call, T), Status> {
    let named_in_metadata = request.metadata().contains_key(metadata::REQUEST_ID);
    let (_, mut extensions, message) = request.into_parts();
    let call: Call = extensions
        .remove()
        .ok_or_else(|| status::status(Reason::Internal, "the call has no ledger"))?;
    let id = request_id(&message);
    if !named_in_metadata && !id.is_empty() {
        if !billing::is_valid_name(id) {
            let fault = Fault::new("request_id", "must be 1 to 128 characters of A-Za-z0-9._:-");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        call.set_request_id(id);
    }
    Ok((call, message))
}
