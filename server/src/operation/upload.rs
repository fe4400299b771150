//! Upload: a Save or an Update whose object contents arrive in chunks. Checks everything about the write first; then the
//! chunks are passed on to the uploads, while `write` runs the commit to completion. The last content ends only when the
//! whole request has been read, so that nothing is committed whose request is not complete.

use std::collections::HashMap;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};

use super::authorize::{Authorizing, at};
use super::error::{Error, shorten};
use super::gateway::Gateway;
use super::save::{self, Save, Saved, check_single_save};
use super::update::{self, Update, Updated, check_single_update};
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::item::check::is_sha256;
use crate::model::{Item, Value};
use crate::policy::Action;
use crate::read;
use crate::write::{self, ContentError, ContentSender, Contents, Window};

/// A write and the contents of its objects.
pub struct Upload {
    /// The write.
    pub write: UploadWrite,
    /// The contents.
    pub chunks: Chunks,
}

/// The write of an Upload. Objects without content are announced: their contents follow.
pub enum UploadWrite {
    /// Writes a whole item.
    Save(Box<Save>),
    /// Changes attributes of an item.
    Update(Box<Update>),
}

/// The chunks of a request.
pub type Chunks = BoxStream<'static, Result<ObjectChunk, Error>>;

/// A part of an object's content.
pub struct ObjectChunk {
    /// The attribute, or in an update the placeholder.
    pub attribute: String,
    /// The next bytes.
    pub data: Bytes,
    /// Whether the content ends here.
    pub end: bool,
    /// At the end: the SHA-256 of the content, if the caller knows it.
    pub sha256: String,
}

/// What was written; empty if the request was only checked.
pub enum Uploaded {
    /// By a Save.
    Saved(Saved),
    /// By an Update.
    Updated(Updated),
}

/// Writes one item with contents that arrive in chunks.
///
/// # Errors
///
/// See [`Error`]; the faults of the write are returned together, before any chunk is read.
pub async fn upload(gateway: &Gateway, call: &Call, request: Upload) -> Result<Uploaded, Error> {
    let Upload { mut write, chunks } = request;
    let asking = Authorizing::within(gateway, call, Action::Upload);
    let (field, authorized) = match &mut write {
        UploadWrite::Save(write) => ("save", write.authorize(asking)),
        UploadWrite::Update(write) => ("update", write.authorize(asking)),
    };
    authorized.map_err(|error| under(field, error))?;
    match write {
        UploadWrite::Save(write) => save(gateway, call, *write, chunks).await.map(Uploaded::Saved),
        UploadWrite::Update(write) => update(gateway, call, *write, chunks).await.map(Uploaded::Updated),
    }
}

async fn save(gateway: &Gateway, call: &Call, mut request: Save, chunks: Chunks) -> Result<Saved, Error> {
    announce(&mut request.item);
    let (return_values, validate_only) = (request.return_values, request.validate_only);
    let checked = check_single_save(gateway, call, request).await;
    let (checked, identity) = checked.map_err(|error| under("save", error))?;
    if validate_only {
        return Ok(Saved::default());
    }
    let announced = Announced::of("save.item", checked.item.iter())?;
    let (feed, contents) = announced.open(gateway, call).await?;
    let commit = save::commit(gateway, call, checked, identity, return_values, contents);
    let outcome = drive(commit.boxed(), feed, chunks).await;
    outcome.map_err(|error| announced.located(error))
}

async fn update(
    gateway: &Gateway,
    call: &Call,
    mut request: Update,
    chunks: Chunks,
) -> Result<Updated, Error> {
    if let Some(update) = &mut request.update {
        announce(&mut update.values);
    }
    let (return_values, validate_only) = (request.return_values, request.validate_only);
    let checked = check_single_update(gateway, call, request).await;
    let (checked, identity) = checked.map_err(|error| under("update", error))?;
    if validate_only {
        return Ok(Updated::default());
    }
    let values = checked.item.update.whole_values();
    let announced = Announced::of("update.update.values", values)?;
    let (feed, contents) = announced.open(gateway, call).await?;
    let commit = update::commit(gateway, call, checked, identity, return_values, contents);
    let outcome = drive(commit.boxed(), feed, chunks).await;
    outcome.map_err(|error| announced.located(error))
}

