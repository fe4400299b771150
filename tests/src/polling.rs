//! Waits for a condition by polling a bounded number of times, never by sleeping for a guessed time.

use std::time::Duration;

use crate::external::{Store, store};

/// The number of polls before a test gives up.
const TRIES: usize = 20_000;
/// Between two polls of stores on the other side of a socket.
const PAUSE: Duration = Duration::from_millis(1);

/// Polls until there is a value.
///
/// # Panics
///
/// With the last error, after a bounded number of polls.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut complaint = String::new();
    for _ in 0..TRIES {
        match ask().await {
            Ok(response) => return response,
            Err(why_not) => complaint = why_not,
        }
        match store() {
            Store::Embedded => tokio::task::yield_now().await,
            Store::Moto | Store::DynamoDbLocal => tokio::time::sleep(PAUSE).await,
        }
    }
    panic!("{complaint}")
}

/// Polls until the condition is met.
///
/// # Panics
///
/// With `what`, after a bounded number of polls.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    eventually(async || {
        if is_so().await {
            Ok(())
        } else {
            Err(format!("still not so: {what}"))
        }
    })
    .await;
}
