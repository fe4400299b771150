//! `DataService`: each method decodes, runs one operation, encodes.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_server::DataService;
use tollgate_proto::{Reason, metadata};
use tonic::{Request, Response, Status};

use super::decode::Decoder;
use super::{encode, status};
use crate::billing;
use crate::call::Call;
use crate::fault::Fault;
use crate::model::Model;
use crate::operation::{self, Error, Gateway, Page, PageEnd, PageItem, PageMemory, ReturnValues, Selection};

/// Reads and writes items.
pub struct Data {
    gateway: Arc<Gateway>,
}

impl Data {
    /// Over what operations share.
    pub fn new(gateway: Arc<Gateway>) -> Data {
        Data { gateway }
    }

    /// The model of a request, noted in the call's bill.
    fn model(&self, call: &Call, name: &str) -> Result<Arc<Model>, Status> {
        let model = self
            .gateway
            .model(name)
            .map_err(|error| status::of(call, error))?;
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
        let outcome = operation::save(&self.gateway, &call, decode_save(request, model)).await;
        let saved = outcome.map_err(|error| status::of(&call, error))?;
        let old = saved.old_item.unwrap_or_default();
        Ok(Response::new(v1::SaveResponse {
            generated: encode::item(saved.generated),
            old_item: encode::item(old.item),
            item: encode::item(saved.item.unwrap_or_default()),
            withheld: old.withheld,
        }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, &request.model)?;
        let outcome = operation::get(&self.gateway, &call, decode_get(request, model)).await;
        let found = outcome.map_err(|error| status::of(&call, error))?;
        Ok(Response::new(match found {
            Some(opened) => v1::GetResponse {
                item: encode::item(opened.item),
                withheld: opened.withheld,
            },
            None => v1::GetResponse::default(),
        }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let (call, request) = open(request, |request| &request.request_id)?;
        let model = self.model(&call, &request.model)?;
        let outcome = operation::delete(&self.gateway, &call, decode_delete(request, model)).await;
        let old = outcome
            .map_err(|error| status::of(&call, error))?
            .unwrap_or_default();
        Ok(Response::new(v1::DeleteResponse {
            old_item: encode::item(old.item),
            withheld: old.withheld,
        }))
    }

    type QueryStream = Pages<v1::QueryResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, &request.model)?;
        let pages = operation::query(&self.gateway, &call, decode_query(request, model));
        let pages = pages.map_err(|error| status::of(&call, error))?;
        Ok(Response::new(
            pages
                .flat_map(move |page| stream::iter(encode_query(&call, page)))
                .boxed(),
        ))
    }

    type ScanStream = Pages<v1::ScanResponse>;

    async fn scan(&self, request: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let (call, request) = open(request, |_| "")?;
        let model = self.model(&call, &request.model)?;
        let pages = operation::scan(&self.gateway, &call, decode_scan(request, model));
        let pages = pages.map_err(|error| status::of(&call, error))?;
        Ok(Response::new(
            pages
                .flat_map(move |page| stream::iter(encode_scan(&call, page)))
                .boxed(),
        ))
    }
}

/// The call's ledger, which the layer put there, and the message.
fn open<T>(request: Request<T>, request_id: impl Fn(&T) -> &str) -> Result<(Call, T), Status> {
    let named_in_metadata = request.metadata().contains_key(metadata::REQUEST_ID);
    let (_, mut extensions, message) = request.into_parts();
    let call: Call = extensions
        .remove()
        .ok_or_else(|| status::status(Reason::Internal, "the call came in without its ledger"))?;
    let id = request_id(&message);
    if !named_in_metadata && !id.is_empty() {
        if !billing::is_valid_name(id) {
            let fault = Fault::new("request_id", "must be 1 to 128 of A-Za-z0-9._:-");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        call.set_request_id(id);
    }
    Ok((call, message))
}

fn decode_save(request: v1::SaveRequest, model: Arc<Model>) -> operation::Save {
    let mut decoder = Decoder::default();
    let return_values = decode_return_values(&mut decoder, request.return_values);
    operation::Save {
        model,
        item: decoder.item(request.item, "item"),
        condition: decoder.expression(request.condition, "condition"),
        return_values,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}

fn decode_get(request: v1::GetRequest, model: Arc<Model>) -> operation::Get {
    let mut decoder = Decoder::default();
    operation::Get {
        model,
        key: decoder.item(request.key, "key"),
        fields: request.fields,
        consistent_read: request.consistent_read,
        include_objects: request.include_objects,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}

fn decode_delete(request: v1::DeleteRequest, model: Arc<Model>) -> operation::Delete {
    let mut decoder = Decoder::default();
    let return_values = decode_return_values(&mut decoder, request.return_values);
    if return_values == ReturnValues::AllNew {
        decoder.fault(
            "return_values",
            "a removed item has no new values; use NONE or ALL_OLD",
        );
    }
    operation::Delete {
        model,
        key: decoder.item(request.key, "key"),
        condition: decoder.expression(request.condition, "condition"),
        return_old: return_values == ReturnValues::AllOld,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}

fn decode_query(request: v1::QueryRequest, model: Arc<Model>) -> operation::Query {
    let mut decoder = Decoder::default();
    let count_only = decode_select(&mut decoder, request.select);
    operation::Query {
        key_condition: decoder.expression(request.key_condition, "key_condition"),
        descending: request.descending,
        selection: Selection {
            model,
            index: request.index,
            filter: decoder.expression(request.filter, "filter"),
            fields: request.fields,
            limit: (request.limit > 0).then_some(request.limit),
            page_size: (request.page_size > 0).then_some(request.page_size),
            page_token: request.page_token,
            consistent_read: request.consistent_read,
            include_objects: request.include_objects,
            count_only,
            validate_only: request.validate_only,
        },
        faults: decoder.into_faults(),
    }
}

fn decode_scan(request: v1::ScanRequest, model: Arc<Model>) -> operation::Scan {
    let mut decoder = Decoder::default();
    let count_only = decode_select(&mut decoder, request.select);
    operation::Scan {
        segment: request.segment,
        total_segments: request.total_segments,
        parallelism: request.parallelism,
        selection: Selection {
            model,
            index: request.index,
            filter: decoder.expression(request.filter, "filter"),
            fields: request.fields,
            limit: (request.limit > 0).then_some(request.limit),
            page_size: (request.page_size > 0).then_some(request.page_size),
            page_token: request.page_token,
            consistent_read: request.consistent_read,
            include_objects: request.include_objects,
            count_only,
            validate_only: request.validate_only,
        },
        faults: decoder.into_faults(),
    }
}

fn decode_return_values(decoder: &mut Decoder, values: i32) -> ReturnValues {
    match v1::ReturnValues::try_from(values) {
        Ok(v1::ReturnValues::Unspecified | v1::ReturnValues::None) => ReturnValues::None,
        Ok(v1::ReturnValues::AllOld) => ReturnValues::AllOld,
        Ok(v1::ReturnValues::AllNew) => ReturnValues::AllNew,
        Err(_) => {
            decoder.fault("return_values", "no such value; one of NONE, ALL_OLD, ALL_NEW");
            ReturnValues::None
        }
    }
}

fn decode_select(decoder: &mut Decoder, select: i32) -> bool {
    match v1::Select::try_from(select) {
        Ok(v1::Select::Unspecified | v1::Select::Items) => false,
        Ok(v1::Select::Count) => true,
        Err(_) => {
            decoder.fault("select", "no such value; one of ITEMS, COUNT");
            false
        }
    }
}

fn encode_query(call: &Call, page: Result<Page, Error>) -> Messages<v1::QueryResponse> {
    encode_page(call, page, |results, end| v1::QueryResponse {
        results,
        next_page_token: end.next_page_token,
        count: end.count,
        scanned_count: end.scanned_count,
    })
}

fn encode_scan(call: &Call, page: Result<Page, Error>) -> Messages<v1::ScanResponse> {
    encode_page(call, page, |results, end| v1::ScanResponse {
        results,
        next_page_token: end.next_page_token,
        count: end.count,
        scanned_count: end.scanned_count,
    })
}

/// Messages that are encoded one after the other; with the last one their memory is given back.
struct Messages<T> {
    messages: std::vec::IntoIter<Result<T, Status>>,
    memory: PageMemory,
}

impl<T> Messages<T> {
    fn new(messages: Vec<Result<T, Status>>, memory: PageMemory) -> Messages<T> {
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
            // tonic encodes what it takes before it asks for more
            self.memory = PageMemory::default();
        }
        message
    }
}

/// The messages of a page, or of a part of one; the last one has what the page ends with.
fn encode_page<T>(
    call: &Call,
    page: Result<Page, Error>,
    message: impl Fn(Vec<v1::ItemResult>, PageEnd) -> T,
) -> Messages<T> {
    let Page { results, end, memory } = match page {
        Ok(page) => page,
        Err(error) => return Messages::new(vec![Err(status::of(call, error))], PageMemory::default()),
    };
    let results = results.into_iter().map(|found| encode_item_result(call, found));
    let end_bytes = end.as_ref().map(|end| end.next_page_token.len());
    let mut parts = encode::in_messages(results, end_bytes);
    let last = parts.pop().unwrap_or_default();
    let mut messages: Vec<_> = parts
        .into_iter()
        .map(|results| Ok(message(results, PageEnd::default())))
        .collect();
    messages.push(Ok(message(last, end.unwrap_or_default())));
    Messages::new(messages, memory)
}

fn encode_item_result(call: &Call, found: PageItem) -> v1::ItemResult {
    match found {
        Ok(opened) => v1::ItemResult {
            item: encode::item(opened.item),
            withheld: opened.withheld,
            error: None,
        },
        Err((key, error)) => v1::ItemResult {
            item: encode::item(key),
            withheld: Vec::new(),
            error: Some(status::of_item(call, error.into())),
        },
    }
}
