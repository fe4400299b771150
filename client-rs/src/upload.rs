//! Uploads: a Save whose object contents are streamed, from memory, files or any reader.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::sleep;
use tollgate_proto::v1;
use tollgate_proto::v1::upload_request::Message;
use tollgate_proto::v1::upload_response::Result as Done;

use crate::download::hex;
use crate::requests::{self, SaveOptions};
use crate::retry::{Attempts, Effect, Next};
use crate::{CallMetrics, Client, Error, Object, Progress, Response, Saved};

/// The bytes of one message.
const CHUNK_BYTES: usize = 512 * 1024;

/// A Save whose object contents are streamed. Created by [`Client::upload`]; nothing is sent before [`Upload::send`].
pub struct Upload {
    client: Client,
    model: String,
    request: Result<v1::SaveRequest, Error>,
    effect: Effect,
    contents: Vec<(String, Object, Source)>,
    on_progress: Option<Box<dyn FnMut(Progress) + Send>>,
}

/// Where the content of an object comes from: bytes, a file, or a reader.
pub struct Source(Origin);

enum Origin {
    Bytes(Bytes),
    File(PathBuf),
    /// `None`: it has been read.
    Reader(Option<Box<dyn AsyncRead + Send + Unpin>>),
}

impl Source {
    /// The content of a file. It is read again if the upload is retried.
    pub fn file(path: impl AsRef<Path>) -> Source {
        Source(Origin::File(path.as_ref().to_owned()))
    }

    /// What a reader returns, to its end. An upload from a reader is not retried.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Source {
        Source(Origin::Reader(Some(Box::new(reader))))
    }

    fn can_be_read_again(&self) -> bool {
        !matches!(self.0, Origin::Reader(_))
    }

    async fn open(&mut self) -> Result<Opened, Error> {
        let (reader, size): (Reader, _) = match &mut self.0 {
            Origin::Bytes(bytes) => (Reader::Bytes(bytes.clone()), Some(bytes.len() as u64)),
            Origin::File(path) => {
                let file = File::open(&path)
                    .await
                    .map_err(|error| Error::of_content("read", error))?;
                let metadata = file
                    .metadata()
                    .await
                    .map_err(|error| Error::of_content("read", error))?;
                (
                    Reader::Io(Box::new(file)),
                    Some(metadata.len()).filter(|_| metadata.is_file()),
                )
            }
            Origin::Reader(reader) => (Reader::Io(reader.take().ok_or_else(read_before)?), None),
        };
        Ok(Opened { reader, size })
    }
}

impl From<Bytes> for Source {
    fn from(content: Bytes) -> Source {
        Source(Origin::Bytes(content))
    }
}

impl From<Vec<u8>> for Source {
    fn from(content: Vec<u8>) -> Source {
        Source(Origin::Bytes(content.into()))
    }
}

fn read_before() -> Error {
    let error = std::io::Error::other("the reader has been read");
    Error::of_content("read", error)
}

impl Client {
    /// Writes a whole item, like [`Client::save`], with contents of objects that are streamed. The objects are added with
    /// [`Upload::content`] and [`Upload::object`]; they are not in `item`.
    ///
    /// ```no_run
    /// # use serde::Serialize;
    /// # use tollgate_client::{Client, Error, Source};
    /// #[derive(Serialize)]
    /// struct Document { pk: String, sk: String, name: String }
    ///
    /// # async fn example(client: Client, document: Document) -> Result<(), Error> {
    /// let saved = client
    ///     .upload("Document", &document)
    ///     .content("content", Source::file("report.pdf"))
    ///     .on_progress(|progress| println!("{} of {}", progress.bytes, progress.total))
    ///     .send()
    ///     .await?;
    /// println!("{}", saved.metrics);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload<T: Serialize + ?Sized>(&self, model: &str, item: &T) -> Upload {
        self.upload_with(model, item, SaveOptions::default())
    }

    /// Like [`Client::upload`], with options.
    pub fn upload_with<T: Serialize + ?Sized>(&self, model: &str, item: &T, options: SaveOptions) -> Upload {
        Upload {
            client: self.clone(),
            model: model.to_owned(),
            effect: match options.idempotent {
                true => Effect::IdempotentWrite,
                false => Effect::Write,
            },
            request: requests::save(model, item, options),
            contents: Vec::new(),
            on_progress: None,
        }
    }
}

impl Upload {
    /// Adds the content of an attribute. A file gives the object its name.
    #[must_use]
    pub fn content(self, attribute: impl Into<String>, source: impl Into<Source>) -> Upload {
        let source = source.into();
        let name = match &source.0 {
            Origin::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Origin::Bytes(_) | Origin::Reader(_) => None,
        };
        let object = Object {
            name: name.unwrap_or_default(),
            ..Object::default()
        };
        self.object(attribute, object, source)
    }

    /// Adds the content of an attribute, with the name, the media type and the metadata of this object. A size or SHA-256 in
    /// it is announced: the server refuses a content that has another one.
    #[must_use]
    pub fn object(
        mut self,
        attribute: impl Into<String>,
        object: Object,
        source: impl Into<Source>,
    ) -> Upload {
        self.contents.push((attribute.into(), object, source.into()));
        self
    }

