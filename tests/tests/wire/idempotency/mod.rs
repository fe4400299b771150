//! Idempotent writes by `request_id`: a repeat returns the first outcome and changes nothing, whoever repeats it.

mod item;
mod races;
mod table;
mod transactions;

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, Item, delete, key, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

/// A gateway with these models behind a wiretap.
async fn serving(models: &str, wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(models, Setup::tapped(wiretap)).await
}

/// The responses to the first requests of an operation are lost.
fn losing(operation: &'static str, times: u64) -> Wiretap {
    let asked = AtomicU64::new(0);
    Wiretap::new(
        move |name| match name == operation && asked.fetch_add(1, Ordering::SeqCst) < times {
            true => Fate::LoseResponse,
            false => Fate::Pass,
        },
    )
}

/// A note with this text.
fn note(text: &str) -> Item {
    let mut note = key("A", "1");
    note.insert("text".to_owned(), s(text));
    note
}

/// A Save with a request id.
fn saving(model: &str, item: Item, request_id: &str) -> v1::SaveRequest {
    v1::SaveRequest {
        request_id: request_id.to_owned(),
        ..save(model, item)
    }
}

/// An Update of the note with a request id.
fn changing<const N: usize>(
    model: &str,
    text: &str,
    values: [(&str, AttributeValue); N],
    request_id: &str,
) -> v1::UpdateRequest {
    v1::UpdateRequest {
        request_id: request_id.to_owned(),
        ..update(model, key("A", "1"), text, values)
    }
}

/// A Delete of the note with a request id.
fn removing(model: &str, request_id: &str) -> v1::DeleteRequest {
    v1::DeleteRequest {
        request_id: request_id.to_owned(),
        ..delete(model, key("A", "1"))
    }
}

/// Asserts that another request had the id.
fn is_other_request(refusal: &Refusal) {
    refusal.is("IDEMPOTENCY_MISMATCH", &["request_id"]);
    assert_eq!(refusal.code, Code::InvalidArgument);
}
