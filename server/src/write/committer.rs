//! Runs writes: those that may touch objects in a task of the server, so that a caller that disconnects does not stop a
//! commit halfway.

use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use crate::aws::{self, Kind, Stores};
use crate::call::Call;
use crate::crypto::Keyring;
use crate::figure::AwsOperation;
use crate::item::load::Opened;
use crate::item::pointer::Pointer;
use crate::item::{Key, tenant};
use crate::model::{Item, Model, Number, ReturnValues, Value};
use crate::object::owner::owns_objects;
use crate::object::window::MAX_OPEN;

use super::caller::Caller;
use super::delete::delete;
use super::error::Error;
use super::generated::of_first;
use super::in_flight::InFlight;
use super::old_item::{UpdateView, open_current, open_old};
use super::request::{
    Committed, CommittedUpdate, DeleteRequest, ExpectedVersion, SaveRequest, UpdateRequest,
};
use super::save::{Saved, save};
use super::update::{Updated, update};
use super::versions::unmet;

/// How long the commit and the cleanup may take beyond the caller's deadline.
pub const GRACE: Duration = Duration::from_secs(30);

/// Runs writes to completion. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    stores: Stores,
    keyring: Keyring,
    tasks: TaskTracker,
    in_flight: InFlight,
}

impl Committer {
    /// A committer over `stores` that encrypts with `keyring`; shutdown waits for `tasks`.
    pub fn new(stores: Stores, keyring: Keyring, tasks: TaskTracker) -> Committer {
        Committer {
            stores,
            keyring,
            tasks,
            in_flight: InFlight::default(),
        }
    }

    /// The clients.
    pub(super) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The data keys.
    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The requests with ids that are being worked on.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// How many streamed contents of one call may be open at once.
    pub fn max_open_contents(&self) -> usize {
        self.stores.s3.in_flight().min(MAX_OPEN)
    }

