//! One request to a store: bounded by the deadline of its call, its attempts recorded in the bill and in a span. The
//! counting interceptor finds the meter through a task-local, which is far cheaper than a configuration per request.

use std::sync::Arc;
use std::time::Instant;

use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use parking_lot::Mutex;

use crate::call::{Attempt, Call, NO_RESPONSE, RequestSpan, now};
use crate::figure::{AwsOperation, Service};

use super::cause;
use super::error::Doubt;
use super::request::{Cause, Failure, Request, SdkFailure};
use super::response::Response;

tokio::task_local! {
    static METER: Arc<Meter>;
    /// The endpoint of a request without a call.
    static ENDPOINT: Arc<Mutex<Option<Box<str>>>>;
}

/// Records the attempts of one request: in the bill at once, for the caller when the request ends.
pub(super) struct Meter {
    call: Call,
    service: Service,
    /// Bytes of content that every attempt uploads.
    uploaded_bytes: u64,
    /// The successful attempt lasts until its body has been read.
    streamed: bool,
    /// AWS's code of an attempt's error, whose type the SDK erased.
    code: fn(&context::Error) -> Option<&str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: Option<InFlight>,
    /// Attempts begun.
    attempts: u32,
    /// Attempts that left the process.
    sent: u32,
    doubt: Doubt,
    /// The start of the wait between two attempts.
    backoff_since: Option<Instant>,
    /// The span of the request, if its call is traced.
    span: RequestSpan,
    /// The span has the outcome of the request.
    outcome_recorded: bool,
    /// Why the last attempt failed, for the span.
    last_error: Option<String>,
    /// The endpoint of the last attempt.
    endpoint: Option<Box<str>>,
}

struct InFlight {
    attempt: Attempt,
    /// Shows whether there was a connection, if requests go over sockets.
    connection: Option<CaptureSmithyConnection>,
    /// The response has begun, and its body is being read.
    responded: bool,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a successful response.
    Succeeded,
    /// With an error response, and nothing was applied.
    Refused,
    /// It was never sent.
    Unsent,
    /// It may have been applied.
    Doubtful(Doubt),
}

/// Sends one request of an SDK client within the deadline of the call, and counts its attempts in the call's bill.
pub(super) async fn send<T: Response, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure<E>> {
    Meter::new::<E>(call, request, 0, false)
        .bounded(request, sent)
        .await
}

/// Like [`send`], for requests that upload content: every attempt that is sent uploads `content_bytes`.
pub(super) async fn send_content<T: Response, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    content_bytes: usize,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure<E>> {
    Meter::new::<E>(call, request, content_bytes as u64, false)
        .bounded(request, sent)
        .await
}

/// Like [`send`], for responses whose body is read afterwards: the attempt lasts until the meter is dropped. The `sent`
/// attempts before belong to the same request, so that this one counts as a retry.
pub(super) async fn send_streamed<T: Response, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    sent: u32,
    sending: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<(T, Arc<Meter>), Failure<E>> {
    let meter = Meter::new::<E>(call, request, 0, true);
    meter.state.lock().sent = sent;
    let output = meter.bounded(request, sending).await?;
    Ok((output, meter))
}

/// Sends a request that belongs to no call, and returns the endpoint of its last attempt.
pub(super) async fn with_endpoint<T>(sent: impl Future<Output = T>) -> (T, Option<Box<str>>) {
    let endpoint = Arc::<Mutex<Option<Box<str>>>>::default();
    let outcome = ENDPOINT.scope(Arc::clone(&endpoint), sent).await;
    let endpoint = endpoint.lock().take();
    (outcome, endpoint)
}

/// Records the endpoint of an attempt of the current request: scheme, host and port.
pub(super) fn record_endpoint(endpoint: &str) {
    // at most one of the two is in scope
    let _ = METER.try_with(|meter| meter.state.lock().endpoint = Some(endpoint.into()));
    let _ = ENDPOINT.try_with(|last| *last.lock() = Some(endpoint.into()));
}

/// Passes the meter of the current request to the interceptor; requests without a call (provisioning) have none.
pub(super) fn with_current(use_meter: impl FnOnce(&Meter)) {
    // no meter in scope: the request is not billed
    let _ = METER.try_with(|meter| use_meter(meter));
}

impl Meter {
    fn new<E: SdkFailure>(
        call: &Call,
        request: &Request<'_>,
        uploaded_bytes: u64,
        streamed: bool,
    ) -> Arc<Meter> {
        Arc::new(Meter {
            call: call.clone(),
            service: request.operation.service(),
            uploaded_bytes,
            streamed,
            code: |error| error.downcast_ref::<E>().and_then(cause::code),
            state: Mutex::default(),
        })
    }

