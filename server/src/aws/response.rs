//! The span attributes of the SDK's responses. Reads counts and capacity; never items, keys or contents.

use aws_sdk_dynamodb::operation::{
    batch_write_item, delete_item, describe_table, put_item, transact_get_items, transact_write_items,
    update_item,
};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_sdk_kms::operation::{decrypt, describe_key, generate_data_key};
use aws_sdk_s3::operation::{
    abort_multipart_upload, complete_multipart_upload, copy_object, create_multipart_upload, delete_object,
    get_object, head_object, list_multipart_uploads, list_objects_v2, list_parts, put_object, upload_part,
    upload_part_copy,
};

use crate::call::ResponseFacts;

/// A response of the SDK.
pub(super) trait Response {
    /// The attributes that it adds to the span of its request.
    fn facts(&self) -> ResponseFacts {
        ResponseFacts::default()
    }
}

impl Response for put_item::PutItemOutput {
    fn facts(&self) -> ResponseFacts {
        response_facts(self.consumed_capacity(), None)
    }
}

impl Response for delete_item::DeleteItemOutput {
    fn facts(&self) -> ResponseFacts {
        response_facts(self.consumed_capacity(), None)
    }
}

impl Response for update_item::UpdateItemOutput {
    fn facts(&self) -> ResponseFacts {
        response_facts(self.consumed_capacity(), None)
    }
}

impl Response for batch_write_item::BatchWriteItemOutput {
    fn facts(&self) -> ResponseFacts {
        tables_facts(self.consumed_capacity())
    }
}

impl Response for transact_get_items::TransactGetItemsOutput {
    fn facts(&self) -> ResponseFacts {
        tables_facts(self.consumed_capacity())
    }
}

impl Response for transact_write_items::TransactWriteItemsOutput {
    fn facts(&self) -> ResponseFacts {
        tables_facts(self.consumed_capacity())
    }
}

impl Response for describe_table::DescribeTableOutput {}
impl Response for generate_data_key::GenerateDataKeyOutput {}
impl Response for decrypt::DecryptOutput {}
impl Response for describe_key::DescribeKeyOutput {}

impl Response for abort_multipart_upload::AbortMultipartUploadOutput {}
impl Response for complete_multipart_upload::CompleteMultipartUploadOutput {}
impl Response for copy_object::CopyObjectOutput {}
impl Response for upload_part_copy::UploadPartCopyOutput {}
impl Response for create_multipart_upload::CreateMultipartUploadOutput {}
impl Response for delete_object::DeleteObjectOutput {}
impl Response for get_object::GetObjectOutput {}
impl Response for head_object::HeadObjectOutput {}
impl Response for list_multipart_uploads::ListMultipartUploadsOutput {}
impl Response for list_objects_v2::ListObjectsV2Output {}
impl Response for list_parts::ListPartsOutput {}
impl Response for put_object::PutObjectOutput {}
impl Response for upload_part::UploadPartOutput {}

/// The capacity of all tables of a request.
fn tables_facts(capacity: &[ConsumedCapacity]) -> ResponseFacts {
    let units = capacity.iter().filter_map(ConsumedCapacity::capacity_units);
    ResponseFacts {
        capacity: (!capacity.is_empty()).then(|| units.sum()),
        ..ResponseFacts::default()
    }
}

fn response_facts(capacity: Option<&ConsumedCapacity>, counts: Option<(i32, i32)>) -> ResponseFacts {
    ResponseFacts {
        capacity: capacity.and_then(ConsumedCapacity::capacity_units),
        count: counts.map(|(count, _)| count.unsigned_abs()),
        scanned_count: counts.map(|(_, scanned)| scanned.unsigned_abs()),
    }
}
