//! The response body: passes messages through and puts the bill into the trailers, which are sent last.
//!
//! When a caller stops reading, the body is no longer polled, so a separate timer enforces the deadline: it closes the
//! call, frees its permit and its unsent bytes, and wakes the stream's task, which resets the stream. The timer has no task:
//! its waker acts on the state of the body directly. A task for every call would cost more than everything else here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};
use tollgate_proto::Reason;
use tonic::body::Body;
use tonic::{Code, Status};

use super::super::stream::{self, Outgoing};
use super::audit::Audited;
use super::encoding::{ENCODING, Encoding};
use super::end::End;
use super::open::OpenCall;
use super::outbound::Outbound;
use super::refusal::Refusal;
use super::rewrite::{self, Rewritten};
use crate::billing::write_request_id;
use crate::capacity::Hold;
use crate::telemetry::Entered;

/// A response body that ends with the bill.
pub(super) struct ResponseBody {
    shared: Arc<Shared>,
    /// Kept only to be dropped with the body; it is never polled again.
    _timer: Option<Timer>,
}

/// The state of a body, shared with its timer.
#[derive(Debug)]
struct Shared(Mutex<State>);

/// Unconstrained, because a future that is out of budget is woken at once, which is too early here.
type Timer = Pin<Box<Unconstrained<Sleep>>>;

/// What is written at the end of the response.
#[derive(Debug)]
pub(super) enum Ending {
    /// The bill of a call, which this closes.
    Billed(OpenCall),
    /// The id of a call that is not billed.
    Unbilled {
        request_id: String,
        hold: Arc<Hold>,
        end: End,
        audited: Audited,
    },
}

#[derive(Debug)]
enum State {
    /// Messages are passed through. The waker is that of the stream's task.
    Open {
        body: Body,
        /// How messages are compressed, unless the call forbids it meanwhile.
        encoding: Option<Encoding>,
        outbound: Outbound,
        ending: Ending,
        task: Option<Waker>,
    },
    /// The deadline passed; only these trailers are still to be sent.
    Expired(HeaderMap),
    /// Everything was sent.
    Ended,
}

impl ResponseBody {
    /// Wraps the body of a response before it is sent, compressed if the caller accepts that and the call permits it.
    pub(super) fn wrap(
        mut response: Response<Body>,
        accepted: Option<Encoding>,
        ending: Ending,
    ) -> Response<Body> {
        if response.body().is_end_stream() {
            ending.write(Code::Unknown, None);
            return response;
        }
        let encoding = accepted.filter(|_| ending.may_be_compressed());
        if let Some(encoding) = encoding {
            let name = HeaderValue::from_static(encoding.name());
            response.headers_mut().insert(ENCODING, name);
        }
        response.map(|body| ResponseBody::wrap_body(body, encoding, ending))
    }

