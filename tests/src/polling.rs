//! Waiting for what comes by itself: by asking for it a bounded number of times, never by guessing how long it takes.

/// How often something is asked for before a test gives up.
const TRIES: usize = 20_000;

/// Asks until there is an answer.
///
/// # Panics
///
/// With the last complaint, after a bounded number of tries.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut complaint = String::new();
    for _ in 0..TRIES {
        match ask().await {
            Ok(answer) => return answer,
            Err(why_not) => complaint = why_not,
        }
        tokio::task::yield_now().await;
    }
    panic!("{complaint}")
}

/// Asks until it is so.
///
/// # Panics
///
/// With `what`, after a bounded number of tries.
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
