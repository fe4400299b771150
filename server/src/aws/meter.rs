//! One request to a store: bounds it by the call's deadline and keeps what its attempts tell the bill and its span. The counting
//! interceptor finds the meter through a task-local, which costs a request far less than a configuration of its own.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::call::{Attempt, Call};
use crate::figure::{AwsOperation, Service};
use crate::telemetry::{RequestSpan, names};

use super::answer::Answer;
use super::cause;
use super::error::{Doubt, Request};

tokio::task_local! {
    static METER: Arc<Meter>;
    /// Where a request without a call goes.
    static ENDPOINT: Arc<Mutex<Option<Box<str>>>>;
}

/// What the attempts of one request tell: to the bill at once, to its caller when it is over.
pub(super) struct Meter {
    call: Call,
    service: Service,
    /// Bytes of content that every attempt uploads.
    uploaded_bytes: u64,
    /// The attempt that succeeds stays open until its body was read.
    streamed: bool,
    /// AWS's code of an attempt's error, which the SDK holds without its type.
    code: fn(&context::Error) -> Option<&str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: Option<InFlight>,
    /// Attempts that were begun.
    attempts: u32,
    /// Attempts that left the process.
    sent: u32,
    doubt: Doubt,
    /// Waiting between two attempts since then.
    backoff_since: Option<Instant>,
    /// Tells the request, where its call is traced.
    span: RequestSpan,
    /// How the request ended was told to its span.
    outcome_told: bool,
    /// Why the attempt before failed, for the span.
    last_error: Option<String>,
    /// Where the last attempt goes.
    endpoint: Option<Box<str>>,
}

struct InFlight {
    attempt: Attempt,
    /// Tells whether a connection was had, where requests go over sockets.
    connection: Option<CaptureSmithyConnection>,
    /// The answer is there, its body is being read.
    answered: bool,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With the answer that was hoped for.
    Succeeded,
    /// With an answer that says that nothing was done.
    Refused,
    /// It never left the process.
    Unsent,
    /// It may have been applied, as far as its end tells.
    Doubtful(Doubt),
}

/// What a request came to that has no output.
pub(super) struct Failure<E> {
    pub(super) cause: Cause<E>,
    pub(super) doubt: Doubt,
    /// Where the last attempt went: scheme, host and port; none if nothing was sent.
    pub(super) endpoint: Option<Box<str>>,
}

pub(super) enum Cause<E> {
    /// The call's deadline passed.
    Deadline,
    /// What the SDK says after its retries.
    Sdk(Box<SdkError<E, HttpResponse>>),
}

/// What the SDK's errors are.
pub(super) trait SdkFailure: StdError + ProvideErrorMetadata + Send + Sync + 'static {}

impl<E: StdError + ProvideErrorMetadata + Send + Sync + 'static> SdkFailure for E {}

/// Runs one request of an SDK client within the call's deadline, and has its attempts counted to the call.
pub(super) async fn send<T: Answer, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure<E>> {
    Meter::new::<E>(call, request, 0, false)
        .bounded(request, sent)
        .await
}

/// As [`send`], for requests that upload content: every attempt that leaves uploads so many bytes.
pub(super) async fn send_content<T: Answer, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    content_bytes: usize,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure<E>> {
    Meter::new::<E>(call, request, content_bytes as u64, false)
        .bounded(request, sent)
        .await
}

/// As [`send`], for responses with a body that is read afterwards: the attempt lasts until the meter is dropped. Attempts
/// that were `sent` before belong to the same request: what follows them is a retry.
pub(super) async fn send_streamed<T: Answer, E: SdkFailure>(
    call: &Call,
    request: &Request<'_>,
    sent: u32,
    sending: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<(T, Arc<Meter>), Failure<E>> {
    let meter = Meter::new::<E>(call, request, 0, true);
    meter.state().sent = sent;
    let output = meter.bounded(request, sending).await?;
    Ok((output, meter))
}

/// Runs a request without a call, and finds out where it went.
pub(super) async fn located<T>(sent: impl Future<Output = T>) -> (T, Option<Box<str>>) {
    let endpoint = Arc::<Mutex<Option<Box<str>>>>::default();
    let outcome = ENDPOINT.scope(Arc::clone(&endpoint), sent).await;
    let endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner).take();
    (outcome, endpoint)
}

/// An attempt of the running request goes there: scheme, host and port.
pub(super) fn goes_to(endpoint: &str) {
    // one of them is in scope at most
    let _ = METER.try_with(|meter| meter.state().endpoint = Some(endpoint.into()));
    let _ = ENDPOINT.try_with(|noted| {
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint.into());
    });
}

