//! The operations that `s3s` dispatches to, each in the file of its noun. Anything else is `NotImplemented`.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::{Store, buckets, complete, copy, delete, list, multipart, put, read};

/// The store as `s3s` wants it.
pub(super) struct Service(pub(super) Arc<Store>);

/// One method per operation: hands the request, or its input alone, to the function of that operation.
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
    input list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    input get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
    input delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    whole put_object(PutObjectInput) -> PutObjectOutput = put::put_object;
    input get_object(GetObjectInput) -> GetObjectOutput = read::get_object;
    input head_object(HeadObjectInput) -> HeadObjectOutput = read::head_object;
    input delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::delete_object;
    input delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::delete_objects;
    whole copy_object(CopyObjectInput) -> CopyObjectOutput = copy::copy_object;
    input list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::list_v2;
    input list_objects(ListObjectsInput) -> ListObjectsOutput = list::list_v1;
    whole create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    whole upload_part(UploadPartInput) -> UploadPartOutput = multipart::upload_part;
    input list_parts(ListPartsInput) -> ListPartsOutput = multipart::list_parts;
    input list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = multipart::list_uploads;
    input abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    input complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = complete::complete;
}
