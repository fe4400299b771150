//! Transactions of the Rust client.

use futures::StreamExt as _;
use tollgate_client::{
    Get, Item, Partial, Reason, Refusal, ReturnValues, SaveOptions, Transaction, UpdateOptions, Written,
    attr, update,
};

use super::{Page, page, page_key, start};

#[tokio::test]
async fn a_transaction_writes_all_or_names_what_was_refused() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "one")).await.unwrap();
    client.save("Page", &page("2", "two")).await.unwrap();
    let exactly = |version| UpdateOptions {
        version,
        ..UpdateOptions::default()
    };
    let changes = update().set("text", "changed");
    let first = Transaction::new()
        .save("Page", &page("3", "three"))
        .update_with("Page", page_key("1"), changes.clone(), exactly(1))
        .check("Page", page_key("2"), attr("text").eq("two"));
    let written = client.transact_write(first).await.unwrap().value;
    assert!(
        matches!(&written[..], [Written::Saved(saved), Written::Updated(_), Written::Checked]
            if saved.generated["rev"] == 1.into()),
        "{written:?}"
    );

    let condition = attr("text").eq("other");
    let refused = Transaction::new()
        .save("Page", &page("4", "four"))
        .update_with("Page", page_key("1"), changes, exactly(1))
        .check_with("Page", page_key("2"), condition, ReturnValues::AllOld)
        .save("Page", &page("3", "again"));
    let error = client.transact_write(refused).await.unwrap_err();
    let Some(Refusal::Transaction { failures }) = error.refusal() else {
        panic!("{error:?}");
    };
    let reasons: Vec<_> = failures
        .iter()
        .map(|failure| (failure.index, failure.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (1, Some(Reason::VersionMismatch)),
            (2, Some(Reason::ConditionFailed)),
            (3, Some(Reason::AlreadyExists)),
        ]
    );
    assert_eq!(
        failures[1].item.as_ref().expect("the current item")["text"],
        "two".into()
    );
    assert!(
        client
            .find::<Page>("Page", page_key("4"))
            .await
            .unwrap()
            .value
            .is_none()
    );
}

#[tokio::test]
async fn a_transaction_reads_items_in_order() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "one")).await.unwrap();
    client.save("Page", &page("3", "three")).await.unwrap();
    let gets = ["1", "2", "3"].map(|sk| Get::new("Page", page_key(sk)));
    let read = client.transact_get::<Page>(gets.clone()).await.unwrap().value;
    let texts: Vec<_> = read
        .iter()
        .map(|page| page.as_ref().and_then(|page| page.text.as_deref()))
        .collect();
    assert_eq!(texts, [Some("one"), None, Some("three")]);
    let fields = gets.map(|get| Get {
        fields: vec!["text".to_owned()],
        ..get
    });
    assert!(client.transact_get::<Item>(fields.clone()).await.is_err());
    let read = client.transact_get::<Partial<Item>>(fields).await.unwrap().value;
    assert_eq!(read[2].as_ref().expect("an item").len(), 1);
}

#[tokio::test]
async fn validate_only_and_refusals_before_anything_is_written() {
    let (_gateway, client) = start(None).await;
    let valid = Transaction::new().save("Page", &page("1", "one")).validate_only();
    let validated = client.transact_write(valid).await.unwrap();
    assert_eq!((validated.value.len(), validated.metrics.dynamodb_calls), (0, 0));
    let get = || Get::new("Page", page_key("1"));
    let read = client.validate_transact_get([get()]).await.unwrap();
    assert_eq!(read.metrics.dynamodb_calls, 0);
    assert!(client.validate_transact_get([get(), get()]).await.is_err());
    let mut batch = client.batch_get::<Page>([get(), get()]).validate_only();
    assert!(batch.next().await.is_none());
    assert_eq!((batch.metrics().dynamodb_calls, batch.metrics().calls), (0, 1));
    let inner = SaveOptions {
        request_id: "a".to_owned(),
        ..SaveOptions::default()
    };
    let refused = Transaction::new().save_with("Page", &page("1", "one"), inner);
    let error = client.transact_write(refused).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::InvalidField));
    assert!(
        client
            .find::<Page>("Page", page_key("1"))
            .await
            .unwrap()
            .value
            .is_none()
    );
}
