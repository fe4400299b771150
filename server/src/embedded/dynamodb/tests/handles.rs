//! Threads and handles: visibility of changes; slow, abandoned and panicking jobs; restarts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{Get, Put, TimeToLiveSpecification, TransactGetItem, TransactWriteItem};

use super::super::super::place::{Place, Synchronous};
use super::super::handle::{Handle, Source};
use super::super::{MAX_READERS, open};
use super::{add_index, client, create_table, get, in_folder, in_memory, item, key, put, text};

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let client = client(&in_folder(folder.path()));
        create_table(&client, "things").await;
        put(&client, item(1, "one")).await;
    }
    let engine = in_folder(folder.path());
    assert_eq!(get(&client(&engine), 1).await, Some(item(1, "one")));
    drop(engine);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(
        left,
        ["dynamodb.sqlite"],
        "the last handle to close removes the log"
    );
}

/// A handle caches the schema: without a reopen it would miss a new table or index.
#[tokio::test]
async fn every_handle_sees_table_changes() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    put(&client, item(1, "one")).await;
    let query = || {
        let query = client.query().table_name("things").index_name("by-group");
        let query = query
            .key_condition_expression("#g = :g")
            .expression_attribute_names("#g", "group");
        query.expression_attribute_values(":g", text("g"))
    };
    // enough concurrent reads to fill the cache of every reader
    let reads = |count: usize| futures::future::join_all((0..count).map(|_| query().send()));
    for read in reads(64).await {
        assert_eq!(read.unwrap_err().code(), Some("ValidationException"));
    }
    add_index(&client).await;
    put(&client, item(2, "two")).await;
    for read in reads(64).await {
        assert_eq!(read.unwrap().count, 2);
    }
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("expires")
        .build()
        .unwrap();
    client
        .update_time_to_live()
        .table_name("things")
        .time_to_live_specification(ttl)
        .send()
        .await
        .unwrap();
    for _ in 0..16 {
        let described = client
            .describe_time_to_live()
            .table_name("things")
            .send()
            .await
            .unwrap();
        let attribute = described.time_to_live_description.unwrap().attribute_name;
        assert_eq!(attribute.as_deref(), Some("expires"));
    }
    client.delete_table().table_name("things").send().await.unwrap();
    for read in reads(64).await {
        assert!(
            read.unwrap_err()
                .into_service_error()
                .is_resource_not_found_exception()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_see_every_acknowledged_write() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 25;
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    let scans = tokio::spawn({
        let client = client.clone();
        async move {
            loop {
                client.scan().table_name("things").send().await.unwrap();
            }
        }
    });
    let writers = (0..WRITERS).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                put(&client, item(writer, round.to_string())).await;
                assert_eq!(get(&client, writer).await, Some(item(writer, round.to_string())));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    scans.abort();
}

/// A read transaction sees one snapshot, although it runs several statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_transaction_sees_one_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for round in 0..200 {
                let mut write = client.transact_write_items();
                for sort in 0..8 {
                    let put = Put::builder()
                        .table_name("things")
                        .set_item(Some(item(sort, round.to_string())));
                    write =
                        write.transact_items(TransactWriteItem::builder().put(put.build().unwrap()).build());
                }
                write.send().await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let mut read = client.transact_get_items();
        for sort in 0..8 {
            let get = Get::builder().table_name("things").set_key(Some(key(sort)));
            let get = TransactGetItem::builder().get(get.build().unwrap()).build();
            read = read.transact_items(get);
        }
        let responses = read.send().await.unwrap().responses.unwrap();
        let notes = responses
            .iter()
            .map(|response| response.item().and_then(|item| item.get("note")));
        let notes: HashSet<_> = notes.map(|note| format!("{note:?}")).collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn abandoned_calls_do_not_affect_others() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    for sort in 0..200 {
        let call = client
            .put_item()
            .table_name("things")
            .set_item(Some(item(sort, "gone")))
            .send();
        // polled once: queued, then dropped
        let _ = tokio::time::timeout(Duration::ZERO, call).await;
    }
    put(&client, item(7, "stays")).await;
    assert_eq!(get(&client, 7).await, Some(item(7, "stays")));
}

