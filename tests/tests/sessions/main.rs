//! The memory of a session, measured by the allocator of this program.

use std::alloc::System;
use std::path::Path;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup, in_session};
use tollgate_tests::values::{get, s, save};
use tonic::Code;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a session with few cells may take.
const SESSION_BYTES: f64 = 1024.0;
const SESSIONS: usize = 1_500;

fn models(folder: &Path, count: usize) {
    for number in 0..count {
        let model = format!(
            "name: M{number}\ntable: table_{number}\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n"
        );
        std::fs::write(folder.join(format!("{number}.yaml")), model).expect("a folder of the test");
    }
}

/// Opens a session by one call of every kind for two models: checked Saves, and Gets of nothing.
async fn use_session(gateway: &Gateway, session: &str) {
    for model in ["M0", "M1"] {
        let item = [("pk".to_owned(), s("A"))].into();
        let checked = v1::SaveRequest {
            validate_only: true,
            ..save(model, item)
        };
        gateway.save(in_session(checked, session)).await.ok();
        let missing = get(model, [("pk".to_owned(), s("A"))].into());
        let missing = gateway.get(in_session(missing, session)).await;
        assert_eq!(missing.status().code(), Code::NotFound);
    }
}

/// Bytes that a session adds, with its four cells.
async fn bytes_per_session(model_count: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    models(folder.path(), model_count);
    let gateway = Gateway::with(Setup {
        models: Some(folder.path().to_owned()),
        settings: vec![("TOLLGATE_FINISHED_CALLS", "1".to_owned())],
        ..Setup::default()
    })
    .await;
    // what grows once: connections, caches, histograms
    for number in 0..200 {
        use_session(&gateway, &format!("warm-{number}")).await;
    }
    let region = Region::new(ALLOCATOR);
    for number in 0..SESSIONS {
        use_session(&gateway, &format!("session-{number:08}")).await;
    }
    let change = region.change();
    let grown = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    assert_eq!(
        gateway
            .totals("session-00000000")
            .await
            .total
            .expect("a total")
            .call_count,
        4
    );
    grown / SESSIONS as f64
}

// the only test of this program, so that nothing else allocates meanwhile
#[tokio::test]
async fn a_session_takes_at_most_a_kibibyte_regardless_of_the_number_of_models() {
    for model_count in [3, 100] {
        let bytes = bytes_per_session(model_count).await;
        assert!(
            (1.0..=SESSION_BYTES).contains(&bytes),
            "{bytes} bytes a session with {model_count} models"
        );
    }
}
