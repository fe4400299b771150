//! URLs that read an object.

use std::time::SystemTime;

use tollgate_proto::v1;
use tollgate_proto::v1::PresignMethod;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::urls::{follow, send};
use tollgate_tests::values::{item, s, save};
use tollgate_tests::wiretap::Wiretap;

use super::{expiring, presign, store, url, with_urls};

#[tokio::test]
async fn a_url_reads_the_object_without_the_gateway() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    for content in [Vec::new(), b"content".to_vec(), vec![7; 6_000_000]] {
        store(&gateway, "A#1", &content).await;
        let begun = SystemTime::now();
        let presigned = presign(&gateway, url("A#1", PresignMethod::Get)).await;
        assert_eq!(presigned.bill.count("tollgate-dynamodb-calls"), 1);
        assert_eq!(presigned.bill.decimal("tollgate-rcu"), 1.0, "a consistent read");
        assert_eq!(presigned.bill.count("tollgate-s3-calls"), 0);
        let presigned = presigned.ok();
        assert_eq!(
            (presigned.headers.len(), presigned.upload_token.as_str()),
            (0, "")
        );
        let expires = SystemTime::try_from(presigned.expires_at.expect("it expires")).expect("a time");
        let life = expires.duration_since(begun).expect("later").as_secs();
        assert!((898..=900).contains(&life), "{life}");
        for _ in 0..2 {
            let response = follow("GET", &presigned, "").await;
            assert_eq!(response.status, 200, "{response:?}");
            assert!(response.body == content);
        }
    }
    // the URL is of one object: once that is replaced, there is nothing to read
    let presigned = presign(&gateway, url("A#1", PresignMethod::Get)).await.ok();
    store(&gateway, "A#1", b"another").await;
    let response = follow("GET", &presigned, "").await;
    assert_eq!(
        (response.status.as_u16(), response.code().as_str()),
        (404, "NoSuchKey")
    );
}

#[tokio::test]
async fn a_range_can_be_read_by_url() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    store(&gateway, "A", b"0123456789").await;
    let presigned = presign(&gateway, url("A", PresignMethod::Get)).await.ok();
    let response = send("GET", &presigned.url, &[("range", "bytes=2-4")], "").await;
    assert_eq!(response.status, 206);
    assert_eq!(response.body, "234");
}

#[tokio::test]
async fn an_edited_url_is_refused() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    store(&gateway, "A", b"content").await;
    store(&gateway, "B", b"another").await;
    let presigned = presign(&gateway, url("A", PresignMethod::Get)).await.ok();
    let of_b = presign(&gateway, url("B", PresignMethod::Get)).await.ok();
    let (path, query) = presigned.url.split_once('?').expect("a query");
    let (path_of_b, _) = of_b.url.split_once('?').expect("a query");
    let signature = query.split_once("X-Amz-Signature=").expect("a signature").1;
    let (origin, _) = path.split_once("/my-bucket/").expect("the bucket");
    let longer = query.replace("X-Amz-Expires=900", "X-Amz-Expires=9000");
    let forged = query.replace(&signature[..8], "00000000");
    let copy = [("x-amz-copy-source", "/my-bucket/docs/B")];
    let authorization = [("authorization", "AWS4-HMAC-SHA256 Credential=x")];
    for (method, url, headers, status) in [
        ("GET", format!("{path_of_b}?{query}"), &[][..], 403),
        ("GET", format!("{path}?{longer}"), &[][..], 403),
        ("GET", format!("{path}?{forged}"), &[][..], 403),
        ("GET", format!("{path}?{query}&versionId=null"), &[][..], 403),
        ("GET", path.to_owned(), &[][..], 403),
        (
            "GET",
            format!("{origin}/my-bucket?list-type=2&{query}"),
            &[][..],
            403,
        ),
        ("GET", format!("{origin}/"), &[][..], 403),
        ("PUT", presigned.url.clone(), &[][..], 403),
        ("PUT", presigned.url.clone(), &copy[..], 403),
        ("GET", presigned.url.clone(), &authorization[..], 403),
        ("HEAD", presigned.url.clone(), &[][..], 405),
        ("DELETE", presigned.url.clone(), &[][..], 405),
        ("POST", presigned.url.clone(), &[][..], 405),
    ] {
        let response = send(method, &url, headers, "").await;
        assert_eq!(response.status.as_u16(), status, "{method} {url}: {response:?}");
        assert!(
            !response.body.windows(7).any(|part| part == b"content"),
            "{response:?}"
        );
    }
    assert_eq!(follow("GET", &presigned, "").await.body, "content");
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    store(&gateway, "A", b"content").await;
    let request = expiring(url("A", PresignMethod::Get), 1);
    let presigned = presign(&gateway, request).await.ok();
    until("the URL has expired", async || {
        let response = follow("GET", &presigned, "").await;
        response.status == 403 && response.code() == "AccessDenied"
    })
    .await;
}

