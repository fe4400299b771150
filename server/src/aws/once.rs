//! Writes that must not be applied twice.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

use super::interceptor::may_be_applied;

/// Ends the retries after an attempt that may have been applied.
#[derive(Debug)]
pub(super) struct NotAppliedTwice;

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
