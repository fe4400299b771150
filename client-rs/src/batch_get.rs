//! BatchGet as a stream of results. A stream that breaks is continued with the requests that have no result yet.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use tokio::time::{sleep, timeout_at};
use tollgate_proto::{Reason, v1};
use tonic::{Code, Status, Streaming};

use crate::data::found;
use crate::requests::check_fields;
use crate::retry::{Attempts, Effect};
use crate::{CallMetrics, Client, Error, Get, Item, Partial, Readable, Response};

/// Requests of one call, the server's limit.
const MAX_REQUESTS: usize = 10_000;
/// Bytes of the requests of one call.
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// The items of a BatchGet, in any order: a [`Stream`] of `Result<Got<T>, Error>`.
///
/// A request that failed is an `Err` with its [`Error::index`], and the stream continues. It ends after any other error.
pub struct BatchItems<T> {
    state: State,
    ready: VecDeque<Result<Got<T>, Error>>,
    requests: usize,
    metrics: CallMetrics,
    items: PhantomData<fn() -> T>,
}

/// The result of one read of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Got<T> {
    /// The index of the request.
    pub index: usize,
    /// The item. `None` if there is no such item.
    pub item: Option<T>,
}

impl Client {
    /// Reads any number of items by their keys, across models. Nothing is sent until the stream is polled.
    ///
    /// ```no_run
    /// # use serde::Deserialize;
    /// # use tollgate_client::{Client, Error, Get, Key};
    /// # #[derive(Deserialize)] struct User { name: String }
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let keys = ["USER#1", "USER#2"].map(|pk| Get::new("User", Key::new("pk", pk).and("sk", "PROFILE")));
    /// let users = client.batch_get::<User>(keys).in_order().await?.value;
    /// for user in users.into_iter().flatten() {
    ///     println!("{}", user.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_get<T: Readable>(&self, requests: impl IntoIterator<Item = Get>) -> BatchItems<T> {
        let requests = requests.into_iter().enumerate();
        let checked = requests.map(|(index, get)| {
            check_fields::<T>(&get.fields)
                .and_then(|()| get.into_wire())
                .map(|request| (index, request))
                .map_err(|error| error.at_index(index))
        });
        let (state, requests) = match checked.collect::<Result<Vec<_>, Error>>() {
            Ok(requests) => {
                let count = requests.len();
                (State::Idle(Box::new(Reader::new(self, requests))), count)
            }
            Err(error) => (State::Refused(error), 0),
        };
        BatchItems {
            state,
            ready: VecDeque::new(),
            requests,
            metrics: CallMetrics::default(),
            items: PhantomData,
        }
    }
}

impl<T: Readable> BatchItems<T> {
    /// Validates the requests without calling AWS. The stream is empty then. Has an effect only before the stream is polled.
    #[must_use]
    pub fn validate_only(mut self) -> BatchItems<T> {
        if let State::Idle(reader) = &mut self.state {
            reader.validate_only = true;
        }
        self
    }

    /// All items in the order of the requests, `None` for those that do not exist.
    ///
    /// # Errors
    ///
    /// The first error.
    pub async fn in_order(mut self) -> Result<Response<Vec<Option<T>>>, Error> {
        let mut value: Vec<Option<T>> = Vec::new();
        value.resize_with(self.requests, || None);
        while let Some(result) = self.next().await {
            let Got { index, item } = result?;
            if let Some(place) = value.get_mut(index) {
                *place = item;
            }
        }
        Ok(Response {
            value,
            metrics: self.metrics,
        })
    }

    /// The bill. Complete when the stream has ended, successfully or not.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }
}