#[tokio::test]
async fn urls_outlive_a_restart() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let folder = tempfile::tempdir().expect("a folder");
    let start = |listen: String| {
        Gateway::with(Setup {
            data: Some(folder.path().join("data")),
            settings: vec![("TOLLGATE_EMBEDDED__HTTP", listen)],
            ..Setup::default()
        })
    };
    let gateway = start("127.0.0.1:0".to_owned()).await;
    store(&gateway, "A", b"content").await;
    let presigned = presign(&gateway, url("A", PresignMethod::Get)).await.ok();
    gateway.stop().await;
    let host = presigned
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'));
    let (host, _) = host.expect("a host");
    let gateway = start(host.to_owned()).await;
    assert_eq!(follow("GET", &presigned, "").await.body, "content");
    gateway.stop().await;
}

#[tokio::test]
async fn the_public_url_is_what_is_signed() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = Gateway::with(Setup {
        settings: vec![
            ("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned()),
            (
                "TOLLGATE_S3__PUBLIC_URL",
                "https://objects.example.com".to_owned(),
            ),
        ],
        ..Setup::default()
    })
    .await;
    store(&gateway, "A", b"content").await;
    let presigned = presign(&gateway, url("A", PresignMethod::Get)).await.ok();
    let begins = "https://objects.example.com/my-bucket/docs/A/V1/";
    assert!(presigned.url.starts_with(begins), "{}", presigned.url);
}

