//! Strings and binaries that move to S3 by themselves above a size.

use tollgate_proto::v1;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_tests::refusal::{Refusal, current_item};
use tollgate_tests::values::{
    AttributeValue, b, delete, expression, get, item, key, query, s, save, scan, update,
};
use v1::ReturnValues::{AllNew, AllOld, UpdatedNew, UpdatedOld};

use super::{Archive, BUCKET, content, lines};

fn long() -> AttributeValue {
    s(String::from_utf8(lines(300_000)).expect("ASCII"))
}

fn with(attribute: &str, value: AttributeValue) -> tollgate_tests::values::Item {
    let mut whole = key("A", "1");
    whole.insert(attribute.to_owned(), value);
    whole
}

async fn objects(archive: &Archive) -> usize {
    archive.stores().objects(BUCKET).await.len()
}

#[tokio::test]
async fn long_values_are_in_s3_and_read_back_as_values() {
    let archive = Archive::start().await;
    for (attribute, value, kind) in [
        ("text", long(), "S"),
        ("text", s("ü".repeat(501)), "S"),
        ("bytes", b(content(1001)), "B"),
        ("note", long(), "S"),
    ] {
        let saved = archive
            .gateway
            .save(save("Archive", with(attribute, value.clone())))
            .await;
        assert!(saved.ok().generated.is_empty(), "the caller sees no object");
        let stored_name = if attribute == "note" { "n" } else { attribute };
        let pointer = archive.pointer(stored_name).await;
        assert_eq!(pointer["kind"].as_s().map(String::as_str), Ok(kind));
        let is_sealed = attribute == "note";
        assert_eq!(pointer.contains_key("mac"), is_sealed);
        assert_eq!(pointer.contains_key("encoding"), is_sealed);
        let read = archive.gateway.get(get("Archive", key("A", "1"))).await;
        assert_eq!(read.bill.count("tollgate-s3-calls"), 1);
        assert!(read.ok().item == with(attribute, value.clone()), "{attribute}");
        let queried = archive.gateway.query(query("Archive", "A")).await.ok();
        assert!(queried[0].results[0].item == with(attribute, value.clone()));
        let scanned = archive.gateway.scan(scan("Archive")).await.ok();
        assert!(scanned[0].results[0].item == with(attribute, value.clone()));
        let (downloaded, _) = archive.range(attribute, 3, 10).await.unwrap();
        assert_eq!(downloaded.len(), 10);
        assert_eq!(
            objects(&archive).await,
            1,
            "the object of the value before is gone"
        );
    }
}

#[tokio::test]
async fn short_values_stay_and_long_ones_move_back() {
    let archive = Archive::start().await;
    archive.save("text", s("x".repeat(1000))).await;
    assert_eq!(archive.stored().await["text"].as_s(), Ok(&"x".repeat(1000)));
    assert_eq!(objects(&archive).await, 0);
    archive.save("text", s("x".repeat(1001))).await;
    assert_eq!(objects(&archive).await, 1);
    archive.save("text", s("short")).await;
    assert_eq!(archive.stored().await["text"].as_s(), Ok(&"short".to_owned()));
    assert_eq!(objects(&archive).await, 0);
    // what counts is stored: this compresses to less
    archive.save("note", s("n".repeat(20_000))).await;
    assert!(archive.stored().await["n"].as_b().is_ok());
    assert_eq!(objects(&archive).await, 0);
    let refused = archive.range("note", 0, 0).await.unwrap_err();
    refused.is("ITEM_NOT_FOUND", &[]);
}