/// Marks the objects whose contents follow.
fn announce(values: &mut Item) {
    for (name, value) in values {
        if let Value::Object(object) = value
            && object.data.is_none()
            && object.key.is_empty()
        {
            object.stream = Some(name.clone());
        }
    }
}

/// The error of the write, at its place in the request.
fn under(field: &str, error: Error) -> Error {
    match error {
        Error::Invalid(faults) => Error::Invalid(faults.under(field)),
        Error::InvalidExpression(faults) => Error::InvalidExpression(faults.under(field)),
        Error::Mode(faults) => Error::Mode(faults.under(field)),
        Error::Checksum(faults) => Error::Checksum(faults.under(field)),
        Error::Denied { path, denied } if !path.is_empty() => at(format_args!("{field}.{path}"), denied),
        error => error,
    }
}

/// The contents that follow.
struct Announced {
    /// The field of the request that has the objects.
    field: &'static str,
    /// The name by which chunks call each, and its attribute.
    names: Vec<(String, String)>,
}

impl Announced {
    /// The objects among checked values whose contents follow.
    fn of<'a>(
        field: &'static str,
        values: impl Iterator<Item = (impl AsRef<str>, &'a Value)>,
    ) -> Result<Announced, Error> {
        let mut names: Vec<(String, String)> = values
            .filter_map(|(attribute, value)| match value {
                Value::Object(object) => Some((object.stream.clone()?, attribute.as_ref().to_owned())),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        let announced = Announced { field, names };
        let mut faults = Faults::new();
        for pair in announced.names.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let description = "is set in two attributes; each content that follows needs its own placeholder";
            faults.push(announced.path(&pair[0].0), description);
        }
        faults.into_result().map_err(Error::Invalid)?;
        Ok(announced)
    }

    /// Opens a stream for each content. Waits for the memory of their parts.
    async fn open(&self, gateway: &Gateway, call: &Call) -> Result<(Feed, Contents), Error> {
        let window = Window::open(call, self.names.len()).await;
        let window = window.map_err(|error| Error::Read(read::Error::OutOfMemory(error)))?;
        let (mut feeds, mut contents) = (HashMap::new(), Contents::new());
        for (name, attribute) in &self.names {
            let (sender, stream) = write::stream(&window);
            feeds.insert(name.clone(), State::Announced(sender));
            contents.insert(attribute.clone(), stream);
        }
        let feed = Feed {
            field: self.field,
            states: feeds,
            open: 0,
            max_open: gateway.committer.max_open_contents(),
            last: None,
        };
        Ok((feed, contents))
    }

    fn path(&self, name: &str) -> String {
        path(self.field, name)
    }

    /// The error of a content, at the place of its object in the request.
    fn located(&self, error: Error) -> Error {
        let Error::Write(write::Error::Content { attribute, error }) = error else {
            return error;
        };
        let name = self.names.iter().find(|(_, of)| *of == attribute);
        let path = self.path(name.map_or(&attribute, |(name, _)| name));
        match error {
            ContentError::Size { .. } => {
                Error::Checksum(Fault::new(format_args!("{path}.size"), error).into())
            }
            ContentError::Sha256 => Error::Checksum(Fault::new(format_args!("{path}.sha256"), error).into()),
            ContentError::Incomplete | ContentError::TooLarge { .. } => {
                Error::Invalid(Fault::new(path, error).into())
            }
            ContentError::Encoding(_) | ContentError::NotUploaded => {
                Error::Write(write::Error::Content { attribute, error })
            }
        }
    }
}

fn path(field: &str, name: &str) -> String {
    format!("{field}.{name}")
}

/// Passes chunks on to the uploads of their contents.
struct Feed {
    field: &'static str,
    states: HashMap<String, State>,
    /// Contents that have begun and not ended.
    open: usize,
    max_open: usize,
    /// The content that ended last, which ends for its upload when the whole request has been read.
    last: Option<(ContentSender, Option<String>)>,
}

/// How far a content has been sent.
enum State {
    Announced(ContentSender),
    Open(ContentSender),
    Ended,
}

/// Runs the commit while chunks arrive. An invalid request is never committed: its contents stay incomplete.
async fn drive<T>(
    mut commit: BoxFuture<'_, Result<T, Error>>,
    feed: Feed,
    chunks: Chunks,
) -> Result<T, Error> {
    if feed.states.is_empty() {
        feed.run(chunks).await?;
        return commit.await;
    }
    let fed = tokio::select! {
        biased;
        outcome = &mut commit => return outcome,
        fed = feed.run(chunks) => fed,
    };
    // the uploads are undone, and billed, before the caller gets the error
    let outcome = commit.await;
    fed.and(outcome)
}

impl Feed {
    /// Reads all chunks.
    async fn run(mut self, mut chunks: Chunks) -> Result<(), Error> {
        while let Some(chunk) = chunks.next().await {
            self.accept(chunk?).await?;
        }
        self.check_ended()?;
        if let Some((sender, sha256)) = self.last.take() {
            delivered(sender.end(sha256)).await;
        }
        Ok(())
    }

