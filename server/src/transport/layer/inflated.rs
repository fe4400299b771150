//! The request body of a handler, in which compressed messages are plain. A message is decompressed once it is complete
//! and there is memory for its plain form, whose size is measured before.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Request;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::encoding::{self, Encoding, Measured, Problem};
use super::messages::{PREFIX_BYTES, in_memory, length};
use super::pace::Pace;
use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::request_body::RequestBody;
use super::route::Route;
use crate::capacity::{Hold, Reservation, Waiting};

/// A request body whose messages may be compressed.
#[derive(Debug)]
struct Inflated {
    body: Body,
    encoding: Encoding,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    /// The most bytes of a message, compressed or plain.
    message_bytes: usize,
    streams_requests: bool,
    /// Bytes that arrived and are not read yet.
    arrived: Bytes,
    reading: Reading,
    /// For the message that the handler of a stream has.
    reserved: Reservation,
}

/// What is being read.
#[derive(Debug)]
enum Reading {
    Prefix(BytesMut),
    /// A plain message, of which this much is missing.
    Plain(usize),
    /// A compressed message, and how much of it is missing.
    Compressed(BytesMut, usize),
    /// A compressed message that waits for memory for its plain form.
    Waiting(Bytes, Measured, Waiting),
}

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// Wraps the body of a request before it is read. Its handler finds plain messages only.
///
/// # Errors
///
/// There is no permit for the call, or the encoding of the messages is not supported.
pub(super) fn receive(
    request: &mut Request<Body>,
    route: Route,
    receipt: &Arc<Receipt>,
    hold: &Arc<Hold>,
    pace: Pace,
    message_bytes: usize,
) -> Result<(), Refusal> {
    let encoding = Encoding::of_request(request.headers());
    let encoding = encoding.map_err(|_| refusal::unsupported_encoding())?;
    let body = std::mem::take(request.body_mut());
    let body = RequestBody::wrap(body, route, receipt, hold, pace, message_bytes)?;
    *request.body_mut() = match encoding {
        Some(encoding) => Body::new(Inflated {
            body,
            encoding,
            receipt: Arc::clone(receipt),
            hold: Arc::clone(hold),
            message_bytes,
            streams_requests: route.streams_requests,
            arrived: Bytes::new(),
            reading: Reading::Prefix(BytesMut::new()),
            reserved: Reservation::default(),
        }),
        None => body,
    };
    if encoding.is_some() {
        request.headers_mut().remove(encoding::ENCODING);
    }
    Ok(())
}

