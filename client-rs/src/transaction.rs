//! TransactWrite and TransactGet: up to 100 items, all or nothing.

use serde::Serialize;
use tollgate_proto::v1;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::transact_result::Result as Outcome;
use tonic::{Code, Status};

use crate::batch_get::read_result;
use crate::requests::{self, DeleteOptions, ReturnValues, SaveOptions, UpdateOptions, check_fields};
use crate::retry::Effect;
use crate::written::{deleted, is_cut};
use crate::{
    Client, Error, Expression, Get, Item, Key, Partial, Readable, Response, Saved, Update, Updated, Written,
};

/// Writes that are applied together or not at all: 1 to 100 operations, no two on one item.
///
/// ```no_run
/// # use tollgate_client::{attr, update, Client, Error, Item, Key, Refusal, Transaction};
/// # async fn example(client: Client, order: Item) -> Result<(), Error> {
/// let stock = Key::new("pk", "STOCK").and("sk", "apples");
/// let transaction = Transaction::new()
///     .save("Order", &order)
///     .update_if("Stock", stock, update().set("count", attr("count") - 5), attr("count").ge(5))
///     .check("User", Key::new("pk", "USER#1").and("sk", "PROFILE"), attr("status").eq("active"))
///     .request_id("order-4711");
/// if let Err(error) = client.transact_write(transaction).await {
///     for failure in error.failures() {
///         println!("operation {}: {}", failure.index, failure.message);
///     }
///     return Err(error);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Transaction {
    operations: Vec<Operation>,
    fault: Option<Error>,
    request_id: String,
    validate_only: bool,
}

impl Transaction {
    /// A transaction without operations, to which they are added. An invalid one is reported by the call.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// Writes a whole item.
    #[must_use]
    pub fn save<T: Serialize + ?Sized>(self, model: &str, item: &T) -> Transaction {
        self.save_with(model, item, SaveOptions::default())
    }

    /// Writes a whole item if the stored one meets a condition.
    #[must_use]
    pub fn save_if<T: Serialize + ?Sized>(self, model: &str, item: &T, condition: Expression) -> Transaction {
        let options = SaveOptions {
            condition,
            ..SaveOptions::default()
        };
        self.save_with(model, item, options)
    }

    /// Writes a whole item, with options. Of these, `request_id`, `idempotent` and `validate_only` belong to the transaction.
    #[must_use]
    pub fn save_with<T: Serialize + ?Sized>(
        self,
        model: &str,
        item: &T,
        options: SaveOptions,
    ) -> Transaction {
        self.with(requests::save(model, item, options).map(Operation::Save))
    }

    /// Changes an item in place.
    #[must_use]
    pub fn update(self, model: &str, key: impl Into<Key>, update: impl Into<Update>) -> Transaction {
        self.update_with(model, key, update, UpdateOptions::default())
    }

    /// Changes an item in place if it meets a condition.
    #[must_use]
    pub fn update_if(
        self,
        model: &str,
        key: impl Into<Key>,
        update: impl Into<Update>,
        condition: Expression,
    ) -> Transaction {
        let options = UpdateOptions {
            condition,
            ..UpdateOptions::default()
        };
        self.update_with(model, key, update, options)
    }

    /// Changes an item in place, with options. Of these, `request_id`, `idempotent` and `validate_only` belong to the
    /// transaction.
    #[must_use]
    pub fn update_with(
        self,
        model: &str,
        key: impl Into<Key>,
        update: impl Into<Update>,
        options: UpdateOptions,
    ) -> Transaction {
        self.with(requests::update(model, key.into(), update.into(), options).map(Operation::Update))
    }

    /// Removes an item.
    #[must_use]
    pub fn delete(self, model: &str, key: impl Into<Key>) -> Transaction {
        self.delete_with(model, key, DeleteOptions::default())
    }

    /// Removes an item if it meets a condition.
    #[must_use]
    pub fn delete_if(self, model: &str, key: impl Into<Key>, condition: Expression) -> Transaction {
        let options = DeleteOptions {
            condition,
            ..DeleteOptions::default()
        };
        self.delete_with(model, key, options)
    }

    /// Removes an item, with options. Of these, `request_id`, `idempotent` and `validate_only` belong to the transaction.
    #[must_use]
    pub fn delete_with(self, model: &str, key: impl Into<Key>, options: DeleteOptions) -> Transaction {
        self.with(requests::delete(model, key.into(), options).map(Operation::Delete))
    }

    /// Changes nothing, but cancels the transaction unless an item meets a condition.
    #[must_use]
    pub fn check(self, model: &str, key: impl Into<Key>, condition: Expression) -> Transaction {
        self.check_with(model, key, condition, ReturnValues::None)
    }

    /// Like [`Transaction::check`]. With `ReturnValues::AllOld`, a failure has the current item.
    #[must_use]
    pub fn check_with(
        self,
        model: &str,
        key: impl Into<Key>,
        condition: Expression,
        return_values: ReturnValues,
    ) -> Transaction {
        let check = || -> Result<Operation, Error> {
            Ok(Operation::Check(v1::CheckRequest {
                model: model.to_owned(),
                key: key.into().into_wire()?,
                condition: condition.into_wire("condition")?,
                return_values: return_values.into(),
            }))
        };
        self.with(check())
    }

