//! Reads a request's body: small ones into memory, large ones block by block into a body file, with its digests
//! taken on the way. Knows nothing of buckets, keys and promises.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use s3s::{S3ErrorCode, StdError};
use tokio::task::spawn_blocking;

use super::bodies::{Arrival, Bodies, Unfinished};
use super::digest::{Algorithm, Digested, Digests};
use super::fault::Fault;

/// Bodies up to this size lie in the index.
pub(super) const INLINE_BYTES: usize = 32 * 1024;
/// How much is gathered before it is written.
const BLOCK_BYTES: usize = 256 * 1024;
/// The largest body of one request, as in S3.
pub(super) const BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A body that has been read to its end and is not in the index yet.
pub(super) struct Received {
    pub(super) body: Body,
    pub(super) digested: Digested,
}

/// Where it lies.
pub(super) enum Body {
    Inline(Bytes),
    File(Arrival),
}

/// Reads `stream` to its end. `before_large` is awaited once, and only where the body is too large for the index:
/// what it refuses need not be written first.
pub(super) async fn receive<S>(
    bodies: &Arc<Bodies>,
    mut stream: S,
    algorithms: &[Algorithm],
    before_large: impl Future<Output = Result<(), Fault>>,
) -> Result<Received, Fault>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin,
{
    let mut small = BytesMut::new();
    while let Some(chunk) = next(&mut stream).await? {
        if small.len() + chunk.len() > INLINE_BYTES {
            before_large.await?;
            let begun = vec![small.freeze(), chunk];
            return receive_large(bodies, stream, Digests::new(algorithms), begun).await;
        }
        small.extend_from_slice(&chunk);
    }
    let mut digests = Digests::new(algorithms);
    digests.update(&small);
    Ok(Received {
        body: Body::Inline(small.freeze()),
        digested: digests.finish(),
    })
}

async fn receive_large<S>(
    bodies: &Arc<Bodies>,
    mut stream: S,
    digests: Digests,
    mut block: Vec<Bytes>,
) -> Result<Received, Fault>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin,
{
    let bodies = Arc::clone(bodies);
    let mut intake = blocking(move || {
        Ok(Intake {
            unfinished: bodies.begin()?,
            digests,
        })
    })
    .await?;
    let mut size: u64 = block.iter().map(|chunk| chunk.len() as u64).sum();
    let mut gathered = block.iter().map(Bytes::len).sum::<usize>();
    while let Some(chunk) = next(&mut stream).await? {
        size += chunk.len() as u64;
        if size > BODY_BYTES {
            return Err(too_large());
        }
        gathered += chunk.len();
        block.push(chunk);
        if gathered >= BLOCK_BYTES {
            let full = std::mem::take(&mut block);
            gathered = 0;
            intake = blocking(move || intake.absorb(&full)).await?;
        }
    }
    blocking(move || intake.absorb(&block)?.finish()).await
}

/// `EntityTooLarge`, 400.
pub(super) fn too_large() -> Fault {
    Fault::refused(
        S3ErrorCode::EntityTooLarge,
        "Your proposed upload exceeds the maximum allowed object size.",
    )
}

/// A body file and its digests, moved to a blocking thread and back.
struct Intake {
    unfinished: Unfinished,
    digests: Digests,
}

impl Intake {
    fn absorb(mut self, block: &[Bytes]) -> io::Result<Self> {
        for chunk in block {
            self.digests.update(chunk);
            self.unfinished.append(chunk)?;
        }
        Ok(self)
    }

    fn finish(self) -> io::Result<Received> {
        let arrival = self.unfinished.finish()?;
        Ok(Received {
            body: Body::File(arrival),
            digested: self.digests.finish(),
        })
    }
}

async fn next<S>(stream: &mut S) -> Result<Option<Bytes>, Fault>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin,
{
    stream.next().await.transpose().map_err(|failure| {
        Fault::refused_with(
            S3ErrorCode::IncompleteBody,
            format!("The request body could not be read: {failure}"),
        )
    })
}

/// Runs file work off the async threads; what it made is dropped there too when the caller has left.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|failure| Fault::Broken(format!("a file thread failed: {failure}")))??)
}
