//! Batches of the Rust client.

use futures::{SinkExt as _, StreamExt as _, stream};
use tollgate_client::{Get, Refusal, ReturnValues, UpdateOptions, Write, Written, attr, update};

use super::{Page, page, page_key, start};

#[tokio::test]
async fn a_batch_writes_and_reads_many_items() {
    const COUNT: usize = 500;
    let (_gateway, client) = start(None).await;
    let (mut writer, results) = client.batch_writer();
    let send = async move {
        for number in 0..COUNT {
            let write = Write::save("Page", &page(&number.to_string(), "text"))?;
            writer.send(write).await?;
        }
        writer.close().await
    };
    let (sent, results) = futures::join!(send, results.collect::<Vec<_>>());
    sent.unwrap();
    let mut indexes: Vec<_> = results.into_iter().map(|result| result.unwrap().index).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..COUNT));

    let gets = (0..=COUNT).map(|number| Get::new("Page", page_key(&number.to_string())));
    let read = client.batch_get::<Page>(gets).in_order().await.unwrap();
    assert_eq!(read.value.iter().flatten().count(), COUNT);
    assert!(read.value[COUNT].is_none() && read.metrics.calls == 1 && read.metrics.rcu > 0.0);
    assert_eq!(read.value[7].as_ref().expect("an item").sk, "7");
}

#[tokio::test]
async fn a_bad_write_fails_alone_and_results_have_their_types() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "one")).await.unwrap();
    let only_if = UpdateOptions {
        condition: attr("text").eq("other"),
        return_values: ReturnValues::AllOld,
        ..UpdateOptions::default()
    };
    let returning = UpdateOptions {
        return_values: ReturnValues::UpdatedNew,
        ..UpdateOptions::default()
    };
    let changes = update().set("text", "new");
    let writes = [
        Write::save("Page", &page("1", "again")).unwrap(),
        Write::update_with("Page", page_key("1"), changes.clone(), only_if).unwrap(),
        Write::update_with("Page", page_key("1"), changes, returning).unwrap(),
        Write::delete("Page", page_key("2")).unwrap(),
    ];
    let mut results = client.batch_write(stream::iter(writes));
    let mut all: Vec<_> = results.by_ref().collect().await;
    all.sort_by_key(|result| match result {
        Ok(one) => one.index,
        Err(error) => error.index().expect("an index"),
    });
    assert_eq!(
        all[0].as_ref().unwrap_err().refusal(),
        Some(Refusal::AlreadyExists)
    );
    let Err(failed) = &all[1] else { panic!("{all:?}") };
    assert!(
        matches!(failed.refusal(), Some(Refusal::ConditionFailed { item: Some(item) }) if item["text"] == "one".into()),
        "{failed:?}"
    );
    let Written::Updated(updated) = &all[2].as_ref().unwrap().written else {
        panic!("{all:?}");
    };
    let item = updated.item.as_ref().expect("the updated attributes");
    assert!(!item.is_complete() && item.model() == "Page" && item["text"] == "new".into());
    assert_eq!(all[3].as_ref().unwrap().written, Written::Deleted(None));
    assert!(results.metrics().wcu > 0.0);
}