    /// Calls this after each piece of the contents.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(Progress) + Send + 'static) -> Upload {
        self.on_progress = Some(Box::new(callback));
        self
    }

    /// Sends the item and the contents, one content after the other. Dropping the future cancels the upload.
    ///
    /// # Errors
    ///
    /// Like [`Client::save`]. Also if a source cannot be read: then nothing is written.
    pub async fn send(mut self) -> Result<Response<Saved>, Error> {
        let request = std::mem::replace(&mut self.request, Ok(v1::SaveRequest::default()))?;
        let can_be_repeated = self
            .contents
            .iter()
            .all(|(_, _, source)| source.can_be_read_again());
        let mut attempts = self.client.attempts(self.effect);
        let mut metrics = CallMetrics::default();
        let progress = Arc::new(Mutex::new(self.on_progress.take()));
        loop {
            let error = match self.once(&attempts, request.clone(), &progress).await {
                Ok(response) => return Ok(response.after(metrics)),
                Err(error) => error,
            };
            metrics.add(error.metrics().clone());
            if !can_be_repeated {
                return Err(error.with_metrics(metrics));
            }
            match attempts.after(error) {
                Next::Retry(wait) => sleep(wait).await,
                Next::Fail(error) => return Err(error.with_metrics(metrics)),
            }
        }
    }

    async fn once(
        &mut self,
        attempts: &Attempts,
        mut request: v1::SaveRequest,
        on_progress: &OnProgress,
    ) -> Result<Response<Saved>, Error> {
        let mut opened = VecDeque::new();
        let mut total = 0;
        for (attribute, object, source) in &mut self.contents {
            let source = source.open().await?;
            total += source.size.unwrap_or_default();
            let object = v1::Object {
                name: object.name.clone(),
                content_type: object.content_type.clone(),
                metadata: object.metadata.clone().into_iter().collect(),
                size: match object.size {
                    0 => source.size.unwrap_or_default(),
                    size => size,
                },
                sha256: object.sha256.clone(),
                ..v1::Object::default()
            };
            let kind = v1::attribute_value::Kind::Object(Box::new(object));
            request
                .item
                .insert(attribute.clone(), v1::AttributeValue { kind: Some(kind) });
            opened.push_back(Sending {
                attribute: attribute.clone(),
                reader: source.reader,
                hasher: Sha256::new(),
            });
        }
        let failure = Arc::new(Mutex::new(None));
        let messages = Messages {
            first: Some(request),
            contents: opened,
            progress: Progress { bytes: 0, total },
            on_progress: Arc::clone(on_progress),
            failure: Arc::clone(&failure),
        };
        let request = self.client.request(messages.stream(), attempts.deadline())?;
        let sent = self.client.data().upload(request).await;
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let response = sent?;
        let metrics = CallMetrics::from_metadata(response.metadata());
        let response = Response {
            value: response.into_inner(),
            metrics,
        };
        let model = self.model.clone();
        response.try_map(|response| match response.result {
            Some(Done::Saved(saved)) => Saved::from_wire(&model, saved),
            Some(Done::Updated(_)) | None => Ok(Saved::default()),
        })
    }
}

type OnProgress = Arc<Mutex<Option<Box<dyn FnMut(Progress) + Send>>>>;

struct Opened {
    reader: Reader,
    size: Option<u64>,
}

enum Reader {
    /// The rest of the content.
    Bytes(Bytes),
    Io(Box<dyn AsyncRead + Send + Unpin>),
}

/// A content that is being sent.
struct Sending {
    attribute: String,
    reader: Reader,
    hasher: Sha256,
}

/// The messages of one attempt.
struct Messages {
    first: Option<v1::SaveRequest>,
    contents: VecDeque<Sending>,
    progress: Progress,
    on_progress: OnProgress,
    /// Why a source cannot be read: the messages end there, and the server writes nothing.
    failure: Arc<Mutex<Option<Error>>>,
}

impl Messages {
    fn stream(self) -> impl Stream<Item = v1::UploadRequest> + Send + 'static {
        stream::unfold(self, |mut messages| async move {
            match messages.next().await {
                Ok(message) => {
                    let message = Some(message?);
                    Some((v1::UploadRequest { message }, messages))
                }
                Err(error) => {
                    *messages.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Message>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Message::Save(first)));
        }
        let Some(sending) = self.contents.front_mut() else {
            return Ok(None);
        };
        let data = sending.reader.next().await?;
        let mut chunk = v1::ObjectChunk {
            attribute: sending.attribute.clone(),
            ..v1::ObjectChunk::default()
        };
        match data.is_empty() {
            false => {
                sending.hasher.update(&data);
                self.report(data.len());
                chunk.data = data;
            }
            true => {
                let hash = std::mem::take(&mut sending.hasher).finalize();
                chunk.end = true;
                chunk.sha256 = hex(&hash);
                self.contents.pop_front();
            }
        }
        Ok(Some(Message::Chunk(chunk)))
    }

    fn report(&mut self, bytes: usize) {
        self.progress.bytes += bytes as u64;
        self.progress.total = self.progress.total.max(self.progress.bytes);
        let mut callback = self.on_progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(callback) = &mut *callback {
            callback(self.progress);
        }
    }
}

impl Reader {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Bytes, Error> {
        match self {
            Reader::Bytes(rest) => Ok(rest.split_to(rest.len().min(CHUNK_BYTES))),
            Reader::Io(reader) => {
                let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                while chunk.len() < CHUNK_BYTES {
                    let missing = CHUNK_BYTES - chunk.len();
                    let read = (&mut *reader).take(missing as u64).read_buf(&mut chunk).await;
                    if read.map_err(|error| Error::of_content("read", error))? == 0 {
                        break;
                    }
                }
                Ok(chunk.freeze())
            }
        }
    }
}