#[tokio::test]
async fn offloaded_values_do_not_count_for_the_size_of_an_item() {
    let archive = Archive::start().await;
    let mut large = with("text", s("x".repeat(900_000)));
    large.insert("bytes".to_owned(), b(content(600_000)));
    archive.gateway.save(save("Archive", large.clone())).await.ok();
    assert!(archive.gateway.get(get("Archive", key("A", "1"))).await.ok().item == large);
    let set = update(
        "Archive",
        key("A", "1"),
        "SET #t = :t, bytes = :b",
        [(":t", s("y".repeat(700_000))), (":b", b(content(500_000)))],
    );
    let set = v1::UpdateRequest {
        update: set.update.map(|update| v1::Expression {
            names: [("#t".to_owned(), "text".to_owned())].into(),
            ..update
        }),
        ..set
    };
    archive.gateway.update(set).await.ok();
    let read = archive.gateway.get(get("Archive", key("A", "1"))).await.ok().item;
    assert!(read["text"] == s("y".repeat(700_000)) && read["bytes"] == b(content(500_000)));
    assert_eq!(objects(&archive).await, 2);
}

#[tokio::test]
async fn an_update_offloads_and_moves_back() {
    let archive = Archive::start().await;
    archive.save("status", s("new")).await;
    for (value, returned, count) in [
        (long(), v1::ReturnValues::None, 1),
        (s("short"), UpdatedOld, 0),
        (long(), AllNew, 1),
        (s("z".repeat(2000)), AllOld, 0),
        (long(), UpdatedNew, 1),
    ] {
        let before = archive.gateway.get(get("Archive", key("A", "1"))).await.ok().item;
        let set = update("Archive", key("A", "1"), "SET note = :n", [(":n", value.clone())]);
        let set = v1::UpdateRequest {
            return_values: returned.into(),
            ..set
        };
        let updated = archive.gateway.update(set).await.ok();
        match returned {
            AllNew => assert!(updated.item["note"] == value && updated.item["status"] == s("new")),
            UpdatedNew => assert!(updated.item == item([("note", value.clone())])),
            AllOld => assert!(updated.old_item == before),
            UpdatedOld => assert!(updated.old_item["note"] == before["note"]),
            _ => {}
        }
        let read = archive.gateway.get(get("Archive", key("A", "1"))).await.ok().item;
        assert!(read["note"] == value);
        assert_eq!(objects(&archive).await, count);
    }
    let remove = update("Archive", key("A", "1"), "REMOVE note", []);
    archive.gateway.update(remove).await.ok();
    assert_eq!(objects(&archive).await, 0);
}

#[tokio::test]
async fn writes_return_the_old_value_and_delete_its_object() {
    let archive = Archive::start().await;
    for (attribute, value) in [("note", long()), ("text", long()), ("bytes", b(content(5000)))] {
        let whole = with(attribute, value);
        let request = v1::SaveRequest {
            return_values: AllNew.into(),
            ..save("Archive", whole.clone())
        };
        assert!(archive.gateway.save(request).await.ok().item == whole);
        let request = v1::SaveRequest {
            return_values: AllOld.into(),
            ..save("Archive", whole.clone())
        };
        assert!(archive.gateway.save(request).await.ok().old_item == whole);
        assert_eq!(objects(&archive).await, 1);
        let request = v1::DeleteRequest {
            return_values: AllOld.into(),
            ..delete("Archive", key("A", "1"))
        };
        assert!(archive.gateway.delete(request).await.ok().old_item == whole);
        assert_eq!(objects(&archive).await, 0);
    }
}

#[tokio::test]
async fn a_refused_write_leaves_no_object_and_returns_the_stored_value() {
    let archive = Archive::start().await;
    let hex: String = content(1000).iter().map(|byte| format!("{byte:02x}")).collect();
    let values = [
        ("note", s(hex)),
        ("text", s("x".repeat(1500))),
        ("bytes", b(content(1200))),
    ];
    for (attribute, value) in values {
        let whole = with(attribute, value);
        archive.gateway.save(save("Archive", whole.clone())).await.ok();
        let refused = v1::SaveRequest {
            return_values: AllOld.into(),
            condition: expression("attribute_not_exists(pk)", []),
            ..save("Archive", whole.clone())
        };
        let status = archive.gateway.save(refused).await.status();
        assert!(current_item(&status) == Some(whole), "{attribute}: {status:?}");
        assert_eq!(objects(&archive).await, 1, "the refused value is removed");
    }
}

