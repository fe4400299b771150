//! The AWS operation of a request.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// The operation of a request: named by DynamoDB and KMS, derived from method and query for S3.
pub fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    if request.headers().get("x-amz-copy-source").is_some() {
        return "CopyObject".to_owned();
    }
    s3_operation(request.method(), request.uri()).to_owned()
}

/// The S3 operation of a method and a URI.
pub fn s3_operation(method: &str, uri: &str) -> &'static str {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let path = path.split_once("://").map_or(path, |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    let names_object = path.trim_matches('/').contains('/');
    match (method, names_object) {
        ("PUT", true) if query.contains("partNumber=") => "UploadPart",
        ("PUT", true) => "PutObject",
        ("PUT", false) => "CreateBucket",
        ("POST", _) if query.contains("uploadId=") => "CompleteMultipartUpload",
        ("POST", _) if query.contains("uploads") => "CreateMultipartUpload",
        ("DELETE", true) if query.contains("uploadId=") => "AbortMultipartUpload",
        ("DELETE", true) => "DeleteObject",
        ("HEAD", true) => "HeadObject",
        ("HEAD", false) => "HeadBucket",
        ("GET", true) if query.contains("uploadId=") => "ListParts",
        ("GET", true) => "GetObject",
        ("GET", false) if query.contains("list-type=2") => "ListObjectsV2",
        ("GET", false) if query.contains("uploads") => "ListMultipartUploads",
        _ => "Other",
    }
}
