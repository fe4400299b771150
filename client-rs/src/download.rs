//! Downloads: the content of an object as a stream, in a writer, or in a file. A stream that breaks is resumed, and the
//! content is verified.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout_at};
use tollgate_proto::v1;
use tonic::{Status, Streaming};

use crate::retry::{Attempts, Effect};
use crate::{CallMetrics, Client, Error, Key, Object, Progress, Response};

/// The content of one object attribute. Set only what differs from the default:
///
/// ```
/// # use tollgate_client::{Download, Key};
/// let download = Download {
///     offset: 1_000_000,
///     ..Download::new("Document", Key::new("pk", "CASE#7").and("sk", "V1"), "content")
/// };
/// ```
#[derive(Clone, Debug, Default)]
pub struct Download {
    /// Name of a served model.
    pub model: String,
    /// The item's key.
    pub key: Key,
    /// Name of an object attribute.
    pub attribute: String,
    /// The first byte to read.
    pub offset: u64,
    /// The number of bytes to read, fewer at the end of the object. 0: to the end.
    pub length: u64,
    /// Read only an object with this etag. Empty: any.
    pub if_match: String,
    /// Use a strongly consistent read of the item, which costs twice the capacity.
    pub consistent_read: bool,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// The content of an object: a [`Stream`] of `Result<Bytes, Error>`.
///
/// If the connection breaks, the download is resumed where it broke, as long as the object is the same. A whole content is
/// verified against its SHA-256: the stream ends with an error if it does not match. A range is not verified.
pub struct Content {
    state: State,
    object: Option<Object>,
    metrics: CallMetrics,
    /// A piece that arrived while [`Content::object`] waited for the description.
    ready: Option<Result<Bytes, Error>>,
    on_progress: Option<Box<dyn FnMut(Progress) + Send>>,
    progress: Progress,
}

impl Download {
    /// The whole content of an attribute.
    pub fn new(model: impl Into<String>, key: impl Into<Key>, attribute: impl Into<String>) -> Download {
        Download {
            model: model.into(),
            key: key.into(),
            attribute: attribute.into(),
            ..Download::default()
        }
    }

    fn into_wire(self) -> Result<v1::DownloadRequest, Error> {
        Ok(v1::DownloadRequest {
            model: self.model,
            key: self.key.into_wire()?,
            attribute: self.attribute,
            offset: self.offset,
            length: self.length,
            if_match: self.if_match,
            consistent_read: self.consistent_read,
            validate_only: self.validate_only,
        })
    }
}

impl Client {
    /// Downloads the content of an object. Nothing is sent until the content is polled. Dropping it cancels the call.
    ///
    /// ```no_run
    /// # use tollgate_client::{Client, Download, Error, Key};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let key = Key::new("pk", "CASE#7").and("sk", "V1");
    /// let content = client.download(Download::new("Document", key, "content"));
    /// let downloaded = content
    ///     .on_progress(|progress| println!("{} of {}", progress.bytes, progress.total))
    ///     .into_file("report.pdf")
    ///     .await?;
    /// println!("{} bytes for $ {}", downloaded.value.size, downloaded.metrics.cost_usd);
    /// # Ok(())
    /// # }
    /// ```
    pub fn download(&self, download: Download) -> Content {
        let state = match download.into_wire() {
            Ok(request) => State::Idle(Box::new(Reader::new(self, request))),
            Err(error) => State::Refused(error),
        };
        Content {
            state,
            object: None,
            metrics: CallMetrics::default(),
            ready: None,
            on_progress: None,
            progress: Progress::default(),
        }
    }
}

impl Content {
    /// Calls this after each piece of the content.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(Progress) + Send + 'static) -> Content {
        self.on_progress = Some(Box::new(callback));
        self
    }

