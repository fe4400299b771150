//! Uploads a new object: one PutObject up to 5 MiB, and a multipart upload with parallel parts above. Never deletes an
//! object: records what S3 may hold, so that the `write` room can delete it.
//!
//! Every request runs in a task, so that it ends as it would if the caller leaves; `NewObject::settle` waits for those in
//! flight, after which nothing more is stored.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use ulid::Ulid;

use super::content::{Content, ContentError, ContentStream};
use super::destination::{Destination, Sent, broken};
use super::digest::sha256_hex;
use super::encoder::Encoder;
use super::key;
use super::owner::Owner;
use super::parts::{Announced, PartContent, Parts};
use crate::aws::{Error, Location, MultipartUpload, Part, S3, StoredObject};
use crate::call::Call;
use crate::item::Key;
use crate::item::pointer::{OffloadedKind, Pointer};
use crate::model::{self, Model, Object, Offload};

pub(crate) use super::destination::UploadError;
pub use super::part_size::PART_BYTES;

/// An object to upload under a new key.
pub(crate) struct NewObject {
    destination: Arc<Destination>,
    /// `None`: the upload has begun.
    content: Mutex<Option<Content>>,
    /// The upload by URL that is the content.
    taken_up: Option<Box<model::Upload>>,
    announced: Announced,
    encoder: Mutex<Encoder>,
    /// Set if the content is the value of another attribute than an object.
    kind: Option<OffloadedKind>,
    name: String,
    /// The caller's metadata, with names in lower case.
    metadata: HashMap<String, String>,
    table: String,
    /// The requests in flight.
    requests: tokio::sync::Mutex<Requests>,
}

type Requests = JoinSet<Result<Sent, Error>>;

impl NewObject {
    /// A new object of the item with this key. Sends nothing yet. `stream` delivers the content of an object that is
    /// streamed. A content that the object has has been compared with the size and the SHA-256 that it announces. `None` if
    /// the object has no content.
    pub(crate) fn new(
        model: &Model,
        item_key: &Key,
        offload: &Offload,
        object: Object,
        stream: Option<ContentStream>,
    ) -> Option<NewObject> {
        let content = match (object.data, object.stream) {
            (Some(data), _) => Content::Whole(data),
            (None, Some(_)) => Content::Stream(stream.unwrap_or_else(ContentStream::closed)),
            (None, None) if object.upload.is_some() => Content::Whole(Bytes::new()),
            (None, None) => return None,
        };
        let own: HashMap<_, _> = object
            .metadata
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let own_bytes = own.iter().map(|(name, value)| name.len() + value.len()).sum();
        let owner = Owner { model, key: item_key }.metadata(own_bytes);
        let owner = owner.into_iter().map(|(name, value)| (name.to_owned(), value));
        Some(NewObject {
            destination: Arc::new(Destination::new(
                offload.clone(),
                key::object_key(&offload.prefix, item_key, Ulid::generate(), &object.name),
                object.content_type,
                own.clone().into_iter().chain(owner).collect(),
            )),
            content: Mutex::new(Some(content)),
            taken_up: object.upload,
            announced: Announced {
                size_bytes: Some(object.size_bytes).filter(|bytes| *bytes != 0),
                sha256: Some(object.sha256).filter(|sha256| !sha256.is_empty()),
                max_bytes: offload.max_bytes,
            },
            encoder: Mutex::default(),
            kind: None,
            name: object.name,
            metadata: own,
            table: model.table.clone(),
            requests: tokio::sync::Mutex::default(),
        })
    }

    /// Stores the content in the form that an encoder makes; `kind` is the type of a value that is offloaded.
    pub(crate) fn encoded(mut self, encoder: Encoder, kind: Option<OffloadedKind>) -> NewObject {
        self.encoder = Mutex::new(encoder);
        self.kind = kind;
        self
    }

