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
    let bounded = harness.bounded_content(&pointer, 99).await;
    let Err(ReadError::Store(error)) = bounded else {
        panic!("too large")
    };
    assert_eq!(error.kind, Kind::TooLarge);
}