impl<T: Readable> Stream for BatchItems<T> {
    type Item = Result<Got<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(result) = self.ready.pop_front() {
                return Poll::Ready(Some(result));
            }
            let mut next = match std::mem::replace(&mut self.state, State::Ended) {
                State::Idle(reader) => Box::pin(reader.next()) as Next,
                State::Reading(next) => next,
                State::Refused(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
            };
            let Poll::Ready((reader, results)) = next.as_mut().poll(context) else {
                self.state = State::Reading(next);
                return Poll::Pending;
            };
            self.metrics = reader.metrics.clone();
            match results {
                Some(Ok(results)) => {
                    self.state = State::Idle(reader);
                    self.ready = results.into_iter().map(got).collect();
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.with_metrics(self.metrics.clone())))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Items are moved, never pinned.
impl<T> Unpin for BatchItems<T> {}

/// A request with its index, and its result.
type Outcome = (usize, v1::GetRequest, v1::get_result::Result);
type Next = BoxFuture<'static, (Box<Reader>, Option<Result<Vec<Outcome>, Error>>)>;

enum State {
    Idle(Box<Reader>),
    Reading(Next),
    Refused(Error),
    Ended,
}

fn got<T: Readable>((index, request, result): Outcome) -> Result<Got<T>, Error> {
    match read_result(&request, result) {
        Ok(None) => Ok(Got { index, item: None }),
        Ok(Some(item)) => item.read().map(|item| Got {
            index,
            item: Some(item),
        }),
        Err(error) => Err(error),
    }
    .map_err(|error| error.of_item().at_index(index))
}

/// The item of one result of a batch or transaction, `None` if there is none.
pub(crate) fn read_result(
    request: &v1::GetRequest,
    result: v1::get_result::Result,
) -> Result<Option<Partial<Item>>, Error> {
    match result {
        v1::get_result::Result::Found(response) => {
            found(&request.model, response, !request.fields.is_empty()).map(Some)
        }
        v1::get_result::Result::Error(status) => match Error::from_message(&status) {
            error if error.reason() == Some(Reason::ItemNotFound) => Ok(None),
            error => Err(error),
        },
    }
}

/// Sends the requests in as few calls as possible, one after the other.
struct Reader {
    client: Client,
    waiting: VecDeque<(usize, v1::GetRequest)>,
    open: Option<Streaming<v1::BatchGetResponse>>,
    /// The requests of the open call, without those that have results.
    sent: Vec<Option<(usize, v1::GetRequest)>>,
    validate_only: bool,
    attempts: Attempts,
    metrics: CallMetrics,
}

impl Reader {
    fn new(client: &Client, requests: Vec<(usize, v1::GetRequest)>) -> Reader {
        Reader {
            client: client.clone(),
            waiting: requests.into(),
            open: None,
            sent: Vec::new(),
            validate_only: false,
            attempts: client.attempts(Effect::Read),
            metrics: CallMetrics::default(),
        }
    }

    /// The next results. After `None` or an error the bill is complete.
    async fn next(mut self: Box<Self>) -> (Box<Reader>, Option<Result<Vec<Outcome>, Error>>) {
        loop {
            if self.open.is_none() && self.waiting.is_empty() {
                return (self, None);
            }
            match self.step().await {
                Ok(Some(results)) => {
                    self.attempts.progress();
                    return (self, Some(Ok(results)));
                }
                Ok(None) => {}
                Err(mut error) => {
                    self.metrics.add(error.take_metrics());
                    self.open = None;
                    self.requeue();
                    match self.attempts.wait_after(&error) {
                        Some(wait) => sleep(wait).await,
                        None => return (self, Some(Err(error))),
                    }
                }
            }
        }
    }

    /// The results of one message. `None` after the last one of a call.
    async fn step(&mut self) -> Result<Option<Vec<Outcome>>, Error> {
        let deadline = self.attempts.deadline();
        let next = async {
            let messages = match &mut self.open {
                Some(messages) => messages,
                None => {
                    let requests = take_call(&mut self.waiting);
                    let message = v1::BatchGetRequest {
                        requests: requests.iter().map(|(_, request)| request.clone()).collect(),
                        validate_only: self.validate_only,
                    };
                    self.sent = requests.into_iter().map(Some).collect();
                    let request = self.client.request(message, deadline)?;
                    let opened = self.client.data().batch_get(request).await?;
                    self.open.insert(opened.into_inner())
                }
            };
            match messages.message().await? {
                Some(message) => Ok((Some(message), None)),
                None => Ok((None, messages.trailers().await?)),
            }
        };
        let received: Result<_, Error> = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.map_err(|_| Error::deadline())?,
            None => next.await,
        };
        let (message, trailers) = received?;
        if let Some(trailers) = trailers {
            self.metrics.add(CallMetrics::from_metadata(&trailers));
        }
        match message {
            Some(message) => Ok(Some(self.take(message))),
            None if self.validate_only || self.sent.iter().all(Option::is_none) => {
                self.open = None;
                Ok(None)
            }
            None => Err(Status::new(Code::Internal, "the server left out results").into()),
        }
    }

    /// Ignores results that belong to no request.
    fn take(&mut self, message: v1::BatchGetResponse) -> Vec<Outcome> {
        let results = message.results.into_iter();
        let known = results.filter_map(|result| {
            let (index, request) = self.sent.get_mut(result.index as usize)?.take()?;
            Some((index, request, result.result?))
        });
        known.collect()
    }

    /// Puts the requests without a result first.
    fn requeue(&mut self) {
        for request in std::mem::take(&mut self.sent).into_iter().rev().flatten() {
            self.waiting.push_front(request);
        }
    }
}

/// Removes the requests that fit in one call.
fn take_call(waiting: &mut VecDeque<(usize, v1::GetRequest)>) -> Vec<(usize, v1::GetRequest)> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while taken.len() < MAX_REQUESTS {
        let Some((_, request)) = waiting.front() else {
            break;
        };
        bytes += request.encoded_len();
        if bytes > MAX_CALL_BYTES && !taken.is_empty() {
            break;
        }
        taken.extend(waiting.pop_front());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_limited_by_count_and_size() {
        let requests = |count: usize, model: &str| -> VecDeque<_> {
            let request = v1::GetRequest {
                model: model.to_owned(),
                ..Default::default()
            };
            (0..count).map(|index| (index, request.clone())).collect()
        };
        let mut many = requests(MAX_REQUESTS + 1, "User");
        assert_eq!(
            (take_call(&mut many).len(), take_call(&mut many).len()),
            (MAX_REQUESTS, 1)
        );
        assert!(take_call(&mut many).is_empty());
        let mut large = requests(3, &"x".repeat(MAX_CALL_BYTES / 2));
        assert_eq!((take_call(&mut large).len(), large.len()), (1, 2));
        let mut huge = requests(2, &"x".repeat(MAX_CALL_BYTES * 2));
        assert_eq!((take_call(&mut huge).len(), huge.len()), (1, 1));
    }
}
