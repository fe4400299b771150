//! What belongs to a caller does not exist for others.

use tollgate_proto::v1::transact_operation::Operation;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, in_session};
use tollgate_tests::values::{Item, s, save, scan, user};

use super::*;
use crate::presign::{expiring, upload, with_upload};

const MODELS: &str = "
name: Note
table: notes
partition_key: pk
sort_key: sk
idempotency: item
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
---
name: Page
table: pages
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
";

/// Two callers of one gateway.
struct Two {
    gateway: Gateway,
    alice: String,
    bob: String,
}

impl Two {
    async fn start() -> Two {
        let mut setting = Setting::default();
        let (alice, bob) = (setting.token("alice", ""), setting.token("bob", ""));
        let mut settings = setting.settings();
        settings.push(("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned()));
        Two {
            gateway: start(settings).await,
            alice,
            bob,
        }
    }

    /// With models that remember requests.
    async fn remembering() -> Two {
        let mut setting = Setting::default();
        let (alice, bob) = (setting.token("alice", ""), setting.token("bob", ""));
        let setup = Setup {
            settings: setting.settings(),
            ..Setup::default()
        };
        Two {
            gateway: Gateway::of_models(MODELS, setup).await,
            alice,
            bob,
        }
    }
}

fn note(sort: &str, text: &str) -> Item {
    let mut note = key("A", sort);
    note.insert("text".to_owned(), s(text));
    note
}

#[tokio::test]
async fn two_callers_use_one_session_name_without_meeting() {
    let two = Two::start().await;
    let count = async |token: &str| -> Option<u64> {
        match two
            .gateway
            .metrics()
            .get_total_metrics(bearing(totals("s"), token))
            .await
        {
            Ok(totals) => totals.into_inner().total.map(|total| total.call_count),
            Err(status) => {
                Refusal::of_status(&status).is("UNKNOWN_SESSION", &[]);
                None
            }
        }
    };
    for _ in 0..2 {
        let request = with_token(in_session(save("User", user("a", "1")), "s"), &two.alice);
        two.gateway.save(request).await.ok();
    }
    assert_eq!((count(&two.alice).await, count(&two.bob).await), (Some(2), None));
    let request = with_token(in_session(save("User", user("b", "1")), "s"), &two.bob);
    let saved = two.gateway.save(request).await;
    assert_eq!(saved.bill.text("tollgate-session-calls"), "1");
    let reset = v1::ResetMetricsRequest {
        session: "s".to_owned(),
        model: String::new(),
    };
    two.gateway
        .metrics()
        .reset_metrics(bearing(reset, &two.bob))
        .await
        .expect("a reset");
    assert_eq!(
        (count(&two.alice).await, count(&two.bob).await),
        (Some(2), Some(0))
    );
}

#[tokio::test]
async fn the_bill_of_a_call_is_its_callers() {
    let two = Two::start().await;
    let call = async |token: &str| {
        let request = v1::GetCallMetricsRequest {
            request_id: "same".to_owned(),
        };
        let found = two
            .gateway
            .metrics()
            .get_call_metrics(bearing(request, token))
            .await;
        found.map(|found| found.into_inner())
    };
    let mut request = bearing(save("User", user("a", "1")), &two.alice);
    request
        .metadata_mut()
        .insert("tollgate-request-id", "same".parse().expect("ASCII"));
    two.gateway.save(request).await.ok();
    Refusal::of_status(&call(&two.bob).await.unwrap_err()).is("UNKNOWN_REQUEST", &[]);
    let mut request = bearing(get("User", key("x", "y")), &two.bob);
    request
        .metadata_mut()
        .insert("tollgate-request-id", "same".parse().expect("ASCII"));
    two.gateway.get(request).await.status();
    assert_ne!(
        call(&two.alice).await.expect("hers"),
        call(&two.bob).await.expect("his")
    );
}

#[tokio::test]
async fn a_page_token_works_only_for_its_caller() {
    let two = Two::start().await;
    for partition in ["a", "b"] {
        let request = bearing(save("User", user(partition, "1")), &two.alice);
        two.gateway.save(request).await.ok();
    }
    let page = |token: &str| v1::ScanRequest {
        limit: 1,
        page_token: token.to_owned(),
        ..scan("User")
    };
    let pages = two.gateway.scan(bearing(page(""), &two.alice)).await.ok();
    let token = &pages.last().expect("a page").next_page_token;
    assert!(!token.is_empty());
    let refused = two.gateway.scan(bearing(page(token), &two.bob)).await;
    Refusal::of(refused).is("INVALID_PAGE_TOKEN", &["page_token"]);
    assert!(
        !two.gateway
            .scan(bearing(page(token), &two.alice))
            .await
            .ok()
            .is_empty()
    );
}

#[tokio::test]
async fn two_callers_use_one_request_id_without_meeting() {
    let two = Two::remembering().await;
    let saving = |text: &str| v1::SaveRequest {
        request_id: "same".to_owned(),
        ..save("Note", note("1", text))
    };
    two.gateway.save(bearing(saving("hers"), &two.alice)).await.ok();
    let other = two.gateway.save(bearing(saving("other"), &two.alice)).await;
    Refusal::of(other).is("IDEMPOTENCY_MISMATCH", &["request_id"]);
    two.gateway.save(bearing(saving("his"), &two.bob)).await.ok();
}

#[tokio::test]
async fn two_callers_use_one_transaction_id_without_meeting() {
    differs_on!(Moto, "transaction-tokens");
    let two = Two::remembering().await;
    let write = async |text: &str, token: &str| {
        let operation = Operation::Save(save("Page", note("1", text)));
        let request = v1::TransactWriteRequest {
            operations: vec![v1::TransactOperation {
                operation: Some(operation),
            }],
            request_id: "same".to_owned(),
            ..v1::TransactWriteRequest::default()
        };
        CallResult::from_response(two.gateway.data().transact_write(bearing(request, token)).await)
    };
    write("hers", &two.alice).await.ok();
    Refusal::of(write("other", &two.alice).await).is("IDEMPOTENCY_MISMATCH", &["request_id"]);
    write("his", &two.bob).await.ok();
    write("hers", &two.alice).await.ok();
    let stored = two
        .gateway
        .get(bearing(get("Page", key("A", "1")), &two.bob))
        .await
        .ok();
    assert_eq!(stored.item["text"], s("his"), "her repeat changed nothing");
}

#[tokio::test]
async fn an_upload_token_works_only_for_its_caller() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let two = Two::start().await;
    let presigned = two
        .gateway
        .data()
        .presign(bearing(upload("A", b"new"), &two.alice))
        .await;
    let token = presigned.expect("a URL").into_inner().upload_token;
    let taking_up = |by: &str| {
        let request = v1::SaveRequest {
            validate_only: true,
            ..save("Document", with_upload("A", &token))
        };
        bearing(request, by)
    };
    two.gateway.save(taking_up(&two.alice)).await.ok();
    let refused = two.gateway.save(taking_up(&two.bob)).await;
    Refusal::of(refused).is("INVALID_FIELD", &["item.content.upload_token"]);
}

#[tokio::test]
async fn urls_of_authenticated_callers_live_15_minutes_at_most() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let two = Two::start().await;
    let presign = async |seconds| {
        let request = bearing(expiring(upload("A", b"new"), seconds), &two.alice);
        CallResult::from_response(two.gateway.data().presign(request).await)
    };
    presign(900).await.ok();
    Refusal::of(presign(901).await).is("INVALID_FIELD", &["expires"]);
}
