//! The S3 operations that the engine supports. All others return `NotImplemented`.
//!
//! An operation that the gateway does not call yet has a comment that names the feature that needs it.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::store::Store;
use super::{buckets, complete, copy, copy_part, delete, list, multipart, put, read, upload_lists};

/// Implements the service trait of `s3s` for a store.
pub(super) struct Service(pub(super) Arc<Store>);

/// Generates one method per operation, which passes the request or only its input to a function.
macro_rules! operations {
    ($($kind:ident $name:ident($input:ident) -> $output:ident = $function:path;)+) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let output = $function(&self.0, operations!(@$kind request)).await?;
                Ok(S3Response::new(output))
            })+
        }
    };
    (@whole $request:ident) => { $request };
    (@input $request:ident) => { $request.input };
}

operations! {
    input create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    input head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    input delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    whole put_object(PutObjectInput) -> PutObjectOutput = put::put_object;
    input get_object(GetObjectInput) -> GetObjectOutput = read::get_object;
    input head_object(HeadObjectInput) -> HeadObjectOutput = read::head_object;
    input delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::delete_object;
    // for the sweep, which deletes unreferenced objects in batches
    input delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::delete_objects;
    // for adopting an object that exists already
    whole copy_object(CopyObjectInput) -> CopyObjectOutput = copy::copy_object;
    // for the sweep, which lists the objects of a bucket
    input list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::list_objects_v2;
    whole create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    whole upload_part(UploadPartInput) -> UploadPartOutput = multipart::upload_part;
    // for adopting an object of more than 5 GiB
    whole upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy_part::upload_part_copy;
    // for upload streams, which continue an interrupted upload
    input list_parts(ListPartsInput) -> ListPartsOutput = upload_lists::list_parts;
    // for the sweep, which aborts abandoned uploads
    input list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = upload_lists::list_uploads;
    input abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    input complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = complete::complete;
}
