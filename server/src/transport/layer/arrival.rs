//! The request body: counts the bytes that arrive before it hands them on, waits for memory if there is none, and takes
//! the call's place in flight when the message is there, before the handler runs. Notes when reading fails: the caller
//! reset the stream, or its connection is gone. tonic takes that for an invalid message or an internal error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tollgate_proto::Reason;
use tonic::Status;
use tonic::body::Body;

use super::super::status;
use super::messages::{Arrived, Messages};
use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::route::Route;
use crate::capacity::{Hold, Waiting};

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// A request body on its way to a handler.
#[derive(Debug)]
pub(super) struct Arrival {
    body: Body,
    route: Route,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    messages: Messages,
    /// Messages that began so far.
    begun: usize,
    /// A frame that waits for its memory.
    waiting: Option<(Waiting, Frame<Bytes>)>,
}

impl Arrival {
    /// Wraps a body that is about to be read. One that is empty is complete.
    ///
    /// # Errors
    ///
    /// There is no place for the call.
    pub(super) fn watch(
        body: Body,
        route: Route,
        receipt: &Arc<Receipt>,
        hold: &Arc<Hold>,
        message_bytes: usize,
    ) -> Result<Body, Refusal> {
        let arrival = Arrival {
            route,
            receipt: Arc::clone(receipt),
            hold: Arc::clone(hold),
            messages: Messages::new(message_bytes),
            begun: 0,
            waiting: None,
            body,
        };
        if http_body::Body::is_end_stream(&arrival.body) {
            arrival.complete()?;
        }
        Ok(Body::new(arrival))
    }

    /// The message is there: the call takes its place.
    fn complete(&self) -> Result<(), Refusal> {
        if !self.receipt.is_complete() {
            self.hold
                .take_permit(self.route.pool)
                .map_err(Refusal::too_many_calls)?;
            self.receipt.set_complete();
        }
        Ok(())
    }

    /// Hands a frame on, or keeps it until there is memory for what it brings.
    fn take(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, Refusal> {
        let Some(bytes) = frame.data_ref() else {
            self.complete()?;
            return Ok(Some(frame));
        };
        let arrived = self.messages.read(bytes);
        self.begin(arrived)?;
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
        let asked = self.hold.reserve_estimate(arrived.least, arrived.estimate);
        self.waiting = Some((asked, frame));
        Ok(None)
    }

    fn begin(&mut self, arrived: Arrived) -> Result<(), Refusal> {
        self.begun += arrived.begun;
        if self.route.streams_requests {
            if arrived.begun > 0 {
                // the handler has taken the one before
                self.hold.release_kept();
            }
        } else if self.begun > 1 {
            return Err(Refusal {
                reason: Reason::UndecodableMessage,
                status: status::status(
                    Reason::UndecodableMessage,
                    "the request has more than one message",
                ),
            });
        }
        Ok(())
    }

    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame<Bytes>, Refusal>> {
        let Some((asked, _)) = &mut self.waiting else {
            return Poll::Pending;
        };
        let Poll::Ready(answer) = Pin::new(asked).poll(context) else {
            self.receipt.our_turn();
            return Poll::Pending;
        };
        if !self.route.streams_requests {
            self.receipt.callers_turn();
        }
        let frame = self.waiting.take().map(|(_, frame)| frame).unwrap_or_else(empty);
        Poll::Ready(match answer {
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

impl http_body::Body for Arrival {
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
        // an end that nobody polls would leave the call without its place
        self.receipt.is_complete() && self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
