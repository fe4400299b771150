//! Writes that must not be applied twice.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

use crate::aws::interceptor::may_be_applied;

/// Ends the retries after an attempt that may have been applied.
#[derive(Debug)]
pub(super) struct NotAppliedTwice;

impl NotAppliedTwice {
    /// The override for one request.
    pub(super) fn config() -> aws_sdk_dynamodb::config::Builder {
        aws_sdk_dynamodb::config::Builder::new().retry_classifier(NotAppliedTwice)
    }
}

impl ClassifyRetry for NotAppliedTwice {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match may_be_applied(context) {
            true => RetryAction::RetryForbidden,
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "tollgate::aws::NotAppliedTwice"
    }
}

/// Sends a request to DynamoDB: as it is, or so that it is not repeated after an attempt that may have been applied.
macro_rules! send_write {
    ($call:expr, $request:expr, $sending:expr, once: $once:expr) => {
        match $once {
            true => {
                let sending = $sending.customize().config_override(NotAppliedTwice::config());
                meter::send($call, $request, Box::pin(sending.send())).await
            }
            false => meter::send($call, $request, Box::pin($sending.send())).await,
        }
    };
}

pub(super) use send_write;
