//! Waits for a condition by polling a bounded number of times, never by sleeping for a guessed time.

/// The number of polls before a test gives up.
const TRIES: usize = 20_000;

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
        tokio::task::yield_now().await;
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
