//! Whose item it is: callers reach only the items of their tenant, and values are encrypted in the tenant's context.
//! The tenant of a caller comes from its identity, that of an item from its partition key, and neither from the request.

use std::borrow::Cow;

use super::Key;
use crate::call::Call;
use crate::model::{Encryption, Model, Value};

/// Why a caller may not use an item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// It has no tenant.
    #[error("the items of {model} belong to tenants, and the caller has none")]
    NoTenant {
        /// The model.
        model: String,
    },
    /// The item is of another tenant, or of none.
    #[error("the key is not one of the caller's tenant: it must begin with the tenant's prefix of {model}")]
    Foreign {
        /// The model.
        model: String,
    },
}

/// Rejects an item that is not of the caller's tenant, if the items of the model belong to tenants.
///
/// # Errors
///
/// `NoTenant` and `Foreign`.
pub fn check(model: &Model, call: &Call, key: &Key) -> Result<(), TenantError> {
    let Some(tenancy) = &model.tenancy else {
        return Ok(());
    };
    let name = || model.name.clone();
    let tenant = call.caller().and_then(|caller| caller.tenant.as_deref());
    let tenant = tenant.ok_or_else(|| TenantError::NoTenant { model: name() })?;
    match key.partition() {
        Value::S(key) if tenancy.tenant_of(key) == Some(tenant) => Ok(()),
        _ => Err(TenantError::Foreign { model: name() }),
    }
}

/// How values of the item with this key are encrypted: in the context of its tenant.
pub fn encryption<'a>(model: &Model, encryption: &'a Encryption, key: &Key) -> Cow<'a, Encryption> {
    let tenant = match (&model.tenancy, key.partition()) {
        (Some(tenancy), Value::S(key)) => tenancy.tenant_of(key),
        (Some(_) | None, _) => None,
    };
    let Some(tenant) = tenant else {
        return Cow::Borrowed(encryption);
    };
    Cow::Owned(encryption.of_tenant(tenant))
}
