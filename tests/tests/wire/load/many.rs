//! Random batches and transactions, across models.

use futures::stream;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::random::Random;
use tollgate_tests::values::get;

use super::{
    Head, MODELS, Trailers, included, leave_a_stream, random_condition, random_delete, random_key,
    random_save, random_update, trailers,
};

/// The most parts of a call.
const PARTS: u64 = 6;

fn random_gets(random: &mut Random) -> Vec<v1::GetRequest> {
    let parts = 1 + random.below(PARTS);
    let get_of = |random: &mut Random| {
        let model = random.pick(&MODELS);
        v1::GetRequest {
            include_objects: included(random, model),
            ..get(model, random_key(random))
        }
    };
    (0..parts).map(|_| get_of(random)).collect()
}

pub(super) async fn batch_get(gateway: &Gateway, random: &mut Random, head: Head<'_>) -> Trailers {
    let request = v1::BatchGetRequest {
        requests: random_gets(random),
        validate_only: random.once_in(20),
    };
    let response = gateway.data().batch_get(head.on(request)).await;
    match random.once_in(4) {
        true => leave_a_stream(response).await,
        false => trailers(CallResult::read_stream(response).await),
    }
}

pub(super) async fn batch_write(gateway: &Gateway, random: &mut Random, head: Head<'_>) -> Trailers {
    let parts = 1 + random.below(PARTS);
    let writes: Vec<_> = (0..parts)
        .map(|_| {
            let model = random.pick(&MODELS);
            let write = match random.below(6) {
                0 => Write::Update(unreturned(random_update(random, model))),
                1 => Write::Delete(random_delete(random, model)),
                _ => Write::Save(random_save(random, model)),
            };
            v1::BatchWriteRequest { write: Some(write) }
        })
        .collect();
    let response = gateway.data().batch_write(head.on(stream::iter(writes))).await;
    match random.once_in(4) {
        true => leave_a_stream(response).await,
        false => trailers(CallResult::read_stream(response).await),
    }
}

pub(super) async fn transact_get(gateway: &Gateway, random: &mut Random, head: Head<'_>) -> Trailers {
    let request = v1::TransactGetRequest {
        requests: random_gets(random),
        validate_only: false,
    };
    trailers(CallResult::from_response(
        gateway.data().transact_get(head.on(request)).await,
    ))
}

pub(super) async fn transact_write(gateway: &Gateway, random: &mut Random, head: Head<'_>) -> Trailers {
    let parts = 1 + random.below(PARTS / 2);
    let operations = (0..parts).map(|_| {
        let model = random.pick(&MODELS);
        let operation = match random.below(5) {
            0 => Operation::Update(unreturned(random_update(random, model))),
            1 => Operation::Delete(random_delete(random, model)),
            2 => Operation::Check(v1::CheckRequest {
                model: model.to_owned(),
                key: random_key(random),
                condition: random_condition(random),
                return_values: 0,
            }),
            _ => Operation::Save(random_save(random, model)),
        };
        v1::TransactOperation {
            operation: Some(operation),
        }
    });
    let request = v1::TransactWriteRequest {
        operations: operations.collect(),
        ..v1::TransactWriteRequest::default()
    };
    trailers(CallResult::from_response(
        gateway.data().transact_write(head.on(request)).await,
    ))
}

/// The update without return values.
fn unreturned(update: v1::UpdateRequest) -> v1::UpdateRequest {
    v1::UpdateRequest {
        return_values: 0,
        ..update
    }
}
