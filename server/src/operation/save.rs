//! Save: writes a whole item. Checks everything first; then `write` runs the commit to completion.

use std::sync::Arc;
use std::time::SystemTime;

use super::authorize::{Authorizing, at, check_named};
use super::condition::{check_condition, check_length, check_pinned, versioned};
use super::contents;
use super::error::Error;
use super::gateway::Gateway;
use super::idempotency;
use super::upload_tokens::open_in_item;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::{Faults, Path};
use crate::item::check::{self, CheckError, VersionExpectation};
use crate::item::load::{Opened, readable};
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, Number, ReturnValues, Value};
use crate::policy::Action;
use crate::read::RequestHasher;
use crate::write::{
    Condition, Contents, ExpectedVersion, Identity, SaveRequest, digest_contents, foreign_kept,
    keep_unchanged,
};

/// Which item to write.
pub struct Save {
    /// The model.
    pub model: Arc<Model>,
    /// The whole item.
    pub item: Item,
    /// Writes only if this is met.
    pub condition: Option<Expression>,
    /// Whether the item must not exist.
    pub must_create: bool,
    /// What to return.
    pub return_values: ReturnValues,
    /// Makes the call idempotent if the model says so; empty: it is not.
    pub request_id: String,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 5] = ["model", "item", "condition", "return_values", "request_id"];

/// What was written; empty if the request was only checked.
#[derive(Default)]
pub struct Saved {
    /// The attributes that the server set.
    pub generated: Item,
    /// The replaced item, if requested.
    pub old_item: Option<Opened>,
    /// The item as written, if requested.
    pub item: Option<Item>,
    /// The names of what the caller may not read.
    pub withheld: Vec<String>,
}

impl Saved {
    /// The result without what the caller of this view of the model may not read.
    pub(super) fn seen_by(mut self, model: &Model) -> Saved {
        model.withhold(&mut self.generated);
        if let Some(item) = &mut self.item {
            model.withhold(item);
        }
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

/// Writes one item.
///
/// # Errors
///
/// See [`Error`]; the faults of the request are returned together.
pub async fn save(gateway: &Gateway, call: &Call, mut request: Save) -> Result<Saved, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    let (return_values, validate_only) = (request.return_values, request.validate_only);
    let (checked, identity) = check_single_save(gateway, call, request).await?;
    if validate_only {
        return Ok(Saved::default());
    }
    let contents = Contents::new();
    commit(gateway, call, checked, identity, return_values, contents).await
}

/// Checks a save outside of a transaction, and its request id.
pub(super) async fn check_single_save(
    gateway: &Gateway,
    call: &Call,
    mut request: Save,
) -> Result<(CheckedSave, Option<Identity>), Error> {
    let identity = identity(gateway, call, &mut request).await;
    let mut checked = check_save(gateway, call, request).await?;
    if let Some(identity) = &identity {
        let CheckedSave {
            model,
            item,
            condition,
            ..
        } = &mut checked;
        *condition = idempotency::remember_in_item(model, item, condition.take(), identity)?;
        if idempotency::table(model).is_some() {
            check_pinned(model, condition.as_ref())?;
        }
    }
    Ok((checked, identity))
}

/// The identity of a request whose id is remembered. Adds the faults of the id to those of the request.
async fn identity(gateway: &Gateway, call: &Call, request: &mut Save) -> Option<Identity> {
    if !idempotency::is_remembered(&request.model, &request.request_id) {
        return None;
    }
    let mut hasher = RequestHasher::new("Save");
    request.add_to(&mut hasher).await;
    let returns = request.return_values != ReturnValues::AllOld;
    let identity = idempotency::check_returned(&request.model, returns).and_then(|()| {
        idempotency::identity(gateway, call, &request.model.name, &request.request_id, hasher)
    });
    identity.map_err(|faults| request.faults.extend(faults)).ok()
}

impl Save {
    /// Rejects what the caller may not write. From then on the model is as the caller sees it, and a caller who may not
    /// write every field only creates.
    pub(super) fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Save, &self.model, false, &self.item)?;
        let denied = self.item.keys().filter(|name| !access.can_write(name));
        if let Some(name) = denied.min() {
            let checked = access.check_write(name);
            checked.map_err(|denied| at(format_args!("item.{name}"), denied))?;
        }
        check_named(&access, self.condition.as_ref(), "condition.text")?;
        let version = self.model.version();
        if let Some(version) = version.filter(|version| is_expected(self.item.get(&version.name))) {
            // it replaces the item of that version
            let mut all = self.model.attributes.iter();
            let checked = access
                .check_read(&version.name)
                .and_then(|()| all.try_for_each(|attribute| access.check_write(&attribute.name)));
            checked.map_err(|denied| at(format_args!("item.{}", version.name), denied))?;
        }
        self.must_create = !access.can_write_all();
        self.model = Arc::clone(access.model());
        Ok(())
    }

    /// Adds all that decides what is written to the hash of a request.
    pub(super) async fn add_to(&self, hasher: &mut RequestHasher) {
        hasher.text(&self.model.name);
        hasher.item(&digest_contents(self.item.clone()).await);
        hasher.expression(self.condition.as_ref());
    }
}

