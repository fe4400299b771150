//! Which writes are retried, against a server with canned responses.

mod canned;

use tollgate_client::{Compression, Item, Key, Options, Reason, SaveOptions, Transaction};

use canned::{Canned, serve, serve_to};

fn request_id() -> SaveOptions {
    SaveOptions {
        request_id: "import-7".to_owned(),
        ..SaveOptions::default()
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_retried_if_the_caller_allows_it() {
    let canned = Canned::failing([Reason::OutcomeUnknown, Reason::Throttled]);
    let client = serve(&canned).await;
    let error = client.save("User", &Item::new()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls(), ["Save"]);

    let canned = Canned::failing([Reason::OutcomeUnknown, Reason::Throttled]);
    let client = serve(&canned).await;
    let harmless = SaveOptions {
        idempotent: true,
        ..SaveOptions::default()
    };
    client.save_with("User", &Item::new(), harmless).await.unwrap();
    assert_eq!(canned.calls(), ["Save", "Save", "Save"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_retried_if_the_model_is_idempotent() {
    let canned = Canned::failing([Reason::Throttled, Reason::OutcomeUnknown]);
    let client = serve(&canned).await;
    client
        .save_with("Once", &Item::new(), request_id())
        .await
        .unwrap();
    assert_eq!(canned.calls(), ["Save", "Save", "GetModel", "Save"]);

    let canned = Canned::failing([Reason::OutcomeUnknown]);
    let client = serve(&canned).await;
    let error = client
        .save_with("User", &Item::new(), request_id())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls(), ["Save", "GetModel"]);
}

#[tokio::test]
async fn lost_races_are_not_retried() {
    let canned = Canned::failing([Reason::VersionMismatch]);
    let client = serve(&canned).await;
    let options = SaveOptions {
        idempotent: true,
        ..request_id()
    };
    assert!(client.save_with("Once", &Item::new(), options).await.is_err());
    assert_eq!(canned.calls(), ["Save"]);
}

#[tokio::test]
async fn a_repeat_that_is_refused_leaves_the_outcome_unknown() {
    let canned = Canned::failing([Reason::OutcomeUnknown, Reason::VersionMismatch]);
    let client = serve(&canned).await;
    let error = client
        .save_with("Once", &Item::new(), request_id())
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason(), error.refusal()),
        (Some(Reason::OutcomeUnknown), None)
    );
    assert_eq!(canned.calls(), ["Save", "GetModel", "Save"]);
}

#[tokio::test]
async fn conflicts_of_transactions_are_retried_and_unknown_outcomes_with_an_id() {
    let delete = || Transaction::new().delete("User", Key::new("pk", "A"));
    let canned = Canned::failing([Reason::TransactionConflict, Reason::OutcomeUnknown]);
    let error = serve(&canned).await.transact_write(delete()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(canned.calls().len(), 2);

    let canned = Canned::failing([Reason::TransactionConflict, Reason::OutcomeUnknown]);
    let named = delete().request_id("t-1");
    serve(&canned).await.transact_write(named).await.unwrap();
    assert_eq!(canned.calls(), ["TransactWrite"; 3]);
}

#[tokio::test]
async fn an_invalid_operation_is_reported_with_its_index() {
    let canned = Canned::failing([]);
    let transaction = Transaction::new()
        .delete("User", Key::new("pk", "A"))
        .delete("User", Key::new("pk", f64::NAN));
    let error = serve(&canned)
        .await
        .transact_write(transaction)
        .await
        .unwrap_err();
    assert_eq!(
        (error.index(), error.violations()[0].field.as_str()),
        (Some(1), "key.pk")
    );
    assert!(canned.calls().is_empty());
}

#[tokio::test]
async fn messages_are_compressed_in_both_directions_if_the_options_say_so() {
    for (compression, name) in [
        (None, None),
        (Some(Compression::Gzip), Some("gzip")),
        (Some(Compression::Zstd), Some("zstd")),
    ] {
        let canned = Canned::failing([]);
        let options = Options {
            compress: compression,
            ..Options::default()
        };
        let client = serve_to(&canned, options).await;
        client.save("User", &Item::new()).await.unwrap();
        let encodings = canned.encodings.lock().unwrap().clone();
        let [[sent, accepted]] = &encodings[..] else {
            panic!("{encodings:?}")
        };
        assert_eq!(sent.as_deref(), name);
        let accepted = accepted.as_deref().unwrap_or_default();
        assert_eq!(
            accepted.split(',').next().filter(|name| !name.is_empty()),
            name,
            "{accepted}"
        );
    }
    let chosen = Options::default().compress(Compression::Zstd);
    assert_eq!(chosen.compress, Some(Compression::Zstd));
}
