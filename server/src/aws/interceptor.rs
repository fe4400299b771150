//! The counting interceptor: one for all three services, the only place where attempts are counted. It tells the
//! meter of the running request what is sent and how it ended; it never changes a request.

use std::error::Error as StdError;
use std::io;

use aws_smithy_runtime::client::retries::classifiers::run_classifiers_on_ctx;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::classifiers::{RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use aws_types::region::Region;

use crate::figure::AwsOperation;

use super::error::Doubt;
use super::meter::{self, Ending, Meter};

/// Counts every attempt that leaves the process.
#[derive(Debug)]
pub(super) struct Counting {
    /// Requests go over sockets, where an attempt may end before it has a connection.
    pub(super) over_sockets: bool,
}

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

    /// The last step before the request goes: signed, with credentials had.
    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.over_sockets {
            meter::goes_to(origin(context.request().uri()));
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
                meter.tell_sent(config.load::<Region>().map(Region::as_ref));
            }
        });
        Ok(())
    }

    /// Runs once per attempt, however it ended, unless its future is dropped: the meter ends it then.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        meter::with_current(|meter| {
            meter.end(ending(context));
            if meter.is_traced() {
                meter.tell_answer(request_id(context), error_type(meter, context));
            }
            if is_throttled(context, components) {
                meter.throttled();
            }
        });
        Ok(())
    }
}

/// Scheme, host and port of a URI: what follows names objects.
fn origin(uri: &str) -> &str {
    let host = uri.find("://").map_or(0, |scheme| scheme + 3);
    let end = uri[host..]
        .find(['/', '?', '#'])
        .map_or(uri.len(), |end| host + end);
    &uri[..end]
}

fn ending(context: &FinalizerInterceptorContextRef<'_>) -> Ending {
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

/// 503 is answered before anything is done; 500 may come after, 502 and 504 come from between, while the request may
/// still be under way; a success that cannot be read is a success that was lost.
fn ending_of_status(status: u16) -> Ending {
    match status {
        300..500 | 503 => Ending::Refused,
        500 => Ending::Doubtful(Doubt::Answered),
        _ => Ending::Doubtful(Doubt::Lost),
    }
}

/// The service's own id of the attempt.
fn request_id<'a>(context: &'a FinalizerInterceptorContextRef<'_>) -> Option<&'a str> {
    let headers = context.response()?.headers();
    headers
        .get("x-amzn-requestid")
        .or_else(|| headers.get("x-amz-request-id"))
}

/// The kind of an attempt's failure, where it failed.
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

/// Whether the request failed before it had a connection: name resolution, refusal, TLS handshake, connect timeout.
pub(super) fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|cause| {
        let is_connect = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        let is_refused = cause.downcast_ref::<io::Error>();
        is_connect.is_some_and(hyper_util::client::legacy::Error::is_connect)
            || is_refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_uri_only_the_origin_is_told() {
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
