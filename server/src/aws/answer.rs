//! What answers of the SDK tell the span of their request. Reads counts and capacity; never items, keys or contents.

use aws_sdk_dynamodb::operation::{delete_item, get_item, put_item, query, scan};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_sdk_kms::operation::{decrypt, describe_key, generate_data_key};
use aws_sdk_s3::operation::{
    abort_multipart_upload, complete_multipart_upload, create_multipart_upload, delete_object, get_object,
    head_object, put_object, upload_part,
};

use crate::telemetry::ResponseFacts;

/// An answer that a span tells of.
pub(super) trait Answer {
    /// What there is to tell beside the answer's being there.
    fn facts(&self) -> ResponseFacts {
        ResponseFacts::default()
    }
}

impl Answer for get_item::GetItemOutput {
    fn facts(&self) -> ResponseFacts {
        of(self.consumed_capacity(), None)
    }
}

impl Answer for put_item::PutItemOutput {
    fn facts(&self) -> ResponseFacts {
        of(self.consumed_capacity(), None)
    }
}

impl Answer for delete_item::DeleteItemOutput {
    fn facts(&self) -> ResponseFacts {
        of(self.consumed_capacity(), None)
    }
}

impl Answer for query::QueryOutput {
    fn facts(&self) -> ResponseFacts {
        of(self.consumed_capacity(), Some((self.count, self.scanned_count)))
    }
}

impl Answer for scan::ScanOutput {
    fn facts(&self) -> ResponseFacts {
        of(self.consumed_capacity(), Some((self.count, self.scanned_count)))
    }
}

impl Answer for generate_data_key::GenerateDataKeyOutput {}
impl Answer for decrypt::DecryptOutput {}
impl Answer for describe_key::DescribeKeyOutput {}

impl Answer for abort_multipart_upload::AbortMultipartUploadOutput {}
impl Answer for complete_multipart_upload::CompleteMultipartUploadOutput {}
impl Answer for create_multipart_upload::CreateMultipartUploadOutput {}
impl Answer for delete_object::DeleteObjectOutput {}
impl Answer for get_object::GetObjectOutput {}
impl Answer for head_object::HeadObjectOutput {}
impl Answer for put_object::PutObjectOutput {}
impl Answer for upload_part::UploadPartOutput {}

fn of(capacity: Option<&ConsumedCapacity>, counts: Option<(i32, i32)>) -> ResponseFacts {
    ResponseFacts {
        capacity: capacity.and_then(ConsumedCapacity::capacity_units),
        count: counts.map(|(count, _)| count.unsigned_abs()),
        scanned_count: counts.map(|(_, scanned)| scanned.unsigned_abs()),
    }
}
