//! Resets HTTP/2 streams whose call is over and whose caller does not read. hyper polls a response body only when the
//! flow-control window has room, so such a stream would stay open until the connection ends. Dropping its task makes
//! HTTP/2 send RST_STREAM (CANCEL) and discard the data that was not sent.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long a caller may take to start reading the trailers of a call that is over.
const LINGER: Duration = Duration::from_millis(500);

/// A response body that is being sent.
pub(crate) trait Outgoing: Send + Sync {
    /// Whether its call is over and the caller has not received the end yet. The task is woken when this becomes true.
    fn is_over(&self) -> bool;
}

tokio::task_local! {
    static BODY: RefCell<Option<Arc<dyn Outgoing>>>;
}

/// Sets the response body of the current stream task.
pub(crate) fn sends(body: Arc<dyn Outgoing>) {
    // in tests, calls have no stream task
    let _ = BODY.try_with(|slot| slot.borrow_mut().replace(body));
}

/// Runs the task of a stream to completion, or until the stream must be reset.
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
