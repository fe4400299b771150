//! BatchWrite: writes go out while results come in.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::{FutureExt as _, Sink, Stream, StreamExt as _};
use serde::Serialize;
use tokio::time::Sleep;
use tollgate_proto::v1;
use tonic::{Code, Status, Streaming};

use crate::requests::{self, DeleteOptions, SaveOptions, UpdateOptions};
use crate::retry::Effect;
use crate::written::{deleted, is_cut};
use crate::{CallMetrics, Client, Error, Key, Saved, Update, Updated, Written};

/// One write of a batch.
#[derive(Clone)]
pub struct Write(v1::batch_write_request::Write);

/// The results of a BatchWrite, in any order: a [`Stream`] of `Result<BatchWritten, Error>`.
///
/// A write that failed is an `Err` with its [`Error::index`], and the stream continues. It ends after any other error: what
/// was reported before stands, and the outcome of the other writes is unknown.
pub struct BatchResults {
    state: State,
    deadline: Option<Pin<Box<Sleep>>>,
    metrics: CallMetrics,
}

/// The result of one write of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchWritten {
    /// The index of the write: 0 for the first one.
    pub index: usize,
    /// What it did.
    pub written: Written,
}

/// The writes of a BatchWrite: a [`Sink`]. It waits when the server has too many writes in progress or too many results that
/// were not read. Close or drop it after the last write.
pub struct BatchWriter(mpsc::Sender<Write>);

impl Write {
    /// A Save of a whole item.
    ///
    /// # Errors
    ///
    /// If the value is not an item.
    pub fn save<T: Serialize + ?Sized>(model: &str, item: &T) -> Result<Write, Error> {
        Write::save_with(model, item, SaveOptions::default())
    }

    /// A Save with options.
    ///
    /// # Errors
    ///
    /// If the value is not an item, or a value of the condition is invalid.
    pub fn save_with<T: Serialize + ?Sized>(
        model: &str,
        item: &T,
        options: SaveOptions,
    ) -> Result<Write, Error> {
        requests::save(model, item, options).map(|save| Write(v1::batch_write_request::Write::Save(save)))
    }

    /// An Update.
    ///
    /// # Errors
    ///
    /// If the key or the changes are invalid.
    pub fn update(model: &str, key: impl Into<Key>, update: impl Into<Update>) -> Result<Write, Error> {
        Write::update_with(model, key, update, UpdateOptions::default())
    }

    /// An Update with options.
    ///
    /// # Errors
    ///
    /// If the key, the changes or a value of the condition are invalid.
    pub fn update_with(
        model: &str,
        key: impl Into<Key>,
        update: impl Into<Update>,
        options: UpdateOptions,
    ) -> Result<Write, Error> {
        requests::update(model, key.into(), update.into(), options)
            .map(|update| Write(v1::batch_write_request::Write::Update(update)))
    }

    /// A Delete.
    ///
    /// # Errors
    ///
    /// If the key is invalid.
    pub fn delete(model: &str, key: impl Into<Key>) -> Result<Write, Error> {
        Write::delete_with(model, key, DeleteOptions::default())
    }

    /// A Delete with options.
    ///
    /// # Errors
    ///
    /// If the key or a value of the condition is invalid.
    pub fn delete_with(model: &str, key: impl Into<Key>, options: DeleteOptions) -> Result<Write, Error> {
        requests::delete(model, key.into(), options)
            .map(|delete| Write(v1::batch_write_request::Write::Delete(delete)))
    }

    fn into_message(self) -> v1::BatchWriteRequest {
        v1::BatchWriteRequest { write: Some(self.0) }
    }
}

/// Shows the kind, but no values.
impl fmt::Debug for Write {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, model) = match &self.0 {
            v1::batch_write_request::Write::Save(save) => ("save", &save.model),
            v1::batch_write_request::Write::Update(update) => ("update", &update.model),
            v1::batch_write_request::Write::Delete(delete) => ("delete", &delete.model),
        };
        write!(formatter, "Write({kind} {model})")
    }
}

impl Client {
    /// Makes any number of writes, and streams their results. Writes to one item are made in order. The writes are read as
    /// fast as the server accepts them, while the results are polled. A write is not repeated by this crate: the server
    /// repeats what DynamoDB did not process.
    ///
    /// ```no_run
    /// # use serde::Serialize;
    /// # use tollgate_client::{Client, Error, Write};
    /// # #[derive(Serialize)] struct User { pk: String, sk: String }
    /// use futures::{StreamExt as _, stream};
    ///
    /// # async fn example(client: Client, users: Vec<User>) -> Result<(), Error> {
    /// let writes: Result<Vec<_>, _> = users.iter().map(|user| Write::save("User", user)).collect();
    /// let mut results = client.batch_write(stream::iter(writes?));
    /// while let Some(result) = results.next().await {
    ///     match result {
    ///         Ok(_) => {}
    ///         Err(error) if error.is_of_item() => eprintln!("write {:?}: {error}", error.index()),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// println!("{}", results.metrics());
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_write(&self, writes: impl Stream<Item = Write> + Send + 'static) -> BatchResults {
        let client = self.clone();
        let deadline = self.attempts(Effect::Write).deadline();
        let opening = async move {
            // what each write returns depends on its request
            let (sent, kinds) = mpsc::unbounded();
            let messages = writes.enumerate().map(move |(index, write)| {
                // the results may have been dropped
                let _ = sent.unbounded_send(Kind::of(index as u64, &write));
                write.into_message()
            });
            let request = client.request(messages, deadline)?;
            let response = client.data().batch_write(request).await?;
            Ok(Box::new(Open {
                messages: response.into_inner(),
                sent: kinds,
                waiting: HashMap::new(),
            }))
        };
        BatchResults {
            state: State::Opening(Box::pin(opening)),
            deadline: deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
            metrics: CallMetrics::default(),
        }
    }

