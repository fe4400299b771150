//! Deletes, and which objects they delete.

use super::*;

#[tokio::test]
async fn a_delete_deletes_the_objects() {
    let harness = Harness::new().await;
    harness.saved(&content(100)).await;
    let call = Call::for_test();
    assert!(
        harness
            .committer
            .delete(removal(&harness, &call))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(harness.faulty.take_sent(), ["DeleteItem", "DeleteObject"]);
    assert_eq!((call.bill().delete_count, call.bill().s3_calls), (1, 1));
    assert_eq!(harness.keys().await, Vec::<String>::new());
    let again = DeleteRequest {
        return_old: true,
        version: None,
        ..removal(&harness, &call)
    };
    assert!(harness.committer.delete(again).await.unwrap().is_none());
    assert_eq!(
        harness.faulty.take_sent(),
        ["DeleteItem"],
        "deleting a missing item sends no request to S3"
    );
}

#[tokio::test]
async fn a_failed_delete_deletes_no_object() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    let refused = DeleteRequest {
        condition: condition("attribute_exists(nothing)"),
        return_old: true,
        version: None,
        ..removal(&harness, &call)
    };
    let error = harness.committer.delete(refused).await.unwrap_err();
    assert!(matches!(error, Error::ConditionFailed { current: Some(_) }));
    for _ in 0..3 {
        harness.faulty.inject("DeleteItem", SERVER_ERROR);
    }
    let error = harness
        .committer
        .delete(removal(&harness, &call))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Store(error) if error.kind == Kind::OutcomeUnknown));
    assert_eq!((call.bill().s3_calls, harness.keys().await), (0, vec![live.key]));
}

#[tokio::test]
async fn does_not_delete_objects_of_another_folder() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let mut elsewhere = (*harness.model).clone();
    for attribute in elsewhere
        .attributes
        .iter_mut()
        .filter(|attribute| attribute.s3.is_some())
    {
        attribute.s3.as_mut().unwrap().prefix = "other/".into();
    }
    let removal = DeleteRequest {
        model: Arc::new(elsewhere),
        ..removal(&harness, &Call::for_test())
    };
    harness.committer.delete(removal).await.unwrap();
    assert_eq!(harness.faulty.take_sent(), ["DeleteItem"]);
    assert_eq!(harness.keys().await, [live.key]);
}

#[tokio::test]
async fn a_delete_that_may_have_been_applied_is_not_repeated() {
    let harness = Harness::new().await;
    harness.saved(&content(100)).await;
    harness.faulty.inject("DeleteItem", Fault::LoseResponse);
    let call = Call::for_test();
    harness.committer.delete(removal(&harness, &call)).await.unwrap();
    assert_eq!(harness.faulty.take_sent(), ["DeleteItem", "GetItem"]);
    assert!(harness.stored().await.is_none());
    // with an item, with a condition, or to return the item: nothing shows whether it was applied
    let live = harness.saved(&content(100)).await;
    let plain = removal(&harness, &call);
    let conditional = DeleteRequest {
        condition: condition("attribute_exists(pk)"),
        ..removal(&harness, &call)
    };
    let returning = DeleteRequest {
        return_old: true,
        ..removal(&harness, &call)
    };
    for (request, sent) in [(plain, 2), (conditional, 1), (returning, 1)] {
        harness.faulty.inject("DeleteItem", Fault::LoseRequest);
        let error = harness.committer.delete(request).await.unwrap_err();
        assert!(matches!(error, Error::Store(error) if error.kind == Kind::OutcomeUnknown));
        assert_eq!(harness.faulty.take_sent().len(), sent);
        assert_eq!(harness.pointer().await.unwrap(), live);
    }
}
