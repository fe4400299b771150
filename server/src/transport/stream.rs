//! The tasks of HTTP/2 streams. hyper asks a response body for more only once the caller has taken what it got, so a
//! body whose call is over cannot say so to a caller that does not read: hyper waits for room, and the stream stays
//! open until the connection ends. Here such a stream is reset: its task is dropped, hyper's parts go with it, and
//! HTTP/2 sends RST_STREAM (CANCEL) and discards what was still to be sent.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long a caller may take to begin to read the trailers of a call that is over.
const LINGER: Duration = Duration::from_millis(500);

/// A response body that is being sent.
pub(crate) trait Outgoing: Send + Sync {
    /// Whether its call is over and the caller has not taken its end yet. The task is woken when this becomes true.
    fn is_over(&self) -> bool;
}

tokio::task_local! {
    static BODY: RefCell<Option<Arc<dyn Outgoing>>>;
}

/// Names the response body of the stream whose task this is.
pub(crate) fn sends(body: Arc<dyn Outgoing>) {
    // in tests, calls come without a stream
    let _ = BODY.try_with(|slot| slot.borrow_mut().replace(body));
}

/// Runs the task of a stream to its end, or until the stream is to be reset.
pub(crate) async fn run<F: Future>(stream: F) {
    BODY.scope(RefCell::default(), until_over(stream)).await;
}

async fn until_over<F: Future>(stream: F) {
    let mut stream = pin!(stream);
    let mut linger: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let is_over = BODY.with(|body| body.borrow().as_ref().is_some_and(|body| body.is_over()));
        if !is_over {
            return Poll::Pending;
        }
        let linger = linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        linger.as_mut().poll(context)
    })
    .await;
}
