//! The requests of Query and Scan.

use std::sync::Arc;

use tollgate_proto::v1;

use super::values::Decoder;
use crate::model::Model;
use crate::operation::{Query, Scan, Selection};

/// Decodes a Query.
pub(crate) fn query(request: v1::QueryRequest, model: Arc<Model>) -> Query {
    let mut decoder = Decoder::default();
    let count_only = count_only(&mut decoder, request.select);
    Query {
        key_condition: decoder.expression(request.key_condition, "key_condition"),
        descending: request.descending,
        selection: Selection {
            model,
            models: request.models,
            index: request.index,
            filter: decoder.expression(request.filter, "filter"),
            fields: request.fields,
            limit: positive(request.limit),
            page_size: positive(request.page_size),
            page_token: request.page_token,
            consistent_read: request.consistent_read,
            include_objects: request.include_objects,
            count_only,
            validate_only: request.validate_only,
        },
        faults: decoder.into_faults(),
    }
}

/// Decodes a Scan.
pub(crate) fn scan(request: v1::ScanRequest, model: Arc<Model>) -> Scan {
    let mut decoder = Decoder::default();
    let count_only = count_only(&mut decoder, request.select);
    Scan {
        segment: request.segment,
        total_segments: request.total_segments,
        parallelism: request.parallelism,
        selection: Selection {
            model,
            models: request.models,
            index: request.index,
            filter: decoder.expression(request.filter, "filter"),
            fields: request.fields,
            limit: positive(request.limit),
            page_size: positive(request.page_size),
            page_token: request.page_token,
            consistent_read: request.consistent_read,
            include_objects: request.include_objects,
            count_only,
            validate_only: request.validate_only,
        },
        faults: decoder.into_faults(),
    }
}

fn positive(count: u32) -> Option<u32> {
    (count > 0).then_some(count)
}

fn count_only(decoder: &mut Decoder, select: i32) -> bool {
    match v1::Select::try_from(select) {
        Ok(v1::Select::Unspecified | v1::Select::Items) => false,
        Ok(v1::Select::Count) => true,
        Err(_) => {
            decoder.fault("select", "must be ITEMS or COUNT");
            false
        }
    }
}
