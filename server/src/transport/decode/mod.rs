//! From the contract's requests to those of `operation`. Collects what cannot be decoded as faults; everything else is
//! checked there. Knows nothing of models.

mod check;
mod delete;
mod download;
mod get;
mod pages;
mod presign;
mod return_values;
mod save;
mod update;
mod values;
// add-an-rpc: the module that decodes its request

pub(super) use check::check;
pub(super) use delete::delete;
pub(super) use download::download;
pub(super) use get::get;
pub(super) use pages::{query, scan};
pub(super) use presign::presign;
pub(super) use save::save;
pub(super) use update::update;
// add-an-rpc: its decoder