/// Whether the version in an item is one that the stored item must have.
fn is_expected(version: Option<&Value>) -> bool {
    match version {
        None | Some(Value::Null) => false,
        Some(version) => *version != Value::N(Number::from(0)),
    }
}

/// A Save that passed its checks.
pub(super) struct CheckedSave {
    pub(super) model: Arc<Model>,
    pub(super) item: Item,
    /// The attributes that the server set.
    pub(super) generated: Item,
    pub(super) condition: Option<Condition>,
    /// The version that the condition demands.
    pub(super) version: Option<ExpectedVersion>,
}

/// Checks everything about a save.
pub(super) async fn check_save(gateway: &Gateway, call: &Call, request: Save) -> Result<CheckedSave, Error> {
    let Save {
        model,
        item,
        condition,
        must_create,
        return_values: _,
        request_id: _,
        validate_only: _,
        faults,
    } = request;
    let mut validation = Validation::new(&FIELDS, faults);
    let max_depth = gateway.attribute_depth;
    let item = keep_unchanged(item).await;
    let condition = check_condition(&model, condition.as_ref(), max_depth, &mut validation);
    let checked = match check::check_item(&model, item, "item", max_depth, SystemTime::now()) {
        Ok(mut checked) => {
            validation.add_fields(check_kept(&model, &checked.item));
            validation.add_fields(open_in_item(gateway, call, &model, &mut checked.item));
            Some(checked)
        }
        Err(CheckError::Invalid(faults)) => {
            validation.add_fields(faults);
            None
        }
        Err(CheckError::Mode(faults)) => {
            return validation.finish().and(Err(Error::Mode(faults.sorted(&FIELDS))));
        }
        Err(CheckError::TooLarge { bytes }) => {
            return validation.finish().and(Err(Error::ItemTooLarge { bytes }));
        }
    };
    let valid = validation.finish()?;
    let (condition, checked) = (valid.take(condition)?, valid.take(checked)?);
    contents::check(Path::Root("item"), contents::announced(&checked.item)).await?;
    let version = match checked.version {
        VersionExpectation::None => must_create.then_some(ExpectedVersion::Create),
        VersionExpectation::Create => Some(ExpectedVersion::Create),
        VersionExpectation::Exactly(number) => Some(ExpectedVersion::Exactly(number)),
    };
    let condition = versioned(&model, condition, version)?;
    check_length(condition.as_ref(), &checked.item)?;
    Ok(CheckedSave {
        model,
        item: checked.item,
        generated: checked.generated,
        condition,
        version,
    })
}

/// Writes the item of a checked save. `contents` are those of its streamed objects.
pub(super) async fn commit(
    gateway: &Gateway,
    call: &Call,
    checked: CheckedSave,
    identity: Option<Identity>,
    return_values: ReturnValues,
    contents: Contents,
) -> Result<Saved, Error> {
    let model = Arc::clone(&checked.model);
    let written =
        (return_values == ReturnValues::AllNew).then(|| readable(&checked.model, checked.item.clone()));
    let request = SaveRequest {
        call: call.clone(),
        model: checked.model,
        item: checked.item,
        condition: checked.condition,
        version: checked.version,
        return_old: return_values == ReturnValues::AllOld,
        generated: checked.generated.clone(),
        identity: identity.clone(),
        contents,
    };
    let committed = match idempotency::table(&request.model).zip(identity) {
        Some((table, identity)) => gateway.committer.save_once(request, identity, &table).await?,
        None => gateway.committer.save(request).await?,
    };
    if let Some(generated) = committed.first {
        let saved = Saved {
            generated,
            ..Saved::default()
        };
        return Ok(saved.seen_by(&model).recorded(call));
    }
    let (references, kept) = (references(committed.objects), references(committed.kept));
    let item = written.map(|item| item.into_iter().chain(kept).chain(references.clone()).collect());
    let generated = checked.generated.into_iter().chain(references).collect();
    let saved = Saved {
        generated,
        old_item: committed.old,
        item,
        withheld: Vec::new(),
    };
    Ok(saved.seen_by(&model).recorded(call))
}

/// Rejects objects to keep that do not belong to the item.
fn check_kept(model: &Model, item: &Item) -> Faults {
    let mut faults = Faults::new();
    for (attribute, object) in foreign_kept(model, item) {
        faults.extend(check::reject_kept(object, "item", attribute));
    }
    faults
}

/// The pointers to objects, as callers read them. Those of offloaded values are not shown.
pub(super) fn references(objects: Vec<(String, Pointer)>) -> Item {
    objects
        .into_iter()
        .filter(|(_, pointer)| pointer.kind.is_none())
        .map(|(name, pointer)| (name, Value::Object(Box::new(pointer.to_object()))))
        .collect()
}
