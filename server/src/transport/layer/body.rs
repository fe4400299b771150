//! The response body: passes messages through and puts the bill into the trailers, the last thing that is sent.
//!
//! A caller that stops reading stops the body from being polled, so a separate timer watches the deadline: the call is
//! closed, its place in flight and what was still to be sent are free whether or not anybody asks for the next message,
//! and the stream's task is woken, which resets the stream. The timer wakes no task of its own, it wakes the body's state
//! itself: a task for every call would cost more than all else here.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};
use tollgate_proto::Reason;
use tonic::body::Body;
use tonic::{Code, Status};

use super::super::stream::{self, Outgoing};
use super::open::Open;
use super::outbound::Outbound;
use super::rewrite::Rewritten;
use super::{refusal, rewrite};
use crate::billing::write_request_id;
use crate::capacity::Hold;
use crate::telemetry::Entered;

/// A response body that ends with the bill.
pub(super) struct TrailedBody {
    watched: Arc<Watched>,
    /// Only waits to be dropped; it is never polled again.
    _watch: Option<Watch>,
}

/// The state of a body, which its timer can end.
#[derive(Debug)]
struct Watched(Mutex<State>);

/// Outside of any task's budget: what is out of budget is woken at once, which is too early here.
type Watch = Pin<Box<Unconstrained<Sleep>>>;

/// What is added at the end.
#[derive(Debug)]
pub(super) enum Ending {
    /// The bill of a call that is closed by it.
    Billed(Open),
    /// The id of a call that is not billed.
    Unbilled {
        request_id: String,
        hold: Arc<Hold>,
        deadline: Option<std::time::Instant>,
    },
}

#[derive(Debug)]
enum State {
    /// Messages are passed on. The waker is that of the stream's task.
    Open {
        body: Body,
        outbound: Outbound,
        ending: Ending,
        task: Option<Waker>,
    },
    /// The deadline passed; these trailers are all that is left to send.
    Expired(HeaderMap),
    /// Everything was sent.
    Ended,
}

impl TrailedBody {
    /// Wraps a body that is about to be sent.
    pub(super) fn wrap(body: Body, ending: Ending) -> Body {
        if body.is_end_stream() {
            ending.write(Code::Unknown, None);
            return body;
        }
        let deadline = match &ending {
            Ending::Billed(open) => Some(open.call().deadline()),
            Ending::Unbilled { deadline, .. } => *deadline,
        };
        let state = State::Open {
            body,
            outbound: Outbound::default(),
            ending,
            task: None,
        };
        let watched = Arc::new(Watched(Mutex::new(state)));
        stream::sends(Arc::clone(&watched) as Arc<dyn Outgoing>);
        let watch = deadline.map(|deadline| watch(&watched, deadline.into()));
        Body::new(TrailedBody {
            watched,
            _watch: watch,
        })
    }
}

impl http_body::Body for TrailedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.watched.lock();
        match &mut *state {
            State::Open {
                body,
                outbound,
                ending,
                task,
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
        matches!(*self.watched.lock(), State::Ended)
    }
}

impl Drop for TrailedBody {
    fn drop(&mut self) {
        // the timer may hold the state a moment longer; the caller's leaving is now
        *self.watched.lock() = State::Ended;
    }
}

impl State {
    /// What becomes of a frame of the body: the last one closes the call.
    fn pass(&mut self, frame: Option<Result<Frame<Bytes>, Status>>) -> Option<Result<Frame<Bytes>, Status>> {
        match frame.map(|frame| frame.map(Frame::into_trailers)) {
            Some(Ok(Err(message))) => Some(Ok(self.send(message))),
            Some(Ok(Ok(mut trailers))) => {
                let rewritten = rewrite::rewrite(&mut trailers);
                match (self.finish(), rewritten) {
                    (Some(ending), Some(rewritten)) => ending
                        .told_by(&rewritten)
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

    /// The first chunk of a message.
    fn send(&mut self, message: Frame<Bytes>) -> Frame<Bytes> {
        let State::Open { outbound, ending, .. } = self else {
            return message;
        };
        let Some(hold) = ending.hold() else {
            return message;
        };
        message.map_data(|bytes| {
            let chunk = outbound.begin(bytes, hold);
            // the message is encoded: what went into it is gone
            hold.release_kept();
            chunk
        })
    }

    /// Drops the body, so that what it still had under way is counted, and hands out its ending.
    fn finish(&mut self) -> Option<Ending> {
        match std::mem::replace(self, State::Ended) {
            State::Open { ending, .. } => Some(ending),
            State::Expired(_) | State::Ended => None,
        }
    }
}

impl Ending {
    /// What the call holds.
    fn hold(&self) -> Option<&Arc<Hold>> {
        match self {
            Ending::Billed(open) => open.call().hold(),
            Ending::Unbilled { hold, .. } => Some(hold),
        }
    }

    /// Tells log lines with the ids of the call's trace.
    fn enter(&self) -> Option<Entered> {
        match self {
            Ending::Billed(open) => Some(open.call().trace().enter()),
            Ending::Unbilled { .. } => None,
        }
    }

    /// Says why the call fails, where tonic answered by itself.
    fn told_by(self, rewritten: &Rewritten) -> Ending {
        match self {
            Ending::Billed(open) => Ending::Billed(open.told_by(rewritten)),
            Ending::Unbilled { ref request_id, .. } => {
                rewritten.log(request_id);
                self
            }
        }
    }

    fn because(self, reason: Reason) -> Ending {
        match self {
            Ending::Billed(open) => Ending::Billed(open.because(reason)),
            Ending::Unbilled { .. } => self,
        }
    }

    fn write(self, code: Code, trailers: Option<&mut HeaderMap>) {
        match (self, trailers) {
            (Ending::Billed(open), trailers) => open.end(code, trailers),
            (Ending::Unbilled { request_id, .. }, Some(trailers)) => write_request_id(trailers, &request_id),
            (Ending::Unbilled { .. }, None) => {}
        }
    }
}

/// A timer that ends the body at its deadline, until it is dropped.
fn watch(watched: &Arc<Watched>, deadline: Instant) -> Watch {
    let mut watch = Box::pin(unconstrained(sleep_until(deadline)));
    let waker = Waker::from(Arc::clone(watched));
    if watch.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
        watched.expire();
    }
    watch
}

impl Wake for Watched {
    fn wake(self: Arc<Watched>) {
        self.expire();
    }
}

impl Outgoing for Watched {
    fn is_over(&self) -> bool {
        matches!(*self.lock(), State::Expired(_))
    }
}

impl Watched {
    /// Ends a body whose deadline passed.
    fn expire(&self) {
        let mut state = self.lock();
        let State::Open { task, ending, .. } = &mut *state else {
            return;
        };
        let task = task.take();
        let (reason, status) = if ending.hold().is_some_and(|hold| hold.is_waiting()) {
            let refusal = refusal::out_of_memory();
            (refusal.reason, refusal.status)
        } else {
            (Reason::DeadlineExceeded, refusal::deadline_passed())
        };
        let Some(ending) = state.finish() else { return };
        let mut trailers = HeaderMap::new();
        // a status that cannot be a header is none of ours
        let _ = status.add_header(&mut trailers);
        ending.because(reason).write(status.code(), Some(&mut trailers));
        *state = State::Expired(trailers);
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