    async fn accept(&mut self, chunk: ObjectChunk) -> Result<(), Error> {
        let ObjectChunk {
            attribute,
            data,
            end,
            sha256,
        } = chunk;
        let sha256 = check_sha256(end, sha256)?;
        let sender = self.open(&attribute)?;
        if !data.is_empty() {
            delivered(sender.send(data)).await;
        }
        if !end {
            self.states.insert(attribute, State::Open(sender));
            return Ok(());
        }
        self.open -= 1;
        self.states.insert(attribute, State::Ended);
        match self.states.values().all(|state| matches!(state, State::Ended)) {
            true => self.last = Some((sender, sha256)),
            false => delivered(sender.end(sha256)).await,
        }
        Ok(())
    }

    /// The sender of a content that chunks may be added to.
    fn open(&mut self, name: &str) -> Result<ContentSender, Error> {
        let description = match self.states.remove(name) {
            Some(State::Open(sender)) => return Ok(sender),
            Some(State::Announced(sender)) if self.open < self.max_open => {
                self.open += 1;
                return Ok(sender);
            }
            Some(State::Announced(_)) => format!(
                "begins one more content than the {} that may be open at once; end one first",
                self.max_open
            ),
            Some(State::Ended) => format!("names {name}, whose content has ended"),
            None => format!(
                "is {:?}, which the first message does not announce: an object without data",
                shorten(name)
            ),
        };
        Err(Error::Invalid(Fault::new("chunk.attribute", description).into()))
    }

    /// Rejects a request that ends before all contents have.
    fn check_ended(&self) -> Result<(), Error> {
        let is_open = |(_, state): &(&String, &State)| !matches!(state, State::Ended);
        let mut names: Vec<&String> = self.states.iter().filter(is_open).map(|(name, _)| name).collect();
        names.sort_unstable();
        let mut faults = Faults::new();
        for name in names {
            faults.push(path(self.field, name), ContentError::Incomplete);
        }
        faults.into_result().map_err(Error::Invalid)
    }
}

/// Waits until a piece is delivered. If its upload is over, waits for the end of the write: its error is the outcome.
async fn delivered<T>(sending: impl Future<Output = Result<(), T>>) {
    if sending.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn check_sha256(end: bool, sha256: String) -> Result<Option<String>, Error> {
    let description = match sha256.as_str() {
        "" => return Ok(None),
        _ if !end => "must be set only in the last chunk of a content, which has end set",
        valid if is_sha256(valid) => return Ok(Some(sha256)),
        _ => "must be 64 hexadecimal digits in lower case",
    };
    Err(Error::Invalid(Fault::new("chunk.sha256", description).into()))
}