#[tokio::test]
async fn a_read_without_the_attribute_fetches_nothing() {
    let archive = Archive::start().await;
    let mut whole = with("text", long());
    whole.insert("status".to_owned(), s("open"));
    archive.gateway.save(save("Archive", whole)).await.ok();
    let request = v1::GetRequest {
        fields: vec!["status".to_owned()],
        ..get("Archive", key("A", "1"))
    };
    let read = archive.gateway.get(request).await;
    assert_eq!(read.bill.count("tollgate-s3-calls"), 0);
    assert_eq!(read.ok().item, item([("status", s("open"))]));
    let request = v1::GetRequest {
        fields: vec!["text".to_owned()],
        ..get("Archive", key("A", "1"))
    };
    assert!(archive.gateway.get(request).await.ok().item == item([("text", long())]));
    let count = v1::QueryRequest {
        select: v1::Select::Count.into(),
        ..query("Archive", "A")
    };
    let counted = archive.gateway.query(count).await;
    assert_eq!(counted.bill.count("tollgate-s3-calls"), 0);
    let by_status = v1::QueryRequest {
        index: "by_status".to_owned(),
        key_condition: expression("#s = :s", [(":s", s("open"))]).map(|condition| v1::Expression {
            names: [("#s".to_owned(), "status".to_owned())].into(),
            ..condition
        }),
        ..query("Archive", "A")
    };
    let queried = archive.gateway.query(by_status).await.ok();
    assert!(queried[0].results[0].item["text"] == long());
}

#[tokio::test]
async fn batches_and_transactions_read_and_write_offloaded_values() {
    let archive = Archive::start().await;
    let operation = v1::transact_operation::Operation::Save(save("Archive", with("note", long())));
    let request = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(operation),
        }],
        ..v1::TransactWriteRequest::default()
    };
    archive.gateway.data().transact_write(request).await.unwrap();
    let request = v1::TransactGetRequest {
        requests: vec![get("Archive", key("A", "1"))],
        ..v1::TransactGetRequest::default()
    };
    let read = archive
        .gateway
        .data()
        .transact_get(request)
        .await
        .unwrap()
        .into_inner();
    let Some(GetOutcome::Found(found)) = &read.results[0].result else {
        panic!("it is there")
    };
    assert!(found.item == with("note", long()));
    assert_eq!(objects(&archive).await, 1);
}

#[tokio::test]
async fn conditions_and_filters_see_only_whether_it_is_there() {
    let archive = Archive::start().await;
    archive.save("bytes", b(content(5000))).await;
    let exists = v1::QueryRequest {
        filter: expression("attribute_exists(bytes)", []),
        ..query("Archive", "A")
    };
    assert_eq!(archive.gateway.query(exists).await.ok()[0].results.len(), 1);
    for text in ["bytes = :b", "size(bytes) > :n", "begins_with(bytes, :b)"] {
        let filtered = v1::QueryRequest {
            filter: expression(text, [(":b", b("x")), (":n", tollgate_tests::values::n(1))]),
            ..query("Archive", "A")
        };
        let refused = Refusal::of(archive.gateway.query(filtered).await);
        assert_eq!(refused.reason, "INVALID_EXPRESSION", "{text}");
        refused.cost_nothing();
    }
    let copy = update(
        "Archive",
        key("A", "1"),
        "SET bytes = if_not_exists(bytes, :b)",
        [(":b", b("x"))],
    );
    let refused = Refusal::of(archive.gateway.update(copy).await);
    assert_eq!(refused.reason, "INVALID_EXPRESSION");
}

#[tokio::test]
async fn a_value_whose_object_is_gone_is_data_loss_of_its_item() {
    let archive = Archive::start().await;
    archive.save("text", long()).await;
    let key_of = archive.stores().objects(BUCKET).await.remove(0);
    archive.stores().delete_object(BUCKET, &key_of).await;
    let refused = Refusal::of(archive.gateway.get(get("Archive", key("A", "1"))).await);
    assert_eq!(refused.reason, "OBJECT_INVALID");
    let queried = archive.gateway.query(query("Archive", "A")).await.ok();
    assert!(queried[0].results[0].error.is_some());
}