    fn wrap_body(body: Body, encoding: Option<Encoding>, ending: Ending) -> Body {
        let deadline = ending.end().at;
        let state = State::Open {
            body,
            encoding,
            outbound: Outbound::default(),
            ending,
            task: None,
        };
        let shared = Arc::new(Shared(Mutex::new(state)));
        stream::sends(Arc::clone(&shared) as Arc<dyn Outgoing>);
        let timer = deadline.map(|deadline| timer(&shared, deadline.into()));
        Body::new(ResponseBody {
            shared,
            _timer: timer,
        })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.shared.0.lock();
        match &mut *state {
            State::Open {
                body,
                outbound,
                ending,
                task,
                ..
            } => {
                let waker = task.get_or_insert_with(|| context.waker().clone());
                waker.clone_from(context.waker());
                if let Some(chunk) = ending.hold().and_then(|hold| outbound.next(hold)) {
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                let polled = {
                    let _entered = ending.enter();
                    Pin::new(body).poll_frame(context)
                };
                polled.map(|frame| state.pass(frame))
            }
            State::Expired(trailers) => {
                let trailers = std::mem::take(trailers);
                *state = State::Ended;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            State::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(*self.shared.0.lock(), State::Ended)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // the timer may keep the state a moment longer, but the call ends now
        *self.shared.0.lock() = State::Ended;
    }
}

impl State {
    /// Passes a frame through; the last one closes the call.
    fn pass(&mut self, frame: Option<Result<Frame<Bytes>, Status>>) -> Option<Result<Frame<Bytes>, Status>> {
        match frame.map(|frame| frame.map(Frame::into_trailers)) {
            Some(Ok(Err(message))) => Some(Ok(self.send(message))),
            Some(Ok(Ok(mut trailers))) => {
                let rewritten = rewrite::rewrite(&mut trailers);
                match (self.finish(), rewritten) {
                    (Some(ending), Some(rewritten)) => ending
                        .with_rewritten(&rewritten)
                        .write(rewritten.code, Some(&mut trailers)),
                    (Some(ending), None) => ending.write(Code::Unknown, Some(&mut trailers)),
                    (None, _) => {}
                }
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Err(status)) => {
                if let Some(ending) = self.finish() {
                    ending.write(status.code(), None);
                }
                Some(Err(status))
            }
            None => {
                if let Some(ending) = self.finish() {
                    ending.write(Code::Unknown, None);
                }
                None
            }
        }
    }

    /// Starts to send a message, and returns its first chunk.
    fn send(&mut self, message: Frame<Bytes>) -> Frame<Bytes> {
        let State::Open {
            encoding,
            outbound,
            ending,
            ..
        } = self
        else {
            return message;
        };
        let encoding = encoding.filter(|_| ending.may_be_compressed());
        let message = message.map_data(|bytes| match encoding {
            Some(encoding) => encoding.compress(bytes),
            None => bytes,
        });
        let Some(hold) = ending.hold() else {
            return message;
        };
        message.map_data(|bytes| {
            let chunk = outbound.start(bytes, hold);
            // the message is encoded: its source is no longer in memory
            hold.release_kept();
            chunk
        })
    }

    /// Drops the body, so that the attempts it had in progress are counted, and returns its ending.
    fn finish(&mut self) -> Option<Ending> {
        match std::mem::replace(self, State::Ended) {
            State::Open { ending, .. } => Some(ending),
            State::Expired(_) | State::Ended => None,
        }
    }
}

impl Ending {
    /// When the call ends at the latest, and how.
    fn end(&self) -> End {
        match self {
            Ending::Billed(open) => open.end_at(),
            Ending::Unbilled { end, .. } => *end,
        }
    }

    /// The capacity that the call holds.
    fn hold(&self) -> Option<&Arc<Hold>> {
        match self {
            Ending::Billed(open) => open.call().hold(),
            Ending::Unbilled { hold, .. } => Some(hold),
        }
    }

    /// Whether nothing that the response has was encrypted.
    fn may_be_compressed(&self) -> bool {
        match self {
            Ending::Billed(open) => open.call().may_compress(),
            Ending::Unbilled { .. } => true,
        }
    }

    /// Enters the call's trace, whose ids log lines then have.
    fn enter(&self) -> Option<Entered> {
        match self {
            Ending::Billed(open) => Some(open.call().trace().enter()),
            Ending::Unbilled { .. } => None,
        }
    }

    /// Sets the reason of an error that tonic returned itself.
    fn with_rewritten(self, rewritten: &Rewritten) -> Ending {
        match self {
            Ending::Billed(open) => Ending::Billed(open.with_rewritten(rewritten)),
            Ending::Unbilled { ref request_id, .. } => {
                rewritten.log(request_id);
                self
            }
        }
    }

    fn with_reason(self, reason: Reason) -> Ending {
        match self {
            Ending::Billed(open) => Ending::Billed(open.with_reason(reason)),
            Ending::Unbilled { .. } => self,
        }
    }

    fn write(self, code: Code, trailers: Option<&mut HeaderMap>) {
        match (self, trailers) {
            (Ending::Billed(open), trailers) => open.end(code, trailers),
            (
                Ending::Unbilled {
                    request_id, audited, ..
                },
                trailers,
            ) => {
                audited.end(code);
                if let Some(trailers) = trailers {
                    write_request_id(trailers, &request_id);
                }
            }
        }
    }
}

/// Starts a timer that ends the body at its deadline, unless it is dropped before.
fn timer(shared: &Arc<Shared>, deadline: Instant) -> Timer {
    let mut timer = Box::pin(unconstrained(sleep_until(deadline)));
    let waker = Waker::from(Arc::clone(shared));
    if timer.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
        shared.expire();
    }
    timer
}

impl Wake for Shared {
    fn wake(self: Arc<Shared>) {
        self.expire();
    }
}

impl Outgoing for Shared {
    fn is_over(&self) -> bool {
        matches!(*self.0.lock(), State::Expired(_))
    }
}

impl Shared {
    /// Ends a body whose deadline passed.
    fn expire(&self) {
        let mut state = self.0.lock();
        let State::Open { task, ending, .. } = &mut *state else {
            return;
        };
        let task = task.take();
        let is_waiting = ending.hold().is_some_and(|hold| hold.is_waiting());
        let Refusal { reason, status } = ending.end().refusal(is_waiting);
        let Some(ending) = state.finish() else { return };
        let mut trailers = HeaderMap::new();
        // every status of ours can be encoded
        let _ = status.add_header(&mut trailers);
        ending
            .with_reason(reason)
            .write(status.code(), Some(&mut trailers));
        *state = State::Expired(trailers);
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}