impl Inflated {
    /// Reads what arrived, up to the next bytes for the handler or the next wait for memory; `None` if all is read.
    fn read(&mut self) -> Result<Option<Bytes>, Refusal> {
        while !self.arrived.is_empty() {
            match &mut self.reading {
                Reading::Prefix(prefix) => {
                    let missing = PREFIX_BYTES - prefix.len();
                    prefix.put(self.arrived.split_to(missing.min(self.arrived.len())));
                    if let Some(prefix) = prefix.first_chunk::<PREFIX_BYTES>() {
                        let prefix = *prefix;
                        if let Some(plain) = self.start(prefix)? {
                            return Ok(Some(plain));
                        }
                    }
                }
                Reading::Plain(left) => {
                    let bytes = self.arrived.split_to(self.arrived.len().min(*left));
                    *left -= bytes.len();
                    if *left == 0 {
                        self.reading = Reading::Prefix(BytesMut::new());
                    }
                    return Ok(Some(bytes));
                }
                Reading::Compressed(message, left) => {
                    let bytes = self.arrived.split_to(self.arrived.len().min(*left));
                    *left -= bytes.len();
                    message.put(bytes);
                    if *left == 0 {
                        let message = std::mem::take(message).freeze();
                        self.measure(message)?;
                        return Ok(None);
                    }
                }
                Reading::Waiting(..) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Starts a message; returns the prefix of a plain one.
    fn start(&mut self, prefix: [u8; PREFIX_BYTES]) -> Result<Option<Bytes>, Refusal> {
        let length = length(prefix);
        // flags other than 0 and 1 are left to the decoder
        if prefix[0] != 1 {
            self.reading = match length {
                0 => Reading::Prefix(BytesMut::new()),
                length => Reading::Plain(length),
            };
            return Ok(Some(Bytes::copy_from_slice(&prefix)));
        }
        if length > self.message_bytes {
            return Err(refusal::message_too_large(length, self.message_bytes));
        }
        if length == 0 {
            return Err(refusal::not_decompressed(self.encoding.name()));
        }
        self.reading = Reading::Compressed(BytesMut::new(), length);
        Ok(None)
    }

    /// Measures a message that is complete, and requests memory for its plain form.
    fn measure(&mut self, message: Bytes) -> Result<(), Refusal> {
        // the handler has consumed the previous one
        self.reserved = Reservation::default();
        let measured = self.encoding.measure(&message, self.message_bytes);
        let measured = measured.map_err(|problem| self.refusal(problem))?;
        let size = match &measured {
            Measured::Small(plain) => plain.len(),
            Measured::Large(size) => *size,
        };
        let waiting = self.hold.reserve_estimate(size, in_memory(size));
        self.reading = Reading::Waiting(message, measured, waiting);
        Ok(())
    }

    /// The plain form of the message that waits, with its prefix.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        let Reading::Waiting(_, _, waiting) = &mut self.reading else {
            return Poll::Pending;
        };
        let Ok(reservation) = ready!(Pin::new(waiting).poll(context)) else {
            return Poll::Ready(Err(refusal::out_of_memory()));
        };
        match self.streams_requests {
            true => self.reserved = reservation,
            false => self.hold.keep(reservation),
        }
        let reading = std::mem::replace(&mut self.reading, Reading::Prefix(BytesMut::new()));
        let opened = match &reading {
            Reading::Waiting(_, Measured::Small(plain), _) => Ok(plain_message(plain)),
            Reading::Waiting(message, Measured::Large(size), _) => self.decompress(message, *size),
            Reading::Prefix(_) | Reading::Plain(_) | Reading::Compressed(..) => Ok(Bytes::new()),
        };
        Poll::Ready(opened.map_err(|problem| self.refusal(problem)))
    }

    fn decompress(&self, message: &[u8], size: usize) -> Result<Bytes, Problem> {
        let mut plain = prefix(size).to_vec();
        plain.resize(PREFIX_BYTES + size, 0);
        let into = &mut plain[PREFIX_BYTES..];
        self.encoding.decompress(message, into, self.message_bytes)?;
        Ok(plain.into())
    }

    /// Rejects an end within a message. That of a plain one is left to the decoder.
    fn end(&self) -> Result<(), Refusal> {
        let is_within = match &self.reading {
            Reading::Prefix(prefix) => !prefix.is_empty(),
            Reading::Compressed(..) => true,
            Reading::Plain(_) | Reading::Waiting(..) => false,
        };
        match is_within {
            true => Err(refusal::not_decompressed(self.encoding.name())),
            false => Ok(()),
        }
    }

    fn refusal(&self, problem: Problem) -> Refusal {
        match problem {
            Problem::Invalid => refusal::not_decompressed(self.encoding.name()),
            Problem::TooLarge => refusal::decompressed_too_large(self.message_bytes),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Polled {
        self.receipt.set_refused(refusal.reason);
        Poll::Ready(Some(Err(refusal.status)))
    }
}

fn plain_message(plain: &[u8]) -> Bytes {
    Bytes::from([prefix(plain.len()).as_slice(), plain].concat())
}

/// The prefix of a plain message.
fn prefix(length: usize) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[1..].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    prefix
}

impl http_body::Body for Inflated {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        loop {
            if matches!(self.reading, Reading::Waiting(..)) {
                return match ready!(self.poll_waiting(context)) {
                    Ok(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Err(refusal) => self.refuse(refusal),
                };
            }
            match self.read() {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(None) if matches!(self.reading, Reading::Waiting(..)) => continue,
                Ok(None) => {}
                Err(refusal) => return self.refuse(refusal),
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    return match self.end() {
                        Ok(()) => Poll::Ready(None),
                        Err(refusal) => self.refuse(refusal),
                    };
                }
            };
            match (frame, self.end()) {
                (Ok(bytes), _) => self.arrived = bytes,
                (Err(trailers), Ok(())) => return Poll::Ready(Some(Ok(trailers))),
                (Err(_), Err(refusal)) => return self.refuse(refusal),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_read =
            self.arrived.is_empty() && matches!(&self.reading, Reading::Prefix(prefix) if prefix.is_empty());
        is_read && self.body.is_end_stream()
    }
}
