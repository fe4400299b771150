//! What callers may do: Cedar policies, their schema, and decisions about calls, models and fields. Knows callers and
//! models, but neither requests nor stores: `operation` asks, and does what the decision says.

mod access;
mod action;
mod authorize;
mod cache;
mod compile;
mod complexity;
mod context;
mod decide;
mod denied;
mod entities;
mod explain;
mod files;
mod literals;
mod reads;
mod schema;
mod served;
mod source;
#[cfg(test)]
mod tests;

pub use access::Access;
pub use action::Action;
pub use compile::{Compiled, MAX_POLICIES};
pub use context::{Context, KeyParts};
pub use decide::{Asked, Resource};
pub use denied::Denied;
pub use explain::Explained;
pub use schema::{ClaimType, Known, schema};
pub use served::{Current, Policies, Reloaded};
pub use source::{Fault, Sources};