    /// Like [`Client::batch_write`], with the writes from a [`Sink`]. Poll the results while sending, for example in another
    /// task or with `join!`: otherwise the sink waits without end.
    pub fn batch_writer(&self) -> (BatchWriter, BatchResults) {
        let (writes, receiver) = mpsc::channel(0);
        (BatchWriter(writes), self.batch_write(receiver))
    }
}

impl BatchResults {
    /// The bill. Complete when the stream has ended, successfully or not.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    fn end(&mut self, mut error: Error) -> Poll<Option<Result<BatchWritten, Error>>> {
        self.state = State::Ended;
        self.metrics.add(error.take_metrics());
        Poll::Ready(Some(Err(error.with_metrics(self.metrics.clone()))))
    }
}

impl Stream for BatchResults {
    type Item = Result<BatchWritten, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                _ if is_over(&mut this.deadline, context) => return this.end(Error::deadline()),
                State::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(open) => this.state = State::Open(open),
                    Err(error) => return this.end(error),
                },
                State::Open(open) => match ready!(open.messages.poll_next_unpin(context)) {
                    Some(Ok(message)) => return Poll::Ready(Some(open.read(message))),
                    Some(Err(status)) => return this.end(status.into()),
                    None => this.close(),
                },
                State::Closing(closing) => match ready!(closing.as_mut().poll(context)) {
                    Ok(metrics) => {
                        this.metrics.add(metrics);
                        this.state = State::Ended;
                    }
                    Err(status) => return this.end(status.into()),
                },
            }
        }
    }
}

impl BatchResults {
    /// Reads the bill after the last result.
    fn close(&mut self) {
        let State::Open(mut open) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        self.state = State::Closing(Box::pin(async move {
            let trailers = open.messages.trailers().await?;
            Ok(trailers
                .as_ref()
                .map(CallMetrics::from_metadata)
                .unwrap_or_default())
        }));
    }
}

fn is_over(deadline: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> bool {
    let sleep = deadline.as_mut();
    sleep.is_some_and(|sleep| sleep.as_mut().poll(context).is_ready())
}

enum State {
    Opening(BoxFuture<'static, Result<Box<Open>, Error>>),
    Open(Box<Open>),
    Closing(BoxFuture<'static, Result<CallMetrics, Status>>),
    Ended,
}

/// An open stream of results.
struct Open {
    messages: Streaming<v1::BatchWriteResponse>,
    /// What was sent, in order. The server limits how much is sent ahead of its results.
    sent: mpsc::UnboundedReceiver<Kind>,
    /// What was sent and has no result yet.
    waiting: HashMap<u64, Kind>,
}

/// What is known about the result of a write.
struct Kind {
    index: u64,
    model: String,
    is_cut: bool,
}

impl Kind {
    fn of(index: u64, write: &Write) -> Kind {
        let (model, return_values) = match &write.0 {
            v1::batch_write_request::Write::Save(save) => (&save.model, save.return_values),
            v1::batch_write_request::Write::Update(update) => (&update.model, update.return_values),
            v1::batch_write_request::Write::Delete(delete) => (&delete.model, delete.return_values),
        };
        Kind {
            index,
            model: model.clone(),
            is_cut: is_cut(return_values),
        }
    }
}

impl Open {
    fn read(&mut self, message: v1::BatchWriteResponse) -> Result<BatchWritten, Error> {
        while let Some(Some(kind)) = self.sent.next().now_or_never() {
            self.waiting.insert(kind.index, kind);
        }
        let kind = self.waiting.remove(&message.index);
        let (model, is_cut) = kind.map(|kind| (kind.model, kind.is_cut)).unwrap_or_default();
        let index = usize::try_from(message.index).unwrap_or(usize::MAX);
        let written = match message.result {
            Some(v1::batch_write_response::Result::Saved(saved)) => {
                Saved::from_wire(&model, saved).map(Written::Saved)
            }
            Some(v1::batch_write_response::Result::Updated(updated)) => {
                Updated::from_wire(&model, updated, is_cut).map(Written::Updated)
            }
            Some(v1::batch_write_response::Result::Deleted(response)) => {
                deleted(&model, response).map(Written::Deleted)
            }
            Some(v1::batch_write_response::Result::Error(status)) => Err(Error::from_message(&status)),
            None => Err(Status::new(Code::Internal, "the server sent an empty result").into()),
        };
        written
            .map(|written| BatchWritten { index, written })
            .map_err(|error| error.of_item().at_index(index))
    }
}

impl Sink<Write> for BatchWriter {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(context).map_err(|_| ended())
    }

    fn start_send(mut self: Pin<&mut Self>, write: Write) -> Result<(), Error> {
        self.0.start_send(write).map_err(|_| ended())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_flush(context).map_err(|_| ended())
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_close(context).map_err(|_| ended())
    }
}

/// The write was not sent.
fn ended() -> Error {
    Error::local(Code::Cancelled, "the batch has ended: its results say why")
}