#[tokio::test]
async fn a_busy_reader_does_not_block_writes_or_other_readers() {
    let folder = tempfile::tempdir().unwrap();
    let engine = in_folder(folder.path());
    let client = client(&engine);
    create_table(&client, "things").await;
    let slow = engine
        .readers
        .as_ref()
        .unwrap()
        .run(|_| std::thread::sleep(Duration::from_secs(2)));
    let slow = tokio::spawn(slow);
    let begun = Instant::now();
    for sort in 0..20 {
        put(&client, item(sort, "one")).await;
        assert!(get(&client, sort).await.is_some());
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    slow.await.unwrap().unwrap();
}

/// SQLite itself does not truncate its log while there is always a reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_bounded_with_overlapping_readers() {
    const WRITES: usize = 120;
    let folder = tempfile::tempdir().unwrap();
    let engine = in_folder(folder.path());
    let client = client(&engine);
    create_table(&client, "things").await;
    let hold = |handle: &mut Handle| {
        let connection = handle.storage.conn();
        connection.execute_batch("BEGIN; SELECT * FROM _tables").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        connection.execute_batch("COMMIT").unwrap();
    };
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 10)).await;
                loop {
                    engine.readers.as_ref().unwrap().run(hold).await.unwrap();
                }
            })
        })
        .collect();
    let mut largest = 0;
    for sort in 0..WRITES {
        put(&client, item(sort % 4, "x".repeat(350_000))).await;
        largest = largest.max(
            std::fs::metadata(folder.path().join("dynamodb.sqlite-wal"))
                .unwrap()
                .len(),
        );
    }
    readers.iter().for_each(|reader| reader.abort());
    assert!(largest < 30_000_000, "{largest}");
}

#[tokio::test]
async fn a_panic_fails_only_its_own_call() {
    let folder = tempfile::tempdir().unwrap();
    for engine in [in_memory(), in_folder(folder.path())] {
        let client = client(&engine);
        create_table(&client, "things").await;
        let half_done = |handle: &mut Handle| {
            handle.storage.begin_transaction().unwrap();
            handle.storage.conn().execute("DELETE FROM _tables", []).unwrap();
            panic!("on purpose");
        };
        assert!(engine.writer.run(half_done).await.is_err());
        if let Some(readers) = &engine.readers {
            for _ in 0..MAX_READERS * 2 {
                assert!(readers.run(|_| panic!("on purpose")).await.is_err());
            }
        }
        put(&client, item(1, "after")).await;
        assert_eq!(get(&client, 1).await, Some(item(1, "after")));
    }
}

#[tokio::test]
async fn an_engine_failure_returns_500_without_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let engine = in_folder(folder.path());
    let client = client(&engine);
    create_table(&client, "things").await;
    let break_it = |handle: &mut Handle| {
        handle
            .storage
            .conn()
            .execute_batch("DROP TABLE \"things\"")
            .unwrap();
    };
    engine.writer.run(break_it).await.unwrap();
    let failed = client
        .put_item()
        .table_name("things")
        .set_item(Some(item(1, "one")))
        .send()
        .await
        .unwrap_err();
    assert_eq!(failed.raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(failed.message(), Some("Internal server error"));
    assert_eq!(failed.code(), Some("InternalServerError"));
}

#[test]
fn handles_use_the_configured_durability() {
    let level = |handle: &Handle| -> i64 {
        handle
            .storage
            .conn()
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap()
    };
    for (synchronous, expected) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::create(&Place::Folder(folder.path().to_path_buf()), synchronous).unwrap();
        let mut writer = Handle::writer(&source).unwrap();
        assert_eq!(level(&writer), expected);
        writer.recover();
        assert_eq!(level(&writer), expected);
        let reader = Handle::reader(&source).unwrap();
        assert!(
            reader.storage.conn().execute_batch("CREATE TABLE t (a)").is_err(),
            "readers cannot write"
        );
    }
}

#[test]
fn refuses_a_file_that_is_not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dynamodb.sqlite");
    std::fs::write(
        &path,
        "not a database, but as long as the first page of one".repeat(99),
    )
    .unwrap();
    let refused = open(&Place::Folder(folder.path().to_path_buf()), Synchronous::Full);
    assert!(refused.err().unwrap().to_string().contains("dynamodb.sqlite"));
}
