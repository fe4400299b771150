//! What a marker keeps of an outcome: what the server set, sealed if a model seals attributes, or why operations were
//! refused.

use std::borrow::Cow;
use std::sync::Arc;

use crate::aws::Misfit;
use crate::crypto::CallKeys;
use crate::crypto::envelope::{self, Envelope, Place};
use crate::item::pointer::Pointer;
use crate::model::{AttributeType, Encryption, EncryptionFormat, EncryptionMode, Item, Model, Number, Value};

use super::error::Error;
use super::marker::{GENERATED, Marker};
use super::refused::{OperationRefusal, RefusedOperation};

const INDEX: &str = "index";
const KIND: &str = "kind";
const CURRENT: &str = "current";
const ATTRIBUTE: &str = "attribute";
const LIMITS: &str = "limits";

const CONDITION_FAILED: &str = "CONDITION_FAILED";
const ALREADY_EXISTS: &str = "ALREADY_EXISTS";
const WRONG_MODEL: &str = "WRONG_MODEL";
const NOT_FOUND: &str = "NOT_FOUND";
const VERSION_MISMATCH: &str = "VERSION_MISMATCH";
const OUT_OF_BOUNDS: &str = "OUT_OF_BOUNDS";
const MISSING_ATTRIBUTE: &str = "MISSING_ATTRIBUTE";
const WRONG_TYPE: &str = "WRONG_TYPE";
const MISSING_PATH: &str = "MISSING_PATH";
const NUMBER: &str = "NUMBER";

/// The attribute whose key seals what the server set: the first one that this server may seal and open.
fn sealing(models: &[Arc<Model>]) -> Option<(usize, &Encryption)> {
    models.iter().enumerate().find_map(|(index, model)| {
        let mut encryptions = model.attributes.iter().filter_map(|one| one.encrypted.as_ref());
        let encryption = encryptions.find(|encryption| encryption.mode == EncryptionMode::ReadWrite)?;
        Some((index, encryption))
    })
}

/// How a marker is encrypted: it belongs to its caller, and so to the caller's tenant if the items belong to tenants.
fn of_caller<'a>(model: &Model, encryption: &'a Encryption, keys: &CallKeys) -> Cow<'a, Encryption> {
    match keys.tenant().filter(|_| model.tenancy.is_some()) {
        Some(tenant) => Cow::Owned(encryption.of_tenant(&tenant)),
        None => Cow::Borrowed(encryption),
    }
}

impl Marker {
    /// What the server set in each operation, as the marker keeps it; objects are pointers. Values of encrypted attributes
    /// are left out if this server could not open them. `keys` are those of the operations.
    pub(super) async fn seal(
        &self,
        models: &[Arc<Model>],
        mut generated: Vec<Item>,
        keys: &[CallKeys],
    ) -> Result<Value, Error> {
        let sealing = sealing(models);
        if sealing.is_none() {
            for (model, item) in models.iter().zip(&mut generated) {
                let is_sealed = |name: &str| model.attribute(name).is_some_and(|one| one.encrypted.is_some());
                item.retain(|name, _| !is_sealed(name));
            }
        }
        let has_any = generated.iter().any(|item| !item.is_empty());
        let plain = Value::L(generated.into_iter().map(Value::M).collect());
        let Some((index, encryption)) = sealing.filter(|_| has_any) else {
            return Ok(plain);
        };
        let (Some(model), Some(keys)) = (models.get(index), keys.get(index)) else {
            return Err(Error::Internal("an operation has no keys"));
        };
        let encryption = of_caller(model, encryption, keys);
        let context = envelope::context(EncryptionFormat::Sealed, &encryption.context, &model.table);
        let key = keys
            .generate(&encryption.key_id, &context, model.kms_cache)
            .await?;
        let sealed = envelope::seal(
            EncryptionFormat::Sealed,
            &plain,
            &key.key,
            &key.wrapped,
            &self.place()?,
            GENERATED,
        );
        sealed.map_err(|_| Error::Internal("what the server set cannot be encrypted"))
    }

