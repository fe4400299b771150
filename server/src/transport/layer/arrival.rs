//! The request body: passes everything through, and notes when reading it fails: the caller reset the stream, or its
//! connection is gone, while the request was still arriving. tonic takes that for a wrong message, or for an error of
//! its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A request body that tells when it breaks off.
struct Arrival<F> {
    body: Body,
    broke_off: Option<F>,
}

/// Wraps a body that is about to be read; `broke_off` is called once, when reading it fails.
pub(super) fn watched(body: Body, broke_off: impl FnOnce() + Send + Unpin + 'static) -> Body {
    Body::new(Arrival {
        body,
        broke_off: Some(broke_off),
    })
}

impl<F: FnOnce() + Unpin> http_body::Body for Arrival<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(_))) = &polled
            && let Some(broke_off) = self.broke_off.take()
        {
            broke_off();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
