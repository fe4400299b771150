//! The counting interceptor: one for all three services, and the only place where attempts are counted. It reports each
//! attempt and its end to the meter of the current request. Never changes a request.

use aws_smithy_runtime::client::retries::classifiers::run_classifiers_on_ctx;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::classifiers::{RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use aws_types::region::Region;

use crate::figure::AwsOperation;

use super::connection::never_connected;
use super::error::Doubt;
use super::meter::{self, Ending, Meter};

/// Counts every attempt that is sent.
#[derive(Debug)]
pub(super) struct Counting {
    /// Requests go over sockets, so that an attempt may end before it is connected.
    pub(super) over_sockets: bool,
}

#[dyn_dispatch_hint]
impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "tollgate::aws::Counting"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        meter::with_current(Meter::resume);
        Ok(())
    }

    /// The last step before the request is sent: it is signed.
    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.over_sockets {
            meter::record_endpoint(origin(context.request().uri()));
        }
        meter::with_current(|meter| {
            let name = config.load::<Metadata>().map_or("", Metadata::name);
            let operation = AwsOperation::from_name(meter.service(), name);
            let connection = if self.over_sockets {
                config.load::<CaptureSmithyConnection>().cloned()
            } else {
                None
            };
            meter.begin(operation, connection);
            if meter.is_traced() {
                meter.record_sent(config.load::<Region>().map(Region::as_ref));
            }
        });
        Ok(())
    }

    /// Runs once per attempt, however it ended. If its future is dropped instead, the meter ends the attempt.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        meter::with_current(|meter| {
            meter.end(ending(context.inner()));
            if meter.is_traced() {
                meter.record_response(request_id(context), error_type(meter, context));
            }
            if is_throttled(context, components) {
                meter.throttled();
            }
        });
        Ok(())
    }
}

/// Scheme, host and port of a URI: its path may name an object.
fn origin(uri: &str) -> &str {
    let host = uri.find("://").map_or(0, |scheme| scheme + 3);
    let end = uri[host..]
        .find(['/', '?', '#'])
        .map_or(uri.len(), |end| host + end);
    &uri[..end]
}

/// Whether a failed attempt may have been applied.
pub(super) fn may_be_applied(context: &InterceptorContext) -> bool {
    matches!(ending(context), Ending::Doubtful(_))
}

fn ending(context: &InterceptorContext) -> Ending {
    let error = match context.output_or_error() {
        Some(Ok(_output)) => return Ending::Succeeded,
        Some(Err(error)) => Some(error),
        None => None,
    };
    if let Some(response) = context.response() {
        return ending_of_status(response.status().as_u16());
    }
    match error.and_then(|error| error.as_connector_error()) {
        Some(connector_error) if never_connected(connector_error) => Ending::Unsent,
        Some(_) | None => Ending::Doubtful(Doubt::Lost),
    }
}

/// A 503 is returned before anything is applied, a 500 possibly afterwards. A 502 or 504 comes from a proxy while the
/// request may still be in progress. A success that cannot be parsed counts as a lost response.
fn ending_of_status(status: u16) -> Ending {
    match status {
        300..500 | 503 => Ending::Refused,
        500 => Ending::Doubtful(Doubt::Finished),
        _ => Ending::Doubtful(Doubt::Lost),
    }
}

/// AWS's request id of the attempt.
fn request_id<'a>(context: &'a FinalizerInterceptorContextRef<'_>) -> Option<&'a str> {
    let headers = context.response()?.headers();
    headers
        .get("x-amzn-requestid")
        .or_else(|| headers.get("x-amz-request-id"))
}

/// The type of an attempt's failure; `None` if it succeeded.
fn error_type(meter: &Meter, context: &FinalizerInterceptorContextRef<'_>) -> Option<String> {
    let error = match context.output_or_error() {
        Some(Ok(_output)) => return None,
        Some(Err(error)) => error.as_operation_error(),
        None => None,
    };
    let code = error.and_then(|error| meter.code(error));
    Some(meter::error_type(code, context.response()))
}

fn is_throttled(context: &FinalizerInterceptorContextRef<'_>, components: &RuntimeComponents) -> bool {
    if !context.inner().is_failed() || context.response().is_none() {
        return false;
    }
    let action = run_classifiers_on_ctx(components.retry_classifiers(), context.inner());
    matches!(
        action,
        RetryAction::RetryIndicated(RetryReason::RetryableError {
            kind: ErrorKind::ThrottlingError,
            ..
        })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_scheme_host_and_port() {
        for (uri, expected) in [
            (
                "https://b.s3.eu-central-1.amazonaws.com/docs/secret?x=1",
                "https://b.s3.eu-central-1.amazonaws.com",
            ),
            ("http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
            ("http://[::1]:80?secret", "http://[::1]:80"),
            (
                "https://kms.us-east-1.amazonaws.com",
                "https://kms.us-east-1.amazonaws.com",
            ),
            ("/secret", ""),
        ] {
            assert_eq!(origin(uri), expected);
        }
    }
}