    /// The inverse of [`seal`](Marker::seal), as callers read it.
    pub(super) async fn open(
        &self,
        models: &[Arc<Model>],
        stored: &Value,
        keys: &CallKeys,
    ) -> Result<Vec<Item>, Error> {
        let opened = match stored {
            Value::B(_) => self.decrypt(models, stored, keys).await?,
            plain => plain.clone(),
        };
        let Value::L(members) = opened else {
            return Err(self.invalid());
        };
        if members.len() != models.len() {
            return Err(self.invalid());
        }
        let items = members
            .into_iter()
            .zip(models)
            .map(|(member, model)| match member {
                Value::M(fields) => Ok(fields
                    .into_iter()
                    .map(|(name, value)| {
                        let value = shown(model, &name, value);
                        (name, value)
                    })
                    .collect()),
                _ => Err(self.invalid()),
            });
        items.collect()
    }

    async fn decrypt(&self, models: &[Arc<Model>], stored: &Value, keys: &CallKeys) -> Result<Value, Error> {
        let (index, encryption) = sealing(models).ok_or_else(|| self.invalid())?;
        let model = models.get(index).ok_or_else(|| self.invalid())?;
        let envelope = Envelope::read(stored).map_err(|_| self.invalid())?;
        let encryption = of_caller(model, encryption, keys);
        let context = envelope::context(EncryptionFormat::Sealed, &encryption.context, &model.table);
        let key_ids = encryption.key_ids().cloned().collect();
        let key = keys
            .open(envelope.wrapped_key(), &context, key_ids, model.kms_cache)
            .await?;
        let opened = envelope.open(&key, &self.place()?, GENERATED);
        opened.map_err(|_| self.invalid())
    }

    fn place(&self) -> Result<Place, Error> {
        Place::new(self.table(), &self.key(), None).ok_or(Error::Internal("a marker's key is a string"))
    }

    /// The error of a stored marker that cannot be read.
    pub(super) fn invalid(&self) -> Error {
        Error::MarkerInvalid {
            table: self.table().to_owned(),
        }
    }
}

/// A value as callers read it: a pointer is the reference of an object.
fn shown(model: &Model, name: &str, value: Value) -> Value {
    let is_object = model
        .attribute(name)
        .is_some_and(|attribute| attribute.kind == AttributeType::Object);
    match Pointer::from_value(&value).filter(|_| is_object) {
        Some(pointer) => Value::Object(Box::new(pointer.to_object())),
        None => value,
    }
}

/// The refusals as a marker keeps them; `None` if the request may be tried again, so that it is not remembered.
pub(super) fn refusals(refused: &[RefusedOperation]) -> Option<Value> {
    let members: Option<Vec<Value>> = refused.iter().map(refusal).collect();
    members.map(Value::L)
}

fn refusal(refused: &RefusedOperation) -> Option<Value> {
    let text = |text: &str| Value::S(text.to_owned());
    let mut fields = vec![(INDEX, Value::N(Number::from(refused.index as u64)))];
    let kind = match &refused.refusal {
        OperationRefusal::ConditionFailed => CONDITION_FAILED,
        OperationRefusal::WrongModel => WRONG_MODEL,
        OperationRefusal::AlreadyExists => ALREADY_EXISTS,
        OperationRefusal::NotFound => NOT_FOUND,
        OperationRefusal::VersionMismatch { current } => {
            fields.push((CURRENT, Value::N(Number::from(*current))));
            VERSION_MISMATCH
        }
        OperationRefusal::OutOfBounds { attribute, limits } => {
            fields.extend([(ATTRIBUTE, text(attribute)), (LIMITS, text(limits))]);
            OUT_OF_BOUNDS
        }
        OperationRefusal::Misfit(Misfit::MissingAttribute) => MISSING_ATTRIBUTE,
        OperationRefusal::Misfit(Misfit::WrongType) => WRONG_TYPE,
        OperationRefusal::Misfit(Misfit::MissingPath) => MISSING_PATH,
        OperationRefusal::Misfit(Misfit::Number) => NUMBER,
        OperationRefusal::ObjectChanged { .. }
        | OperationRefusal::Conflict
        | OperationRefusal::TooLarge
        | OperationRefusal::Throttled
        | OperationRefusal::Invalid => return None,
    };
    fields.push((KIND, text(kind)));
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Some(Value::M(fields.collect()))
}

