//! Receives the body of a request: a small one into memory, a large one block by block into a body file. Computes its
//! digests at the same time. Knows nothing of buckets and keys, and does not compare the digests.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use s3s::{S3ErrorCode, StdError};
use tokio::task::spawn_blocking;

use super::bodies::Bodies;
use super::body_writer::{BodyWriter, NewBody};
use super::digest::{Algorithm, Digested, Digests};
use super::fault::Fault;

/// Bodies up to this size are stored in the index.
pub(super) const INLINE_BYTES: usize = 32 * 1024;
/// Bytes that are buffered before they are written.
const BLOCK_BYTES: usize = 256 * 1024;
/// The largest body of one request, as in S3.
pub(super) const BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A complete body that the index does not refer to yet.
pub(super) struct Received {
    pub(super) body: Body,
    pub(super) digested: Digested,
}

/// Where a received body is.
pub(super) enum Body {
    /// In memory, to be stored in the index.
    Inline(Bytes),
    /// In a file.
    File(NewBody),
}

/// Reads `stream` to its end. Awaits `before_large` once if the body is too large for the index, so that a request that
/// it refuses is not written to a file first.
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
            let received = vec![small.freeze(), chunk];
            return receive_large(bodies, stream, Digests::new(algorithms), received).await;
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
    let mut receiver = blocking(move || {
        Ok(BodyReceiver {
            writer: BodyWriter::begin(&bodies)?,
            digests,
        })
    })
    .await?;
    let mut size: u64 = block.iter().map(|chunk| chunk.len() as u64).sum();
    let mut buffered_bytes = block.iter().map(Bytes::len).sum::<usize>();
    while let Some(chunk) = next(&mut stream).await? {
        size += chunk.len() as u64;
        if size > BODY_BYTES {
            return Err(too_large());
        }
        buffered_bytes += chunk.len();
        block.push(chunk);
        if buffered_bytes >= BLOCK_BYTES {
            let full = std::mem::take(&mut block);
            buffered_bytes = 0;
            receiver = blocking(move || receiver.write(&full)).await?;
        }
    }
    blocking(move || receiver.write(&block)?.finish()).await
}

/// `EntityTooLarge`, 400.
pub(super) fn too_large() -> Fault {
    Fault::refused(
        S3ErrorCode::EntityTooLarge,
        "Your proposed upload exceeds the maximum allowed object size.",
    )
}

/// A body file and its digests; moved to a blocking thread and back.
struct BodyReceiver {
    writer: BodyWriter,
    digests: Digests,
}

impl BodyReceiver {
    fn write(mut self, block: &[Bytes]) -> io::Result<Self> {
        for chunk in block {
            self.digests.update(chunk);
            self.writer.append(chunk)?;
        }
        Ok(self)
    }

    fn finish(self) -> io::Result<Received> {
        let new_body = self.writer.finish()?;
        Ok(Received {
            body: Body::File(new_body),
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

/// Runs file operations off the async threads. If the caller has gone, their result is dropped there too.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|failure| Fault::Broken(format!("a file operation panicked: {failure}")))??)
}
