//! What the caller of a call that is not billed may do.

use std::sync::Arc;

use tonic::{Request, Status};

use super::status;
use crate::caller::Caller;
use crate::operation::Gateway;
use crate::policy::{Action, Resource};

/// The caller of a request, which the layer added to it; `None` if callers are not authenticated.
pub(super) fn caller<T>(request: &Request<T>) -> Option<&Caller> {
    request.extensions().get::<Arc<Caller>>().map(AsRef::as_ref)
}

/// Rejects what the caller may not do.
pub(super) fn authorize(
    gateway: &Gateway,
    caller: Option<&Caller>,
    action: Action,
    resource: &Resource<'_>,
) -> Result<(), Status> {
    let permitted = gateway.permits(caller, action, resource);
    permitted.map_err(|denied| status::permission_denied(&denied, ""))
}

/// The status of a model that is not served.
pub(super) fn unknown_model(gateway: &Gateway, name: &str) -> Status {
    status::unknown_model(name, &gateway.near(name))
}
