//! Objects of protected items: their pointers are covered, whoever uploads or keeps them.

use super::*;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::values::object;

const FILES: &str = "
name: File
table: files
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  content: { type: object, s3: { bucket: my-bucket, prefix: files/ }, encrypted: { key_id: alias/my-app-key } }
  text: { type: string, s3: { bucket: my-bucket, prefix: texts/, offload_above: 100 } }
protect: all
";

async fn filing(wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(FILES, Setup::tapped(wiretap)).await
}

fn file(content: &'static str) -> Item {
    item([
        ("pk", s("A")),
        ("sk", s("1")),
        ("name", s("one")),
        ("content", object(content)),
        ("text", s("x".repeat(200))),
    ])
}

async fn downloaded(gateway: &Gateway) -> Result<Vec<u8>, tonic::Status> {
    let request = v1::DownloadRequest {
        model: "File".to_owned(),
        key: key("A", "1"),
        attribute: "content".to_owned(),
        ..Default::default()
    };
    let parts = CallResult::read_stream(gateway.data().download(request).await)
        .await
        .outcome?;
    let mut content = Vec::new();
    for part in parts {
        content.extend_from_slice(&part.data);
    }
    Ok(content)
}

#[tokio::test]
async fn objects_and_offloaded_values_are_saved_kept_and_replaced() {
    let wiretap = Wiretap::counting();
    let gateway = filing(&wiretap).await;
    gateway.save(save("File", file("first"))).await.ok();
    let whole = read(&gateway, "File", "A").await;
    assert_eq!(whole["text"], s("x".repeat(200)));
    assert_eq!(downloaded(&gateway).await.expect("it verifies"), b"first");
    // sent back as it was read, the object is kept
    let mut renamed = whole.clone();
    renamed.insert("name".to_owned(), s("two"));
    gateway.save(save("File", renamed)).await.ok();
    assert_eq!(read(&gateway, "File", "A").await["name"], s("two"));
    assert_eq!(downloaded(&gateway).await.expect("it verifies"), b"first");
    let values = [(":c", object("second")), (":t", s("short"))];
    change(&gateway, "File", "SET content = :c, text = :t", values)
        .await
        .ok();
    assert_eq!(read(&gateway, "File", "A").await["text"], s("short"));
    assert_eq!(downloaded(&gateway).await.expect("it verifies"), b"second");
    assert_eq!(
        wiretap.stores().objects("my-bucket").await.len(),
        1,
        "the others are deleted"
    );
    let mut request = update(
        "File",
        key("A", "1"),
        "SET content = :c",
        [(":c", object("third"))],
    );
    request.return_values = v1::ReturnValues::AllNew as i32;
    let new = gateway.update(request).await.ok().item;
    assert!(matches!(new["content"].kind, Some(Kind::Object(_))), "{new:?}");
    change(&gateway, "File", "REMOVE content", []).await.ok();
    assert!(!read(&gateway, "File", "A").await.contains_key("content"));
    assert!(wiretap.stores().objects("my-bucket").await.is_empty());
}

#[tokio::test]
async fn an_older_pointer_is_data_loss() {
    let wiretap = Wiretap::counting();
    let gateway = filing(&wiretap).await;
    gateway.save(save("File", file("first"))).await.ok();
    let first = stored(&wiretap, "files", "A").await;
    gateway.save(save("File", file("second"))).await.ok();
    let mut mixed = stored(&wiretap, "files", "A").await;
    mixed.insert("content".to_owned(), first["content"].clone());
    wiretap.stores().put("files", mixed).await;
    is_lost(gateway.get(get("File", key("A", "1"))).await, "get");
    let refusal = Refusal::of_status(&downloaded(&gateway).await.expect_err("download"));
    assert_eq!(refusal.reason, "SEAL_INVALID", "{refusal:?}");
    let refused = change(&gateway, "File", "SET content = :c", [(":c", object("third"))]).await;
    is_lost(refused, "update");
    assert_eq!(
        wiretap.stores().objects("my-bucket").await.len(),
        2,
        "the upload was removed"
    );
}

#[tokio::test]
async fn the_replaced_item_is_verified() {
    let wiretap = Wiretap::counting();
    let gateway = filing(&wiretap).await;
    gateway.save(save("File", file("first"))).await.ok();
    let returning_old = || {
        let mut request = save("File", file("second"));
        request.return_values = v1::ReturnValues::AllOld as i32;
        request
    };
    let old = gateway.save(returning_old()).await.ok().old_item;
    assert_eq!((&old["name"], &old["text"]), (&s("one"), &s("x".repeat(200))));
    let mut changed = stored(&wiretap, "files", "A").await;
    changed.insert("name".to_owned(), Raw::S("forged".to_owned()));
    wiretap.stores().put("files", changed).await;
    assert!(gateway.save(returning_old()).await.ok().old_item.is_empty());
    assert_eq!(
        read(&gateway, "File", "A").await["name"],
        s("one"),
        "a Save replaces it"
    );
}

#[tokio::test]
async fn a_failing_kms_leaves_nothing_behind() {
    let wiretap = once(
        "GenerateDataKey",
        Fate::Respond(400, r#"{"__type":"DisabledException"}"#),
    );
    let gateway = filing(&wiretap).await;
    let refusal = Refusal::of(gateway.save(save("File", file("first"))).await);
    assert_eq!(refusal.reason, "KEY_UNAVAILABLE", "{refusal:?}");
    assert!(wiretap.stores().objects("my-bucket").await.is_empty());
    gateway.save(save("File", file("first"))).await.ok();
}

#[tokio::test]
async fn requests_with_an_id_are_recognised() {
    let text = format!(
        "{FILES}idempotency: item\n---\n{}",
        FILES
            .replace("File", "Once")
            .replace("table: files", "table: onces")
    );
    let text = text + "idempotency: { table: request-ids }\n";
    let gateway = Gateway::of_models(&text, Setup::default()).await;
    for model in ["File", "Once"] {
        for round in ["first", "repeat"] {
            let mut request = save(model, file("content"));
            request.request_id = "s".to_owned();
            gateway.save(request).await.ok();
            assert_eq!(
                read(&gateway, model, "A").await["name"],
                s("one"),
                "{model}, {round}"
            );
        }
        for round in ["first", "repeat"] {
            let mut request = update(model, key("A", "1"), "SET name = :v", [(":v", s("two"))]);
            request.request_id = "u".to_owned();
            let updated = gateway.update(request).await;
            assert!(updated.outcome.is_ok(), "{model}, {round}: {:?}", updated.outcome);
            assert_eq!(
                read(&gateway, model, "A").await["name"],
                s("two"),
                "{model}, {round}"
            );
        }
    }
}