/// Shows the running request's meter to the interceptor; requests without a call (provisioning) have none.
pub(super) fn with_current(use_meter: impl FnOnce(&Meter)) {
    // no meter in scope: the request is billed to nobody
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

    async fn bounded<T: Answer, E: SdkFailure>(
        self: &Arc<Meter>,
        request: &Request<'_>,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure<E>> {
        let deadline = self.call.deadline();
        if deadline <= Instant::now() {
            return Err(Failure {
                cause: Cause::Deadline,
                doubt: Doubt::None,
                endpoint: None,
            });
        }
        self.state().span = self.call.trace().request(&request.facts());
        let scoped = METER.scope(Arc::clone(self), sent);
        let outcome = tokio::time::timeout_at(deadline.into(), scoped).await;
        if outcome.is_err() {
            self.abandon();
        }
        let mut state = self.state();
        // no attempt follows: the time since the last one is no waiting for another
        state.backoff_since = None;
        state.outcome_told = true;
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
                state.span.failed(names::TIMEOUT);
                Cause::Deadline
            }
        };
        Err(Failure {
            cause,
            doubt: state.doubt,
            endpoint: state.endpoint.take(),
        })
    }

    /// An attempt is about to be prepared: waiting for it is over.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        let Some(since) = state.backoff_since.take() else {
            return;
        };
        let waited = since.elapsed();
        self.call.add_backoff(waited);
        let (attempt, last_error) = (state.attempts + 1, state.last_error.take());
        state
            .span
            .retried(attempt, last_error.as_deref().unwrap_or(names::OTHER), waited);
    }

    /// Attempts that left the process, those before this request's own among them.
    pub(super) fn sent(&self) -> u32 {
        self.state().sent
    }

    /// Whether somebody wants to know more of the request than the bill does.
    pub(super) fn is_traced(&self) -> bool {
        self.state().span.is_recording()
    }

    /// Tells the span where the attempt goes.
    pub(super) fn tell_sent(&self, region: Option<&str>) {
        self.state().span.sent(region);
    }

    /// AWS's code of an attempt's error.
    pub(super) fn code<'a>(&self, error: &'a context::Error) -> Option<&'a str> {
        (self.code)(error)
    }

    /// Tells the span how the attempt was answered: under which id, and with which kind of error.
    pub(super) fn tell_answer(&self, aws_request_id: Option<&str>, error: Option<String>) {
        let mut state = self.state();
        state.span.answered(aws_request_id);
        state.last_error = error;
    }

    /// The service of the request.
    pub(super) fn service(&self) -> Service {
        self.service
    }

    /// An attempt is about to be sent.
    pub(super) fn begin(&self, operation: AwsOperation, connection: Option<CaptureSmithyConnection>) {
        let attempt = self.call.attempt(operation);
        let mut state = self.state();
        state.attempts += 1;
        state.in_flight = Some(InFlight {
            attempt,
            connection,
            answered: false,
        });
    }

    /// The attempt ended with what its answer says.
    pub(super) fn end(&self, ending: Ending) {
        let mut state = self.state();
        // a request that could not even be signed began no attempt
        let Some(mut in_flight) = state.in_flight.take() else {
            return;
        };
        state.backoff_since = Some(Instant::now());
        match ending {
            Ending::Unsent => in_flight.attempt.unsent(),
            Ending::Succeeded if self.streamed => {
                self.count_sent(&mut state);
                in_flight.answered = true;
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

    /// The service said that there is too much.
    pub(super) fn throttled(&self) {
        self.call.add_throttled();
    }

    /// Nobody waits any longer: what is in flight ends here, whatever becomes of it.
    fn abandon(&self) {
        let mut state = self.state();
        if let Some(since) = state.backoff_since.take() {
            self.call.add_backoff(since.elapsed());
        }
        let Some(in_flight) = state.in_flight.take() else {
            return;
        };
        if in_flight.answered {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind of a failure, for spans: AWS's code, else the status of the answer, else that there was none.
pub(super) fn error_type(code: Option<&str>, response: Option<&HttpResponse>) -> String {
    match (code, response) {
        (Some(code), _) => code.to_owned(),
        (None, Some(response)) => response.status().as_u16().to_string(),
        (None, None) => names::CONNECTION.to_owned(),
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.abandon();
        let mut state = self.state();
        if !state.outcome_told {
            state.span.failed(names::ABANDONED);
        }
    }
}