    /// The id of this transaction: for 10 minutes, a repeat with the same id and the same operations changes nothing. So the
    /// transaction is retried even if the outcome of an attempt is unknown.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Transaction {
        self.request_id = request_id.into();
        self
    }

    /// Validate the request without calling AWS. There are no results then.
    #[must_use]
    pub fn validate_only(mut self) -> Transaction {
        self.validate_only = true;
        self
    }

    fn with(mut self, operation: Result<Operation, Error>) -> Transaction {
        match operation {
            Ok(operation) => self.operations.push(operation),
            Err(error) => {
                let index = self.operations.len();
                self.fault.get_or_insert(error.at_index(index));
            }
        }
        self
    }
}

impl Client {
    /// Applies a transaction. Returns what each operation did, in order.
    ///
    /// # Errors
    ///
    /// `TRANSACTION_CANCELLED`, or `VERSION_MISMATCH` if that is why all refused operations were refused: the error lists
    /// them ([`Error::failures`]). `TRANSACTION_CONFLICT` if other writes kept interfering; this is retried.
    pub async fn transact_write(&self, transaction: Transaction) -> Result<Response<Vec<Written>>, Error> {
        if let Some(fault) = transaction.fault {
            return Err(fault);
        }
        let effect = match transaction.request_id.is_empty() {
            true => Effect::Write,
            false => Effect::ExactlyOnce,
        };
        let kinds: Vec<_> = transaction.operations.iter().map(kind).collect();
        let operations = transaction
            .operations
            .into_iter()
            .map(|operation| v1::TransactOperation {
                operation: Some(operation),
            });
        let request = v1::TransactWriteRequest {
            operations: operations.collect(),
            request_id: transaction.request_id,
            validate_only: transaction.validate_only,
        };
        let send = |request| {
            let mut service = self.data();
            async move { service.transact_write(request).await }
        };
        let response = self.unary(effect, request, send).await?;
        response.try_map(|response| {
            let results = kinds.into_iter().zip(response.results);
            results
                .map(|((model, is_cut), result)| written(&model, is_cut, result))
                .collect()
        })
    }

    /// Reads 1 to 100 items as they are at one moment. Returns them in order, `None` for those that do not exist. For items
    /// of several models, use [`ByModel`](crate::ByModel) or raw items.
    ///
    /// # Errors
    ///
    /// If one of the items cannot be read or does not match the type: the error has its [`Error::index`].
    pub async fn transact_get<T: Readable>(
        &self,
        requests: impl IntoIterator<Item = Get>,
    ) -> Result<Response<Vec<Option<T>>>, Error> {
        let requests = get_messages::<T>(requests)?;
        let response = self.send_reads(requests.clone(), false).await?;
        response.try_map(|response| {
            let mut results: Vec<_> = response.results.into_iter().map(Some).collect();
            results.resize_with(requests.len(), || None);
            let read = |(index, (request, result)): (usize, (&v1::GetRequest, Option<v1::GetResult>))| {
                let result = result.and_then(|result| result.result).ok_or_else(left_out);
                let found = result.and_then(|result| read_result(request, result));
                found
                    .and_then(|item| item.map(T::read).transpose())
                    .map_err(|error| error.at_index(index))
            };
            requests.iter().zip(results).enumerate().map(read).collect()
        })
    }

    /// Validates the requests of [`Client::transact_get`] without calling AWS.
    ///
    /// # Errors
    ///
    /// If one of the requests is invalid.
    pub async fn validate_transact_get(
        &self,
        requests: impl IntoIterator<Item = Get>,
    ) -> Result<Response<()>, Error> {
        let requests = get_messages::<Partial<Item>>(requests)?;
        Ok(self.send_reads(requests, true).await?.map(|_| ()))
    }

    async fn send_reads(
        &self,
        requests: Vec<v1::GetRequest>,
        validate_only: bool,
    ) -> Result<Response<v1::TransactGetResponse>, Error> {
        let message = v1::TransactGetRequest {
            requests,
            validate_only,
        };
        let send = |request| {
            let mut service = self.data();
            async move { service.transact_get(request).await }
        };
        self.unary(Effect::Read, message, send).await
    }
}

fn get_messages<T: Readable>(requests: impl IntoIterator<Item = Get>) -> Result<Vec<v1::GetRequest>, Error> {
    let requests = requests.into_iter().enumerate().map(|(index, get)| {
        check_fields::<T>(&get.fields)
            .and_then(|()| get.into_wire())
            .map_err(|error| error.at_index(index))
    });
    requests.collect()
}

/// The model of an operation, and whether it returns only some attributes.
fn kind(operation: &Operation) -> (String, bool) {
    let (model, return_values) = match operation {
        Operation::Save(save) => (&save.model, save.return_values),
        Operation::Update(update) => (&update.model, update.return_values),
        Operation::Delete(delete) => (&delete.model, delete.return_values),
        Operation::Check(check) => (&check.model, check.return_values),
    };
    (model.clone(), is_cut(return_values))
}

fn written(model: &str, is_cut: bool, result: v1::TransactResult) -> Result<Written, Error> {
    match result.result {
        Some(Outcome::Saved(saved)) => Saved::from_wire(model, saved).map(Written::Saved),
        Some(Outcome::Updated(updated)) => Updated::from_wire(model, updated, is_cut).map(Written::Updated),
        Some(Outcome::Deleted(response)) => deleted(model, response).map(Written::Deleted),
        Some(Outcome::Checked(_)) => Ok(Written::Checked),
        None => Err(left_out()),
    }
}

fn left_out() -> Error {
    Status::new(Code::Internal, "the server left out a result").into()
}
