//! Buckets, conditions and missing objects: errors have the code, status and type of S3.

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_smithy_types::DateTime;

use super::*;

#[tokio::test]
async fn creates_and_deletes_buckets() {
    let (_folder, clients) = both().await;
    for client in clients {
        assert!(client.create_bucket().bucket(BUCKET).send().await.is_ok());
        client.create_bucket().bucket("another").send().await.unwrap();
        client.head_bucket().bucket(BUCKET).send().await.unwrap();
        let head = client.head_bucket().bucket("another").send().await.unwrap();
        assert_eq!(head.bucket_region(), Some("us-east-1"));
        put(&client, "key", b"body").await;
        let full = client.delete_bucket().bucket(BUCKET).send().await;
        assert_eq!(refusal(full), ("BucketNotEmpty".into(), 409));
        client.delete_bucket().bucket("another").send().await.unwrap();
        let gone = client
            .head_bucket()
            .bucket("another")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(matches!(gone, HeadBucketError::NotFound(_)), "{gone:?}");
        assert_eq!(
            refusal(client.delete_bucket().bucket("another").send().await),
            ("NoSuchBucket".into(), 404)
        );
    }
}

#[tokio::test]
async fn missing_objects_and_versions_return_typed_errors() {
    let (_folder, clients) = both().await;
    for client in clients {
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key("none")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(matches!(head, HeadObjectError::NotFound(_)), "{head:?}");
        let get = client
            .get_object()
            .bucket(BUCKET)
            .key("none")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(matches!(get, GetObjectError::NoSuchKey(_)), "{get:?}");
        put(&client, "key", b"body").await;
        assert!(
            client
                .get_object()
                .bucket(BUCKET)
                .key("key")
                .version_id("null")
                .send()
                .await
                .is_ok()
        );
        let version = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .version_id("another")
            .send()
            .await;
        assert_eq!(refusal(version), ("NoSuchVersion".into(), 404));
    }
}

#[tokio::test]
async fn a_missing_bucket_returns_no_such_bucket() {
    let (_folder, clients) = both().await;
    for client in clients {
        let none = "no-such-bucket";
        assert_eq!(
            refusal(client.get_object().bucket(none).key("k").send().await),
            ("NoSuchBucket".into(), 404)
        );
        assert_eq!(
            refusal(client.put_object().bucket(none).key("k").send().await),
            ("NoSuchBucket".into(), 404)
        );
        let large = client
            .put_object()
            .bucket(none)
            .key("k")
            .body(ByteStream::from(bytes(MIB, 1)))
            .send()
            .await;
        assert_eq!(refusal(large), ("NoSuchBucket".into(), 404));
        assert_eq!(
            refusal(client.list_objects_v2().bucket(none).send().await),
            ("NoSuchBucket".into(), 404)
        );
        assert_eq!(
            refusal(client.delete_object().bucket(none).key("k").send().await),
            ("NoSuchBucket".into(), 404)
        );
        let head = client
            .head_object()
            .bucket(none)
            .key("k")
            .send()
            .await
            .unwrap_err();
        assert_eq!(head.raw_response().unwrap().status().as_u16(), 404);
    }
}

#[tokio::test]
async fn checks_the_conditions_of_writes() {
    let (_folder, clients) = both().await;
    for client in clients {
        let put = |body: &'static [u8]| {
            client
                .put_object()
                .bucket(BUCKET)
                .key("key")
                .body(ByteStream::from_static(body))
        };
        assert_eq!(
            refusal(put(b"1").if_match("\"none\"").send().await),
            ("NoSuchKey".into(), 404)
        );
        let first = put(b"first").if_none_match("*").send().await.unwrap();
        assert_eq!(
            refusal(put(b"2").if_none_match("*").send().await),
            ("PreconditionFailed".into(), 412)
        );
        assert_eq!(
            refusal(put(b"3").if_match("\"none\"").send().await),
            ("PreconditionFailed".into(), 412)
        );
        assert_eq!(
            refusal(put(b"4").if_none_match("\"none\"").send().await),
            ("NotImplemented".into(), 501)
        );
        assert_eq!(get(&client, "key").await, b"first");
        put(b"second")
            .if_match(first.e_tag().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(get(&client, "key").await, b"second");
        let stale = client
            .delete_object()
            .bucket(BUCKET)
            .key("key")
            .if_match(first.e_tag().unwrap())
            .send()
            .await;
        assert_eq!(refusal(stale), ("PreconditionFailed".into(), 412));
    }
}

#[tokio::test]
async fn checks_the_conditions_of_reads() {
    let (_folder, clients) = both().await;
    for client in clients {
        put(&client, "key", b"body").await;
        let get = || client.get_object().bucket(BUCKET).key("key");
        let etag = get().send().await.unwrap().e_tag().unwrap().to_owned();
        let (past, future) = (DateTime::from_secs(1), DateTime::from_secs(4_000_000_000));
        assert!(
            get()
                .if_match(&etag)
                .if_unmodified_since(past)
                .send()
                .await
                .is_ok()
        );
        assert!(
            get()
                .if_none_match("\"none\"")
                .if_modified_since(future)
                .send()
                .await
                .is_ok()
        );
        assert_eq!(refusal(get().if_match("\"none\"").send().await).1, 412);
        assert_eq!(refusal(get().if_unmodified_since(past).send().await).1, 412);
        assert_eq!(refusal(get().if_none_match(&etag).send().await).1, 304);
        assert_eq!(refusal(get().if_modified_since(future).send().await).1, 304);
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key("key")
            .if_none_match(&etag)
            .send()
            .await;
        assert_eq!(refusal(head).1, 304);
    }
}