    /// The location of the object.
    pub(crate) fn location(&self) -> Location<'_> {
        self.destination.location()
    }

    /// Whether a pointer leads to this object.
    pub(crate) fn is_at(&self, pointer: &Pointer) -> bool {
        pointer.bucket == self.destination.offload.bucket && pointer.key == self.destination.key
    }

    /// Whether S3 may hold the object.
    pub(crate) fn may_be_stored(&self) -> bool {
        self.destination.may_be_stored()
    }

    /// The version that S3 stored, if the bucket is versioned.
    pub(crate) fn version_id(&self) -> Option<String> {
        self.destination.version_id()
    }

    /// The upload by URL that the object takes up, if it does.
    pub(crate) fn taken_up(&self) -> Option<&model::Upload> {
        self.taken_up.as_deref()
    }

    /// The multipart upload that is not completed, if any.
    pub(crate) fn open_multipart(&self) -> Option<MultipartUpload<'_>> {
        self.destination.open_multipart()
    }

    /// Waits for the requests in flight. Each ends by the deadline of its call.
    pub(crate) async fn settle(&self) {
        let mut requests = self.requests.lock().await;
        while requests.join_next().await.is_some() {}
    }

    /// Uploads the content. `slots` limits the requests that the call has in flight.
    pub(crate) async fn upload(
        &self,
        s3: &S3,
        call: &Call,
        slots: &Arc<Semaphore>,
    ) -> Result<Pointer, UploadError> {
        if let Some(upload) = self.taken_up() {
            let announced = &self.announced;
            let taking = self.destination.take_up(s3, call, slots, upload, announced);
            let stored = taking.await?;
            return Ok(Pointer {
                sha256: announced.sha256.clone().unwrap_or_default(),
                ..self.pointer(stored, announced.size_bytes.unwrap_or_default())
            });
        }
        let content = self.content.lock().take().ok_or(ContentError::Incomplete)?;
        let encoder = std::mem::take(&mut *self.encoder.lock());
        let whole = match &content {
            Content::Whole(bytes) if encoder.is_plain() => Some(bytes.clone()),
            // hashed on the way
            Content::Whole(_) | Content::Stream(_) => None,
        };
        let mut parts = Parts::new(content, self.announced.clone(), encoder);
        let mut upload = Upload {
            destination: &self.destination,
            s3,
            call,
            slots,
            requests: &mut *self.requests.lock().await,
            sent: Vec::new(),
        };
        let (sha256, stored) = tokio::join!(self.sha256(whole), upload.run(&mut parts));
        let stored = stored?;
        let finished = parts.finish();
        let mut pointer = self.pointer(stored, finished.plain_bytes);
        let sha256 = finished.sha256.or(sha256).unwrap_or_default();
        finished.encoder.describe(&mut pointer, sha256);
        Ok(pointer)
    }

    /// The pointer to the stored object, without its hash.
    fn pointer(&self, stored: StoredObject, size_bytes: u64) -> Pointer {
        Pointer {
            bucket: self.destination.offload.bucket.clone(),
            key: self.destination.key.clone(),
            size_bytes,
            etag: stored.etag,
            table: self.table.clone(),
            content_type: self.destination.content_type.clone(),
            version_id: stored.version_id.unwrap_or_default(),
            metadata: self.metadata.clone(),
            name: self.name.clone(),
            kind: self.kind,
            ..Pointer::default()
        }
    }

    /// The SHA-256 of a whole content; it is known already if it was announced.
    async fn sha256(&self, whole: Option<Bytes>) -> Option<String> {
        match &self.announced.sha256 {
            Some(sha256) => Some(sha256.clone()),
            None => Some(sha256_hex(whole?).await),
        }
    }
}

/// An upload at work.
struct Upload<'a> {
    destination: &'a Arc<Destination>,
    s3: &'a S3,
    call: &'a Call,
    slots: &'a Arc<Semaphore>,
    requests: &'a mut Requests,
    /// What the requests did that have ended.
    sent: Vec<Sent>,
}

