//! TransactWrite with a request id: DynamoDB's token, or a marker where attempts differ.

use futures::stream;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::batch_write_response::Result as Written;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::transact_result::Result as Done;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, expression, get, key, n, object, s, save, update};
use tollgate_tests::wiretap::Wiretap;

use super::table::MODELS;
use super::{changing, is_other_request, losing, note, removing, saving, serving};

fn operation(operation: Operation) -> v1::TransactOperation {
    v1::TransactOperation {
        operation: Some(operation),
    }
}

/// A creation that generates and encrypts, and an addition.
fn both(request_id: &str, text: &str) -> v1::TransactWriteRequest {
    let mut second = key("B", "1");
    second.insert("text".to_owned(), s(text));
    v1::TransactWriteRequest {
        operations: vec![
            operation(Operation::Save(save("Note", second))),
            operation(Operation::Update(update(
                "Note",
                key("A", "1"),
                "ADD hits :n",
                [(":n", n(1))],
            ))),
        ],
        request_id: request_id.to_owned(),
        ..v1::TransactWriteRequest::default()
    }
}

async fn write(
    gateway: &Gateway,
    request: v1::TransactWriteRequest,
) -> CallResult<v1::TransactWriteResponse> {
    CallResult::from_response(gateway.data().transact_write(request).await)
}

fn generated(response: &v1::TransactWriteResponse) -> Vec<Item> {
    response
        .results
        .iter()
        .map(|result| match &result.result {
            Some(Done::Saved(saved)) => saved.generated.clone(),
            Some(Done::Updated(updated)) => updated.generated.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn hits(gateway: &Gateway) -> v1::AttributeValue {
    gateway.get(get("Note", key("A", "1"))).await.ok().item["hits"].clone()
}

#[tokio::test]
async fn a_transaction_that_generates_and_encrypts_is_applied_once() {
    for times in [0, 1, 3] {
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        let first = write(&gateway, both("a", "one")).await.ok();
        let repeat = write(&gateway, both("a", "one")).await.ok();
        assert_eq!(generated(&repeat), generated(&first));
        assert!(generated(&first)[0].contains_key("secret"));
        assert_eq!(hits(&gateway).await, n(1));
        is_other_request(&Refusal::of(write(&gateway, both("a", "two")).await));
        write(&gateway, both("b", "one")).await.ok();
        assert_eq!(hits(&gateway).await, n(2));
    }
}

#[tokio::test]
async fn a_cancelled_transaction_stays_cancelled() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let request = || {
        let mut request = both("a", "one");
        request
            .operations
            .push(operation(Operation::Check(v1::CheckRequest {
                model: "Page".to_owned(),
                key: key("A", "1"),
                condition: expression("attribute_exists(pk)", []),
                return_values: 0,
            })));
        request
    };
    let first = Refusal::of(write(&gateway, request()).await);
    assert_eq!(first.reason, "TRANSACTION_CANCELLED");
    gateway.save(save("Page", note("there now"))).await.ok();
    let repeat = Refusal::of(write(&gateway, request()).await);
    assert_eq!((&repeat.reason, &repeat.message), (&first.reason, &first.message));
    write(
        &gateway,
        v1::TransactWriteRequest {
            request_id: "b".to_owned(),
            ..request()
        },
    )
    .await
    .ok();
}

#[tokio::test]
async fn objects_in_a_transaction_are_uploaded_once() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let request = || {
        let mut photo = note("one");
        photo.insert("content".to_owned(), object("new"));
        v1::TransactWriteRequest {
            operations: vec![operation(Operation::Save(save("Photo", photo)))],
            ..both("a", "one")
        }
    };
    let first = write(&gateway, request()).await.ok();
    let repeat = write(&gateway, request()).await.ok();
    assert_eq!(generated(&repeat), generated(&first));
    assert_eq!(wiretap.count("PutObject"), 1);
}

#[tokio::test]
async fn the_marker_counts_as_an_operation() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let request = |count: usize| v1::TransactWriteRequest {
        operations: (0..count)
            .map(|number| {
                let mut item = key(&format!("A{number}"), "1");
                item.insert("text".to_owned(), s("x"));
                operation(Operation::Save(save("Note", item)))
            })
            .collect(),
        ..both("a", "one")
    };
    let refused = Refusal::of(write(&gateway, request(100)).await);
    refused.is("INVALID_FIELD", &["operations"]);
    refused.cost_nothing();
    write(&gateway, request(99)).await.ok();
}

#[tokio::test]
async fn an_id_inside_a_batch_is_honoured() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let message = |write: Write| v1::BatchWriteRequest { write: Some(write) };
    let add = || {
        message(Write::Update(changing(
            "Note",
            "ADD hits :n",
            [(":n", n(1))],
            "a",
        )))
    };
    let mut other = key("B", "1");
    other.insert("text".to_owned(), s("x"));
    let create = || message(Write::Save(saving("Note", other.clone(), "b")));
    let remove = || message(Write::Delete(removing("Page", "c")));
    let writes = vec![add(), create(), remove(), add(), create(), remove()];
    let written = gateway.data().batch_write(stream::iter(writes)).await;
    let mut results = CallResult::read_stream(written).await.ok();
    results.sort_by_key(|result| result.index);
    let outcomes: Vec<Written> = results.into_iter().filter_map(|result| result.result).collect();
    assert_eq!(outcomes.len(), 6);
    assert!(
        matches!((&outcomes[1], &outcomes[4]), (Written::Saved(one), Written::Saved(other)) if one == other)
    );
    assert!(
        matches!((&outcomes[0], &outcomes[3]), (Written::Updated(one), Written::Updated(other)) if one == other)
    );
    assert!(matches!(&outcomes[5], Written::Deleted(_)));
    assert_eq!(hits(&gateway).await, n(1));
}
