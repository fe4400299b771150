//! Update: changes attributes of an item in place. Checks everything first; then `write` runs the commit to completion.

use std::sync::Arc;
use std::time::SystemTime;

use super::authorize::{self, Authorizing, at, check_named};
use super::changes::{
    build_index_keys, check_expression, check_length, check_modes, check_size, defaults, generate,
    lacks_required, remove_nulls, set_version, whole_condition,
};
use super::condition::check_version;
use super::contents;
use super::error::Error;
use super::gateway::Gateway;
use super::idempotency;
use super::selection::check_values;
use super::upload_tokens::open_in_update;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::{self, Expression, Named, Placeholders};
use crate::fault::{Faults, Path};
use crate::item::check;
use crate::item::load::{Opened, readable};
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, Number, Object, ReturnValues, Value};
use crate::policy::Action;
use crate::read::RequestHasher;
use crate::write::{Contents, Identity, ItemUpdate, UpdateRequest, digest_contents};

/// What to change of which item.
pub struct Update {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// The version that the item must have; 0: any.
    pub version: u64,
    /// The changes.
    pub update: Option<Expression>,
    /// Updates only if this is met.
    pub condition: Option<Expression>,
    /// What to return.
    pub return_values: ReturnValues,
    /// Whether the item must exist.
    pub must_exist: bool,
    /// Makes the call idempotent if the model says so; empty: it is not.
    pub request_id: String,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 7] = [
    "model",
    "key",
    "version",
    "update",
    "condition",
    "return_values",
    "request_id",
];

/// What was changed; empty if the request was only checked.
#[derive(Default)]
pub struct Updated {
    /// The attributes that the server set.
    pub generated: Item,
    /// The item or its updated attributes before the update, if requested.
    pub old_item: Option<Opened>,
    /// The item or its updated attributes after the update, if requested.
    pub item: Option<Opened>,
    /// The names of what the caller may not read.
    pub withheld: Vec<String>,
}

impl Updated {
    /// The result without what the caller of this view of the model may not read.
    pub(super) fn seen_by(mut self, model: &Model) -> Updated {
        model.withhold(&mut self.generated);
        self.withheld = model.withheld_names(|_| true);
        self
    }

    /// Records what is withheld for the audit log.
    pub(super) fn recorded(self, call: &Call) -> Self {
        if let Some(record) = call.audit() {
            record.add_withheld(self.withheld.iter().map(String::as_str));
        }
        self
    }
}

/// Changes attributes of one item.
///
/// # Errors
///
/// See [`Error`]; the faults of the request are returned together.
pub async fn update(gateway: &Gateway, call: &Call, mut request: Update) -> Result<Updated, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    update_authorized(gateway, call, request).await
}

/// Like [`update`], for a request that its caller may make.
pub(super) async fn update_authorized(
    gateway: &Gateway,
    call: &Call,
    request: Update,
) -> Result<Updated, Error> {
    let (return_values, validate_only) = (request.return_values, request.validate_only);
    let (checked, identity) = check_single_update(gateway, call, request).await?;
    if validate_only {
        return Ok(Updated::default());
    }
    let contents = Contents::new();
    commit(gateway, call, checked, identity, return_values, contents).await
}

/// Checks an update outside of a transaction, and its request id.
pub(super) async fn check_single_update(
    gateway: &Gateway,
    call: &Call,
    mut request: Update,
) -> Result<(CheckedUpdate, Option<Identity>), Error> {
    let identity = identity(gateway, call, &mut request).await;
    let mut checked = check_update(gateway, call, request).await?;
    if let Some(identity) = &identity {
        idempotency::remember_in_update(&mut checked.item, identity)?;
    }
    Ok((checked, identity))
}

/// The identity of a request whose id is remembered. Adds the faults of the id to those of the request.
async fn identity(gateway: &Gateway, call: &Call, request: &mut Update) -> Option<Identity> {
    if !idempotency::is_remembered(&request.model, &request.request_id) {
        return None;
    }
    let mut hasher = RequestHasher::new("Update");
    request.add_to(&mut hasher).await;
    let returns = request.return_values == ReturnValues::None;
    let identity = idempotency::check_returned(&request.model, returns).and_then(|()| {
        idempotency::identity(gateway, call, &request.model.name, &request.request_id, hasher)
    });
    identity.map_err(|faults| request.faults.extend(faults)).ok()
}

impl Update {
    /// Rejects what the caller may not write, and operands that it may not read. From then on the model is as the caller
    /// sees it.
    pub(super) fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Update, &self.model, false, &self.key)?;
        let update = self.update.as_ref();
        let Named { written, read, added } = update.map(expression::named).unwrap_or_default();
        // whether a sum is within bounds says what is stored
        let is_bounded = |name: &&String| {
            let checks = self.model.attribute(name).map(|attribute| &attribute.checks);
            checks.is_some_and(|checks| checks.min.is_some() || checks.max.is_some())
        };
        let mut written = written.iter().map(|name| access.check_write(name));
        let mut read = read.iter().chain(added.iter().filter(is_bounded));
        let checked = written
            .try_for_each(|checked| checked)
            .and_then(|()| read.try_for_each(|name| access.check_read(name)));
        checked.map_err(|denied| at("update.text", denied))?;
        check_named(&access, self.condition.as_ref(), "condition.text")?;
        authorize::check_version(&access, self.version)?;
        self.model = Arc::clone(access.model());
        Ok(())
    }

    /// Adds all that decides what is written to the hash of a request.
    pub(super) async fn add_to(&self, hasher: &mut RequestHasher) {
        hasher.text(&self.model.name);
        hasher.item(&self.key);
        hasher.number(self.version);
        if let Some(update) = &self.update {
            let values = digest_contents(update.values.clone()).await;
            hasher.expression(Some(&Expression {
                values,
                ..update.clone()
            }));
        }
        hasher.expression(self.condition.as_ref());
        hasher.number(u64::from(self.must_exist));
    }
}