    async fn bounded<T: Response, E: SdkFailure>(
        self: &Arc<Meter>,
        request: &Request<'_>,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure<E>> {
        let deadline = self.call.deadline();
        if deadline <= now() {
            return Err(Failure {
                cause: Cause::Deadline,
                doubt: Doubt::None,
                endpoint: None,
            });
        }
        self.state.lock().span = self.call.trace().request(&request.facts());
        let scoped = METER.scope(Arc::clone(self), sent);
        let outcome = tokio::time::timeout_at(deadline.into(), scoped).await;
        if outcome.is_err() {
            self.abandon();
        }
        let mut state = self.state.lock();
        // no attempt follows, so the time since the last one is not backoff
        state.backoff_since = None;
        state.outcome_recorded = true;
        let cause = match outcome {
            Ok(Ok(output)) => {
                if state.span.is_recording() {
                    state.span.succeeded(output.facts());
                }
                return Ok(output);
            }
            Ok(Err(error)) => {
                if state.span.is_recording() {
                    let error_type = error_type(cause::code(&error), error.raw_response());
                    state.span.failed(&error_type);
                }
                Cause::Sdk(Box::new(error))
            }
            Err(_elapsed) => {
                state.span.timed_out();
                Cause::Deadline
            }
        };
        Err(Failure {
            cause,
            doubt: state.doubt,
            endpoint: state.endpoint.take(),
        })
    }

    /// Ends the wait before an attempt.
    pub(super) fn resume(&self) {
        let mut state = self.state.lock();
        let Some(since) = state.backoff_since.take() else {
            return;
        };
        let waited = now() - since;
        self.call.add_backoff(waited);
        let (attempt, last_error) = (state.attempts + 1, state.last_error.take());
        state.span.retried(attempt, last_error.as_deref(), waited);
    }

    /// Attempts sent, including those sent before this meter was created.
    pub(super) fn sent(&self) -> u32 {
        self.state.lock().sent
    }

    /// Whether the request has a span to record in.
    pub(super) fn is_traced(&self) -> bool {
        self.state.lock().span.is_recording()
    }

    /// Records in the span that an attempt is sent, and its region.
    pub(super) fn record_sent(&self, region: Option<&str>) {
        self.state.lock().span.sent(region);
    }

    /// AWS's code of an attempt's error.
    pub(super) fn code<'a>(&self, error: &'a context::Error) -> Option<&'a str> {
        (self.code)(error)
    }

    /// Records in the span how an attempt ended: its AWS request id, and its type of error.
    pub(super) fn record_response(&self, aws_request_id: Option<&str>, error: Option<String>) {
        let mut state = self.state.lock();
        state.span.responded(aws_request_id);
        state.last_error = error;
    }

    /// The service of the request.
    pub(super) fn service(&self) -> Service {
        self.service
    }

    /// Begins an attempt, right before it is sent.
    pub(super) fn begin(&self, operation: AwsOperation, connection: Option<CaptureSmithyConnection>) {
        let attempt = self.call.attempt(operation);
        let mut state = self.state.lock();
        state.attempts += 1;
        state.in_flight = Some(InFlight {
            attempt,
            connection,
            responded: false,
        });
    }

    /// Ends the attempt in flight.
    pub(super) fn end(&self, ending: Ending) {
        let mut state = self.state.lock();
        // a request that could not be signed began no attempt
        let Some(mut in_flight) = state.in_flight.take() else {
            return;
        };
        state.backoff_since = Some(now());
        match ending {
            Ending::Unsent => in_flight.attempt.unsent(),
            Ending::Succeeded if self.streamed => {
                self.count_sent(&mut state);
                in_flight.responded = true;
                state.in_flight = Some(in_flight);
            }
            Ending::Succeeded | Ending::Refused => {
                self.count_sent(&mut state);
                in_flight.attempt.finish();
            }
            Ending::Doubtful(doubt) => {
                self.count_sent(&mut state);
                state.doubt = state.doubt.max(doubt);
                in_flight.attempt.finish();
            }
        }
    }

    /// Counts a throttled attempt.
    pub(super) fn throttled(&self) {
        self.call.add_throttled();
    }

    /// Ends the request because its caller no longer waits for it; the attempt in flight may still be applied.
    fn abandon(&self) {
        let mut state = self.state.lock();
        if let Some(since) = state.backoff_since.take() {
            self.call.add_backoff(now() - since);
        }
        let Some(in_flight) = state.in_flight.take() else {
            return;
        };
        if in_flight.responded {
            in_flight.attempt.finish();
        } else if in_flight
            .connection
            .is_some_and(|connection| connection.get().is_none())
        {
            in_flight.attempt.unsent();
        } else {
            self.count_sent(&mut state);
            state.doubt = Doubt::Lost;
            in_flight.attempt.finish();
        }
    }

    fn count_sent(&self, state: &mut State) {
        state.sent += 1;
        if state.sent > 1 {
            self.call.add_retry();
        }
        if self.uploaded_bytes > 0 {
            self.call.add_uploaded(self.uploaded_bytes);
        }
    }
}

/// The type of a failure, for spans: AWS's code, else the status of the response, else that there was no response.
pub(super) fn error_type(code: Option<&str>, response: Option<&HttpResponse>) -> String {
    match (code, response) {
        (Some(code), _) => code.to_owned(),
        (None, Some(response)) => response.status().as_u16().to_string(),
        (None, None) => NO_RESPONSE.to_owned(),
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.abandon();
        let mut state = self.state.lock();
        if !state.outcome_recorded {
            state.span.abandoned();
        }
    }
}