impl Upload<'_> {
    async fn run(&mut self, parts: &mut Parts) -> Result<StoredObject, UploadError> {
        let first = parts.next().await?;
        if first.is_last {
            let (s3, call) = (self.s3.clone(), self.call.clone());
            let destination = Arc::clone(self.destination);
            let slot = self.slot().await?;
            self.spawn((slot, first.room), async move {
                destination.put(&s3, &call, first.bytes).await
            });
            return self.stored().await;
        }
        let (s3, call) = (self.s3.clone(), self.call.clone());
        let destination = Arc::clone(self.destination);
        let slot = self.slot().await?;
        self.spawn(slot, async move { destination.begin(&s3, &call).await });
        self.finish().await?;
        let mut next = Some(first);
        for number in 1.. {
            let part = match next.take() {
                Some(part) => part,
                None => self.beside(parts.next()).await??,
            };
            let is_last = part.is_last;
            self.send_part(number, part).await?;
            if is_last {
                break;
            }
        }
        self.finish().await?;
        self.complete().await
    }

    async fn send_part(&mut self, number: i32, part: PartContent) -> Result<(), Error> {
        let slot = self.slot().await?;
        let (s3, call) = (self.s3.clone(), self.call.clone());
        let destination = Arc::clone(self.destination);
        self.spawn((slot, part.room), async move {
            destination.part(&s3, &call, number, part.bytes).await
        });
        Ok(())
    }

    async fn complete(&mut self) -> Result<StoredObject, UploadError> {
        let mut parts: Vec<(i32, Part)> = self
            .sent
            .drain(..)
            .filter_map(|sent| match sent {
                Sent::Part(number, part) => Some((number, part)),
                Sent::Stored(_) | Sent::Begun => None,
            })
            .collect();
        parts.sort_unstable_by_key(|(number, _)| *number);
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        let (s3, call) = (self.s3.clone(), self.call.clone());
        let destination = Arc::clone(self.destination);
        let slot = self.slot().await?;
        self.spawn(slot, async move { destination.complete(&s3, &call, parts).await });
        self.stored().await
    }

    /// What the last request stored.
    async fn stored(&mut self) -> Result<StoredObject, UploadError> {
        self.finish().await?;
        match self.sent.pop() {
            Some(Sent::Stored(stored)) => Ok(stored),
            Some(Sent::Begun | Sent::Part(..)) | None => Err(broken("no request stored the object").into()),
        }
    }

    /// Sends a request; what it `holds` is released when it has ended.
    fn spawn<T: Send + 'static>(
        &mut self,
        holds: T,
        request: impl Future<Output = Result<Sent, Error>> + Send + 'static,
    ) {
        let trace = self.call.trace().clone();
        self.requests.spawn(async move {
            let _holds = holds;
            trace.scope(request).await
        });
    }

    /// Waits until a request may be sent.
    async fn slot(&mut self) -> Result<OwnedSemaphorePermit, Error> {
        let acquiring = Arc::clone(self.slots).acquire_owned();
        let slot = self.beside(acquiring).await?;
        Ok(slot.expect("the semaphore is never closed"))
    }

    /// Waits for something while requests are in flight; fails if one of them does.
    async fn beside<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, Error> {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.requests.join_next(), if !self.requests.is_empty() => {
                    self.sent.push(outcome(ended)?);
                }
                done = &mut waiting => return Ok(done),
            }
        }
    }

    /// Waits for all requests; fails if one of them does.
    async fn finish(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.requests.join_next().await {
            self.sent.push(outcome(ended)?);
        }
        Ok(())
    }
}

fn outcome(ended: Result<Result<Sent, Error>, JoinError>) -> Result<Sent, Error> {
    match ended {
        Ok(outcome) => outcome,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_dropped) => Err(broken("the server is shutting down")),
        },
    }
}
