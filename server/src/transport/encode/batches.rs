//! The results of batches and transactions.

use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_response::Result as BatchWriteResult;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_proto::v1::transact_result::Result as TransactOutcome;

use super::messages::{Messages, split};
use super::responses::{delete, get, save, update};
use crate::call::Call;
use crate::operation::{BatchPart, BatchResult, BatchWritten, Error, PageMemory, Transacted, Written};
use crate::transport::failure;

/// The messages of some results of a BatchGet.
pub(crate) fn batch_get(call: &Call, part: Result<BatchPart, Error>) -> Messages<v1::BatchGetResponse> {
    let BatchPart { results, memory } = match part {
        Ok(part) => part,
        Err(error) => {
            let failed = Err(failure::status(call, error));
            return Messages::new(vec![failed], PageMemory::default());
        }
    };
    let results = results.into_iter().map(|result| get_result(call, result));
    let messages = split(results, None)
        .into_iter()
        .map(|results| Ok(v1::BatchGetResponse { results }));
    Messages::new(messages.collect(), memory)
}

/// The response of TransactGet.
pub(crate) fn transact_get(call: &Call, results: Vec<BatchResult>) -> v1::TransactGetResponse {
    let results = results.into_iter().map(|result| get_result(call, result));
    v1::TransactGetResponse {
        results: results.collect(),
    }
}

fn get_result(call: &Call, (index, read): BatchResult) -> v1::GetResult {
    let result = match read {
        Ok(opened) => GetOutcome::Found(get(call, Some(opened))),
        Err(error) => GetOutcome::Error(failure::item_status(call, error)),
    };
    v1::GetResult {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        result: Some(result),
    }
}

/// The result of one write of a BatchWrite.
pub(crate) fn batch_written(call: &Call, written: BatchWritten) -> v1::BatchWriteResponse {
    let result = match written.outcome {
        Ok(Written::Saved(saved)) => BatchWriteResult::Saved(save(saved)),
        Ok(Written::Updated(updated)) => BatchWriteResult::Updated(update(updated)),
        Ok(Written::Deleted(old)) => BatchWriteResult::Deleted(delete(old)),
        Err(error) => BatchWriteResult::Error(failure::write_status(call, error)),
    };
    v1::BatchWriteResponse {
        index: written.index,
        result: Some(result),
    }
}

/// The response of TransactWrite; empty if the request was only checked.
pub(crate) fn transact_write(done: Vec<Transacted>) -> v1::TransactWriteResponse {
    let results = done.into_iter().map(|done| {
        let result = match done {
            Transacted::Saved(saved) => TransactOutcome::Saved(save(saved)),
            Transacted::Updated(updated) => TransactOutcome::Updated(update(updated)),
            Transacted::Deleted => TransactOutcome::Deleted(v1::DeleteResponse::default()),
            Transacted::Checked => TransactOutcome::Checked(v1::CheckResponse {}),
        };
        v1::TransactResult { result: Some(result) }
    });
    v1::TransactWriteResponse {
        results: results.collect(),
    }
}
