//! Items, pages, transactions and errors, through the SDK.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, KeyType, Put, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::{
    add_index, attribute, client, create_table, get, in_folder, in_memory, item, key, key_element, put, text,
};

#[tokio::test]
async fn puts_gets_updates_and_deletes() {
    let client = client(&in_memory());
    create_table(&client, "things").await;
    assert!(get(&client, 1).await.is_none());
    put(&client, item(1, "one")).await;
    assert_eq!(get(&client, 1).await, Some(item(1, "one")));
    let updated = client
        .update_item()
        .table_name("things")
        .set_key(Some(key(1)))
        .update_expression("SET note = :note")
        .expression_attribute_values(":note", text("two"))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .unwrap();
    assert_eq!(updated.attributes, Some(item(1, "two")));
    let deleted = client.delete_item().table_name("things").set_key(Some(key(1)));
    let deleted = deleted.return_values(ReturnValue::AllOld).send().await.unwrap();
    assert_eq!(deleted.attributes, Some(item(1, "two")));
    assert_eq!(deleted.request_id().unwrap().len(), 52);
    assert!(get(&client, 1).await.is_none());
}

#[tokio::test]
async fn a_failed_condition_returns_a_typed_error_with_the_item() {
    let client = client(&in_memory());
    create_table(&client, "things").await;
    put(&client, item(1, "one")).await;
    let refused = client
        .put_item()
        .table_name("things")
        .set_item(Some(item(1, "two")))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    let error = refused.into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    assert_eq!(error.message(), Some("The conditional request failed"));
    let PutItemError::ConditionalCheckFailedException(failed) = error else {
        unreachable!()
    };
    assert_eq!(failed.item, Some(item(1, "one")));
}

#[tokio::test]
async fn errors_have_the_right_class_and_no_dynoxide_prefix() {
    let client = client(&in_memory());
    let missing = client
        .get_item()
        .table_name("missing")
        .set_key(Some(key(1)))
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
    create_table(&client, "things").await;
    let unkeyed = client
        .put_item()
        .table_name("things")
        .item("pk", text("p"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(unkeyed.code(), Some("ValidationException"));
    let bad_name = client
        .get_item()
        .table_name("a")
        .set_key(Some(key(1)))
        .send()
        .await
        .unwrap_err();
    assert_eq!(bad_name.code(), Some("ValidationException"));
    assert!(
        !bad_name.message().unwrap().contains("VALIDATION"),
        "{bad_name:?}"
    );
    let bad_number = client.put_item().table_name("things").set_item(Some(key(1)));
    let bad_number = bad_number
        .item("n", AttributeValue::N("1e999".into()))
        .send()
        .await
        .unwrap_err();
    assert_eq!(bad_number.code(), Some("ValidationException"));
    assert!(
        !bad_number.message().unwrap().contains("at line"),
        "{bad_number:?}"
    );
    let again = client
        .create_table()
        .table_name("things")
        .billing_mode(BillingMode::PayPerRequest);
    let again = again
        .attribute_definitions(attribute("pk"))
        .key_schema(key_element("pk", KeyType::Hash));
    assert!(
        again
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_resource_in_use_exception()
    );
    let streams = client.list_global_tables().send().await.unwrap_err();
    assert_eq!(streams.code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn queries_return_pages_and_capacity_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    add_index(&client).await;
    for sort in 0..5 {
        put(&client, item(sort, "x".repeat(300_000))).await;
    }
    let put = client
        .put_item()
        .table_name("things")
        .set_item(Some(item(9, "small")));
    let put = put
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .send()
        .await
        .unwrap();
    let capacity = put.consumed_capacity.unwrap();
    assert_eq!(capacity.capacity_units, Some(2.0));
    assert_eq!(capacity.table.unwrap().capacity_units, Some(1.0));
    assert_eq!(
        capacity.global_secondary_indexes.unwrap()["by-group"].capacity_units,
        Some(1.0)
    );

    let mut pages = client
        .query()
        .table_name("things")
        .index_name("by-group")
        .key_condition_expression("#group = :group")
        .expression_attribute_names("#group", "group")
        .expression_attribute_values(":group", text("g"))
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .into_paginator()
        .send();
    let mut counts = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        let indexes = page.consumed_capacity.unwrap().global_secondary_indexes.unwrap();
        assert!(indexes["by-group"].capacity_units.unwrap() > 1.0);
        counts.push(page.count);
    }
    assert!(counts.len() > 1, "more than 1 MB in one page");
    assert_eq!(counts.iter().sum::<i32>(), 6);
}

#[tokio::test]
async fn a_transaction_is_atomic_and_runs_once_per_token() {
    let client = client(&in_memory());
    create_table(&client, "things").await;
    let put = |sort, condition: Option<&str>| {
        let put = Put::builder()
            .table_name("things")
            .set_item(Some(item(sort, "one")));
        let put = put
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let cancelled = client
        .transact_write_items()
        .transact_items(put(1, None))
        .transact_items(put(2, Some("attribute_exists(pk)")))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = cancelled else {
        panic!("{cancelled:?}")
    };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert!(get(&client, 1).await.is_none());

    let write = |sort| {
        client
            .transact_write_items()
            .client_request_token("once")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .transact_items(put(sort, Some("attribute_not_exists(pk)")))
    };
    let first = write(1).send().await.unwrap();
    assert_eq!(first.consumed_capacity()[0].capacity_units(), Some(2.0));
    assert_eq!(first.consumed_capacity()[0].write_capacity_units(), Some(2.0));
    let repeat = write(1).send().await.unwrap();
    assert_eq!(repeat.consumed_capacity()[0].read_capacity_units(), Some(2.0));
    let other = write(3).send().await.unwrap_err().into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception(), "{other:?}");
    assert!(get(&client, 3).await.is_none());
}
