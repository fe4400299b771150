//! Errors as the contract has them: code, reason, and the details that fit.

use tollgate_proto::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::gateway::{Bill, CallResult};

/// A refused call.
#[derive(Debug)]
pub struct Refusal {
    /// gRPC's code.
    pub code: Code,
    /// The reason of `ErrorInfo`.
    pub reason: String,
    /// The fields of `BadRequest`, in order.
    pub fields: Vec<String>,
    /// All details.
    pub details: ErrorDetails,
    /// The public text.
    pub message: String,
    /// The trailers.
    pub bill: Bill,
}

impl Refusal {
    /// The refusal in a status of any service.
    ///
    /// # Panics
    ///
    /// If its first detail is not `ErrorInfo`, or lacks the domain, a reason of the contract, or that reason's code.
    pub fn of_status(status: &Status) -> Refusal {
        let details = status.get_error_details();
        let info = details
            .error_info()
            .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
        assert_eq!(info.domain, "tollgate", "{status:?}");
        let reason =
            Reason::from_text(&info.reason).unwrap_or_else(|| panic!("an unknown reason in {status:?}"));
        assert_eq!(reason.code(), status.code(), "{status:?}");
        assert!(!status.message().is_empty(), "an error has a text: {status:?}");
        let message = <tonic_types::Status as prost::Message>::decode(status.details()).expect("a status");
        assert!(
            message.details[0].type_url.ends_with("google.rpc.ErrorInfo"),
            "ErrorInfo is the first detail: {status:?}"
        );
        let violations = details
            .bad_request()
            .map(|bad| bad.field_violations.as_slice())
            .unwrap_or_default();
        assert!(
            violations
                .iter()
                .all(|violation| !violation.description.is_empty()),
            "{status:?}"
        );
        let mut fields: Vec<_> = violations
            .iter()
            .map(|violation| violation.field.clone())
            .collect();
        fields.sort();
        Refusal {
            code: status.code(),
            reason: info.reason.clone(),
            fields,
            message: status.message().to_owned(),
            bill: Bill::from_metadata(status.metadata()),
            details,
        }
    }

    /// The refusal of a call of DataService, which always has a bill.
    ///
    /// # Panics
    ///
    /// Like [`Refusal::of_status`], and if the bill is missing.
    pub fn of<T>(response: CallResult<T>) -> Refusal {
        let refusal = Refusal::of_status(&response.status());
        for figure in [
            "tollgate-request-id",
            "tollgate-dynamodb-calls",
            "tollgate-duration-ms",
            "tollgate-cost-usd",
        ] {
            assert!(
                refusal.bill.has(figure),
                "no {figure} in the trailers of {refusal:?}"
            );
        }
        refusal
    }

    /// Asserts its reason and fields.
    pub fn is(&self, reason: &str, fields: &[&str]) {
        assert_eq!(
            (self.reason.as_str(), self.texts()),
            (reason, fields.to_vec()),
            "{self:?}"
        );
    }

    /// Asserts that it was refused before any request.
    pub fn cost_nothing(&self) {
        for calls in [
            "tollgate-dynamodb-calls",
            "tollgate-kms-calls",
            "tollgate-s3-calls",
            "tollgate-cost-usd",
        ] {
            assert_eq!(self.bill.text(calls), "0", "{calls} of {self:?}");
        }
    }

    fn texts(&self) -> Vec<&str> {
        self.fields.iter().map(String::as_str).collect()
    }
}

/// The item in the details of a status whose condition was not met.
///
/// # Panics
///
/// If the details cannot be decoded.
pub fn current_item(status: &Status) -> Option<crate::values::Item> {
    let details = <tonic_types::Status as prost::Message>::decode(status.details()).expect("a status");
    let mut details = details.details.iter();
    let found = details.find(|detail| detail.type_url.ends_with("tollgate.v1.SaveResponse"))?;
    let response: tollgate_proto::v1::SaveResponse =
        prost::Message::decode(found.value.as_slice()).expect("an item");
    Some(response.old_item)
}
