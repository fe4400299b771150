//! What all operations share.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::{Error, shorten};
use crate::call::Call;
use crate::caller::Caller;
use crate::fault::Fault;
use crate::model::{Model, Served};
use crate::policy::{Access, Action, Asked, Context, Current, Denied, KeyParts, Policies, Resource};
use crate::read::Reader;
use crate::write::{Committer, RequestIds, TransactionTokens, UploadTokens};

/// What all operations share.
pub struct Gateway {
    /// The models being served.
    pub models: Served,
    /// Reads items.
    pub reader: Reader,
    /// Writes items.
    pub committer: Committer,
    /// Makes transactions idempotent; none if the key of the tokens ends with this process, but the tables do not.
    pub transaction_tokens: Option<TransactionTokens>,
    /// Identifies requests with a request id; none if its key ends with this process, but the tables do not.
    pub request_ids: Option<RequestIds>,
    /// Seals and opens the tokens of uploads by URL.
    pub upload_tokens: UploadTokens,
    /// Levels of lists and maps that one attribute may have.
    pub attribute_depth: usize,
    /// What callers may do.
    pub policies: Policies,
    /// Whether connections use TLS.
    pub has_tls: bool,
}

impl Gateway {
    /// The model that a request names, for these actions. Whether the caller may use it is asked later. The response of a
    /// call that names a model with encrypted attributes is not compressed.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is empty. If no such model is served, `Denied` as for one that is, and `UnknownModel` for
    /// callers who may do this with any model.
    pub fn model(&self, call: &Call, actions: &[Action], name: &str) -> Result<Arc<Model>, Error> {
        if name.is_empty() {
            return Err(Error::Invalid(Fault::new("model", "is required").into()));
        }
        if let Some(model) = self.models.get(name) {
            if model.encryptions().next().is_some() {
                call.forbid_compression();
            }
            return Ok(model);
        }
        for action in actions {
            self.authorize(call, *action, &Resource::UnknownModel(name))?;
        }
        Err(Error::UnknownModel {
            model: shorten(name),
            near: self.near(name),
        })
    }

    /// The name of a served model that is like this one; empty if there is none, or if callers who may use some models must
    /// not learn the names of the others.
    pub fn near(&self, name: &str) -> String {
        match self.policies.are_set() {
            true => String::new(),
            false => self.models.all().near(name),
        }
    }

    /// Whether the caller may do this.
    ///
    /// # Errors
    ///
    /// `Denied` if it may not.
    pub fn authorize(&self, call: &Call, action: Action, resource: &Resource<'_>) -> Result<(), Error> {
        let caller = call.caller().map(AsRef::as_ref);
        let decided = self.decide(caller, call.session(), action, resource);
        record(call, decided.as_ref().map(|policies| &policies[..]));
        decided.map(|_| ()).map_err(denied)
    }

    /// Like [`Gateway::authorize`], for services whose calls are not billed.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn permits(
        &self,
        caller: Option<&Caller>,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<(), Denied> {
        self.decide(caller, None, action, resource).map(|_| ())
    }

    fn decide(
        &self,
        caller: Option<&Caller>,
        session: Option<&str>,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<Arc<[String]>, Denied> {
        let policies = self.policies.current();
        let context = self.context(&policies, session, (action, false), KeyParts::default);
        let asked = Asked {
            caller,
            action,
            context: &context,
        };
        policies.authorize(asked, resource)
    }

    /// Whether the caller may do this to a model, and to which of its fields. `key` is the key that the request names; it
    /// is asked for only if a policy reads it.
    ///
    /// # Errors
    ///
    /// `Denied` if it may not.
    pub fn access(
        &self,
        call: &Call,
        action: Action,
        model: &Arc<Model>,
        consistent: bool,
        key: impl Fn() -> KeyParts,
    ) -> Result<Access, Error> {
        let policies = self.policies.current();
        let context = self.context(&policies, call.session(), (action, consistent), key);
        let asked = Asked {
            caller: call.caller().map(AsRef::as_ref),
            action,
            context: &context,
        };
        let access = policies.access(asked, model);
        record(call, access.as_ref().map(Access::policies));
        access.map_err(denied)
    }

    fn context(
        &self,
        policies: &Current,
        session: Option<&str>,
        (action, consistent): (Action, bool),
        key: impl Fn() -> KeyParts,
    ) -> Context {
        if !policies.are_set() {
            return Context::default();
        }
        let time = policies.reads_time(action).then(SystemTime::now);
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Context {
            key: match policies.reads_key(action) {
                true => key(),
                false => KeyParts::default(),
            },
            consistent,
            session: session.map(str::to_owned),
            tls: self.has_tls,
            time: time.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

/// Records a decision for the audit log.
fn record(call: &Call, decided: Result<&[String], &Denied>) {
    let Some(record) = call.audit() else { return };
    match decided {
        Ok(policies) => record.permitted(policies.iter().map(String::as_str)),
        Err(denied) => record.denied(denied.policies.iter().map(String::as_str)),
    }
}

fn denied(denied: Denied) -> Error {
    Error::Denied {
        path: String::new(),
        denied,
    }
}
