//! Saves with and without objects.

use super::*;

#[tokio::test]
async fn uploads_each_part_with_one_request() {
    let harness = Harness::new().await;
    for (bytes, calls) in [(0, 1), (MIB, 1), (5 * MIB, 1), (6 * MIB, 4), (15_000_000, 5)] {
        let call = Call::for_test();
        let content = content(bytes);
        let committed = harness
            .committer
            .save(harness.write(&call, &[("file", &content)]))
            .await
            .unwrap();
        let deletes = harness
            .faulty
            .take_sent()
            .iter()
            .filter(|name| *name == "DeleteObject")
            .count() as u64;
        let bill = call.bill();
        assert_eq!(s3_counts(&bill), (calls + deletes, bytes as u64), "{bytes} bytes");
        assert_eq!((bill.put_count, bill.kms_calls), (1, 0));
        let [(name, pointer)] = &committed.objects[..] else {
            panic!("one object")
        };
        assert_eq!((name.as_str(), pointer.size_bytes), ("file", bytes as u64));
        assert_eq!(harness.pointer().await.as_ref(), Some(pointer));
        assert_eq!(harness.content(pointer).await.unwrap(), content);
        assert_eq!(
            harness.keys().await,
            [pointer.key.as_str()],
            "the previous object was deleted"
        );
    }
}

#[tokio::test]
async fn stores_the_owner_and_the_media_type_with_the_object() {
    let harness = Harness::new().await;
    let mut write = harness.write(&Call::for_test(), &[]);
    let mut file = Object {
        data: Some(content(10)),
        content_type: "text/plain".into(),
        ..Object::default()
    };
    file.metadata.insert("author".into(), "somebody".into());
    file.metadata.insert("X-Any!".into(), "a  b".into());
    write.item.insert("pk".into(), Value::S("A/B ü".into()));
    write
        .item
        .insert("file".into(), Value::Object(Box::new(file.clone())));
    let committed = harness.committer.save(write).await.unwrap();
    let pointer = &committed.objects[0].1;
    let own = [("author", "somebody"), ("x-any!", "a  b")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pointer.metadata, HashMap::from(own));
    assert_eq!(pointer.table, "users");
    assert!(
        pointer.key.starts_with("docs/A%2FB%20%C3%BC/1/"),
        "{}",
        pointer.key
    );
    let head = harness
        .faulty
        .stores
        .s3
        .raw()
        .head_object()
        .bucket("files")
        .key(&pointer.key)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    let metadata = head.metadata().unwrap();
    let value = |name: &str| metadata.get(name).map(String::as_str);
    assert_eq!(value("tollgate-table"), Some("users"));
    assert_eq!(value("tollgate-partition"), Some("A%2FB%20%C3%BC"));
    assert_eq!(
        (value("tollgate-sort"), value("author"), value("x-any!")),
        (Some("1"), Some("somebody"), Some("a  b"))
    );
    assert_eq!(metadata.len(), 5);
}

#[tokio::test]
async fn deletes_objects_of_the_replaced_item_after_the_commit() {
    let harness = Harness::new().await;
    let (first, second) = (content(100), content(200));
    let call = Call::for_test();
    let committed = harness
        .committer
        .save(harness.write(&call, &[("file", &first), ("photo", &second)]))
        .await
        .unwrap();
    assert_eq!((committed.objects.len(), s3_counts(&call.bill())), (2, (2, 300)));
    assert!(committed.old.is_none());
    harness.faulty.take_sent();
    let mut write = harness.write(&call, &[("file", &second)]);
    write.return_old = true;
    let replaced = harness.committer.save(write).await.unwrap();
    let old = replaced.old.unwrap();
    assert_eq!(old.item["photo"], stored_object(&committed.objects[1].1));
    let left = harness.faulty.take_sent();
    assert_eq!(left[..2], ["PutObject", "PutItem"]);
    assert_eq!(left[2..], ["DeleteObject", "DeleteObject"]);
    assert_eq!(harness.keys().await, [replaced.objects[0].1.key.clone()]);
}

#[tokio::test]
async fn a_failed_condition_deletes_the_new_object_and_keeps_the_live_one() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    for (bytes, calls) in [(200, 2), (6 * MIB, 5)] {
        let call = Call::for_test();
        let mut write = harness.write(&call, &[("file", &content(bytes))]);
        write.condition = condition(NEW);
        write.return_old = true;
        let error = harness.committer.save(write).await.unwrap_err();
        let Error::ConditionFailed {
            current: Some(current),
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(current.item["file"], stored_object(&live));
        assert_eq!(s3_counts(&call.bill()), (calls, bytes as u64));
        assert!(call.bill().estimated_write_milliunits > 0);
        assert_eq!(harness.keys().await, [live.key.as_str()]);
        assert_eq!(harness.content(&live).await.unwrap(), content(100));
    }
}

#[tokio::test]
async fn a_model_without_objects_needs_one_request() {
    let harness = Harness::new().await;
    let plain = Arc::new(model(vec![encrypted("ssn", AttributeType::String)]));
    let call = Call::for_test();
    let write = || SaveRequest {
        model: Arc::clone(&plain),
        ..harness.write(&call, &[])
    };
    harness.committer.save(write()).await.unwrap();
    assert_eq!(harness.faulty.take_sent(), ["PutItem"]);
    let old = harness
        .committer
        .save(SaveRequest {
            return_old: true,
            version: None,
            ..write()
        })
        .await
        .unwrap()
        .old;
    assert_eq!(old.map(|old| old.item), Some(key_item()));
    for _ in 0..3 {
        harness.faulty.inject("PutItem", Fault::LoseResponse);
    }
    let mut other = write();
    other.item.insert("note".into(), Value::S("x".into()));
    harness.committer.save(other).await.unwrap();
    assert_eq!(harness.stored().await.unwrap().len(), 3);
    assert_eq!(harness.tasks.len(), 0);
}

#[tokio::test]
async fn a_save_without_objects_that_may_have_been_applied_is_not_repeated() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    harness.faulty.inject("PutItem", Fault::LoseRequest);
    let outcome = kind(harness.committer.save(harness.write(&call, &[])).await);
    assert_eq!(outcome, Kind::OutcomeUnknown);
    assert_eq!(harness.faulty.take_sent(), ["PutItem", "GetItem", "GetItem"]);
    assert_eq!(harness.pointer().await.unwrap(), live);
    // a version that the stored item must have prevents that two attempts are applied
    harness.faulty.inject("PutItem", Fault::LoseRequest);
    let versioned = SaveRequest {
        version: Some(ExpectedVersion::Exactly(1)),
        ..harness.write(&call, &[])
    };
    harness.committer.save(versioned).await.unwrap();
    assert_eq!(harness.faulty.take_sent()[..2], ["PutItem", "PutItem"]);
}