/// An Update that passed its checks.
pub(super) struct CheckedUpdate {
    /// What to change of which item.
    pub(super) item: ItemUpdate,
    /// The attributes that the server sets, without the version.
    pub(super) generated: Item,
}

/// Checks everything about an update.
pub(super) async fn check_update(
    gateway: &Gateway,
    call: &Call,
    request: Update,
) -> Result<CheckedUpdate, Error> {
    let Update {
        model,
        key,
        version,
        update: asked,
        condition,
        return_values: _,
        must_exist,
        request_id: _,
        validate_only: _,
        faults,
    } = request;
    let now = SystemTime::now();
    let announced = asked.as_ref().map(|update| contents::announced(&update.values));
    let mut validation = Validation::new(&FIELDS, faults);
    let version = validation.field(check_version(&model, version));
    let key = validation.field(check::check_key_parts(&model, key, "key"));
    let depth = gateway.attribute_depth;
    let mut update = check_expression(&model, asked.as_ref(), depth, now, &mut validation);
    if let (Some(asked), Some(update), Some((key, _))) = (&asked, &mut update, &key) {
        let values = &asked.values;
        validation.add_fields(open_in_update(gateway, call, (&model, key), update, values));
    }
    let lacks = |update, (_, parts): &(_, _)| lacks_required(&model, update, parts);
    let changed = update.as_ref().zip(key.as_ref());
    let must_exist = must_exist || changed.is_some_and(|(update, key)| lacks(update, key));
    if let (Some((_, parts)), false) = (&key, must_exist) {
        validation.add_fields(check::check_new_key(&model, parts, "key"));
    }
    let mut placeholders = Placeholders::new();
    check_values(condition.as_ref(), "condition", depth, &mut validation);
    let condition = condition
        .map(|condition| expression::condition(&model, &condition, "condition", &mut placeholders))
        .transpose();
    let condition = validation.expression(condition);
    let valid = validation.finish()?;
    let ((key, parts), condition) = (valid.take(key)?, valid.take(condition)?);
    let (mut update, version) = (valid.take(update)?, valid.take(version)?);
    check_modes(&model, &update)?;
    check_contents(announced.unwrap_or_default()).await?;
    remove_nulls(&model, &mut update);
    let mut generated = generate(&model, &mut update, now)?;
    let defaults = match must_exist {
        true => Item::new(),
        false => defaults(&model, &update, parts, now)?,
    };
    let index_keys = build_index_keys(&model, &key, &mut update, &defaults, must_exist, &mut generated)?;
    set_version(&model, &mut update, version);
    let condition = whole_condition(&model, condition, &update, must_exist, version, &mut placeholders);
    check_size(&model, &key, &update, &defaults)?;
    check_length(&model, &update, &defaults, &index_keys, &condition, &placeholders)?;
    let item = ItemUpdate {
        model,
        key,
        update,
        defaults,
        condition,
        placeholders,
        version,
        must_exist,
        index_keys,
    };
    Ok(CheckedUpdate { item, generated })
}

async fn check_contents(announced: Vec<(String, Object)>) -> Result<(), Error> {
    let root = Path::Root("update");
    contents::check(Path::Name(&root, "values"), announced).await
}

/// Changes the item of a checked update. `contents` are those of its streamed objects.
pub(super) async fn commit(
    gateway: &Gateway,
    call: &Call,
    checked: CheckedUpdate,
    identity: Option<Identity>,
    return_values: ReturnValues,
    contents: Contents,
) -> Result<Updated, Error> {
    let CheckedUpdate { item, mut generated } = checked;
    let model = Arc::clone(&item.model);
    let request = UpdateRequest {
        call: call.clone(),
        item,
        returned: return_values,
        generated: generated.clone(),
        identity: identity.clone(),
        contents,
    };
    let committed = match idempotency::table(&model).zip(identity) {
        Some((table, identity)) => gateway.committer.update_once(request, identity, &table).await?,
        None => gateway.committer.update(request).await?,
    };
    if let Some(first) = committed.first {
        return Ok(updated(first, committed.item, return_values.is_old())
            .seen_by(&model)
            .recorded(call));
    }
    generated.extend(references(committed.objects));
    generated.extend(readable(&model, committed.index_keys));
    if let (Some(attribute), Some(number)) = (model.version(), committed.version) {
        generated.insert(attribute.name.clone(), Value::N(Number::from(number)));
    }
    Ok(updated(generated, committed.item, return_values.is_old())
        .seen_by(&model)
        .recorded(call))
}

/// The result with the returned item in its place.
fn updated(generated: Item, returned: Option<Opened>, is_old: bool) -> Updated {
    let (old_item, item) = match is_old {
        true => (returned, None),
        false => (None, returned),
    };
    Updated {
        generated,
        old_item,
        item,
        withheld: Vec::new(),
    }
}

fn references(objects: Vec<(String, Pointer)>) -> Item {
    objects
        .into_iter()
        .filter(|(_, pointer)| pointer.kind.is_none())
        .map(|(name, pointer)| (name, Value::Object(Box::new(pointer.to_object()))))
        .collect()
}
