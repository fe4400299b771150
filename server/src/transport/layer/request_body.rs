//! The request body. Counts the bytes that arrive before it passes them on, waits for memory if there is none, and takes
//! the call's permit when the message is complete, before the handler runs. Records when reading fails because the caller
//! reset the stream or the connection closed: tonic reports that as an invalid message or an internal error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::messages::{Arrived, Messages};
use super::pace::Pace;
use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::route::Route;
use crate::capacity::{Hold, Waiting};

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// A request body that a handler reads.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Body,
    route: Route,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    /// Waits before messages of a caller in debt are read.
    pace: Pace,
    messages: Messages,
    /// Messages that have started.
    started: usize,
    /// A frame that waits for memory.
    waiting: Option<(Waiting, Frame<Bytes>)>,
}

impl RequestBody {
    /// Wraps a body before it is read. An empty body is complete.
    ///
    /// # Errors
    ///
    /// There is no permit for the call.
    pub(super) fn wrap(
        body: Body,
        route: Route,
        receipt: &Arc<Receipt>,
        hold: &Arc<Hold>,
        pace: Pace,
        message_bytes: usize,
    ) -> Result<Body, Refusal> {
        let request_body = RequestBody {
            route,
            receipt: Arc::clone(receipt),
            hold: Arc::clone(hold),
            pace,
            messages: Messages::new(message_bytes),
            started: 0,
            waiting: None,
            body,
        };
        if http_body::Body::is_end_stream(&request_body.body) {
            request_body.complete()?;
        }
        Ok(Body::new(request_body))
    }

    /// The message is complete: takes a permit for the call.
    fn complete(&self) -> Result<(), Refusal> {
        if !self.receipt.is_complete() {
            self.hold
                .take_permit(self.route.pool)
                .map_err(Refusal::too_many_calls)?;
            self.receipt.set_complete();
        }
        Ok(())
    }

    /// Returns a frame, or keeps it until there is memory for the messages in it.
    fn take(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, Refusal> {
        let Some(bytes) = frame.data_ref() else {
            self.receipt.set_ended();
            self.complete()?;
            return Ok(Some(frame));
        };
        let arrived = self.messages.read(bytes);
        self.start(arrived)?;
        if self.route.streams_requests {
            self.receipt.renew();
            self.receipt.our_turn();
            if arrived.complete > 0 {
                self.complete()?;
            }
        }
        if arrived.estimate == 0 {
            return Ok(Some(frame));
        }
        let reservation = self.hold.reserve_estimate(arrived.least, arrived.estimate);
        self.waiting = Some((reservation, frame));
        Ok(None)
    }

    fn start(&mut self, arrived: Arrived) -> Result<(), Refusal> {
        self.started += arrived.started;
        if self.route.streams_requests {
            if arrived.started > 0 {
                // the handler has consumed the previous one
                self.hold.release_kept();
            }
        } else if self.started > 1 {
            return Err(refusal::too_many_messages());
        }
        Ok(())
    }

    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame<Bytes>, Refusal>> {
        let Some((reservation, _)) = &mut self.waiting else {
            return Poll::Pending;
        };
        let Poll::Ready(reserved) = Pin::new(reservation).poll(context) else {
            self.receipt.our_turn();
            return Poll::Pending;
        };
        if !self.route.streams_requests {
            self.receipt.callers_turn();
        }
        let frame = self.waiting.take().map(|(_, frame)| frame).unwrap_or_else(empty);
        Poll::Ready(match reserved {
            Ok(reservation) => {
                self.hold.keep(reservation);
                Ok(frame)
            }
            Err(_) => Err(refusal::out_of_memory()),
        })
    }

    fn refuse(&self, refusal: Refusal) -> Polled {
        self.receipt.set_refused(refusal.reason);
        Poll::Ready(Some(Err(refusal.status)))
    }
}

fn empty() -> Frame<Bytes> {
    Frame::data(Bytes::new())
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        loop {
            if self.waiting.is_some() {
                return match ready!(self.poll_waiting(context)) {
                    Ok(frame) => Poll::Ready(Some(Ok(frame))),
                    Err(refusal) => self.refuse(refusal),
                };
            }
            if self.pace.poll(context).is_pending() {
                self.receipt.our_turn();
                return Poll::Pending;
            }
            let polled = Pin::new(&mut self.body).poll_frame(context);
            match polled {
                Poll::Ready(Some(Ok(frame))) => match self.take(frame) {
                    Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Ok(None) => {}
                    Err(refusal) => return self.refuse(refusal),
                },
                Poll::Ready(Some(Err(error))) => {
                    self.receipt.set_broken();
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.receipt.set_ended();
                    return match self.complete() {
                        Ok(()) => Poll::Ready(None),
                        Err(refusal) => self.refuse(refusal),
                    };
                }
                Poll::Pending => {
                    self.receipt.callers_turn();
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // if the end were not polled, the call would not get its permit
        self.receipt.is_complete() && self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
