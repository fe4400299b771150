//! Reads of saved objects.

use super::*;

#[tokio::test]
async fn a_read_verifies_the_object_against_its_pointer() {
    let harness = Harness::new().await;
    let pointer = harness.saved(&content(100)).await;
    let another_hash = Pointer {
        sha256: "00".repeat(32),
        ..pointer.clone()
    };
    let from_pydynox = Pointer {
        sha256: String::new(),
        ..pointer.clone()
    };
    let shorter = Pointer {
        size_bytes: 99,
        ..pointer.clone()
    };
    let longer = Pointer {
        size_bytes: 101,
        ..pointer.clone()
    };
    let nowhere = Pointer {
        key: "docs/1/1/nowhere/x".into(),
        ..pointer.clone()
    };
    assert!(harness.content(&pointer).await.is_ok() && harness.content(&from_pydynox).await.is_ok());
    for wrong in [another_hash, shorter, longer, nowhere] {
        assert!(matches!(
            harness.content(&wrong).await,
            Err(ReadError::Invalid { .. })
        ));
    }
    let elsewhere = Pointer {
        key: "docs/1/2/nowhere/x".into(),
        ..pointer.clone()
    };
    let in_another_table = Pointer {
        table: "users_restored".into(),
        ..pointer.clone()
    };
    for foreign in [elsewhere, in_another_table] {
        assert!(matches!(harness.content(&foreign).await, Err(ReadError::Foreign)));
    }
}

#[tokio::test]
async fn a_range_is_read_only_with_the_etag_of_the_pointer() {
    let harness = Harness::new().await;
    let pointer = harness.saved(&content(100)).await;
    let [unquoted, another] = [pointer.etag.replace('"', ""), "\"another\"".to_owned()];
    let range = async |etag: String, bytes| {
        let pointer = Pointer {
            etag,
            ..pointer.clone()
        };
        harness.range(&pointer, bytes).await
    };
    assert_eq!(
        range(unquoted.clone(), 10..30).await.unwrap(),
        content(100)[10..30]
    );
    assert_eq!(
        range(another.clone(), 0..100).await.unwrap(),
        content(100),
        "the hash is verified"
    );
    assert!(
        range(another.clone(), 100..100).await.unwrap().is_empty(),
        "nothing is read"
    );
    assert!(matches!(
        range(another, 10..30).await,
        Err(ReadError::Invalid { .. })
    ));
    for (version_id, is_found) in [("null", true), ("another", false)] {
        let pointer = Pointer {
            version_id: version_id.to_owned(),
            ..pointer.clone()
        };
        for bytes in [0..100, 10..30] {
            let read = harness.range(&pointer, bytes).await;
            assert_eq!(read.is_ok(), is_found, "{version_id}");
        }
    }
    let shorter = Pointer {
        size_bytes: 99,
        ..pointer.clone()
    };
    assert!(matches!(
        harness.range(&shorter, 10..30).await,
        Err(ReadError::Invalid { .. })
    ));
}