/// The inverse of [`refusals`]; `None` if the value is none that it returns.
pub(super) fn read_refusals(stored: &Value) -> Option<Vec<RefusedOperation>> {
    let Value::L(members) = stored else { return None };
    members.iter().map(read_refusal).collect()
}

fn read_refusal(stored: &Value) -> Option<RefusedOperation> {
    let Value::M(fields) = stored else { return None };
    let text = |name: &str| match fields.get(name) {
        Some(Value::S(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    let number = |name: &str| match fields.get(name) {
        Some(Value::N(number)) => number.as_str().parse::<u64>().ok(),
        Some(_) | None => None,
    };
    let refusal = match text(KIND)?.as_str() {
        CONDITION_FAILED => OperationRefusal::ConditionFailed,
        WRONG_MODEL => OperationRefusal::WrongModel,
        ALREADY_EXISTS => OperationRefusal::AlreadyExists,
        NOT_FOUND => OperationRefusal::NotFound,
        VERSION_MISMATCH => OperationRefusal::VersionMismatch {
            current: number(CURRENT)?,
        },
        OUT_OF_BOUNDS => OperationRefusal::OutOfBounds {
            attribute: text(ATTRIBUTE)?,
            limits: text(LIMITS)?,
        },
        MISSING_ATTRIBUTE => OperationRefusal::Misfit(Misfit::MissingAttribute),
        WRONG_TYPE => OperationRefusal::Misfit(Misfit::WrongType),
        MISSING_PATH => OperationRefusal::Misfit(Misfit::MissingPath),
        NUMBER => OperationRefusal::Misfit(Misfit::Number),
        _ => return None,
    };
    Some(RefusedOperation {
        index: usize::try_from(number(INDEX)?).ok()?,
        refusal,
        current: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(refusal: OperationRefusal) -> RefusedOperation {
        RefusedOperation {
            index: 7,
            refusal,
            current: None,
        }
    }

    #[test]
    fn refusals_that_stand_are_kept_and_read() {
        let stand = [
            OperationRefusal::ConditionFailed,
            OperationRefusal::AlreadyExists,
            OperationRefusal::WrongModel,
            OperationRefusal::NotFound,
            OperationRefusal::VersionMismatch { current: u64::MAX },
            OperationRefusal::OutOfBounds {
                attribute: "age".to_owned(),
                limits: "at least 0".to_owned(),
            },
            OperationRefusal::Misfit(Misfit::MissingAttribute),
            OperationRefusal::Misfit(Misfit::WrongType),
            OperationRefusal::Misfit(Misfit::MissingPath),
            OperationRefusal::Misfit(Misfit::Number),
        ];
        for refusal in stand {
            let kept = refusals(&[refused(refusal.clone())]).unwrap();
            let read = read_refusals(&kept).unwrap();
            assert_eq!((read[0].index, &read[0].refusal), (7, &refusal));
        }
    }

    #[test]
    fn refusals_that_pass_are_not_kept() {
        let passing = [
            OperationRefusal::Conflict,
            OperationRefusal::Throttled,
            OperationRefusal::TooLarge,
        ];
        for refusal in passing {
            let both = [refused(OperationRefusal::ConditionFailed), refused(refusal)];
            assert!(refusals(&both).is_none());
        }
    }

    #[test]
    fn what_others_wrote_is_no_refusal() {
        for stored in [
            Value::Null,
            Value::L(vec![Value::Null]),
            Value::L(vec![Value::M([].into())]),
            Value::L(vec![Value::M(
                [(KIND.to_owned(), Value::S("LATER".to_owned()))].into(),
            )]),
        ] {
            assert!(read_refusals(&stored).is_none());
        }
    }
}