#[tokio::test]
async fn without_a_listener_there_are_no_urls() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = Gateway::start().await;
    store(&gateway, "A", b"content").await;
    for validate_only in [false, true] {
        let request = v1::PresignRequest {
            validate_only,
            ..url("A", PresignMethod::Get)
        };
        let refused = presign(&gateway, request).await;
        assert_eq!(refused.bill.count("tollgate-dynamodb-calls"), 0);
        let refusal = Refusal::of(refused);
        assert_eq!(refusal.reason, "RESOURCE_MISSING");
        assert!(refusal.message.contains("embedded.http"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn bad_requests_cost_nothing() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    let get = || url("A", PresignMethod::Get);
    for (request, fields) in [
        (v1::PresignRequest { method: 0, ..get() }, vec!["method"]),
        (
            v1::PresignRequest {
                method: 9,
                attribute: "contents".to_owned(),
                ..get()
            },
            vec!["attribute", "method"],
        ),
        (
            v1::PresignRequest {
                attribute: "name".to_owned(),
                ..get()
            },
            vec!["attribute"],
        ),
        (
            v1::PresignRequest {
                key: item([("pk", s("A"))]),
                ..expiring(get(), 0)
            },
            vec!["expires", "key.sk"],
        ),
        (expiring(get(), 604_801), vec!["expires"]),
        (expiring(get(), -1), vec!["expires"]),
        (
            v1::PresignRequest {
                name: "a.pdf".to_owned(),
                size: 1,
                ..get()
            },
            vec!["name", "size"],
        ),
    ] {
        let refusal = Refusal::of(presign(&gateway, request).await);
        assert_eq!(refusal.fields, fields);
    }
    let checked = v1::PresignRequest {
        validate_only: true,
        ..get()
    };
    assert_eq!(
        presign(&gateway, checked).await.ok(),
        v1::PresignResponse::default()
    );
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
}

#[tokio::test]
async fn an_item_without_an_object_has_no_url() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    let refusal = Refusal::of(presign(&gateway, url("A", PresignMethod::Get)).await);
    assert_eq!(refusal.reason, "ITEM_NOT_FOUND");
    let bare = item([("pk", s("A")), ("sk", s("V1")), ("name", s("x"))]);
    gateway.save(save("Document", bare)).await.ok();
    let refusal = Refusal::of(presign(&gateway, url("A", PresignMethod::Get)).await);
    assert_eq!(refusal.reason, "ITEM_NOT_FOUND");
}

#[tokio::test]
async fn the_object_of_another_item_has_no_url() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"content").await;
    store(&gateway, "B", b"another").await;
    let stores = wiretap.stores();
    let of_b = stores.item("documents", "B", "V1").await.expect("it was saved");
    let mut planted = stores.item("documents", "A", "V1").await.expect("it was saved");
    planted.insert("content".to_owned(), of_b["content"].clone());
    stores.put("documents", planted.clone()).await;
    let refused = presign(&gateway, url("A", PresignMethod::Get)).await;
    assert_eq!(refused.bill.count("tollgate-s3-calls"), 0);
    assert_eq!(Refusal::of(refused).reason, "FOREIGN_POINTER");

    // a pointer that names no table: the object's metadata shows its owner
    let mut pointer = of_b["content"].as_m().expect("a pointer").clone();
    pointer.remove("table");
    let mut of_b = of_b.clone();
    of_b.insert(
        "content".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::M(pointer),
    );
    of_b.insert("name".to_owned(), text("B"));
    stores.put("documents", of_b).await;
    let presigned = presign(&gateway, url("B", PresignMethod::Get)).await;
    assert_eq!(presigned.bill.count("tollgate-s3-calls"), 1);
    assert_eq!(follow("GET", &presigned.ok(), "").await.body, "another");
}

#[tokio::test]
async fn encrypted_and_compressed_objects_have_no_urls() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let models = tempfile::tempdir().expect("a folder");
    let path = models.path().join("document.yaml");
    let model = |option: &str| {
        format!(
            "name: Document\ntable: documents\npartition_key: pk\nsort_key: sk\nattributes:\n  pk: {{ type: string \
             }}\n  sk: {{ type: string }}\n  name: {{ type: string }}\n  content: {{ type: object, s3: {{ bucket: \
             my-bucket, prefix: docs/ }}{option} }}\n"
        )
    };
    for option in [", encrypted: { key_id: alias/my-app-key }", ", compressed: {}"] {
        let data = tempfile::tempdir().expect("a folder");
        let setup = || Setup {
            data: Some(data.path().join("data")),
            models: Some(models.path().to_path_buf()),
            settings: vec![("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned())],
            ..Setup::default()
        };
        std::fs::write(&path, model(option)).expect("a model");
        let gateway = Gateway::with(setup()).await;
        store(&gateway, "A", &[7; 100_000]).await;
        for method in [PresignMethod::Get, PresignMethod::Put] {
            let request = match method {
                PresignMethod::Put => super::upload("A", b"x"),
                _ => url("A", method),
            };
            let refused = presign(&gateway, request).await;
            assert_eq!(refused.bill.count("tollgate-dynamodb-calls"), 0);
            assert_eq!(Refusal::of(refused).reason, "ENCRYPTION_MODE", "{option}");
        }
        gateway.stop().await;
        // the stored object is what counts, whatever the model says now
        std::fs::write(&path, model("")).expect("a model");
        let gateway = Gateway::with(setup()).await;
        let refused = presign(&gateway, url("A", PresignMethod::Get)).await;
        assert_eq!(Refusal::of(refused).reason, "ENCRYPTION_MODE", "{option}");
        gateway.stop().await;
    }
}