    /// Runs a task that shutdown waits for.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Writes an item and its objects.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn save(&self, request: SaveRequest) -> Result<Committed, Error> {
        let (call, model, return_old) = (request.call.clone(), request.model.clone(), request.return_old);
        if let Some(key) = Key::from_request(&model, &request.item) {
            tenant::check(&model, &call, &key)?;
        }
        let version = request.version;
        let generated = request.generated.clone();
        match self.run_save(request).await {
            Ok(Saved {
                old,
                objects,
                kept,
                repeated,
            }) => Ok(Committed {
                old: self.open_old(&call, &model, old).await,
                first: self.first(&call, &model, repeated, generated, &objects).await,
                objects,
                kept,
            }),
            Err(error) => Err(self.explain(&call, &model, version, return_old, error).await),
        }
    }

    /// Changes attributes of an item, and uploads and deletes objects.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn update(&self, mut request: UpdateRequest) -> Result<CommittedUpdate, Error> {
        let (call, model, returned) = (request.call.clone(), request.item.model.clone(), request.returned);
        tenant::check(&model, &call, &request.item.key)?;
        let (view, version) = (UpdateView::new(&request), request.item.version);
        let mut generated = std::mem::take(&mut request.generated);
        for name in request.item.index_keys.names() {
            generated.insert(name.to_owned(), Value::Null);
        }
        match self.run_update(request).await {
            Ok(Updated {
                item,
                objects,
                index_keys,
                version,
                repeated,
            }) => {
                if let (Some(attribute), Some(number)) = (model.version(), version) {
                    generated.insert(attribute.name.clone(), Value::N(Number::from(number)));
                }
                Ok(CommittedUpdate {
                    index_keys,
                    version,
                    item: match item {
                        Some(item) => view.open(&self.stores, &self.keyring, &call, &model, item).await,
                        None => None,
                    },
                    first: self.first(&call, &model, repeated, generated, &objects).await,
                    objects,
                })
            }
            Err(error) => {
                let return_old = returned == ReturnValues::AllOld;
                Err(self.explain(&call, &model, version, return_old, error).await)
            }
        }
    }

    /// Deletes an item and the objects that it owns. Returns the deleted item if it was requested and existed.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn delete(&self, request: DeleteRequest) -> Result<Option<Opened>, Error> {
        let (call, model, return_old) = (request.call.clone(), request.model.clone(), request.return_old);
        tenant::check(&model, &call, &request.key)?;
        let version = request.version;
        match self.run_delete(request).await {
            Ok(old) => Ok(self.open_old(&call, &model, old).await),
            Err(error) => Err(self
                .explain(&call, &model, version, return_old, error.into())
                .await),
        }
    }

    async fn run_save(&self, request: SaveRequest) -> Result<Saved, Error> {
        let deadline = request.call.deadline();
        let keys = self.keyring.for_call(&request.call);
        let caller = Caller::new(AwsOperation::PutItem);
        if !owns_objects(&request.model) {
            return save(&self.stores, &self.in_flight, request, &keys, &caller, deadline).await;
        }
        let (stores, in_flight) = (self.stores.clone(), self.in_flight.clone());
        let (call, in_task) = (request.call.clone(), caller.clone());
        let write = async move {
            let end = deadline + GRACE;
            save(&stores, &in_flight, request, &keys, &in_task, end).await
        };
        let _disconnected_when_dropped = caller.disconnect_on_drop();
        self.run_in_task(&call, &caller, write).await
    }

    async fn run_update(&self, request: UpdateRequest) -> Result<Updated, Error> {
        let deadline = request.call.deadline();
        let keys = self.keyring.for_call(&request.call);
        let caller = Caller::new(AwsOperation::UpdateItem);
        if !owns_objects(&request.item.model) {
            return update(&self.stores, &self.in_flight, request, &keys, &caller, deadline).await;
        }
        let (stores, in_flight) = (self.stores.clone(), self.in_flight.clone());
        let (call, in_task) = (request.call.clone(), caller.clone());
        let write = async move {
            let end = deadline + GRACE;
            update(&stores, &in_flight, request, &keys, &in_task, end).await
        };
        let _disconnected_when_dropped = caller.disconnect_on_drop();
        self.run_in_task(&call, &caller, write).await
    }

    async fn run_delete(&self, request: DeleteRequest) -> Result<Option<Item>, aws::Error> {
        let deadline = request.call.deadline();
        let keys = self.keyring.for_call(&request.call);
        if !owns_objects(&request.model) {
            return delete(&self.stores, request, &keys, deadline).await;
        }
        let caller = Caller::new(AwsOperation::DeleteItem);
        caller.begin_commit();
        let (stores, call) = (self.stores.clone(), request.call.clone());
        let write = async move { delete(&stores, request, &keys, deadline + GRACE).await };
        self.run_in_task(&call, &caller, write).await
    }

    /// Runs a write of items with objects as a task, which shutdown waits for and which goes on when the caller disconnects.
    /// The caller gets a response by its deadline.
    pub(super) async fn run_in_task<T, E>(
        &self,
        call: &Call,
        caller: &Caller,
        write: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<aws::Error> + Send + 'static,
    {
        let trace = call.trace().clone();
        let task = self.spawn(async move { trace.scope(write).await });
        match tokio::time::timeout_at(call.deadline().into(), task).await {
            Ok(joined) => finished(joined, caller),
            Err(_elapsed) => Err(caller.gave_up().into()),
        }
    }

    /// A failed condition gets the stored item, if the caller asked for it.
    async fn explain(
        &self,
        call: &Call,
        model: &Model,
        version: Option<ExpectedVersion>,
        return_old: bool,
        error: Error,
    ) -> Error {
        match error {
            Error::Store(aws::Error {
                kind: Kind::ConditionFailed { item },
                ..
            }) => match unmet(model, version, item.as_ref()) {
                Some(unmet) => unmet,
                None => Error::ConditionFailed {
                    current: match item.filter(|_| return_old) {
                        Some(item) => open_current(&self.stores, &self.keyring, call, model, item).await,
                        None => None,
                    },
                },
            },
            Error::Store(_)
            | Error::ItemTooLarge { .. }
            | Error::Invalid(_)
            | Error::Content { .. }
            | Error::ObjectChanged { .. }
            | Error::ConditionFailed { .. }
            | Error::ItemNotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::WrongModel { .. }
            | Error::VersionMismatch { .. }
            | Error::OutOfBounds { .. }
            | Error::Misfit(_)
            | Error::OtherRequest
            | Error::RequestInFlight
            | Error::MarkerInvalid { .. }
            | Error::IndexKey(_)
            | Error::Unverified(_)
            | Error::Tenant(_)
            | Error::Cancelled(_)
            | Error::Internal(_) => error,
        }
    }

    /// What the first request set, if the item shows that this one is a repeat.
    async fn first(
        &self,
        call: &Call,
        model: &Model,
        repeated: Option<Item>,
        generated: Item,
        objects: &[(String, Pointer)],
    ) -> Option<Item> {
        let objects = objects.iter().filter(|(_, pointer)| pointer.kind.is_none());
        let names = objects.map(|(name, _)| name.as_str());
        Some(
            of_first(
                &self.stores,
                &self.keyring,
                call,
                model,
                repeated?,
                generated,
                names,
            )
            .await,
        )
    }

    async fn open_old(&self, call: &Call, model: &Model, old: Option<Item>) -> Option<Opened> {
        open_old(&self.stores, &self.keyring, call, model, old?).await
    }
}

/// The result of the task. If the runtime dropped the task, the outcome depends on whether the commit had begun.
fn finished<T, E: From<aws::Error>>(
    joined: Result<Result<T, E>, JoinError>,
    caller: &Caller,
) -> Result<T, E> {
    match joined {
        Ok(result) => result,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_dropped) => Err(caller.gave_up().into()),
        },
    }
}
