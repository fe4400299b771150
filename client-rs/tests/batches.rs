//! Batches that break, and writes that go out while results come in, against a server with canned responses.

mod canned;

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, stream};
use tollgate_client::{Error, Get, Item, Key, Partial, Reason, Refusal, Write, Written};

use canned::{Canned, serve};

#[tokio::test]
async fn a_broken_batch_continues_with_the_requests_that_have_no_result() {
    let canned = Canned::failing([]);
    let client = serve(&canned).await;
    let keys = ["a", "b", "-c", "d", "e", "!f"];
    let gets = || keys.map(|pk| Get::new("User", Key::new("pk", pk)));
    let mut results: Vec<_> = client.batch_get::<Item>(gets()).collect().await;
    results.sort_by_key(|result| match result {
        Ok(got) => got.index,
        Err(error) => error.index().expect("an index"),
    });
    let found: Vec<Option<bool>> = results
        .iter()
        .map(|result| result.as_ref().ok().map(|got| got.item.is_some()))
        .collect();
    assert_eq!(
        found,
        [Some(true), Some(true), Some(false), Some(true), Some(true), None]
    );
    let error = results[5].as_ref().unwrap_err();
    assert!(error.is_of_item() && error.reason() == Some(Reason::CiphertextInvalid));
    assert_eq!(canned.read.lock().unwrap()[1], ["a", "b", "-c"]);

    let read = client
        .batch_get::<Partial<Item>>(gets().into_iter().take(3))
        .in_order()
        .await;
    let items = read.unwrap().value;
    assert_eq!(items[1].as_ref().expect("an item")["pk"], "b".into());
    assert!(items[0].as_ref().is_some_and(Partial::is_complete) && items[2].is_none());
    assert_eq!(items[0].as_ref().map(Partial::model), Some("User"));
}

#[tokio::test]
async fn fields_require_partial_items() {
    let client = serve(&Canned::failing([])).await;
    let get = Get {
        fields: vec!["pk".to_owned()],
        ..Get::new("User", Key::new("pk", "a"))
    };
    let results: Vec<_> = client.batch_get::<Item>([get.clone()]).collect().await;
    let error = results[0].as_ref().unwrap_err();
    assert_eq!(
        (error.violations()[0].field.as_str(), results.len()),
        ("fields", 1)
    );
    let mut partial = client.batch_get::<Partial<Item>>([get.clone(), get]);
    let got = partial.next().await.unwrap().unwrap();
    assert!(!got.item.expect("an item").is_complete());
}

fn delete(number: usize) -> Write {
    Write::delete("User", Key::new("pk", number)).expect("a valid key")
}

#[tokio::test]
async fn results_arrive_while_writes_are_sent() {
    const WRITES: usize = 3_000;
    let client = serve(&Canned::failing([])).await;
    let (mut writer, results) = client.batch_writer();
    let send = async move {
        for number in 0..WRITES {
            writer.send(delete(number)).await?;
        }
        writer.close().await
    };
    let (sent, results) = futures::join!(send, results.collect::<Vec<_>>());
    sent.unwrap();
    assert_eq!(results.len(), WRITES);
    let failed: Vec<&Error> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!(failed.len(), WRITES / 10);
    assert!(failed.iter().all(|error| error.is_of_item()
        && error.refusal() == Some(Refusal::ConditionFailed { item: None })
        && error.index().is_some_and(|index| index % 10 == 9)));
    let deleted = results
        .iter()
        .flatten()
        .all(|one| one.written == Written::Deleted(None));
    assert!(deleted);
}

#[tokio::test]
async fn a_cut_batch_ends_with_an_error_and_the_writer_learns_of_it() {
    let client = serve(&Canned::failing([])).await;
    let cut = Write::delete("Cut", Key::new("pk", 1)).unwrap();
    let writes = stream::iter([delete(0), cut]).chain(stream::pending());
    let mut results = client.batch_write(writes);
    assert!(results.next().await.unwrap().is_ok());
    let error = results.next().await.unwrap().unwrap_err();
    assert!(
        !error.is_of_item() && error.reason() == Some(Reason::ShuttingDown),
        "{error:?}"
    );
    assert!(results.next().await.is_none());

    let (mut writer, results) = client.batch_writer();
    drop(results);
    let error = writer.send(delete(0)).await.unwrap_err();
    assert!(error.nothing_changed());
}

#[tokio::test]
async fn a_batch_has_a_deadline() {
    let client = serve(&Canned::failing([])).await;
    let hasty = client.with_timeout(Duration::from_millis(50));
    let mut results = hasty.batch_write(stream::pending());
    let error = results.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), tollgate_client::Code::DeadlineExceeded);
}