    /// The whole object, without its content. Waits until its description has arrived.
    ///
    /// # Errors
    ///
    /// `ITEM_NOT_FOUND` if there is no such item or object, and all other errors of the call.
    pub async fn object(&mut self) -> Result<&Object, Error> {
        if self.object.is_none() {
            match self.next().await {
                Some(Err(error)) => return Err(error),
                piece => self.ready = piece,
            }
        }
        self.object.as_ref().ok_or_else(Error::no_object)
    }

    /// Writes the content to a writer, and flushes it. After an error, what was written is the beginning of the content.
    ///
    /// # Errors
    ///
    /// If the call or the writer fails, or if the content does not match its SHA-256.
    pub async fn write_to<W: AsyncWrite + Unpin>(
        mut self,
        writer: &mut W,
    ) -> Result<Response<Object>, Error> {
        while let Some(piece) = self.next().await {
            let written = writer.write_all(&piece?).await;
            written.map_err(|error| Error::of_content("write", error).with_metrics(self.metrics.clone()))?;
        }
        let flushed = writer.flush().await;
        flushed.map_err(|error| Error::of_content("write", error).with_metrics(self.metrics.clone()))?;
        self.end()
    }

    /// Returns the content.
    ///
    /// # Errors
    ///
    /// If the call fails, or if the content does not match its SHA-256.
    pub async fn bytes(mut self) -> Result<Response<Bytes>, Error> {
        let mut content = Vec::new();
        while let Some(piece) = self.next().await {
            content.extend_from_slice(&piece?);
        }
        Ok(self.end()?.map(|_object| content.into()))
    }

    /// The bill. Complete when the stream has ended, successfully or not. Before that it contains only RPCs that broke.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    /// What the finished call returned.
    pub(crate) fn end(self) -> Result<Response<Object>, Error> {
        match self.object {
            Some(value) => Ok(Response {
                value,
                metrics: self.metrics,
            }),
            None => Err(Error::no_object().with_metrics(self.metrics)),
        }
    }

    fn report(&mut self, piece: &Bytes) {
        self.progress.bytes += piece.len() as u64;
        if let Some(callback) = &mut self.on_progress {
            callback(self.progress);
        }
    }
}

impl Stream for Content {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(piece) = self.ready.take() {
            return Poll::Ready(Some(piece));
        }
        let mut next: NextPiece = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(reader) => Box::pin(reader.next_piece()),
            State::Reading(next) => next,
            State::Refused(error) => return Poll::Ready(Some(Err(error))),
            State::Ended => return Poll::Ready(None),
        };
        let Poll::Ready((reader, piece)) = next.as_mut().poll(context) else {
            self.state = State::Reading(next);
            return Poll::Pending;
        };
        self.metrics = reader.metrics.clone();
        if self.object.is_none() {
            self.object.clone_from(&reader.object);
            self.progress.total = reader.expected;
        }
        match piece {
            Some(Ok(piece)) => {
                self.state = State::Idle(reader);
                self.report(&piece);
                Poll::Ready(Some(Ok(piece)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.with_metrics(self.metrics.clone())))),
            None => Poll::Ready(None),
        }
    }
}

type NextPiece = BoxFuture<'static, (Box<Reader>, Option<Result<Bytes, Error>>)>;

enum State {
    /// Between two pieces.
    Idle(Box<Reader>),
    /// Waiting for a piece.
    Reading(NextPiece),
    /// The request is invalid.
    Refused(Error),
    Ended,
}

/// Reads pieces, and reopens the stream if it breaks.
struct Reader {
    client: Client,
    request: v1::DownloadRequest,
    messages: Option<Streaming<v1::DownloadResponse>>,
    attempts: Attempts,
    metrics: CallMetrics,
    object: Option<Object>,
    /// The number of bytes to receive, once the object is known.
    expected: u64,
    received: u64,
    hasher: Sha256,
}

impl Reader {
    fn new(client: &Client, request: v1::DownloadRequest) -> Reader {
        Reader {
            client: client.clone(),
            request,
            messages: None,
            attempts: client.attempts(Effect::Read),
            metrics: CallMetrics::default(),
            object: None,
            expected: 0,
            received: 0,
            hasher: Sha256::new(),
        }
    }

    /// The next piece. After `None` or an error the bill is complete.
    async fn next_piece(mut self: Box<Self>) -> (Box<Reader>, Option<Result<Bytes, Error>>) {
        loop {
            match self.step().await {
                Ok(Some(message)) => match self.accept(message) {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => {
                        self.attempts.progress();
                        return (self, Some(Ok(piece)));
                    }
                    Err(error) => return (self, Some(Err(error))),
                },
                Ok(None) => {
                    let verified = self.verify();
                    return (self, verified.err().map(Err));
                }
                Err(mut error) => {
                    self.messages = None;
                    self.metrics.add(error.take_metrics());
                    if error.connection_broke() && self.is_complete() && self.verify().is_ok() {
                        return (self, None);
                    }
                    match self.attempts.wait_after(&error) {
                        Some(wait) => sleep(wait).await,
                        None => return (self, Some(Err(error))),
                    }
                }
            }
        }
    }

    /// Whether everything has arrived, so that only the bill can follow.
    fn is_complete(&self) -> bool {
        self.object.is_some() && self.received == self.expected
    }

    /// Records a message, and returns its bytes.
    fn accept(&mut self, message: v1::DownloadResponse) -> Result<Bytes, Error> {
        if let Some(object) = message.object.map(Object::from) {
            match &self.object {
                Some(known) if known.etag != object.etag || known.size != object.size => {
                    return Err(Error::damaged("the object was replaced during the download"));
                }
                Some(_) => {}
                None => {
                    let rest = object.size.saturating_sub(self.request.offset);
                    self.expected = match self.request.length {
                        0 => rest,
                        length => rest.min(length),
                    };
                    self.object = Some(object);
                }
            }
        }
        self.received += message.data.len() as u64;
        if self.received > self.expected {
            return Err(Error::damaged("the server sent more bytes than the object has"));
        }
        self.hasher.update(&message.data);
        Ok(message.data)
    }

    /// Compares what was received with the description of the object: its size, and the SHA-256 of a whole content. An
    /// object that another program stored may have none.
    fn verify(&self) -> Result<(), Error> {
        let Some(object) = &self.object else {
            return Ok(());
        };
        if self.received != self.expected {
            return Err(Error::damaged("the server sent fewer bytes than the object has"));
        }
        let is_whole = self.received == object.size;
        if is_whole && !object.sha256.is_empty() && hex(&self.hasher.clone().finalize()) != object.sha256 {
            return Err(Error::damaged("the content does not match the object's SHA-256"));
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<Option<v1::DownloadResponse>, Error> {
        if self.messages.is_none() {
            self.messages = Some(self.open().await?);
        }
        let messages = self.messages.as_mut().expect("the stream was opened above");
        let deadline = self.attempts.deadline();
        let next = async {
            match messages.message().await? {
                Some(message) => Ok((Some(message), CallMetrics::default())),
                None => {
                    let trailers = messages.trailers().await?;
                    let bill = trailers.map(|trailers| CallMetrics::from_metadata(&trailers));
                    Ok((None, bill.unwrap_or_default()))
                }
            }
        };
        let result: Result<_, Status> = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.map_err(|_| Error::deadline())?,
            None => next.await,
        };
        let (message, bill) = result?;
        self.metrics.add(bill);
        Ok(message)
    }

    /// Opens the stream at the next byte.
    async fn open(&self) -> Result<Streaming<v1::DownloadResponse>, Error> {
        let mut rest = self.request.clone();
        if let Some(object) = &self.object {
            rest.offset += self.received;
            rest.length = self.expected - self.received;
            rest.if_match.clone_from(&object.etag);
        }
        let request = self.client.request(rest, self.attempts.deadline())?;
        Ok(self.client.data().download(request).await?.into_inner())
    }
}

pub(crate) fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(hash.len() * 2);
    for byte in hash {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}
